"""Months in a row, departments late and corrections included, then every edition made again: what grows, what slows.

    python benchmarks/months.py [--full] [--at DIR]

A simulated county delivers month after month, each department a folder of files of its own. Each month one department
is late by a month (they take turns), so that every third month is published again once its late files are there; a
model learns once a year. Every edition is replayed when it is published and once more after the last month, and held
against what lies there, byte for byte. Seconds are the processor's, of all threads. Small: 12 months of 600 households;
full: 36. `--at DIR`: where to work (kept). Prints its figures and writes benchmarks/results/months.json. The county is
simulated.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, show, versions, write
from scipy import stats

import fpml
from fpml import lists
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.replay import replay
from fpml.simulate import Dials, Plan, Style, load_profile
from fpml.stages import StageDone, Stages

PACKAGES = ("numpy", "pyarrow", "deltalake", "lightgbm", "xlsxwriter")
HOUSEHOLDS, MONTHS, FIRST = 600, {"small": 12, "full": 36}, AsOf.parse("2021-01")
# A model learns at the end of these months, counted from 0; a month is published again each so many.
LEARN, AGAIN = (17, 29), 3
# Seconds of the first months are those of a process that has not compiled yet, and of files that are not there yet.
WARM = 2
PARTS = ("ledger", "lists", "issued", "receipts", "quarantine", "scores", "health", "cache")


def grown(root: Path, months: int) -> dict[str, list[Path]]:
    """A county that has delivered nothing yet; its files, by the month's folder, wait apart."""
    fpml.init(root)
    for file in (root / "models").glob("*.yaml"):
        text = re.sub(r"learning_rate: \S+", "learning_rate: 0.1", file.read_text(encoding="utf-8"))
        file.write_text(re.sub(r"patience: \d+", "patience: 15", text) + "folds: 2\n", encoding="utf-8")
    hard = {"formal": 1.0, "guess": 0.1, "job_loss": 0.03, "rehired": 0.1}
    profile = load_profile("baoshan", Dials(base_rate=1.45)).model_copy(update=hard)
    county = fpml.open(root)
    county.simulate(Plan(profile, HOUSEHOLDS, months=months, seed=11), style=Style.MESSY)
    apart = county.workspace.deliveries.rename(root / "apart")
    return {folder.name: sorted(p for p in folder.rglob("*") if p.is_file()) for folder in sorted(apart.iterdir())}


def sender(path: Path) -> str:
    """Whose file it is, as its name says."""
    return path.name.partition("-")[0]


def walked(root: Path, months: int) -> Iterator[dict[str, Any]]:
    """Each month's figures: what came, what was published, seconds of each stage, bytes on disk."""
    files = grown(root, months)
    senders = sorted({sender(p) for some in files.values() for p in some if "register" not in p.name})
    waits: list[Path] = []
    for at, (name, mine) in enumerate(files.items()):
        month = AsOf.parse(name)
        late = senders[at % len(senders)]
        now = [*waits, *(p for p in mine if sender(p) != late or not at)]
        waits = [p for p in mine if p not in now]
        for path in now:
            target = root / "data" / "deliveries" / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        told: dict[str, Any] = {"month": name, "files": len(now), "late_next": len(waits)}
        learnt, told["train_seconds"] = timed(lambda m=month, n=at: train(root, m) if n in LEARN else None)
        told["trained"] = learnt
        (told["edition"], told["stages"]), told["month_seconds"] = timed(lambda m=month: published(root, m))
        again = at % AGAIN == AGAIN - 1
        if again:
            (edition, _), told["again_seconds"] = timed(lambda m=month: published(root, m.shift(-1)))
            told["corrected"] = edition
        told["equal"], told["replay_seconds"] = timed(lambda m=month: replay(fpml.open(root), m).equal)
        told["bytes"] = {p: held(root / "data" / p) for p in PARTS} | of_the_ledger(root)
        told["ledger_rows"] = fpml.open(root).ledger.rows
        print(json.dumps(told, ensure_ascii=False), flush=True)
        yield told


def train(root: Path, month: AsOf) -> str:
    """Every model learns at the end of the month before; what came of it."""
    county = fpml.open(root)
    try:
        for name in county.model_names():
            county.train(name, month.shift(-1))
    except NotYetError as e:
        return f"not yet: {e.problem}"
    return "learnt"


def published(root: Path, month: AsOf) -> tuple[int, dict[str, float]]:
    """The month run; its edition's number, and the seconds of each stage."""
    stages: dict[str, float] = {}
    last = time.process_time()

    def ended(done: StageDone) -> None:
        nonlocal last
        now = time.process_time()
        stages[done.stage], last = round(now - last, 3), now

    return fpml.run_month(fpml.open(root), month, stages=Stages(ended=ended)).edition.number, stages


def timed(act: Any) -> tuple[Any, float]:
    """What an act returns, and the processor's seconds: on a machine that others use too the clock's tell of these."""
    began = time.process_time()
    told = act()
    return told, round(time.process_time() - began, 3)


def held(folder: Path) -> int:
    """The bytes of a folder's files."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def of_the_ledger(root: Path) -> dict[str, int]:
    """The bytes of the files that hold the ledger now, and of its log; the others are of files that were merged."""
    ledger = fpml.open(root).ledger
    live = sum((ledger.folder / path).stat().st_size for path in ledger.paths)
    return {"ledger_now": live, "ledger_log": held(ledger.folder / "_delta_log")}


def replayed(root: Path) -> Iterator[dict[str, Any]]:
    """Every edition made again after the last month."""
    for edition in lists.editions(root / "data" / "lists"):
        done, seconds = timed(lambda e=edition: replay(fpml.open(root), e.month, number=e.number))
        yield {"edition": edition.folder.name, "equal": done.equal, "seconds": seconds, "differing": done.differing}


def slope(y: Sequence[float]) -> dict[str, float]:
    """A month's growth by least squares, with its 95 % interval, and as a share of the mean."""
    x = np.arange(len(y))
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(y) - 2)) * float(line.stderr)
    a, mean = float(line.slope), float(np.mean(y))
    return {"per_month": a, "low": a - half, "high": a + half, "mean": mean, "share_of_mean": a / mean if mean else 0.0}


def curved(y: Sequence[float]) -> float:
    """How much more the second half grew than the first, as a share of the first: 0 where growth is a line."""
    half = len(y) // 2
    first, second = y[half] - y[0], y[2 * half - 1 + len(y) % 2] - y[half]
    return second / first - 1 if first else 0.0


def main() -> None:
    """Walks, replays, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--at", type=Path, metavar="DIR")
    asked = parser.parse_args()
    size = "full" if asked.full else "small"
    with tempfile.TemporaryDirectory() as where:
        root = (asked.at or Path(where)) / "county"
        shutil.rmtree(root, ignore_errors=True)
        months = [*walked(root, MONTHS[size])]
        again = [*replayed(root)]
    # A month in which a model learns or another edition is published is not otherwise a month: stages are apart.
    names = ("intake", "histories", "hits", "scores", "reasons", "lists")
    # Where a model ranks there is more to do than where none does: a step, and no growth.
    alike = months[LEARN[0] + 1 :] if len(months) > 2 * LEARN[0] else months[WARM:]
    slopes = {n: slope([m["stages"].get(n, 0.0) for m in alike]) for n in names}
    slopes["month"] = slope([m["month_seconds"] for m in alike])
    slopes["replay"] = slope([m["replay_seconds"] for m in alike])
    # Made again after the last month, oldest first: what is old must take no longer than what is new.
    same = [r["seconds"] for r in again if r["edition"][:7] >= alike[0]["month"]]
    slopes["replay_after_all"] = slope(same)
    disk = {p: [m["bytes"][p] for m in months] for p in months[0]["bytes"]}
    growth = {p: {**slope(b[WARM:]), "curved": round(curved(b[WARM:]), 3)} for p, b in disk.items()}
    unequal = [r["edition"] for r in again if not r["equal"]]
    found = {
        "machine": machine(), "versions": versions(*PACKAGES), "simulated": True, "households": HOUSEHOLDS,
        "months": len(months), "editions": len(again), "not_equal": unequal,
        "equal_when_published": sum(m["equal"] for m in months), "seconds": slopes, "bytes": growth,
        "by_month": months, "replays": again,
    }  # fmt: skip
    heads = ("processor seconds", "mean", "a month more", "low", "high")
    show(heads, [(n, *(f"{s[k]:.4f}" for k in ("mean", "per_month", "low", "high"))) for n, s in slopes.items()])
    heads = ("bytes", "last", "a month more", "second half / first - 1")
    show(heads, [(p, disk[p][-1], round(g["per_month"]), g["curved"]) for p, g in growth.items()])
    print(f"{len(again)} editions replayed, not equal: {unequal or 'none'}")
    write("months" if asked.full else "months-small", found)


if __name__ == "__main__":
    main()
