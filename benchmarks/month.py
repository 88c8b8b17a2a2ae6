"""What a month takes, stage by stage, and what is left of one that is killed.

    python benchmarks/month.py [--full] [--county DIR] [--at DIR] [--kills N]

A simulated county is grown, all its months but the last are taken in, models are trained half a year before; then `fpml
month` is run in a process of its own, again (nothing changes), and replayed. Small: 5,000 households, with more falls
and few trees; full: 220,000, with the falls of its profile and the models that a new workspace has.
`--county DIR`: the deliveries, policy and model definitions of a workspace that is there, which is only read. `--at
DIR`: there it is made ready, and kept: a further call finds it ready.

Then the month of a small county is killed by the system at so many instants drawn at random, a reader looking all the
while; each time the next run goes on, and what it publishes is held against what a run that nobody disturbed did.
Prints its figures and writes benchmarks/results/month.json. The counties are simulated.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import apart, machine, show, versions, write

import fpml
from fpml import lists
from fpml.cli import main as command
from fpml.dates import AsOf
from fpml.record import Record
from fpml.replay import replay
from fpml.simulate import Dials, Plan, load_profile
from fpml.stages import StageDone, Stages
from fpml.workspace import signing_key

PACKAGES = ("numpy", "pyarrow", "deltalake", "lightgbm", "xlsxwriter")
HOUSEHOLDS = {"small": 5_000, "full": 220_000}
KILLED_HOUSEHOLDS, KILLS = 800, 100
MONTHS, LAST, LEARN = 36, "2023-12", "2023-06"


def grown(root: Path, households: int) -> None:
    """A simulated county that waits to be taken in; a small one has more falls than there would be, and few trees."""
    fpml.init(root)
    if households >= HOUSEHOLDS["full"]:
        fpml.open(root).simulate(Plan(load_profile("baoshan"), households, months=MONTHS, seed=9))
        return
    for file in (root / "models").glob("*.yaml"):
        text = re.sub(r"learning_rate: \S+", "learning_rate: 0.1", file.read_text(encoding="utf-8"))
        file.write_text(re.sub(r"patience: \d+", "patience: 15", text) + "folds: 2\n", encoding="utf-8")
    hard = {"formal": 1.0, "guess": 0.1, "job_loss": 0.03, "rehired": 0.1}
    profile = load_profile("baoshan", Dials(base_rate=1.45)).model_copy(update=hard)
    fpml.open(root).simulate(Plan(profile, households, months=MONTHS, seed=9))


def of_county(source: Path, root: Path) -> None:
    """A new workspace with the deliveries, policy and definitions of another, which is left as it is."""
    fpml.init(root)
    for name in ("policy", "models"):
        leave = shutil.ignore_patterns("artefacts")
        shutil.copytree(source / name, root / name, dirs_exist_ok=True, ignore=leave)
    shutil.copy2(source / "data" / "identity.key", root / "data" / "identity.key")
    where = root / "data" / "deliveries"
    shutil.copytree(source / "data" / "deliveries", where, copy_function=os.link, dirs_exist_ok=True)


def prepare(root: Path) -> None:
    """Takes in all months but the last, and trains; the last one's deliveries wait."""
    county = fpml.open(root)
    waiting = county.inbox.waiting()
    last = [p for p in waiting if LAST in (p.stem[:7], p.parent.name)]
    county.intake([p for p in waiting if p not in last])
    for name in county.model_names():
        county.train(name, LEARN)


def measured(root: Path) -> dict[str, Any]:
    """A month in this process: seconds and the most memory of each stage; then again, and replayed."""
    peaks, memory = {}, Memory()

    def ended(done: StageDone) -> None:
        peaks[done.stage] = {"seconds": round(done.seconds, 2), "peak_mb": memory.peak(), **done.counts}

    with memory.watched():
        began = time.perf_counter()
        done = fpml.run_month(fpml.open(root), LAST, stages=Stages(ended=ended))
        whole = time.perf_counter() - began
        began = time.perf_counter()
        again = fpml.run_month(fpml.open(root), LAST)
        nothing = time.perf_counter() - began
        began = time.perf_counter()
        replayed = replay(fpml.open(root), LAST)
    assert done.new
    assert not again.new
    assert replayed.equal
    return {
        "stages": peaks,
        "seconds": round(whole, 2),
        "peak_mb": max(p["peak_mb"] for p in peaks.values()),
        "again_seconds": round(nothing, 2),
        "replay_seconds": round(time.perf_counter() - began, 2),
        "ledger_rows": fpml.open(root).ledger.rows,
        "edition_mb": round(sum(p.stat().st_size for p in done.folder.rglob("*") if p.is_file()) / 1e6, 2),
    }


class Memory:
    """The most memory (resident set) of this process since it was last asked, in MB; Linux alone tells it."""

    def __init__(self) -> None:
        self._most, self._stop = 0, threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Looks fifty times a second."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        yield
        self._stop.set()
        watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._most = max(self._most, self._now())

    @staticmethod
    def _now() -> int:
        with contextlib.suppress(OSError):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        return 0

    def peak(self) -> int:
        """It, and begins anew."""
        most, self._most = max(self._most, self._now()), 0
        return most


def killed(kills: int) -> dict[str, Any]:
    """A small county's month killed at so many instants: what a reader found, and what the next run published."""
    with tempfile.TemporaryDirectory() as where:
        start = Path(where) / "start"
        grown(start, KILLED_HOUSEHOLDS)
        prepare(start)
        signing_key(fpml.open(start).workspace)  # made with a county's first list: every copy is to sign with the same
        _month(Path(shutil.copytree(start, Path(where) / "warm"))).join()
        plain = Path(shutil.copytree(start, Path(where) / "plain"))
        began = time.monotonic()
        _month(plain).join()
        lasts, expected = time.monotonic() - began, _contents(plain)
        assert expected
        found: Counter[str] = Counter()
        rng, instants = random.Random(1), []
        while found["killed"] < kills:
            root = Path(shutil.copytree(start, Path(where) / "killed"))
            instants.append(round(rng.uniform(0, lasts), 3))
            found.update(_one(root, instants[-1], expected))
            shutil.rmtree(root)
            if not len(instants) % 10:
                print(f"{found['killed']} of {kills} killed", file=sys.stderr, flush=True)
    names = ("killed", "ended_before", "published_before", "half_seen", "looked", "same_bytes", "record_whole")
    return {
        "households": KILLED_HOUSEHOLDS, "months": len(instants), "undisturbed_seconds": round(lasts, 2),
        "first_instant": min(instants), "last_instant": max(instants), **{n: found[n] for n in names},
    }  # fmt: skip


def _one(root: Path, instant: float, expected: dict[str, bytes]) -> dict[str, int]:
    """One month killed at an instant, in seconds after it began, and finished by the next run."""
    lists_folder, month, until = root / "data" / "lists", AsOf.parse(LAST), time.monotonic() + instant
    process = _month(root)
    half = looked = 0
    while time.monotonic() < until:
        half += _half(lists_folder, month)
        looked += 1
        time.sleep(0.002)
    process.kill()
    process.join()
    ended = process.exitcode == 0
    half += _half(lists_folder, month)
    published = lists.newest(lists_folder, month) is not None
    again = _month(root)
    again.join()
    same = again.exitcode == 0 and _contents(root) == expected
    whole = not Record(root / "data" / "record.jsonl").verify().faults
    return {
        "killed": not ended, "ended_before": ended, "published_before": published, "half_seen": half,
        "looked": looked + 1,
        "same_bytes": same, "record_whole": whole,
    }  # fmt: skip


def _half(folder: Path, month: AsOf) -> int:
    edition = lists.newest(folder, month)
    return int(edition is not None and (edition.made is None or bool(edition.altered())))


def _month(root: Path) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fpml.cli"])
    process = context.Process(target=_run, args=(root,))
    process.start()
    return process


def _run(root: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = command(["month", LAST, "--quiet", "--workspace", str(root)])
    sys.exit(status)


def _contents(root: Path) -> dict[str, bytes]:
    folder = root / "data" / "lists"
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--county", type=Path, metavar="DIR")
    parser.add_argument("--at", type=Path, metavar="DIR")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help=f"0: none ({KILLS})")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        part, root = asked.part[0], Path(asked.part[1])
        print(json.dumps(measured(root) if part == "month" else prepare(root)))
        return
    size = "full" if asked.full else "small"
    found: dict[str, Any] = {"machine": machine(), "versions": versions(*PACKAGES), "simulated": True}
    with tempfile.TemporaryDirectory(dir=asked.county.parent if asked.county else asked.at) as where:
        ready = asked.at / "ready" if asked.at else Path(where) / "county"
        if not ready.is_dir():
            making = ready.with_name("making")
            shutil.rmtree(making, ignore_errors=True)
            if asked.county:
                of_county(asked.county, making)
            else:
                grown(making, HOUSEHOLDS[size])
            apart_quietly("prepare", making)
            making.rename(ready)
        root = ready
        if asked.at:
            root = Path(shutil.copytree(ready, Path(where) / "county", copy_function=os.link))
        found["month"] = {
            "households": None if asked.county else HOUSEHOLDS[size],
            **apart(__file__, "--part", "month", root),
        }
    stages = found["month"]["stages"]
    show(("stage", "seconds", "peak MB"), [(n, s["seconds"], s["peak_mb"]) for n, s in stages.items()])
    print(json.dumps({k: v for k, v in found["month"].items() if k != "stages"}, indent=1), flush=True)
    if asked.kills:
        found["killed"] = killed(asked.kills)
        print(json.dumps(found["killed"], indent=1))
    write("month" if asked.full else "month-small", found)


def apart_quietly(part: str, root: Path) -> None:
    """Does a part that is not measured in a process of its own, whose memory is then gone."""
    apart(__file__, "--part", part, root)


if __name__ == "__main__":
    main()
