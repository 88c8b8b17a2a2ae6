"""What it costs to append a month to a county of three years, and what becomes of the ledger when it is killed.

    python benchmarks/ledger.py [--full] [--kills N] [--keep DIR]

Small: 4,000 households; whole: 220,000 households, 36 months, 63 M records, and a month of 1.75 M more. `--keep` makes
the county in a folder that stays, and finds it there again. Prints its figures and writes results/ledger.json.

The kills are real (SIGKILL, at random instants of a process that takes in a delivery and merges files), on a small
ledger each time. After each one the ledger must open, hold all of a delivery or nothing of it, and after the delivery
is taken in again give the same bytes of histories as one that was never disturbed.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from generated import County
from measure import machine, peak_mb, versions, write

import fpml
from fpml.intake.check import check, compare
from fpml.intake.read import read
from fpml.ledger import Ledger, indicator_codes

TODAY = date(2030, 1, 1)
MONTHS = 36
PACKAGES = ("numpy", "numba", "pyarrow", "deltalake")
COLUMNS = ["household_id", "person_id", "indicator", "record_id", "event_date", "until_date", "known_date", "value"]


def county_in(folder: Path, households: int) -> fpml.County:
    """A workspace whose ledger holds 36 generated months, and the delivery of the 37th; made where missing."""
    if (folder / "whole").exists():
        return fpml.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    county = fpml.open(fpml.init(folder).root)
    for m, month in enumerate(County(county.catalogue, households, MONTHS + 1).deliveries()):
        if m < MONTHS:
            county.ledger.append(month, f"month-{m}")
        else:
            pq.write_table(natural_units(month, county), folder / "next.parquet")
        if m % 12 == 11:
            county.ledger.compact()
    (folder / "whole").touch()
    return county


def natural_units(records: pa.Table, county: fpml.County) -> pa.Table:
    """Records as a department would deliver them: amounts in yuan."""
    decimals = np.array([i.decimals for i in county.catalogue.indicators.values()])
    at = indicator_codes(records["indicator"], county.catalogue.codes)
    value = records["value"].to_numpy() / 10.0 ** decimals[at]
    return records.set_column(records.column_names.index("value"), "value", pa.array(value)).select(COLUMNS)


def append_a_month(folder: Path, times: int) -> dict[str, object]:
    """Seconds to take the 37th month in; the ledger is put back in between.

    `appended`: checked rows compared with what the ledger knows, and those that are new appended in one commit.
    `whole`: with reading the delivery's file and checking its rows before that.
    """
    county = fpml.open(folder)
    ledger, log = county.workspace.ledger, county.workspace.ledger / "_delta_log"
    kept = {p.name for p in log.iterdir()}
    whole, appended, found = [], [], None
    for _ in range(times + 1):
        began = time.perf_counter()
        typed, sort = check(read(folder / "next.parquet"), county.catalogue, today=TODAY)
        then = time.perf_counter()
        opened = Ledger(ledger)
        found = compare(typed, sort, opened, county.catalogue)
        opened.append(found.accepted.append_column("delivery", pa.repeat("next", found.accepted.num_rows)), "next")
        end = time.perf_counter()
        whole.append(round(end - began, 2))
        appended.append(round(end - then, 2))
        for p in log.iterdir():
            if p.name not in kept:
                p.unlink()
    assert found
    return {
        "rows": int(found.reason.size),
        "accepted": found.accepted.num_rows,
        "corrected": found.corrected,
        "appended_seconds": appended[1:],
        "median_appended_seconds": statistics.median(appended[1:]),
        "whole_seconds": whole[1:],
        "median_whole_seconds": statistics.median(whole[1:]),
        "peak_mb": peak_mb(),
    }


def kills(households: int, number: int) -> dict[str, object]:
    """Kills a process that takes in a delivery at so many random instants; how often each of what can be found was."""
    rng = random.Random(0)
    found = {"nothing of it": 0, "all of it": 0}
    with tempfile.TemporaryDirectory() as where:
        root = Path(where)
        county_in(root / "start", households)
        whole = _copy(root, "undisturbed")
        began = time.perf_counter()
        subprocess.run(_command(whole), check=True, capture_output=True)
        lasts = time.perf_counter() - began
        answer = _answer(whole)
        for i in range(number):
            folder = _copy(root, "disturbed")
            # Half of the instants lie in the last part of the run, after the interpreter has started.
            process = subprocess.Popen(_command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(rng.uniform(0.35 * lasts, 1.02 * lasts))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            rows = Ledger(fpml.open(folder).workspace.ledger).everything().num_rows
            state = {_ROWS["before"]: "nothing of it", _ROWS["after"]: "all of it"}.get(rows)
            assert state, f"instant {i}: {rows} rows, neither all nor nothing"
            found[state] += 1
            subprocess.run(_command(folder), check=True, capture_output=True)
            assert _answer(folder) == answer, f"instant {i}: another answer after the rerun"
    return {"kills": number, "found": found, "same_bytes_after_the_rerun": number}


_ROWS: dict[str, int] = {}


def _copy(root: Path, name: str) -> Path:
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "start", folder)
    if "before" not in _ROWS:
        _ROWS["before"] = fpml.open(folder).ledger.everything().num_rows
    return folder


def _answer(folder: Path) -> str:
    county = fpml.open(folder)
    _ROWS.setdefault("after", county.ledger.everything().num_rows)
    table = county.histories("2023-12").combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _command(folder: Path) -> list[str]:
    return [sys.executable, __file__, "--take-in", str(folder)]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--take-in", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.take_in:
        county = fpml.open(asked.take_in)
        county.intake([asked.take_in / "next.parquet"], today=TODAY)
        county.ledger.compact(most=1)
        return
    households = 220_000 if asked.full else 4_000
    with tempfile.TemporaryDirectory() as where:
        folder = asked.keep or Path(where) / "county"
        began = time.perf_counter()
        county = county_in(folder, households)
        figures: dict[str, object] = {
            "households": households,
            "records": county.ledger.rows,
            "made_in_seconds": round(time.perf_counter() - began),
            "append": append_a_month(folder, 5 if asked.full else 3),
        }
    figures["killed"] = kills(200, asked.kills or (50 if asked.full else 6))
    figures |= {"versions": versions(*PACKAGES), "machine": machine()}
    print(json.dumps(figures, indent=1))
    write("ledger" if asked.full else "ledger-small", figures)


if __name__ == "__main__":
    main()
