"""Reasons held against what is known to be so: planted causes, small changes of data, time and memory.

    python benchmarks/reasons.py --workspace DIR ... --as-ofs 2023-06 2023-12 [--visits N] [--part causes|stable|time]

DIR is a simulated county with models (`make demo`, or one of 220,000 households for the times); of several, causes are
counted together, and the rest is of the first. Causes: of listed households on which one cause was at work in the
simulator's truth, how often it is named first; beside chance (causes dealt anew among them), the indicator that lies
furthest out (largest z toward more risk), and the share of households of whom anything is on record that tells of the
cause: its event within policy's time, a hit of a rule of that cause, or its kind of income a fifth below the same
months of the year before. Most of those listed are not in trouble and will not be: of those who are, or are within six
months, it is told apart. Stable: amounts 1 % up or
down, and one record of each listed household left out: how often the first reason, and the set of reasons, stay.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import fpml
from fpml import engine, lists
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import COLUMNS, Asked, histories
from fpml.lists.placing import likely_causes, recorded_causes
from fpml.lists.rank import hit_names
from fpml.simulate.causes import CAUSES

TIMES, SEED = 200, 8
FIFTH, SOON = 0.2, 6


def planted(county: fpml.County, as_of: AsOf) -> dict[str, str]:
    """By household the one cause at work, as visits.yaml names it; those with several, or another, left out."""
    truth = pq.read_table(
        county.workspace.truth / "states.parquet",
        columns=["household_id", "causes"],
        filters=[("month", "==", as_of.month)],
    )
    if not truth.num_rows:
        raise SystemExit(f"the truth has no {as_of}")
    known = county.catalogue.listing.causes
    single = {1 << i: known[name].cause for i, name in enumerate(CAUSES) if name != "other"}
    pairs = zip(truth["household_id"].cast(pa.string()).to_pylist(), truth["causes"].to_pylist(), strict=True)
    return {h: single[c] for h, c in pairs if c in single}


def troubled(county: fpml.County, as_of: AsOf) -> set[str]:
    """Who is below the line or lacks a guarantee at an as-of or within the months after it, as far as truth goes."""
    states = pq.read_table(
        county.workspace.truth / "states.parquet",
        columns=["household_id", "below", "failing"],
        filters=[("month", ">=", as_of.month), ("month", "<=", as_of.month + SOON)],
    )
    rows = pc.or_(states["below"], pc.greater(states["failing"], 0))
    return set(states["household_id"].filter(rows).cast(pa.string()).to_pylist())


def furthest(table: pa.Table, rows: Sequence[int], county: fpml.County, features: Sequence[str]) -> list[str]:
    """For each row the cause of the indicator whose feature lies the most standard deviations toward more risk."""
    catalogue = county.catalogue
    best, cause = np.full(len(rows), -np.inf), np.full(len(rows), "", object)
    for name in features:
        leaning, of = catalogue.leaning(name), catalogue.cause(catalogue.group(name))
        if leaning == "unclear" or not of:
            continue
        column = table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        if np.isnan(column).all() or not (spread := np.nanstd(column)) > 0:
            continue
        z = (column[rows] - np.nanmean(column)) / spread * (1 if leaning == "raises" else -1)
        z = np.nan_to_num(z, nan=-np.inf)
        cause[z > best] = catalogue.listing.causes[of].cause
        best = np.maximum(best, z)
    return cause.tolist()


def traced(cause: str, row: int, table: pa.Table, hit: Sequence[str], catalogue: Catalogue) -> bool:
    """Whether a rule of a cause of visits.yaml hit a household, or a kind of income that goes with it fell."""
    names = [n for n, likely in catalogue.listing.causes.items() if likely.cause == cause]
    if any(catalogue.rules[r].cause in names for r in hit):
        return True
    kinds = [fell for n in names if (fell := catalogue.listing.causes[n].fell)]
    pairs = [(table[k.now][row].as_py(), table[k.before][row].as_py()) for k in kinds]
    return any(now is not None and before and now <= (1 - FIFTH) * before for now, before in pairs)


def causes(county: fpml.County, as_ofs: Sequence[str]) -> list[dict[str, Any]]:
    """Each listed household with one planted cause, and what is named first: by all together, by reasons alone."""
    found = []
    for text in as_ofs:
        as_of = AsOf.parse(text)
        table, models, truth = county.at(as_of), county.models(as_of), planted(county, as_of)
        fell = troubled(county, as_of)
        warnings = county.warning_list(as_of)
        households = warnings.rows["household"].tolist()
        at = pd.Index(table["household_id"].to_pandas()).get_indexer(households)
        stand = lists.standing(table, models, county.catalogue)
        known = lists.Known(as_of)
        told = lists.all_told(at.tolist(), models, stand, lists.Teller(table, county.catalogue, "zh", known))
        recorded = recorded_causes(table.take(pa.array(at)), county.catalogue)
        names = next(iter(models.values())).features
        z = furthest(table, at.tolist(), county, names)
        for n, (h, row) in enumerate(zip(households, at.tolist(), strict=True)):
            if h in truth:
                alone = likely_causes(told[row], (), (), county.catalogue)
                on_record = truth[h] in {county.catalogue.listing.causes[c].cause for c in recorded[n]}
                hit = hit_names(stand.hits, row)
                known = on_record or traced(truth[h], row, table, hit, county.catalogue)
                named = {"whole": (warnings.causes[n] or ("",))[0], "model": (alone or ("",))[0], "z": z[n]}
                told_of = {"on_record": on_record, "known": known, "any": truth[h] in warnings.causes[n]}
                found.append({"planted": truth[h], "fell": h in fell, **told_of, **named})
    return found


def told_of(frame: pd.DataFrame) -> dict[str, Any]:
    """What was found, counted; beside chance."""
    rng = np.random.default_rng(SEED)
    dealt = [(rng.permutation(frame.whole) == frame.planted).mean() for _ in range(TIMES)]
    by = {
        c: {"households": len(f), "whole": share(f.whole, f), "model": share(f.model, f), "z": share(f.z, f),
            "known": round(float(f.known.mean()), 3)}
        for c, f in frame.groupby("planted")
    }  # fmt: skip
    some, rest = frame[frame.on_record], frame[~frame.on_record]
    known, dark, fell = frame[frame.known], frame[~frame.known], frame[frame.fell]
    wrong = frame[frame.whole != frame.planted].groupby(["planted", "whole"]).size()
    return {
        "households": len(frame), "named_first": share(frame.whole, frame),
        "named_at_all": round(frame["any"].mean(), 3),
        "reasons_alone": share(frame.model, frame), "chance": round(float(np.mean(dealt)), 3),
        "largest_z": share(frame.z, frame),
        "where_the_event_is_on_record": {
            "households": len(some), "named_first": share(some.whole, some), "largest_z": share(some.z, some),
        },
        "where_it_is_not": {"households": len(rest), "named_first": share(rest.whole, rest), "z": share(rest.z, rest)},
        "where_anything_is_on_record": {"share": round(len(known) / len(frame), 3),
                                        "named_first": share(known.whole, known)},
        "where_nothing_is": {"households": len(dark), "named_first": share(dark.whole, dark)},
        "in_trouble_within_six_months": {"households": len(fell), "named_first": share(fell.whole, fell)},
        "by_cause": by,
        "instead": {" as ".join(k): int(v) for k, v in wrong.nlargest(12).items()},
    }  # fmt: skip


def share(named: "pd.Series[str]", frame: pd.DataFrame) -> float:
    """How often a cause that is named is the planted one."""
    return round(float((named == frame.planted).mean()), 3)


def stable(county: fpml.County, as_of: AsOf) -> dict[str, Any]:
    """How often reasons stay as they are when amounts change by a hundredth, and when a record is left out."""
    table, models = county.at(as_of), county.models(as_of)
    listed = county.warning_list(as_of).rows["household"].tolist()
    before = first_reasons(county, table, models, listed, as_of)
    day = pa.array([as_of.date] * len(listed), pa.date32())
    rows = pa.table({"household_id": pa.array(listed), "as_of": day})
    amounts = pa.array([n for n, i in county.catalogue.indicators.items() if i.kind == "amount"])
    out: dict[str, Any] = {"households": len(listed)}

    def again(change: Any) -> dict[str, Any]:
        """How often first reasons stay as they were where the rows of shards are changed."""
        ledger = county.ledger
        asked = Asked((as_of,), None, rows)
        changed = histories(
            lambda s, _: change(ledger.shard(s, COLUMNS)), ledger.shards, county.catalogue, asked, run=engine.run,
            linked=county.past.linked(),
        )  # fmt: skip
        after = first_reasons(county, changed, models, listed, as_of)
        pairs = [(before[h], after[h]) for h in listed if before[h] and after.get(h)]
        return {
            "first_stays": round(float(np.mean([a[0] == b[0] for a, b in pairs])), 3),
            "first_stays_among_told": round(float(np.mean([a[0] in b for a, b in pairs])), 3),
            "same_set": round(float(np.mean([set(a) == set(b) for a, b in pairs])), 3),
        }

    out["amounts_by_a_hundredth"] = again(lambda shard: by_a_hundredth(shard, amounts))
    out["one_record_left_out"] = again(lambda shard: one_left_out(shard, as_of, listed))
    return out


def by_a_hundredth(shard: pa.Table, amounts: pa.Array) -> pa.Table:
    """A shard with every amount a hundredth higher or lower."""
    mine = pc.is_in(shard["indicator"].cast(pa.string()), value_set=amounts).to_numpy(zero_copy_only=False)
    value = shard["value"].to_numpy(zero_copy_only=False).astype(float)
    # A fact's versions change together: by the hash that names it.
    up = np.where(shard["fact"].to_numpy() % 2 == 0, 1.01, 0.99)
    moved = np.where(mine, np.rint(value * up), value)
    kept = pa.array(np.nan_to_num(moved).astype(np.int64), mask=np.isnan(moved))
    return shard.set_column(shard.schema.get_field_index("value"), "value", kept)


def one_left_out(shard: pa.Table, as_of: AsOf, listed: Sequence[str]) -> pa.Table:
    """A shard without one fact of the last year of each listed household."""
    rng = np.random.default_rng(SEED)
    # No months-by-months coverage hangs on one record; which it is, is drawn among the last year's.
    recent = pc.greater(shard["event_date"], pa.scalar(as_of.shift(-12).date, pa.date32()))
    names = shard["household_id"].cast(pa.string())
    mine = pc.and_(recent, pc.is_in(names, value_set=pa.array(listed))).to_numpy(zero_copy_only=False)
    at = np.flatnonzero(mine)
    chosen = pd.Series(at).groupby(names.take(pa.array(at)).to_numpy(zero_copy_only=False)).sample(1, random_state=rng)
    keep = np.ones(shard.num_rows, bool)
    keep[np.isin(shard["fact"].to_numpy(), shard["fact"].to_numpy()[chosen.to_numpy()])] = False
    return shard.filter(pa.array(keep))


def first_reasons(
    county: fpml.County, table: pa.Table, models: Any, households: Sequence[str], as_of: AsOf
) -> dict[str, list[str]]:
    """By household the indicators that raise its estimate, in the order in which they are told."""
    at = pd.Index(table["household_id"].to_pandas()).get_indexer(households)
    stand = lists.standing(table, models, county.catalogue)
    teller = lists.Teller(table, county.catalogue, "zh", lists.Known(as_of))
    told = lists.all_told([int(a) for a in at if a >= 0], models, stand, teller)
    return {h: [r.group for r in told[int(a)].raising] for h, a in zip(households, at, strict=True) if a >= 0}


def timed(county: fpml.County, as_of: AsOf, visits: int) -> dict[str, Any]:
    """Seconds and memory of a list of so many visits: without reasons (ranking alone), and with them."""
    county.catalogue = fpml_with_visits(county, visits)
    histories_began = time.perf_counter()
    table, models = county.at(as_of), county.models(as_of)
    made = time.perf_counter() - histories_began
    before = measure.peak_mb()
    began = time.perf_counter()
    stand = lists.standing(table, models, county.catalogue)
    ranked = time.perf_counter() - began
    rows = np.argsort(-np.nan_to_num(stand.score, nan=-1.0), kind="stable")[:visits]
    households = table["household_id"].take(pa.array(rows)).cast(pa.string()).to_pylist()
    began, used = time.perf_counter(), time.process_time()
    known = county.past.known(households, as_of)
    dated = time.perf_counter() - began
    teller = lists.Teller(table, county.catalogue, "zh", known, lists.Yardstick(table, county.catalogue))
    told = lists.all_told(rows.tolist(), models, stand, teller)
    whole = time.perf_counter() - began
    return {
        "processor_seconds": round(time.process_time() - used, 2),
        "households": table.num_rows, "listed": len(told), "histories_seconds": round(made, 1),
        "scores_and_rules_seconds": round(ranked, 2), "dates_seconds": round(dated, 2),
        "reasons_seconds": round(whole, 2),
        "with_an_observed_value": sum(any(r.observed for r in t.raising) for t in told.values()),
        "peak_mb_before": before, "peak_mb": measure.peak_mb(),
    }  # fmt: skip


def fpml_with_visits(county: fpml.County, visits: int) -> Any:
    """The county's catalogue with another number of visits."""
    parts = vars(county.catalogue) | {"county": county.catalogue.county.model_copy(update={"visits": visits})}
    return type(county.catalogue)(**parts)


def main() -> None:
    """Measures, prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True, nargs="+")
    parser.add_argument("--as-ofs", nargs="+", required=True)
    parser.add_argument("--visits", type=int, default=6_000)
    parser.add_argument("--part", nargs="+", choices=["causes", "stable", "time"], default=["causes", "stable"])
    parser.add_argument("--name", default="reasons")
    a = parser.parse_args()
    counties = [fpml.open(w) for w in a.workspace]
    county = counties[0]
    last = AsOf.parse(a.as_ofs[-1])
    figures: dict[str, Any] = {}
    if "causes" in a.part:
        each = [causes(c, a.as_ofs) for c in counties]
        figures["causes"] = told_of(pd.DataFrame([one for found in each for one in found]))
        figures["county_by_county"] = [share((f := pd.DataFrame(found)).whole, f) for found in each]
    if "stable" in a.part:
        figures["stable"] = stable(county, last)
    if "time" in a.part:
        figures["time"] = timed(county, last, a.visits)
    about = {"as_ofs": a.as_ofs, "machine": measure.machine(), "versions": measure.versions("lightgbm", "pyarrow")}
    told = json.loads(json.dumps({**figures, **about}, default=str, skipkeys=True))
    print(json.dumps(told, indent=1, ensure_ascii=False))
    print(f"written to {measure.write(a.name, told)}")


if __name__ == "__main__":
    main()
