"""How long a month of departments' files takes to be taken in, and how much memory that needs.

    python benchmarks/intake.py [--full] [--only county|province|names]

A simulated county's files as they come (messy: CSV in several encodings, and workbooks): two months are taken in, the
third is measured, each in a process of its own. A province's month as one file of canonical records, made by tiling a
county's under new identities. And what names cost: the same months taken in with names kept and without, in turn.
Small: 20,000 households, 2 M records. Whole: 220,000 households, 64 M records. Prints its figures and writes
benchmarks/results/intake.json. The counties are simulated.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import RESULTS, apart, machine, peak_mb, versions, write

import fpml
from fpml.simulate import Plan, Style, load_profile

PACKAGES = ("numpy", "pyarrow", "deltalake", "python-calamine")
HOUSEHOLDS = {"small": 20_000, "full": 220_000}
RECORDS = {"small": 2_000_000, "full": 64_000_000}
MONTHS = ("2021-01", "2021-02", "2021-03")


def grown(root: Path, households: int, months: int, style: Style) -> fpml.County:
    """A simulated county whose files wait to be taken in."""
    fpml.init(root)
    county = fpml.open(root)
    county.simulate(Plan(load_profile("jiangxi"), households, months=months, seed=9), style=style)
    return fpml.open(root)


def take(root: Path, folder: str) -> dict[str, Any]:
    """Takes in the files of one folder; seconds from their reading to the last byte written."""
    county = fpml.open(root)
    files = [p for p in county.inbox.waiting() if p.parent.name == folder]
    began, used = time.perf_counter(), _processor_seconds()
    receipts = county.intake(files)
    seconds, used = time.perf_counter() - began, _processor_seconds() - used
    rows = sum(r.rows for r in receipts)
    assert rows == sum(r.accepted + r.already_known + sum(r.quarantined.values()) for r in receipts)
    workbooks = [p for p in files if p.suffix == ".xlsx"]
    return {
        "files": len(files),
        "workbooks": len(workbooks),
        "rows": rows,
        "quarantined": sum(sum(r.quarantined.values()) for r in receipts),
        "refused_files": sum(bool(r.refused) for r in receipts),
        "seconds": round(seconds, 1),
        "processor_seconds": round(used, 2),
        "peak_mb": peak_mb(),
        "ledger_rows": county.ledger.rows,
    }


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended: workbooks are read in some of their own."""
    return sum(os.times()[:4])


def of_county(households: int) -> dict[str, Any]:
    """The third month of a messy county, two having been taken in before."""
    with tempfile.TemporaryDirectory() as where:
        grown(Path(where), households, len(MONTHS), Style.MESSY)
        told = [apart(__file__, "--take", where, month) for month in MONTHS]
        return {"households": households, "opening": told[0], "month": told[-1]}


def of_names(households: int, times: int) -> dict[str, Any]:
    """The opening month and the next, with names kept and without, so many times in turn: processor seconds of each."""
    spent: dict[str, list[list[float]]] = {"kept": [], "not": []}
    with tempfile.TemporaryDirectory() as where:
        start = Path(where) / "start"
        grown(start, households, 2, Style.MESSY)
        for n in range(times):
            for way in sorted(spent, reverse=bool(n % 2)):
                root = Path(shutil.copytree(start, Path(where) / "way"))
                policy = root / "policy" / "county.yaml"
                text = policy.read_text(encoding="utf-8")
                policy.write_text(
                    text.replace("names_kept: true", f"names_kept: {str(way == 'kept').lower()}"), "utf-8"
                )
                spent[way].append([apart(__file__, "--take", root, m)["processor_seconds"] for m in MONTHS[:2]])
                shutil.rmtree(root)
    middle = {way: [statistics.median(each) for each in zip(*told, strict=True)] for way, told in spent.items()}
    ratio = [round(a / b, 3) for a, b in zip(middle["kept"], middle["not"], strict=True)]
    return {"households": households, "times": times, "processor_seconds": middle,
            "ratio": {"opening": ratio[0], "month": ratio[1]}}  # fmt: skip


def of_province(records: int, households: int) -> dict[str, Any]:
    """A month of canonical records, so many, in one Parquet file."""
    with tempfile.TemporaryDirectory() as where:
        county = grown(Path(where), households, 2, Style.RECORDS)
        source = county.workspace.deliveries / "2021-02.parquet"
        folder = county.workspace.deliveries / "province"
        folder.mkdir()
        tiled(source, folder / "province.parquet", records)
        source.unlink()
        return {"records": records} | apart(__file__, "--take", where, "province")


def tiled(source: Path, target: Path, records: int) -> None:
    """Writes a county's records again and again, each time under new identities, until there are so many."""
    table = pq.read_table(source)
    with pq.ParquetWriter(target, _named(table, 0).schema, compression="zstd", compression_level=1) as out:
        left, n = records, 0
        while left > 0:
            out.write_table(_named(table, n).slice(0, left))
            left -= table.num_rows
            n += 1


def _named(table: pa.Table, n: int) -> pa.Table:
    """The records under identities of their own."""
    for name in ("household_id", "person_id"):
        at = table.column_names.index(name)
        words = table[name].combine_chunks()
        words = words if pa.types.is_dictionary(words.type) else words.cast(pa.string()).dictionary_encode()
        own = pc.binary_join_element_wise(words.dictionary.cast(pa.string()), f"{n:03d}", ".")
        table = table.set_column(at, name, pa.DictionaryArray.from_arrays(words.indices, own))
    numbers = table["record_id"].combine_chunks()
    own = pc.if_else(pc.is_valid(numbers), pc.add(numbers.cast(pa.int64()), n * 10**12), None)
    return table.set_column(table.column_names.index("record_id"), "record_id", own)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", choices=("county", "province", "names"))
    parser.add_argument("--records", type=int, help="so many, instead of the whole province's")
    parser.add_argument("--take", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.take:
        print(json.dumps(take(Path(asked.take[0]), asked.take[1])))
        return
    size = "full" if asked.full else "small"
    name = "intake" if asked.full else "intake-small"
    before = RESULTS / f"{name}.json"
    kept = json.loads(before.read_text()) if asked.only and before.exists() else {}
    found: dict[str, Any] = kept | {"machine": machine(), "versions": versions(*PACKAGES), "simulated": True}
    if asked.only in (None, "names"):
        found["names"] = of_names(HOUSEHOLDS[size], 1 if asked.full else 3)
        print(json.dumps(found["names"], indent=1), flush=True)
    if asked.only in (None, "county"):
        found["county"] = of_county(HOUSEHOLDS[size])
        print(json.dumps(found["county"], indent=1), flush=True)
    if asked.only in (None, "province"):
        found["province"] = of_province(asked.records or RECORDS[size], HOUSEHOLDS[size])
        print(json.dumps(found["province"], indent=1), flush=True)
    write(name, found)


if __name__ == "__main__":
    main()
