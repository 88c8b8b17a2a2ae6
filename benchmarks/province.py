"""A province on one machine: its counties, two at a time, histories to lists, out of core.

python benchmarks/province.py [--full] [--county DIR] [--counties N] [--abreast N]

A province is many counties, each with its own policy, villages and lists; no month needs two of them at once. One
simulated county with models (DIR, which is only read; else one is grown) is tiled: the same records under new
identities, a ledger of its own, its own list. Each county's month runs in a process of its own, so that memory is that
of the counties that run at once whatever the province's size: two (`--abreast`), each on a processor of its own where
the system lets processes be bound, which leaves none idle where a county's work is on one. Counties come in batches:
tiled, which is not counted, then their months, timed together by the clock. Of that time the part is counted in which
their processes went from histories to lists, as their stages tell; the whole, with imports, intake (nothing waits) and
health, is told beside. Small: 2 counties of 3,000 households; full: 18 of the one given, 4 million. What more would
take is by proportion, and said so.
"""

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pyarrow as pa
from measure import apart, machine, peak_mb, show, versions, write
from month import grown, prepare

import fpml
from fpml import lists
from fpml.dates import AsOf, month_of
from fpml.ledger import Ledger, shard_of
from fpml.stages import StageDone, Stages

COUNTED = ("histories", "hits", "scores", "reasons", "lists")
SMALL, FULL = 2, 18
# So many counties lie on the disk at once; even, so that the last of a batch does not run alone.
BATCHES = (2, 2, 6, 8)
ABREAST = 2
HOUSEHOLDS = 3_000


def tiled(source: Path, root: Path, number: int) -> dict[str, int]:
    """A county with the records of another under new identities: households, people, and the order of both."""
    root.mkdir(parents=True)
    for name in ("policy", "models"):
        shutil.copytree(source / name, root / name)
    shutil.copy2(source / "mlflow.yaml", root)
    (root / "data").mkdir()
    shutil.copy2(source / "data" / "identity.key", root / "data")
    told, out = Ledger(source / "data" / "ledger"), Ledger(root / "data" / "ledger")
    renamed: dict[str, str] = {}
    rows = 0
    for shard in range(told.shards):
        table = told.shard(shard)
        for column in ("household_id", "person_id"):
            coded = table[column].combine_chunks().cast(pa.dictionary(pa.int32(), pa.string()))
            coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
            names = coded.dictionary.to_pylist()
            new = _new(names, number, told.shards, renamed) if column == "household_id" else _people(names, number)
            at = table.column_names.index(column)
            table = table.set_column(at, column, pa.DictionaryArray.from_arrays(coded.indices, pa.array(new)))
        rows += table.num_rows
        out.append(table.drop_columns([c for c in ("shard", "fact") if c in table.column_names]), f"tile-{shard}")
    return {"rows": rows}


def _people(names: list[str | None], number: int) -> list[str | None]:
    return [f"{name}-{number}" if name is not None else None for name in names]


def _new(names: list[str], number: int, shards: int, renamed: dict[str, str]) -> list[str]:
    """New codes of the same shards, so that shards stay as even as they were."""
    left = np.array([i for i, n in enumerate(names) if n not in renamed], np.int64)
    wanted = shard_of(pa.array([names[i] for i in left], pa.string()), shards) if left.size else left
    turn = 0
    while left.size:
        tried = [f"{names[i]}-{number}.{turn}" for i in left]
        fits = np.asarray(shard_of(pa.array(tried, pa.string()), shards) == wanted, bool)
        renamed.update({names[i]: t for i, t, f in zip(left, tried, fits, strict=True) if f})
        left, wanted, turn = left[~fits], wanted[~fits], turn + 1
    return [renamed[n] for n in names]


def month(root: Path) -> dict[str, Any]:
    """A county's month, its stages' seconds and its peak memory."""
    county, seconds = fpml.open(root), dict[str, float]()

    def ended(done: StageDone) -> None:
        seconds[done.stage] = round(done.seconds, 2)

    last = AsOf(month_of(county.ledger.known_span()[1]))
    published = fpml.run_month(county, last, stages=Stages(ended=ended))
    households = county.at(last, names=("members__last__ever",)).num_rows
    assert lists.newest(county.workspace.lists, last)
    return {"stages": seconds, "seconds": round(sum(seconds[s] for s in COUNTED), 2), "households": households,
            "listed": len(published.listed), "peak_mb": peak_mb()}  # fmt: skip


def so_far(batches: list[list[dict[str, Any]]], clocks: list[float]) -> dict[str, Any]:
    """What the batches so far came to; `whole_seconds`: by the clock, `seconds`: the part from histories to lists."""
    each = [county for batch in batches for county in batch]
    parts = [sum(e["seconds"] for e in b) / sum(e["clock"] for e in b) for b in batches]
    return {
        "counties": len(each), "households": sum(e["households"] for e in each),
        "seconds": round(sum(c * p for c, p in zip(clocks, parts, strict=True)), 1),
        "whole_seconds": round(sum(clocks), 1),
        "peak_mb": max(sum(sorted(e["peak_mb"] for e in b)[-b[0]["abreast"] :]) for b in batches),
        "listed": sum(e["listed"] for e in each),
    }  # fmt: skip


def several(source: Path, roots: list[Path], first: int, abreast: int) -> tuple[list[dict[str, Any]], float]:
    """Counties tiled, then their months, so many at once, each on a free processor; what each took, and all together.

    They are gone afterwards.
    """
    free = SimpleQueue[int]()
    for turn in range(abreast):
        free.put(turn)

    def clocked(root: Path) -> dict[str, Any]:
        """A county's month in a process of its own, with how long that took."""
        turn, began = free.get(), time.perf_counter()
        try:
            if abreast > 1 and hasattr(
                os, "sched_setaffinity"
            ):  # a process begins where the thread stands that began it
                mine = sorted(os.sched_getaffinity(os.getpid()))
                os.sched_setaffinity(threading.get_native_id(), {mine[turn % len(mine)]})
            done = apart(__file__, "--part", "month", root)
        finally:
            free.put(turn)
        return {**done, "clock": round(time.perf_counter() - began, 2), "abreast": abreast}

    with ThreadPoolExecutor(abreast) as pool:
        numbered = zip(roots, range(first, first + len(roots)), strict=True)
        list(pool.map(lambda one: apart(__file__, "--part", "tile", source, one[0], one[1]), numbered))
    with ThreadPoolExecutor(abreast) as pool:
        began = time.perf_counter()
        done = list(pool.map(clocked, roots))
        clock = time.perf_counter() - began
    for root in roots:
        shutil.rmtree(root)
    return done, clock


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--county", type=Path, metavar="DIR")
    parser.add_argument("--counties", type=int, metavar="N")
    parser.add_argument("--abreast", type=int, metavar="N", default=ABREAST)
    parser.add_argument("--part", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        kind, *rest = asked.part
        root = Path(rest[0])
        print(json.dumps(tiled(root, Path(rest[1]), int(rest[2])) if kind == "tile" else month(root)))
        return
    if asked.full and not asked.county:
        raise SystemExit("--full takes a county that is ready: python benchmarks/month.py --full --at DIR")
    batches, clocks = list[list[dict[str, Any]]](), list[float]()
    with tempfile.TemporaryDirectory(dir=asked.county.parent if asked.county else None) as folder:
        source = asked.county or Path(folder) / "source"
        if not asked.county:
            grown(source, HOUSEHOLDS)
            prepare(source)
        left = asked.counties or (FULL if asked.full else SMALL)
        if asked.abreast > 1:
            os.environ["FPML_WORKERS"] = "1"  # of the processes that are begun from here on
        first, sizes = 0, iter(BATCHES)
        while left:
            size = min(left, max(next(sizes, BATCHES[-1]), asked.abreast))
            roots = [Path(folder) / f"county-{n}" for n in range(first, first + size)]
            done, clock = several(source, roots, first, min(asked.abreast, size))
            batches.append(done)
            clocks.append(clock)
            told(batches, clocks, "province" if asked.full else "province-small")
            first, left = first + size, left - size


def told(batches: list[list[dict[str, Any]]], clocks: list[float], name: str) -> None:
    """Prints the curve so far, and keeps it."""
    curve = [so_far(batches[:n], clocks[:n]) for n in range(1, len(batches) + 1)]
    show(("counties", "households", "seconds", "a million", "whole", "peak MB", "listed"),
         [(c["counties"], f"{c['households']:,}", c["seconds"], round(c["seconds"] / c["households"] * 1e6),
           c["whole_seconds"], c["peak_mb"], c["listed"]) for c in curve])  # fmt: skip
    minutes = 8e6 * curve[-1]["seconds"] / curve[-1]["households"] / 60
    print(f"8 million by proportion, not run: {minutes:.0f} min", flush=True)
    write(name, {
        "machine": machine(), "versions": versions("numpy", "pyarrow", "deltalake", "lightgbm", "xlsxwriter"),
        "simulated": True, "curve": curve, "each": [e for b in batches for e in b],
        "eight_million_minutes_by_proportion": round(minutes, 1),
    })  # fmt: skip


if __name__ == "__main__":
    main()
