"""What learning takes: all models trained, everybody scored at one as-of, a backtest of a few origins.

python benchmarks/risk.py [--full] [--county DIR] [--origins N] [--last YYYY-MM] [--parts NAME ...]

A simulated county is grown and taken in (or DIR, a workspace whose ledger is filled: its models and reports are
written), all models are trained at its last as-of, all horizons, and every household is scored there. Then the last
origins that have labels a year on are backtested (`--last`: up to another one; the labels of what comes too late are
not there then, its work is). Each part runs in a process of its own; what earlier calls measured of the same county is
kept. Small: 3,000 households over 48 months; full: 220,000 over 48.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import RESULTS, apart, machine, peak_mb, show, versions, write

import fpml
from fpml.dates import AsOf
from fpml.simulate import Plan, load_profile

SIZES = {"small": (3_000, 48), "full": (220_000, 48)}
DRAWS = 20
PARTS = ("trained", "scored", "tested")


class Stages:
    """Seconds of each stage that a county tells of, from one telling to the next."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def __call__(self, what: str, share: float | None = None) -> None:
        """Keeps what is told, with the time."""
        self.told.append((what, time.perf_counter()))

    def seconds(self) -> list[tuple[str, float]]:
        """What was told, and how long until the next was."""
        ends = [t for _, t in self.told[1:]] + [time.perf_counter()]
        return [(what, round(end - began, 1)) for (what, began), end in zip(self.told, ends, strict=True)]


def grown(root: Path, size: str) -> None:
    """A simulated county whose deliveries are taken in."""
    households, months = SIZES[size]
    county = fpml.open(fpml.init(root).root)
    plan = Plan(load_profile("baoshan"), households, first=AsOf.parse("2021-01"), months=months, seed=11)
    county.simulate(plan)
    county.intake()


def opened(root: Path) -> tuple[fpml.County, Stages]:
    """The county, and what will have been told of its work."""
    county, stages = fpml.open(root), Stages()
    county.progress = stages
    return county, stages


def trained(root: Path, as_of: str) -> dict[str, Any]:
    """Seconds and peak memory of training every model at an as-of, and what each learnt from."""
    county, stages = opened(root)
    began = time.perf_counter()
    models = [county.train(name, as_of) for name in county.model_names()]
    seconds = round(time.perf_counter() - began, 1)
    learnt = {m.outcome: {**vars(m.learnt), "kept": m.kept, "horizons": sorted(m.calibrations)} for m in models}
    return {"seconds": seconds, "peak_mb": peak_mb(), "stages": stages.seconds(), "as_of": as_of, "learnt": learnt}


def scored(root: Path, as_of: str) -> dict[str, Any]:
    """Seconds until everybody's histories at an as-of are there, and until they are scored; peak memory."""
    county, _ = opened(root)
    began = time.perf_counter()
    rows = county.at(as_of).num_rows
    there = time.perf_counter()
    county.scores(as_of)
    return {"rows": rows, "histories": round(there - began, 1), "scores": round(time.perf_counter() - there, 1),
            "peak_mb": peak_mb()}  # fmt: skip


def tested(root: Path, origins: int, until: str | None) -> dict[str, Any]:
    """Seconds and peak memory of a backtest of all models, so many origins up to one (None: of which labels come)."""
    county, stages = opened(root)
    last = AsOf.parse(until) if until else county.as_ofs()[-1].shift(-13)
    began = time.perf_counter()
    county.backtest(first=last.shift(1 - origins), last=last, times=DRAWS)
    return {"seconds": round(time.perf_counter() - began, 1), "peak_mb": peak_mb(), "stages": stages.seconds(),
            "origins": origins, "last": str(last)}  # fmt: skip


def main() -> None:
    """Grows the county where none is given; trains, scores, backtests; prints the figures and keeps them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--county", type=Path, help="a workspace whose ledger is filled")
    parser.add_argument("--as-of", help="where the models are trained (its last as-of)")
    parser.add_argument("--origins", type=int, default=2)
    parser.add_argument("--last", help="the last origin of the backtest")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (everything)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.part:
        print(json.dumps({
            "trained": lambda: trained(a.county, a.as_of),
            "scored": lambda: scored(a.county, a.as_of),
            "tested": lambda: tested(a.county, a.origins, a.last),
        }[a.part]()))  # fmt: skip
        return
    name = "risk" if a.full else "risk-small"
    with tempfile.TemporaryDirectory() as folder:
        root = a.county or Path(folder) / "county"
        if not a.county:
            grown(root, "full" if a.full else "small")
        as_ofs = fpml.open(root).as_ofs()
        as_of = a.as_of or str(as_ofs[-1])
        asked = ["--county", root, "--as-of", as_of, "--origins", a.origins, *(["--last", a.last] if a.last else [])]
        county = fpml.open(root)
        households = county.at(as_ofs[-1], names=("members__last__ever",)).num_rows
        about = {"ledger": county.ledger.content, "policy": county.catalogue.fingerprint, "as_ofs": len(as_ofs),
                 "households": households, "machine": machine(), "simulated": True,
                 "versions": versions("lightgbm", "numba", "numpy", "pyarrow")}  # fmt: skip
        told = earlier(name, about) if a.county else {}
        for part in a.parts:
            told[part] = apart(__file__, "--part", part, *asked)
            write(name, {**about, **told})
    show(("", "seconds", "peak, MB"), lines(told))


def earlier(name: str, about: dict[str, Any]) -> dict[str, Any]:
    """What earlier calls measured, if it was of the same ledger and policy, with the same machine and versions."""
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = all(kept.get(k) == v for k, v in json.loads(json.dumps(about)).items())
    return {k: v for k, v in kept.items() if k in PARTS} if same else {}


def lines(told: dict[str, Any]) -> list[tuple[str, float, object]]:
    """What was measured, for the table."""
    rows: list[tuple[str, float, object]] = []
    if "trained" in told:
        rows.append(("all models trained", told["trained"]["seconds"], told["trained"]["peak_mb"]))
    if "scored" in told:
        rows += [("histories of one as-of", told["scored"]["histories"], ""),
                 (f"{told['scored']['rows']:,} households scored", told["scored"]["scores"],
                  told["scored"]["peak_mb"])]  # fmt: skip
    if "tested" in told:
        rows.append((f"backtest, {told['tested']['origins']} origins", told["tested"]["seconds"],
                     told["tested"]["peak_mb"]))  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
