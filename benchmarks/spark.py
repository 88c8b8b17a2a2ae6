"""The same county on this process's threads and on Spark: equal results, seconds, overhead, and a worker that dies.

    python benchmarks/spark.py [--full] [--at DIR] [--households N ...]

Counties are simulated, taken in and given models as in benchmarks/month.py. Local threads are held against Spark's
`local[2]` and against a standalone cluster on loopback, a master and two workers of one processor each. Timed are the
histories of one as-of, the scores and the reasons, each engine in a process of its own: `cold` with what starts Spark,
compiles and imports, `warm` once more. Overhead is what Spark takes more than the threads, in seconds and as a ratio.
Then a worker is killed, with all that it started, when a few parts of the histories are done; all must come out equal.
Small: 1,500 and 4,000 households; full: 5,000, 20,000 and 80,000. `--at DIR`: there counties are kept, and found again.
Needs Java 17. Prints its figures and writes benchmarks/results/spark.json.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import measure
import month
import pandas as pd
import pyarrow as pa
import pyspark

import fpml
from fpml.dates import AsOf
from fpml.engine import Engine, Local, Spark

HOUSEHOLDS = {"small": (1_500, 4_000), "full": (5_000, 20_000, 80_000)}
PACKAGES = ("pyspark", "numpy", "pyarrow", "deltalake", "lightgbm")
AS_OF, HERE = AsOf.parse("2023-11"), "127.0.0.1"
STEPS = ("histories", "scores", "reasons")


def measured(master: str, root: Path, worker: int) -> dict[str, Any]:
    """Seconds of each step, cold and warm, and what came out; `worker`: to be killed in the warm round (0: none)."""
    engine: Engine = Local() if master == "threads" else Spark(master)
    killed: list[int] = []
    with closing(engine):
        cold, came = steps(fpml.open(root, engine=engine))
        if worker:
            threading.Thread(target=kill_in_the_middle, args=(engine, worker, killed), daemon=True).start()
        warm, again = steps(fpml.open(root, engine=engine))
    assert came == again
    assert bool(worker) == bool(killed)
    return {"cold": cold, "warm": warm, "digest": came, "done_when_killed": killed}


def steps(county: fpml.County) -> tuple[dict[str, float], str]:
    """One as-of's histories, scores and list: seconds each, and a digest of all that they hold."""
    seconds, digest = {}, hashlib.sha256()
    calls = (lambda: county.at(AS_OF), lambda: county.scores(AS_OF), lambda: county.warning_list(AS_OF).rows)
    for name, call in zip(STEPS, calls, strict=True):
        began = time.perf_counter()
        told = call()
        seconds[name] = round(time.perf_counter() - began, 2)
        frame = told.to_pandas() if isinstance(told, pa.Table) else told
        digest.update(pd.util.hash_pandas_object(frame).to_numpy().tobytes())
    return seconds, digest.hexdigest()[:16]


def kill_in_the_middle(engine: Spark, worker: int, killed: list[int]) -> None:
    """Kills a worker and all it started when some of the parts of a run are done; says how many."""
    tracker = engine._session.sparkContext.statusTracker()
    while not killed:
        for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()):
            if stage and stage.numTasks == 16 and 2 <= stage.numCompletedTasks <= 8:
                os.killpg(worker, signal.SIGKILL)
                killed.append(stage.numCompletedTasks)
        time.sleep(0.005)


@contextmanager
def cluster(work: Path) -> Iterator[tuple[str, list[int]]]:
    """A master and two workers of one processor each, on loopback: the master's URL, the workers' groups."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = str(free.getsockname()[1])
    url, at = f"spark://{HERE}:{port}", ("--host", HERE, "--webui-port", "0")
    worker = ("worker.Worker", *at, "--cores", "1", "--memory", "2g", "--work-dir")
    commands = [
        ("master.Master", *at, "--port", port),
        (*worker, str(work / "a"), url),
        (*worker, str(work / "b"), url),
    ]
    program, silent = Path(pyspark.__file__).parent / "bin" / "spark-class", subprocess.DEVNULL
    started = [
        subprocess.Popen([str(program), f"org.apache.spark.deploy.{c[0]}", *c[1:]], stdin=silent, stdout=silent,
                         stderr=silent, start_new_session=True) for c in commands
    ]  # fmt: skip
    try:
        yield url, [p.pid for p in started[1:]]
    finally:
        for process in reversed(started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def one_size(root: Path, work: Path) -> dict[str, Any]:
    """One county on each engine: seconds, what Spark takes more, and whether all came out the same."""

    def on(master: str, worker: int = 0) -> dict[str, Any]:
        return measure.apart(__file__, "--part", master, root, worker)

    found = {"threads": on("threads"), "local[2]": on("local[2]")}
    with cluster(work) as (url, _):
        found["two workers"] = on(url)
    with cluster(work) as (url, workers):
        found["one of two killed"] = on(url, workers[0])
    assert len({f.pop("digest") for f in found.values()}) == 1, "not equal"
    for engine in found.values():
        engine["over_threads"] = {
            kind: {
                "seconds": round(sum(engine[kind].values()) - sum(found["threads"][kind].values()), 2),
                "ratio": round(sum(engine[kind].values()) / sum(found["threads"][kind].values()), 2),
            }
            for kind in ("cold", "warm")
        }
    lost = sum(found["one of two killed"]["warm"].values()) - sum(found["two workers"]["warm"].values())
    return {"ledger_rows": fpml.open(root).ledger.rows, "equal": True, "engines": found, "seconds_lost": round(lost, 2)}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--at", type=Path, metavar="DIR")
    parser.add_argument("--households", type=int, nargs="+", metavar="N")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(measured(asked.part[0], Path(asked.part[1]), int(asked.part[2]))))
        return
    os.environ["SPARK_LOCAL_IP"] = HERE
    sizes = asked.households or HOUSEHOLDS["full" if asked.full else "small"]
    found: dict[str, Any] = {"machine": measure.machine(), "versions": measure.versions(*PACKAGES), "simulated": True}
    found["households"] = {}
    with tempfile.TemporaryDirectory() as where:
        for n in sizes:
            root = (asked.at or Path(where)) / f"c{n}"
            if not root.is_dir():
                making = root.with_name("making")
                shutil.rmtree(making, ignore_errors=True)
                month.grown(making, n)
                month.prepare(making)
                making.rename(root)
            found["households"][n] = one_size(root, Path(where))
            rows = [
                (
                    name,
                    *(e["warm"][s] for s in STEPS),
                    round(sum(e["cold"].values()), 1),
                    e["over_threads"]["warm"]["ratio"],
                )
                for name, e in found["households"][n]["engines"].items()
            ]
            print(f"{n:,} households (simulated), warm seconds", file=sys.stderr)
            measure.show(("engine", *STEPS, "all cold", "warm / threads"), rows)
            measure.write("spark", found)


if __name__ == "__main__":
    main()
