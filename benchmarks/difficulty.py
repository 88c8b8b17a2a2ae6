"""How hard the simulated falls are to foresee: oracles, rules, one column, logistic regression and plain LightGBM.

python benchmarks/difficulty.py [--full]

Each world is simulated, its deliveries taken in, histories built; labels come from the truth. Trained on earlier
as-ofs, tested on later ones, with the embargo as_of + 6 <= origin. All results are simulated.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from measure import write
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

import fpml
from fpml.dates import AsOf
from fpml.features import matrix
from fpml.measure import baselines, interval
from fpml.rules import any_hit, hits, pushed
from fpml.simulate import Dials, Foresight, Plan, load_profile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
HORIZON = 6
TRAIN = (12, 14, 16, 18, 20)
TEST = (26, 29)
FIRST = AsOf(2021 * 12)


@dataclass(frozen=True)
class World:
    """What is simulated: a name for the table, and the dials."""

    name: str
    dials: Dials
    profile: str = "jiangxi"


WORLDS = (
    World("strong precursors, 0.9 % a year", Dials(base_rate=0.9)),
    World("weak precursors, 0.9 % a year", Dials(base_rate=0.9, precursors="weak")),
    World("no precursors, 0.9 % a year", Dials(base_rate=0.9, precursors="absent")),
    World("as the profile has it", Dials()),
    World("rules find 15 %", Dials(base_rate=0.9, rules_find=15)),
    World("rules find 45 %", Dials(base_rate=0.9, rules_find=45)),
    World("visits drawn at random", Dials(base_rate=0.9, looking="random")),
    World("baoshan", Dials(), "baoshan"),
)


@dataclass(frozen=True)
class Known:
    """Histories with the truth beside them. One row per household and as-of."""

    x: npt.NDArray[np.float32]
    y: Bools
    as_of: Ints  # months from the first
    village: Ints
    household: npt.NDArray[np.object_]
    rules: dict[str, Bools]
    listed: Bools  # by any rule that a department pushes
    income: Floats
    pushed: Bools  # by the county itself in the half year before

    def at(self, months: Sequence[int]) -> "Known":
        """The rows of these as-ofs."""
        rows = np.flatnonzero(np.isin(self.as_of, months))
        rules = {k: v[rows] for k, v in self.rules.items()}
        columns = (self.x, self.y, self.as_of, self.village, self.household)
        rest = (self.listed, self.income, self.pushed)
        return Known(*(c[rows] for c in columns), rules, *(c[rows] for c in rest))


def known(world: World, households: int, seed: int, folder: Path) -> tuple[Known, Plan, fpml.County]:
    """A world simulated, taken in and looked at from outside, beside its truth."""
    plan = Plan(load_profile(world.profile, world.dials), households, seed=seed)
    fpml.init(folder)
    county = fpml.open(folder)
    county.simulate(plan)
    county.intake(sorted((folder / "data" / "deliveries").glob("*.parquet")))
    histories = county.histories(*(FIRST.shift(m) for m in (*TRAIN, *TEST)))
    truth = Truth(pd.read_parquet(folder / "data" / "truth" / "states.parquet"))
    return _beside(histories, truth, county.catalogue), plan, county


class Truth:
    """What was true, as grids of households x months."""

    def __init__(self, states: pd.DataFrame) -> None:
        codes, self.households = pd.factorize(states["household_id"].astype(str))
        month = (states["month"] - FIRST.month).to_numpy()
        shape = self.households.size, int(month.max()) + 1
        self.bad, self.watched, self.pushed = (np.zeros(shape, bool) for _ in range(3))
        self.bad[codes, month] = (states["below"] | (states["failing"] > 0)).to_numpy()
        self.watched[codes, month] = (states["monitored"] > 0).to_numpy()
        self.pushed[codes, month] = states["pushed"].to_numpy()
        self.village = np.full(shape, -1)
        self.village[codes, month] = pd.to_numeric(states["village"]).to_numpy()

    def falls(self, m: int) -> tuple[Bools, Bools]:
        """Who is at risk at the end of month m (there, not below or monitored), and who falls by m + 6."""
        at_risk = (self.village[:, m] >= 0) & ~self.bad[:, m] & ~self.watched[:, m]
        new = self.bad[:, m + 1 : m + 1 + HORIZON] & ~self.watched[:, m : m + HORIZON]
        return at_risk, new.any(axis=1)


def _beside(histories: pa.Table, truth: Truth, catalogue: Any) -> Known:
    """Histories of those at risk in truth, with what then came."""
    household = histories["household_id"].to_numpy(zero_copy_only=False).astype(str)
    as_of = pd.to_datetime(histories["as_of"].to_pandas())
    month = (as_of.dt.year * 12 + as_of.dt.month - 1).to_numpy() - FIRST.month
    at = pd.Index(truth.households).get_indexer(household)
    risk, falls, village, of_county = (np.zeros(month.size, t) for t in (bool, bool, np.int64, bool))
    for m in np.unique(month):
        rows = np.flatnonzero((month == m) & (at >= 0))
        who = at[rows]
        there, fell = truth.falls(m)
        risk[rows], falls[rows], village[rows] = there[who], fell[who], truth.village[who, m]
        # The county's own pushes of the half year before.
        of_county[rows] = truth.pushed[who, max(m - 5, 0) : m + 1].any(axis=1)
    rows = np.flatnonzero(risk)
    x = matrix(histories, catalogue.model_features(), catalogue, rows=rows)
    rules = {k: np.asarray(v)[rows] for k, v in hits(histories, catalogue).items()}
    listed = any_hit({n: rules[n] for n in pushed(catalogue)}, rows.size)
    income = matrix(histories, ["income"], catalogue, rows=rows)[:, 0].astype(float)
    return Known(x, falls[rows], month[rows], village[rows], household[rows], rules, listed, income, of_county[rows])


def scores(seen: Known, train: Known) -> dict[str, Floats]:
    """Each method's score of the rows seen: the rules, one column, and two models learnt from earlier rows."""
    y = train.y.astype(np.int64)
    return {
        **{f"rule: {name}": hit.astype(float) for name, hit in seen.rules.items()},
        "any rule": seen.listed.astype(float),
        "the county's own pushes": seen.pushed.astype(float),
        "recorded income against the line": -np.nan_to_num(seen.income, nan=float(np.nanmedian(seen.income))),
        "logistic regression": baselines.logistic_regression(train.x, y)(seen.x),
        "plain LightGBM": baselines.plain_lightgbm(train.x, y, seed=1)(seen.x),
    }


def oracle(seen: Known, county: fpml.County, plan: Plan, foresight: Foresight) -> tuple[dict[str, Floats], Floats]:
    """Both oracles' probabilities on all who fall and a sample, with the weight of each row (0: not looked at)."""
    told = county.foresee(plan, foresight).to_pandas()
    rows = pd.MultiIndex.from_arrays([seen.household, seen.as_of + FIRST.month])
    looked = told.set_index([told["household_id"].astype(str), "as_of"]).reindex(rows)
    weight = np.nan_to_num(looked["weight"].to_numpy())
    return {knows: looked[f"{knows}_{HORIZON}"].to_numpy() for knows in ("full", "observable")}, weight


def chosen(score: Floats, weight: Floats, as_of: Ints, visits: dict[int, int], rng: np.random.Generator) -> Bools:
    """Which rows a method visits at each as-of: from the highest score down, ties by lot, until the visits are made."""
    out = np.zeros(score.size, bool)
    for when, most in visits.items():
        rows = np.flatnonzero((as_of == when) & (weight > 0))
        order = rows[np.lexsort((rng.random(rows.size), -score[rows]))]
        out[order[np.cumsum(weight[order]) <= most]] = True
    return out


def judged(world: World, households: int, seed: int, *, times: int, share: float) -> dict[str, Any]:
    """One world's table: every method's AUC, average precision and share found at the rules' own visits."""
    with tempfile.TemporaryDirectory() as folder:
        all_rows, plan, county = known(world, households, seed, Path(folder) / "county")
        train, seen = all_rows.at(TRAIN), all_rows.at(TEST)
        rated = scores(seen, train)
        foresight = Foresight(tuple(FIRST.shift(m) for m in TEST), times, share)
        truth, weight = oracle(seen, county, plan, foresight)
    whole = np.ones(seen.y.size)
    every = {n: (s, whole) for n, s in rated.items()} | {
        f"oracle, {k}": (np.nan_to_num(s), weight) for k, s in truth.items()
    }
    rule = rated["any rule"] > 0
    visits = {int(m): int((rule & (seen.as_of == m)).sum()) for m in np.unique(seen.as_of)}
    rows = {}
    for name, (score, w) in every.items():
        picked = chosen(score, w, seen.as_of, visits, np.random.default_rng(0))
        if name.startswith("rule: ") or name in ("any rule", "the county's own pushes"):
            picked = score > 0
        rows[name] = {**_row(seen, score, w), **_found(seen, picked, rule)}
    return {
        "world": world.name, "profile": world.profile, "households": households, "seed": seed,
        "dials": world.dials.model_dump(mode="json"), "events_trained": int(train.y.sum()),
        "events_tested": int(seen.y.sum()), "rows_tested": int(seen.y.size), "visits": sum(visits.values()),
        "falls_a_year_percent": round(200 * float(seen.y.mean()), 3), "methods": rows,
    }  # fmt: skip


def _row(seen: Known, score: Floats, weight: Floats) -> dict[str, float]:
    ok = weight > 0
    args = seen.y[ok], score[ok]
    return {
        "auc": round(float(roc_auc_score(*args, sample_weight=weight[ok])), 3),
        "ap": round(float(average_precision_score(*args, sample_weight=weight[ok])), 4),
    }


def _found(seen: Known, picked: Bools, rule: Bools) -> dict[str, Any]:
    """The share of falls found, and how many times as many as any rule, with its interval over villages."""
    fell = np.flatnonzero(seen.y)

    def ratio(rows: Ints) -> float:
        return float(picked[fell[rows]].sum() / max(rule[fell[rows]].sum(), 1))

    told = interval(ratio, seen.village[fell], times=500)
    return {
        "found": round(float(picked[fell].mean()), 3),
        "times_any_rule": [round(v, 2) for v in (told.estimate, told.low, told.high)],
    }


def shown(result: dict[str, Any]) -> Table:
    """One world's table for a terminal."""
    title = (
        f"SIMULATED, {result['profile']}: {result['world']} ({result['events_trained']} falls learnt from, "
        f"{result['events_tested']} tested, {result['visits']} visits)"
    )
    table = Table("method", "AUC", "average precision", "found", "times any rule [95 %]", title=title)
    for name, r in result["methods"].items():
        e, low, high = r["times_any_rule"]
        table.add_row(
            name, f"{r['auc']:.3f}", f"{r['ap']:.3f}", f"{r['found']:.0%}", f"{e:.2f} [{low:.2f}, {high:.2f}]"
        )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges the worlds asked for and writes each one's results/difficulty-<number>.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="40,000 households a world and 200 roll-outs, every world")
    parser.add_argument("--worlds", type=int, nargs="*", help="only these, by number")
    parser.add_argument("--seed", type=int, default=101, help="the profiles were tuned on 1: not that one")
    asked = parser.parse_args(arguments)
    households, times, share = (40_000, 200, 0.02) if asked.full else (10_000, 100, 0.05)
    numbers = asked.worlds or (range(len(WORLDS)) if asked.full else (0, 1, 2, 7))
    for number in numbers:
        result = judged(WORLDS[number], households, asked.seed, times=times, share=share)
        Console(width=120).print(shown(result))
        write(f"difficulty-{number}", result)


if __name__ == "__main__":
    sys.exit(main())
