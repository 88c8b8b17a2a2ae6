"""How fast histories come from fpml's stored ledger, beside hand-written Polars, DuckDB and pandas, and featuretools.

    python benchmarks/histories.py [--full]      small: 2,000 households, 2 rounds; full: 20,000, 3 rounds, featuretools

About eight events a household and month for 24 months, known up to 75 days late; 12 and 24 month-end as-ofs; 180
features: sum, count and highest over 3, 6 and 12 months of 20 indicators. Timed is the way from files (the ledger's
Delta folder, opened anew; for the peers, a Parquet file of the same events in the same order, not compressed) to the
columns of all as-ofs in memory. Every measurement is a process of its own: a warm-up call, then the timed one. In a
round each has its turn, ours first; ratios are within a round, and their median is told. All cells are compared first.

No two events tell of one fact: to fpml the later would be a correction of the earlier, and the peers know none.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import generated
import measure
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from peers import COLUMNS, INDICATORS, REDUCTIONS, WINDOWS

import fpml

MONTHS = 24
FIRST = fpml.AsOf.parse("2021-01")
AS_OFS = {"12": [FIRST.month + i for i in range(12, 24)], "24": [FIRST.month + i for i in range(24)]}
PEERS = ("polars", "duckdb", "pandas")
PACKAGES = ("numpy", "numba", "pyarrow", "deltalake", "polars", "duckdb", "pandas", "featuretools")
FEW = 200
POLICY = {
    "departments": "office: {name: {en: office}}\n",
    "indicators": "".join(
        f"{i}: {{name: {{en: {i}}}, department: office, kind: amount, decimals: 2, unit: {{en: yuan}}, "
        f"grain: household, absent: zero, features: [{{windows: [{', '.join(f'{w}m' for w in WINDOWS)}], "
        f"reductions: [{', '.join(REDUCTIONS)}]}}]}}\n"
        for i in INDICATORS
    )
    + "village: {name: {en: village}, department: office, kind: status, unit: {en: code}, grain: household}\n",
    "features": "",
    "rules": "",
    "county": """
name: {en: generated}
watched: {feature: ind_00__count__ever, at_least: 0}
village: village
visits: 3
line:
  unit: {en: yuan}
  months: 12
  heads: ind_00__count__ever
  source: none
  mark: assumed
  values: {all: [{from: 1990-01-01, value: 100}]}
outcomes:
  fall:
    name: {en: fall}
    at_risk: [{feature: ind_00__count__ever, at_least: 0}]
    fall: {feature: ind_00__count__ever, below: 0}
    horizons: [3]
""",
}


def workspace(root: Path) -> fpml.County:
    """A new workspace with the benchmark's own policy, opened."""
    made = fpml.init(root)
    for name, text in POLICY.items():
        (made.policy / f"{name}.yaml").write_text(text, encoding="utf-8")
    return fpml.open(root)


def events(households: int, months: int) -> pa.Table:
    """Generated events, in the ledger's order of household, indicator and day, no two of them of one fact."""
    n = households * months * 8
    drawn = generated.events(households, months)
    more = generated.events(households, months, seed=1).slice(0, n // 10)
    rows = pa.concat_tables([drawn, more]).combine_chunks()
    household, indicator = (
        rows[name].combine_chunks().indices.to_numpy().astype(np.int64) for name in ("household_id", "indicator")
    )
    day = rows["event_date"].cast(pa.int32()).to_numpy()
    fact = (household * len(INDICATORS) + indicator) * 2**20 + day
    kept = np.sort(np.unique(fact, return_index=True)[1])[:n]
    return rows.take(pa.array(kept[np.argsort(fact[kept])]))


def prepare(root: Path, households: int) -> dict[str, Any]:
    """Writes all that is measured: the peers' events, a delivery in yuan, and the ledger."""
    rows = events(households, MONTHS)
    pq.write_table(rows, root / "events.parquet", compression="none")
    yuan = pc.divide(rows["value"].cast(pa.float64()), 100.0)
    pq.write_table(rows.set_column(rows.column_names.index("value"), "value", yuan), root / "delivery.parquet")
    county = workspace(root / "county")
    county.ledger.append(generated.as_records(rows, county.catalogue), "generated")
    return {"records": rows.num_rows}


def ours(root: Path, as_ofs: Sequence[int]) -> pa.Table:
    """The histories by fpml, the workspace opened anew."""
    return fpml.open(root / "county").histories(*map(fpml.AsOf, as_ofs), names=COLUMNS)


def theirs(peer: str, root: Path, as_ofs: Sequence[int]) -> Any:
    """A peer's tables, as-of by as-of."""
    return import_module(f"peers.{peer}_peer").tables(str(root / "events.parquet"), as_ofs)


def equal(root: Path, as_ofs: Sequence[int]) -> dict[str, Any]:
    """Compares all cells; raises where one differs, or is unknown but in a window from before the first month."""
    table = ours(root, as_ofs)
    known_cells = 0
    for peer in PEERS:
        known_cells = 0
        for t, wide in theirs(peer, root, as_ofs):
            mine = table.filter(pc.equal(table["as_of"], pa.scalar(fpml.AsOf(t).date, pa.date32())))
            told = _arrow(wide)
            at = pc.index_in(mine["household_id"].cast(pa.string()), value_set=told["household_id"].combine_chunks())
            if mine.num_rows - at.null_count != told.num_rows:
                raise AssertionError(f"{peer} at {fpml.AsOf(t)}: other households")
            for name in COLUMNS:
                known = pc.is_valid(mine[name]).to_numpy()
                reaches = t - int(name.rsplit("__", 1)[1].removesuffix("m")) + 1 >= FIRST.month
                if not (known == reaches).all():
                    raise AssertionError(f"{name} at {fpml.AsOf(t)}: known in {known.sum()} of {known.size} rows")
                said = pc.fill_null(told[name].cast(pa.int64()).take(at), 0).to_numpy()
                if reaches and not (mine[name].cast(pa.int64()).to_numpy() == said).all():
                    raise AssertionError(f"{peer}: {name} at {fpml.AsOf(t)} differs")
                known_cells += int(known.sum())
    return {"cells": table.num_rows * len(COLUMNS), "known": known_cells}


def _arrow(wide: Any) -> pa.Table:
    """A peer's table as Arrow, household_id as plain words."""
    if isinstance(wide, pa.Table):
        table = wide
    else:
        table = wide.to_arrow() if hasattr(wide, "to_arrow") else pa.Table.from_pandas(wide)
    place = table.column_names.index("household_id")
    return table.set_column(place, "household_id", table["household_id"].cast(pa.string()))


def taken_in(how: str, root: Path) -> dict[str, Any]:
    """Times the one-time cost: `append` to the ledger from an Arrow table in memory, or `intake` of a delivery file."""
    with tempfile.TemporaryDirectory(dir=root) as where:
        small = Path(where) / "small"
        prepare(small.parent, 20)
        rows = pq.read_table(root / "events.parquet", read_dictionary=["household_id", "indicator"])

        def take(folder: str, delivery: Path, records: pa.Table) -> None:
            county = workspace(Path(where) / folder)
            if how == "append":
                county.ledger.append(generated.as_records(records.combine_chunks(), county.catalogue), "generated")
                return
            (receipt,) = county.intake([delivery], today=date(2026, 1, 1))
            if receipt.accepted != records.num_rows:
                raise AssertionError(receipt)

        def warm() -> None:
            few = pq.read_table(small.parent / "events.parquet", read_dictionary=["household_id", "indicator"])
            take("warm", small.parent / "delivery.parquet", few)

        return measure.timed(lambda: take("timed", root / "delivery.parquet", rows), warm=warm)


def one(what: str, root: Path, argument: str) -> dict[str, Any]:
    """What a process of its own does."""
    if what == "prepare":
        return prepare(root, int(argument))
    if what in ("append", "intake"):
        return taken_in(what, root)
    as_ofs = AS_OFS[argument]
    if what == "equal":
        return equal(root, as_ofs)
    call: Callable[[], object] = lambda: list(theirs(what, root, as_ofs))  # noqa: E731
    if what == "featuretools":  # it compiles nothing: importing it is all there is to warm up
        return measure.timed(call, warm=lambda: import_module("peers.featuretools_peer"))
    return measure.timed((lambda: ours(root, as_ofs)) if what == "fpml" else call)


def rounds(root: Path, number: int, argument: str) -> dict[str, Any]:
    """Everybody's seconds in each round, the ratios to ours, and peak memory."""
    ran = {who: list[dict[str, Any]]() for who in ("fpml", *PEERS)}
    for _ in range(number):
        for who, runs in ran.items():
            runs.append(measure.apart(__file__, "--one", who, root, argument))
    seconds = {who: [r["seconds"][0] for r in runs] for who, runs in ran.items()}
    return {
        who: {
            "seconds": seconds[who],
            "median_seconds": round(statistics.median(seconds[who]), 3),
            "times_ours": round(
                statistics.median(a / b for a, b in zip(seconds[who], seconds["fpml"], strict=True)), 2
            ),
            "peak_mb": max(r["peak_mb"] for r in runs),
        }
        for who, runs in ran.items()
    }


def beside(root: Path) -> dict[str, Any]:
    """featuretools at 12 as-ofs, once and on fewer households, as it takes long; not compared cell by cell."""
    folder = root / "few"
    folder.mkdir()
    measure.apart(__file__, "--one", "prepare", folder, FEW)
    ran, own = (measure.apart(__file__, "--one", who, folder, "12") for who in ("featuretools", "fpml"))
    ratio = round(ran["seconds"][0] / own["seconds"][0], 1)
    return {"households": FEW, **ran, "fpml_seconds": own["seconds"], "times_ours": ratio}


def main(full: bool) -> None:
    """Measures, prints and writes."""
    households, number = (20_000, 3) if full else (2_000, 2)
    with tempfile.TemporaryDirectory() as where:
        root = Path(where)
        made = measure.apart(__file__, "--one", "prepare", root, households)
        figures: dict[str, Any] = {
            "households": households,
            "records": made["records"],
            "features": len(COLUMNS),
            "rounds": number,
            "equal": {n: measure.apart(__file__, "--one", "equal", root, n) for n in AS_OFS},
            "as_ofs": {n: rounds(root, number, n) for n in AS_OFS},
            "taken_in": {how: measure.apart(__file__, "--one", how, root, "0") for how in ("append", "intake")},
        }
        if full:
            figures["featuretools"] = beside(root)
    figures |= {"versions": measure.versions(*PACKAGES), "machine": measure.machine()}
    print(f"{made['records']:,} records of {households:,} households, {len(COLUMNS)} features; all cells equal\n")
    lines = [(n, who, f) for n, ran in figures["as_ofs"].items() for who, f in ran.items()]
    measure.show(
        ("as-ofs", "", "seconds", "times ours", "peak MB"),
        [(n, who, f["median_seconds"], f["times_ours"], f["peak_mb"]) for n, who, f in lines],
    )
    print()
    measure.show(
        ("taken in by", "seconds", "peak MB"),
        [(how, f["seconds"][0], f["peak_mb"]) for how, f in figures["taken_in"].items()],
    )
    if full:
        f = figures["featuretools"]
        print(f"\nfeaturetools, {FEW:,} households, 12 as-ofs: {f['seconds'][0]} s, {f['times_ours']} times ours")
    print(f"\n{measure.write('histories' if full else 'histories-small', figures)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "FOLDER", "ARGUMENT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]), given.one[2])))
    else:
        main(given.full)
