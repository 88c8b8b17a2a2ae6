"""Found by ours beside the rules and the oracles, over a grid of simulated counties that was frozen first.

python benchmarks/grid.py [--full] [--cells N ...] [--households N] [--oracles-alone [--share S]]

Each county is grown and taken in, and backtested over 18 monthly origins, models learnt anew every quarter. Ours and
the rules are walked at the rules' own visits, and held against true falls. At three as-ofs the simulator is rolled out
from the state then: of two oracles, one knows the full state and one what perfect records would show. What is learnt is
entries in the register; no truth enters it. All results are simulated. Small: two counties of 6,000; full: the grid.
`--oracles-alone`: only the as-ofs at which oracles look, models learnt at each: so a county of usual size takes some
twenty minutes (`--households 220000 --share 0.01`).
"""

import argparse
import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from measure import apart, show, versions, write

import fpml
from fpml.backtests import Tested, reported
from fpml.dates import AsOf
from fpml.measure.backtest import REFIT
from fpml.measure.skill import OURS
from fpml.rolling import WARM
from fpml.simulate import Dials, Foresight, Plan, load_profile
from fpml.simulate.causes import CAUSES

Floats = npt.NDArray[np.float64]
FIRST, MONTHS = AsOf.parse("2021-01"), 45
ORIGINS = range(20, 38)
LOOKED_AHEAD = (27, 31, 35)
HORIZON = 6
# Of those who do not fall, so many are rolled out.
SHARE = 0.05


@dataclass(frozen=True)
class Cell:
    """One county of the grid: its profile, what is turned, and its seed."""

    profile: str
    base_rate: float | None
    precursors: str
    rules_find: float | None
    looking: str
    seed: int

    @property
    def dials(self) -> Dials:
        """As the simulator takes them."""
        return Dials(base_rate=self.base_rate, precursors=self.precursors, rules_find=self.rules_find,
                     looking=self.looking)  # type: ignore[arg-type]  # fmt: skip


# Development used seeds 1 to 101; the models' parameters were chosen on seed 11.
GRID = (
    Cell("baoshan", 0.9, "strong", None, "selective", 9001),
    Cell("baoshan", 0.9, "weak", None, "selective", 9002),
    Cell("baoshan", 0.9, "absent", None, "selective", 9003),
    Cell("jiangxi", 0.9, "strong", 15, "selective", 9004),
    Cell("jiangxi", 0.9, "strong", 45, "selective", 9005),
    Cell("jiangxi", 0.9, "weak", 45, "selective", 9006),
    Cell("jiangxi", 0.9, "absent", None, "selective", 9007),
    Cell("jiangxi", 0.9, "strong", None, "random", 9008),
    Cell("jiangxi", 0.5, "strong", None, "selective", 9009),
)
FROZEN = hashlib.sha256(json.dumps([asdict(c) for c in GRID]).encode()).hexdigest()[:16]


def looked_at(number: int, households: int, times: int, draws: int, share: float, alone: bool) -> dict[str, Any]:
    """One cell: its backtest, and the share of the gain from the rules to the observable oracle; `alone`: this only."""
    cell = GRID[number]
    plan = Plan(load_profile(cell.profile, cell.dials), households, first=FIRST, months=MONTHS, seed=cell.seed)
    with tempfile.TemporaryDirectory() as folder:
        county = fpml.open(fpml.init(Path(folder) / "county").root)
        county.simulate(plan)
        county.intake()
        origins, every, warm = (LOOKED_AHEAD, 1, 0) if alone else (ORIGINS, REFIT, WARM)
        rolling = replace(county.rolling(), every=every)
        tested = rolling.tested([FIRST.shift(n) for n in origins], times=draws, warm=warm)
        report = {} if alone else reported(tested, {"simulated": True}, ("not known", *CAUSES)).as_json()
        ahead = Foresight(tuple(FIRST.shift(n) for n in LOOKED_AHEAD), times, share)
        oracles = beside_oracles(tested, county.foresee(plan, ahead).to_pandas())
    return {"cell": asdict(cell), "households": households, "origins": len(origins), "oracles": oracles, **report}


def beside_oracles(tested: Tested, foreseen: pd.DataFrame) -> dict[str, float]:
    """The falls of the next six months found at three as-ofs, each at as many visits as the rules make then.

    Visited are households that are free and not in trouble yet, by every method. Rules and ours are counted on all of
    them; of the oracles' sample each row stands for `weight` households, and where the visits end within one, for the
    part that is reached.
    """
    panel, ours = tested.panel, tested.ranking(OURS)
    rules = tested.sides.always(tested.sides.hits.values())
    found = dict.fromkeys(("visits", "falls", "rules", "ours", "observable", "full"), 0.0)
    for as_of, looked in foreseen.groupby("as_of"):
        at = [a.month for a in panel.as_ofs].index(int(as_of))
        place = panel.position(pd_column(looked["household_id"]))
        row = np.where(place >= 0, panel.row[place, at], -1)
        looked, row = looked[row >= 0], row[row >= 0]
        fell = (looked["falls_in"].to_numpy() > 0) & (looked["falls_in"].to_numpy() <= HORIZON)
        falls = row[fell]
        free = np.flatnonzero((panel.at == at) & tested.sides.free & ~tested.below)
        listed = np.intersect1d(rules.rows[rules.edges[at] : rules.edges[at + 1]], free)
        highest = free[np.argsort(-np.nan_to_num(ours[free]), kind="stable")][: listed.size]
        found["visits"] += listed.size
        found["falls"] += falls.size
        found["rules"] += np.isin(falls, listed).sum()
        found["ours"] += np.isin(falls, highest).sum()
        for name in ("observable", "full"):
            score = looked[f"{name}_{HORIZON}"].to_numpy()
            found[name] += reached(score, fell, looked["weight"].to_numpy(np.float64), listed.size)
    gain = found["observable"] - found["rules"]
    return found | {"share_of_gain": (found["ours"] - found["rules"]) / gain if gain > 0 else float("nan")}


def reached(score: Floats, fell: npt.NDArray[np.bool_], weight: Floats, visits: int) -> float:
    """How many of those who fell are among the highest, as far as the visits go."""
    order = np.argsort(-score, kind="stable")
    behind = np.cumsum(weight[order]) - weight[order]
    part = np.clip((visits - behind) / weight[order], 0, 1)
    return float((part * (weight * fell)[order]).sum())


def pd_column(names: "pd.Series[str]") -> Any:
    """A column of names as the panel asks for it."""
    import pyarrow as pa

    return pa.array(names.astype(str).to_list())


def kept(told: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a cell: figures at the horizon that ranks lists, without the cells of calibration."""
    out = {k: v for k, v in told.items() if k not in ("cells", "promises", "bound", "skill", "calibration")}
    for name in ("skill", "calibration"):
        out[name] = [r for r in told[name] if r["horizon"] == HORIZON]
    return out


def line(told: dict[str, Any]) -> tuple[object, ...]:
    """One cell for the table."""
    rule = next(r for r in told["rules"] if r["rule"] == "any rule that pushes")
    cell, oracle = told["cell"], told["oracles"]
    name = f"{cell['profile']}, {cell['precursors']}, rules {cell['rules_find'] or '-'}, {cell['looking']}"
    return (name, rule["falls"], rule["visits"], f"{rule['found']:.0%}", f"{rule['found_ours']:.0%}",
            f"{rule['ratio']:.2f} [{rule['ratio_low']:.2f}, {rule['ratio_high']:.2f}]", f"{rule['lead_gain']:+.2f}",
            "-" if rule["visits_needed"] is None else f"{rule['visits_needed']:.0%}",
            f"{oracle['rules']:.0f} / {oracle['ours']:.0f} / {oracle['observable']:.0f} / {oracle['full']:.0f}",
            f"{oracle['share_of_gain']:.0%}")  # fmt: skip


def main() -> None:
    """Looks at the cells asked for, each in a process of its own; prints the table and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cells", type=int, nargs="*", help="only these, by number")
    parser.add_argument("--households", type=int)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--oracles-alone", action="store_true")
    parser.add_argument("--share", type=float, default=SHARE, help="of those who do not fall, rolled out")
    a = parser.parse_args()
    households, times, draws = (a.households or 20_000, 200, 200) if a.full else (a.households or 6_000, 50, 50)
    if a.part is not None:
        print(json.dumps(looked_at(a.part, households, times, draws, a.share, a.oracles_alone)))
        return
    print(f"the grid's configurations are {FROZEN}")
    rows = []
    for n in a.cells if a.cells is not None else range(len(GRID)) if a.full else (0, 2):
        size = ["--full"] * a.full + ["--households", households, "--share", a.share]
        told = apart(__file__, "--part", n, *size, *["--oracles-alone"] * a.oracles_alone)
        if a.oracles_alone:
            write(f"grid-oracles-{n}-{households}", {"frozen": FROZEN, **told, "versions": versions("lightgbm")})
            print(json.dumps(told["oracles"]))
            continue
        write(
            f"grid-{n}" if a.full else f"grid-small-{n}",
            {"frozen": FROZEN, **kept(told), "versions": versions("lightgbm")},
        )
        rows.append(line(told))
        show(("county", "falls", "rules' visits", "found by rules", "by ours", "ours / rules", "lead", "visits needed",
              "rules / ours / oracles", "of the gain"), rows)  # fmt: skip


if __name__ == "__main__":
    main()
