"""How to learn: one thing changed at a time, on a simulated county, judged forward in time (docs/experiments.md).

python benchmarks/experiments.py [--full] [--county DIR] [--only NAME ...]

A county is grown and taken in (or DIR, a workspace whose ledger is filled, which is only read). At each origin every
variant learns what was known then; the households at risk at the origin and the as-ofs up to the next are ranked by
their probability of being entered in the register within six months, and held against what came. Figures are means over
origins; gains are paired, with 95 % intervals over draws of villages. Small: 3,000 households over 36 months, one
seed; full: 30,000 over 48, three seeds.
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
from measure import machine, show, versions, write
from scipy.optimize import isotonic_regression
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import fpml
from fpml import features
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import KEY, as_of_months, matrix
from fpml.outcomes import told_by
from fpml.risk import LearningRows, ModelDefinition, fit_calibration, sampled, with_features
from fpml.risk.shown import Shown
from fpml.simulate import Plan, load_profile

SIZES = {"small": (3_000, 36, (0,)), "full": (30_000, 48, (0, 1, 2))}
HORIZON, ORIGINS, DRAWS, LEAST = 6, 2, 200, 20
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Ground:
    """A county opened for experiments."""

    county: fpml.County
    catalogue: Catalogue
    told: pa.Table
    seeds: Sequence[int]

    @classmethod
    def of(cls, root: Path, seeds: Sequence[int]) -> "Ground":
        """The workspace's."""
        county = fpml.open(root)
        told = county.histories(*county.as_ofs(), names=told_by(county.catalogue))
        return cls(county, county.catalogue, told, seeds)

    @cached_property
    def runs(self) -> list[list[AsOf]]:
        """Origins, each with the as-ofs up to the next; the last labels come with the last as-of."""
        as_ofs = [a for a in self.county.as_ofs() if a.month + HORIZON + 1 <= self.end.month]
        later = as_ofs[2 * len(as_ofs) // 3 :]
        edges = np.linspace(0, len(later), ORIGINS + 1).round().astype(int)
        return [later[a:b] for a, b in pairwise(edges)]

    @property
    def end(self) -> AsOf:
        """The last as-of."""
        return self.county.as_ofs()[-1]

    def alone(self, outcome: str) -> ModelDefinition:
        """An outcome's definition as other things are tried on it: of those at risk of it, calibrated without delay."""
        own = {"learn_rows": "at_risk", "negatives": 50_000, "delay": 0}
        return self.county.definition(outcome).model_copy(update=own)

    def lessons(self, definition: ModelDefinition) -> LearningRows:
        """What there is to learn from, and to judge by, at all origins."""
        origins = [*(run[0] for run in self.runs), self.end]
        sample = sampled(definition, self.told, self.catalogue, origins=origins)
        names = tuple(dict.fromkeys([*definition.features(self.catalogue), "village__last__ever"]))
        whole = self.county.histories(*self.county.as_ofs(), rows=sample.rows.select(list(KEY)), names=names)
        return with_features(sample, whole)


@dataclass(frozen=True)
class Judged:
    """Rows at risk of one origin's run: matrix, label, how many each stands for, village."""

    x: np.ndarray[Any, np.dtype[np.float32]]
    label: np.ndarray[Any, np.dtype[np.int8]]
    weight: Floats
    village: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, ground: Ground, lessons: LearningRows, definition: ModelDefinition, run: Sequence[AsOf]) -> "Judged":
        """Those of a run, at the horizon that is judged."""
        sample = lessons.sample
        rows = sample.learnt(HORIZON, ground.end)
        months = as_of_months(sample.rows)[rows]
        rows = rows[sample.at_risk[rows] & (months >= run[0].month) & (months <= run[-1].month)]
        label, at = sample.label[HORIZON][rows], lessons.at[rows]
        x = matrix(lessons.histories, definition.features(ground.catalogue), ground.catalogue, rows=at)
        place = features.natural(lessons.histories, "village__last__ever", ground.catalogue)[at]
        weight = np.where(label == 1, 1.0, 1 / sample.kept(ground.end))
        return cls(x, label, weight, np.unique(np.nan_to_num(place), return_inverse=True)[1])


@dataclass(frozen=True)
class Forest:
    """A fold's trees each; log-odds are their mean, calibrated by a logistic curve out of fold."""

    boosters: Sequence[lgb.Booster]
    raw: Floats
    shown: Shown

    def predict(self, x: np.ndarray[Any, Any], horizon: int) -> Floats:
        """Log-odds as among all."""
        stacked = np.column_stack([x, np.full(len(x), horizon, np.float32)])
        mean = np.mean([b.predict(stacked, raw_score=True) for b in self.boosters], axis=0)
        return np.asarray(mean + math.log(self.shown.kept))

    def probability(self, x: np.ndarray[Any, Any], horizon: int) -> Floats:
        """Calibrated."""
        assert not self.shown.late, "rows are scored at their own horizon"
        rows, label, weight = self.shown.level(horizon)
        told = fit_calibration(self.raw[rows], label, weight)
        return told(self.predict(x, horizon))


def forest(definition: ModelDefinition, shown: Shown, *, seed: int, **also: Any) -> Forest:
    """Trees as `fpml.risk.fit` grows them, with LightGBM parameters besides."""
    t = definition.trees.model_dump(exclude={"rounds", "patience"})
    parameters = {"objective": "binary", "metric": "binary_logloss", **t, "bagging_freq": 1, "num_threads": 1,
                  "deterministic": True, "force_col_wise": True, "verbosity": -1, **also}  # fmt: skip
    grown, losses = [], []
    for k in range(definition.folds):
        learn, held = shown.fold[0] != k, (shown.fold[0] == k) & shown.judged
        train = lgb.Dataset(shown.x[learn], shown.label[learn])
        valid = lgb.Dataset(shown.x[held], shown.label[held], reference=train, weight=shown.weight[held],
                            init_score=np.full(int(held.sum()), math.log(shown.kept)))  # fmt: skip
        told: dict[str, dict[str, list[float]]] = {}
        booster = lgb.train({**parameters, "seed": 100 * seed + k}, train, definition.trees.rounds,
                            valid_sets=[valid], callbacks=[lgb.record_evaluation(told)])  # fmt: skip
        grown.append(booster)
        losses.append(np.array(told["valid_0"]["binary_logloss"]) * shown.weight[held].sum())
    best = int(np.argmin(np.sum(losses, axis=0))) + 1
    raw = np.empty(shown.label.size)
    for k, booster in enumerate(grown):
        at = shown.fold[0] == k
        raw[at] = booster.predict(shown.x[at], raw_score=True, num_iteration=best)
    cut = [lgb.Booster(model_str=b.model_to_string(num_iteration=best)) for b in grown]
    return Forest(cut, raw + math.log(shown.kept), shown)


Variant = Callable[[AsOf, Judged, int], Floats]


def compared(ground: Ground, variants: Mapping[str, Variant], judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """One row a variant: means over origins and seeds, and its gain in average precision over the first variant."""
    told: dict[str, list[list[Floats]]] = {
        name: [[of(run[0], j, s) for run, j in zip(ground.runs, judged, strict=True)] for s in ground.seeds]
        for name, of in variants.items()
    }
    first = next(iter(variants))
    rows = []
    for name, seeds in told.items():
        low, high = _gain(told[first], seeds, judged) if name != first else (math.nan, math.nan)
        means = {m: float(np.mean([f(j, p) for s in seeds for j, p in zip(judged, s, strict=True)]))
                 for m, f in MEASURES.items()}  # fmt: skip
        spread = float(np.std([np.mean([_ap(j, p) for j, p in zip(judged, s, strict=True)]) for s in seeds]))
        rows.append({"variant": name, **means, "over_seeds": spread, "gain_low": low, "gain_high": high})
    return rows


def _ap(j: Judged, p: Floats) -> float:
    return float(average_precision_score(j.label, p, sample_weight=j.weight))


MEASURES: dict[str, Callable[[Judged, Floats], float]] = {
    "average_precision": _ap,
    "auc": lambda j, p: float(roc_auc_score(j.label, p, sample_weight=j.weight)),
    "log_loss": lambda j, p: float(log_loss(j.label, p, sample_weight=j.weight, labels=[0, 1])),
    "brier": lambda j, p: float(np.average((p - j.label) ** 2, weights=j.weight)),
    "expected_over_observed": lambda j, p: float((p * j.weight).sum() / j.label.sum()),
}


def _gain(one: list[list[Floats]], other: list[list[Floats]], judged: Sequence[Judged]) -> tuple[float, float]:
    """The 95 % interval of the mean gain, villages drawn with all their rows; the same draws for both."""
    rng, gains = np.random.default_rng(0), []
    for _ in range(DRAWS):
        each = []
        for i, j in enumerate(judged):
            villages = int(j.village.max()) + 1
            weight = rng.multinomial(villages, np.full(villages, 1 / villages))[j.village] * j.weight
            drawn = replace(j, weight=weight)
            if not j.label[weight > 0].any():
                continue
            each += [_ap(drawn, b[i]) - _ap(drawn, a[i]) for a, b in zip(one, other, strict=True)]
        gains.append(np.mean(each))
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def _stage(ground: Ground, definition: ModelDefinition) -> tuple[LearningRows, list[Judged]]:
    lessons = ground.lessons(definition)
    return lessons, [Judged.of(ground, lessons, definition, run) for run in ground.runs]


def hazard(ground: Ground, outcome: str = "new_poverty") -> list[dict[str, Any]]:
    """Horizons stacked, six months alone, or monthly hazards whose product is the chance of no fall."""
    plain = ground.alone(outcome)
    monthly = plain.model_copy(update={"learn_horizons": tuple(range(1, HORIZON + 1))})
    alone = plain.model_copy(update={"learn_horizons": (HORIZON,)})
    lessons, judged = _stage(ground, plain)
    rows = {"alone": ground.lessons(alone), "monthly": ground.lessons(monthly)}

    def stacked(origin: AsOf, j: Judged, seed: int) -> Floats:
        shown = Shown.of(plain, lessons, ground.catalogue, origin=origin)
        return forest(plain, shown, seed=seed).probability(j.x, HORIZON)

    def one(origin: AsOf, j: Judged, seed: int) -> Floats:
        shown = Shown.of(alone, rows["alone"], ground.catalogue, origin=origin)
        return forest(alone, shown, seed=seed).probability(j.x, HORIZON)

    def hazards(origin: AsOf, j: Judged, seed: int) -> Floats:
        grown = forest(monthly, _monthly(monthly, rows["monthly"], ground, origin), seed=seed)
        survived = np.ones(len(j.x))
        for month in range(1, HORIZON + 1):
            survived *= 1 - grown.probability(j.x, month)
        return np.asarray(1 - survived)

    variants = {"horizons stacked": stacked, "six months alone": one, "monthly hazards": hazards}
    return compared(ground, variants, judged)


def _monthly(definition: ModelDefinition, lessons: LearningRows, ground: Ground, origin: AsOf) -> Shown:
    """The rows of months that a household entered without a fall: whether it fell in that very month."""
    shown = Shown.of(definition, lessons, ground.catalogue, origin=origin)
    sample = lessons.sample
    at = np.concatenate([sample.dealt(h, origin) for h in definition.learn_horizons])
    before = np.array([0 if h == 1 else sample.label[h - 1][r] for h, r in zip(shown.horizon, at, strict=True)])
    keep = before == 0
    return replace(shown, x=shown.x[keep], label=shown.label[keep], horizon=shown.horizon[keep],
                   at_risk=shown.at_risk[keep], judged=shown.judged[keep], weight=shown.weight[keep],
                   household=shown.household[keep], fold=shown.fold[:, keep])  # fmt: skip


def learnt_from(ground: Ground, definition: ModelDefinition, lessons: LearningRows) -> Variant:
    """Trees of a definition, learnt from its lessons at each origin."""

    def learnt(origin: AsOf, j: Judged, seed: int) -> Floats:
        shown = Shown.of(definition, lessons, ground.catalogue, origin=origin)
        return forest(definition, shown, seed=seed).probability(j.x, HORIZON)

    return learnt


def together(ground: Ground) -> list[dict[str, Any]]:
    """Each outcome: learnt from those at risk of it alone, or from all who are at risk of any."""
    out = []
    for name in ground.catalogue.county.outcomes:
        own = ground.alone(name)
        every = own.model_copy(update={"learn_rows": "any_risk", "negatives": 100_000})
        lessons, judged = _stage(ground, own)
        if min(int(j.label.sum()) for j in judged) < LEAST:
            continue  # too few of the cleared, in a county of some thousands, to be judged by
        variants = {f"{name}: of those at risk of it": learnt_from(ground, own, lessons),
                    f"{name}: of all at risk of any": learnt_from(ground, every, ground.lessons(every))}  # fmt: skip
        out += compared(ground, variants, judged)
    return out


def monotone(ground: Ground, outcome: str = "new_poverty") -> list[dict[str, Any]]:
    """No constraint; every direction that the policy tells of what it says now; income alone; medical cost alone."""
    definition = ground.alone(outcome)
    names = definition.features(ground.catalogue)
    lessons, judged = _stage(ground, definition)
    sign = {n: _sign(ground.catalogue, n) for n in names}

    def under(chosen: Callable[[str], bool]) -> Variant:
        """Learnt with the direction of the chosen features kept."""
        bounds = [sign[n] if chosen(n) else 0 for n in names] + [0]

        def learnt(origin: AsOf, j: Judged, seed: int) -> Floats:
            shown = Shown.of(definition, lessons, ground.catalogue, origin=origin)
            also = {"monotone_constraints": bounds} if any(bounds) else {}
            return forest(definition, shown, seed=seed, **also).probability(j.x, HORIZON)

        return learnt

    return compared(ground, {
        "free": under(lambda n: False),
        "every direction told": under(lambda n: True),
        "income alone": under(lambda n: ground.catalogue.group(n).startswith("income")),
        "self-paid medical cost alone": under(lambda n: ground.catalogue.group(n) == "medical_self_paid"),
    }, judged)  # fmt: skip


def _sign(catalogue: Catalogue, name: str) -> int:
    """1 where more of a feature should mean a higher risk, -1 where a lower one, 0 where that is not told.

    Of windows only what is told of now: a change, a trend, a spread or an earlier window may well go the other way.
    """
    if name in catalogue.derived:
        of = catalogue.derived[name].direction
    else:
        feature = catalogue.features[name]
        now = feature.window.ago == 0 and feature.reduction in ("sum", "count", "max", "last", "mean", "holding")
        of = catalogue.indicators[feature.indicator].direction if now and "__against__" not in name else "unclear"
    return {"raises": 1, "lowers": -1}.get(of, 0)


def negatives(ground: Ground, outcome: str = "new_poverty") -> list[dict[str, Any]]:
    """How many household-months without a fall are learnt from, all judged on the same rows."""
    definition = ground.alone(outcome)
    _, judged = _stage(ground, definition)

    def of(number: int) -> Variant:
        """Learnt from so many household-months without a fall."""
        asked = definition.model_copy(update={"negatives": number})
        lessons = ground.lessons(asked)

        def learnt(origin: AsOf, j: Judged, seed: int) -> Floats:
            return forest(asked, Shown.of(asked, lessons, ground.catalogue, origin=origin), seed=seed).probability(
                j.x, HORIZON
            )

        return learnt

    return compared(ground, {f"{n:,}": of(n) for n in (100_000, 50_000, 25_000, 10_000)}, judged)


def calibrations(ground: Ground, outcome: str = "new_poverty") -> list[dict[str, Any]]:
    """The same log-odds through each curve, fitted out of fold at the origin, held against what came later."""
    definition = ground.alone(outcome)
    lessons, judged = _stage(ground, definition)
    grown: dict[tuple[AsOf, int], Forest] = {}

    def through(curve: Curve) -> Variant:
        """The same log-odds through a curve."""

        def learnt(origin: AsOf, j: Judged, seed: int) -> Floats:
            if (origin, seed) not in grown:
                shown = Shown.of(definition, lessons, ground.catalogue, origin=origin)
                grown[origin, seed] = forest(definition, shown, seed=seed)
            f = grown[origin, seed]
            rows = f.shown.judged_at(HORIZON)
            return curve(f.raw[rows], f.shown.label[rows], f.shown.weight[rows], f.predict(j.x, HORIZON))

        return learnt

    return compared(ground, {name: through(curve) for name, curve in CURVES.items()}, judged)


Curve = Callable[[Floats, Any, Floats, Floats], Floats]


def _logistic(raw: Floats, label: Any, weight: Floats, at: Floats) -> Floats:
    return fit_calibration(raw, label, weight)(at)


def _beta(raw: Floats, label: Any, weight: Floats, at: Floats) -> Floats:
    """Kull, Silva Filho and Flach 2017: a logistic curve of log p and log(1 - p), both slopes at least 0."""
    p, q = expit(raw), expit(at)
    told = np.column_stack([np.log(np.maximum(p, 1e-12)), -np.log1p(-np.minimum(p, 1 - 1e-12))])
    asked = np.column_stack([np.log(np.maximum(q, 1e-12)), -np.log1p(-np.minimum(q, 1 - 1e-12))])
    columns = [0, 1]
    for _ in range(2):
        model = LogisticRegression(C=1e6, max_iter=1000).fit(told[:, columns], label, sample_weight=weight)
        if (model.coef_[0] >= 0).all():
            break
        columns = [c for c, v in zip(columns, model.coef_[0], strict=True) if v >= 0] or [0]
    return np.asarray(model.predict_proba(asked[:, columns])[:, 1])


def _isotonic(raw: Floats, label: Any, weight: Floats, at: Floats) -> Floats:
    order = np.argsort(raw, kind="stable")
    level = isotonic_regression(label[order].astype(float), weights=weight[order]).x
    return np.clip(np.interp(at, raw[order], level), 1e-6, 1 - 1e-6)


def _venn_abers(raw: Floats, label: Any, weight: Floats, at: Floats) -> Floats:
    """Vovk and Petej 2014: isotonic with the row itself as no fall and as a fall, merged as p1 / (1 - p0 + p1).

    Scores are taken to a grid of 2,000, so that it is two fits a cell of it.
    """
    grid = np.unique(np.quantile(np.concatenate([raw, at]), np.linspace(0, 1, 2_000)))
    cell = np.clip(np.searchsorted(grid, raw), 0, grid.size - 1)
    total = np.bincount(cell, weights=weight, minlength=grid.size)
    fell = np.bincount(cell, weights=weight * label, minlength=grid.size)
    merged = np.empty(grid.size)
    for g in range(grid.size):
        ends = []
        for outcome in (0.0, 1.0):
            t, f = total.copy(), fell.copy()
            t[g] += 1
            f[g] += outcome
            some = t > 0
            ends.append(isotonic_regression(f[some] / t[some], weights=t[some]).x[np.cumsum(some)[g] - 1])
        merged[g] = ends[1] / (1 - ends[0] + ends[1])
    return np.clip(merged[np.clip(np.searchsorted(grid, at), 0, grid.size - 1)], 1e-6, 1 - 1e-6)


CURVES: dict[str, Curve] = {
    "logistic": _logistic,
    "beta": _beta,
    "isotonic": _isotonic,
    "Venn-Abers": _venn_abers,
    "none": lambda raw, label, weight, at: expit(at),
}
EXPERIMENTS = {f.__name__: f for f in (hazard, together, monotone, negatives, calibrations)}


def grown(root: Path, size: str) -> None:
    """A simulated county whose deliveries are taken in."""
    households, months, _ = SIZES[size]
    county = fpml.open(fpml.init(root).root)
    plan = Plan(load_profile("baoshan"), households, first=AsOf.parse("2021-01"), months=months, seed=23)
    county.simulate(plan)
    county.intake()


def main() -> None:
    """Runs the experiments asked for; prints their figures and keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--county", type=Path, help="a workspace whose ledger is filled")
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    a = parser.parse_args()
    size = "full" if a.full else "small"
    with tempfile.TemporaryDirectory() as folder:
        root = a.county or Path(folder) / "county"
        if not a.county:
            grown(root, size)
        ground = Ground.of(root, SIZES[size][2])
        told = {name: EXPERIMENTS[name](ground) for name in a.only}
        runs = [[str(run[0]), str(run[-1])] for run in ground.runs]
    for name, rows in told.items():
        print(f"\n{name} (simulated; judged {runs})")
        heads = list(rows[0])
        show(heads, [[r[h] if isinstance(r[h], str) else f"{r[h]:.4f}" for h in heads] for r in rows])
    about = {"households": int(pd.Series(ground.told["household_id"].to_pandas()).nunique()), "runs": runs,
             "seeds": len(ground.seeds), "machine": machine(), "versions": versions("lightgbm", "numpy")}  # fmt: skip
    name = "experiments" if a.full or a.county else "experiments-small"
    write("-".join([name, *(a.only if len(a.only) < len(EXPERIMENTS) else ())]), {**about, "experiments": told})


if __name__ == "__main__":
    main()
