"""A whole county with the whole default catalogue: one as-of, a training set of 24, and how the cost grows.

    python benchmarks/county.py [--full] [--keep DIR] [--only month|training|scaling]

Small: 4,000 households; whole: 220,000 households, 36 months, 63 M records. Prints its figures, writes
benchmarks/results/county.json and, with the scaling, a plot beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from generated import County
from ledger import PACKAGES, county_in
from measure import RESULTS, machine, peak_mb, versions, write

import fpml
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import build

LAST = AsOf.parse("2023-12")
# Of household-months: what stands in for those who fell (generated records have no outcomes), and the sample beside.
POSITIVES, SAMPLE = 0.01, 0.05
PART = 200_000


def month(folder: Path, times: int) -> dict[str, Any]:
    """Histories of one as-of, from opening the ledger on; the first call also loads the compiled kernel.

    What shards must know of each other is kept beside the ledger until it changes: `after_an_append` is without it.
    """
    seconds, peaks, shape = [], [], (0, 0)
    for _ in range(times + 1):
        began = time.perf_counter()
        table = fpml.open(folder).histories(LAST)
        seconds.append(round(time.perf_counter() - began, 2))
        peaks.append(peak_mb())
        shape = table.shape
        del table
    return {
        "rows": shape[0],
        "features": shape[1] - 2,
        "first_call_seconds": seconds[0],
        "seconds": seconds[1:],
        "median_seconds": statistics.median(seconds[1:] or seconds),
        "peak_mb": peaks[0],
        "peak_mb_of_all_calls": peaks[-1],
    }


def training(folder: Path, times: int) -> dict[str, Any]:
    """24 as-ofs: the states of everybody, from which labels are read, then the histories of the chosen rows."""
    as_ofs = [LAST.shift(-i) for i in range(24)]
    seconds: dict[str, list[float]] = {"states": [], "histories": [], "together": []}
    chosen = 0
    for _ in range(times):
        county = fpml.open(folder)
        began = time.perf_counter()
        states = county.histories(*as_ofs, names=_state_features(county.catalogue))
        then = time.perf_counter()
        pick = np.random.default_rng(0).random(states.num_rows) < POSITIVES + SAMPLE
        rows = states.select(list(build.KEY)).filter(pa.array(pick))
        del states
        table = county.histories(*as_ofs, rows=rows)
        end = time.perf_counter()
        chosen = table.num_rows
        for name, taken in (("states", then - began), ("histories", end - then), ("together", end - began)):
            seconds[name].append(round(taken, 2))
        del table
    return {"rows": chosen, "seconds": seconds, "median_seconds": statistics.median(seconds["together"]),
            "peak_mb": peak_mb()}  # fmt: skip


def _state_features(catalogue: Catalogue) -> list[str]:
    outcomes = catalogue.county.outcomes.values()
    return sorted({c.feature for o in outcomes for c in (*o.at_risk, o.fall)})


def one(folder: Path, as_ofs: int) -> dict[str, Any]:
    """Seconds for so many as-ofs: the median of two calls after a first."""
    seconds, last = [], fpml.open(folder).as_ofs()[-1].shift(-2)
    for _ in range(3):
        began = time.perf_counter()
        fpml.open(folder).histories(*[last.shift(-i) for i in range(as_ofs)])
        seconds.append(time.perf_counter() - began)
    return {"seconds": round(statistics.median(seconds[1:]), 2), "peak_mb": peak_mb()}


def stages(folder: Path) -> dict[str, Any]:
    """Where the time goes, on one thread, and how long the disk and the memory alone would take."""
    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its seconds added to those of the stage."""

        def call(*args: Any, **kwargs: Any) -> Any:
            """Calls it."""
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

        return call

    fpml.open(folder).histories(LAST)
    county = fpml.open(folder)
    from fpml.ledger import Ledger

    plain = {name: getattr(build, name) for name in ("from_ledger", "reduce_records", "finish", "with_context")}
    read = Ledger.shard
    try:
        Ledger.shard = timed("read", read)  # type: ignore[method-assign]
        for name, stage in zip(plain, ("gate", "fill", "derive", "context"), strict=True):
            setattr(build, name, timed(stage, plain[name]))
        began = time.perf_counter()
        table = county.histories(LAST)
        spent["all"] = time.perf_counter() - began
    finally:
        Ledger.shard = read  # type: ignore[method-assign]
        for name, function in plain.items():
            setattr(build, name, function)
    began = time.perf_counter()
    pq.write_table(table, folder / "histories.parquet")
    spent["write"] = time.perf_counter() - began
    files = [county.workspace.ledger / p for p in county.ledger.paths]
    began = time.perf_counter()
    size = sum(len(p.read_bytes()) for p in files)
    spent["the same files read as bytes"] = time.perf_counter() - began
    block = np.ones(2**25)
    began = time.perf_counter()
    for _ in range(max(1, round(table.nbytes / block.nbytes))):
        block.copy()
    spent["the result copied in memory"] = time.perf_counter() - began
    return {"seconds": {k: round(v, 2) for k, v in spent.items()}, "ledger_gb": round(size / 1e9, 2),
            "result_gb": round(table.nbytes / 1e9, 2)}  # fmt: skip


def scaling(root: Path, full: bool) -> dict[str, Any]:
    """Cost against as-ofs, households and processors."""
    base = root / "twenty"
    county_in(base, 20_000 if full else 2_000)
    steps = (1, 2, 3, 6, 12, 24, 36) if full else (1, 12)
    sizes = (20_000, 63_000, 200_000, 630_000, 2_000_000) if full else (1_000, 4_000)
    found: dict[str, Any] = {"as_ofs": {n: measured("one", base, n) for n in steps}, "households": {}, "processors": {}}
    for n in sizes:
        folder = a_quarter(root / str(n), n)
        found["households"][n] = {"records": fpml.open(folder).ledger.rows, **measured("one", folder, 1)}
    for n in (1, 2):
        found["processors"][n] = measured("one", base, 12, workers=n)
    return found


def a_quarter(folder: Path, households: int) -> Path:
    """A county of three months, made in parts of which each fits into memory."""
    county = fpml.open(fpml.init(folder).root)
    for first in range(0, households, PART):
        part = County(county.catalogue, min(PART, households - first), 3, first=first)
        for m, records in enumerate(part.deliveries()):
            county.ledger.append(records, f"part-{first}-month-{m}")
        county.ledger.compact()
    return folder


def measured(what: str, folder: Path, number: int, *, workers: int | None = None) -> dict[str, Any]:
    """The figures of one of these functions, run in a process of its own."""
    environment = {**os.environ, **({"FPML_WORKERS": str(workers)} if workers else {})}
    command = [sys.executable, __file__, "--run", what, "--folder", str(folder), "--number", str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def plot(found: dict[str, Any], path: Path) -> None:
    """The three curves in one picture."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for axis, (name, label) in zip(
        axes, (("as_ofs", "as-ofs"), ("households", "records (million)"), ("processors", "processors")), strict=True
    ):
        points = found[name]
        x = [p["records"] / 1e6 if name == "households" else float(n) for n, p in points.items()]
        y = [p["seconds"] for p in points.values()]
        axis.plot(x, y, "o-", color="#205080")
        axis.plot([x[0], x[-1]], [y[0], y[0] * x[-1] / x[0]], ":", color="#999999")
        axis.set(xlabel=label, ylabel="seconds")
        if name == "households":
            axis.set(xscale="log", yscale="log")
        else:
            axis.set(ylim=(0, max(y) * 1.15))
    figure.suptitle("Histories: cost (dotted: in proportion)")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=("month", "training", "scaling"))
    for hidden in ("--run", "--folder", "--number"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        function = {"month": month, "training": training, "one": one}.get(asked.run)
        folder = Path(asked.folder)
        print(json.dumps(function(folder, int(asked.number)) if function else stages(folder)))
        return
    name = "county" if asked.full else "county-small"
    path = RESULTS / f"{name}.json"
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with tempfile.TemporaryDirectory() as where:
        folder = asked.keep or Path(where) / "county"
        if asked.only != "scaling":
            county = county_in(folder, 220_000 if asked.full else 4_000)
            figures |= {"records": county.ledger.rows, "households": 220_000 if asked.full else 4_000}
        if asked.only in (None, "month"):
            shutil.rmtree(folder / "data" / "cache", ignore_errors=True)
            figures["after_an_append"] = measured("month", folder, 0)
            figures["one_as_of"] = measured("month", folder, 5)
            figures["stages"] = measured("stages", folder, 0, workers=1)
        if asked.only in (None, "training"):
            figures["training"] = measured("training", folder, 3)
        if asked.only in (None, "scaling"):
            figures["scaling"] = scaling(Path(where), asked.full)
            plot(figures["scaling"], RESULTS / f"{name}.png")
    figures |= {"versions": versions(*PACKAGES), "machine": machine()}
    print(json.dumps(figures, indent=1))
    write(name, figures)


if __name__ == "__main__":
    main()
