"""A logistic regression beside the trees: smooth where they are coarse, so that both together rank better than each.

Columns are clipped, logged where they are skewed, bent at quantiles where the definition says so; the unknown stands at
the median, with a flag. Each horizon has a regression of its own: what a season means hangs on how far ahead is looked.
It is kept as numbers, not as code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

# Beyond these quantiles values are clipped; bends lie at those.
_ENDS, _BENDS = (0.002, 0.5, 0.998), (0.1, 0.25, 0.5, 0.75, 0.9)
# A flag for the unknown where more than this share is; a term reaches no farther than so many standard deviations.
_RARE, _REACH = 0.005, 6.0
# The inverse of the ridge penalty, chosen on the Argentine panel's training side (docs/experiments.md).
_INVERSE_PENALTY = 0.03


@dataclass(frozen=True)
class Columns:
    """How each feature is read: between which values, what stands for the unknown, and whether it is logged."""

    low: Floats
    middle: Floats
    high: Floats
    logged: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, x: Matrix) -> Self:
        """As these rows say; a feature that nobody told of is 0."""
        told = ~np.isnan(x).all(axis=0)
        ends = np.zeros((3, x.shape[1]))
        ends[:, told] = np.nanquantile(x[:, told], _ENDS, axis=0)
        low, middle, high = ends
        return cls(low, middle, high, (low >= 0) & (high > 3 * np.maximum(middle, 0.5)))

    def read(self, x: Matrix, j: int) -> Floats:
        """A feature's values."""
        value = np.where(np.isnan(x[:, j]), self.middle[j], x[:, j].astype(np.float64))
        value = np.clip(value, self.low[j], self.high[j])
        return np.asarray(np.log1p(value) if self.logged[j] else value)


@dataclass(frozen=True)
class Terms:
    """What is added up. Of each term: its feature, and what of it: minus infinity stands for the value itself, another
    number for what lies above it, no number for whether the feature is unknown."""

    feature: Ints
    bend: Floats

    @classmethod
    def of(cls, x: Matrix, columns: Columns, bent: Sequence[int]) -> Self:
        """Each feature that varies, its bends where it is to have some, and the flag."""
        feature: list[int] = []
        bend: list[float] = []
        unknown = np.isnan(x).mean(axis=0)
        for j in map(int, np.flatnonzero(columns.high > columns.low)):
            own = columns.read(x, j)
            bends = np.unique(np.quantile(own, _BENDS)) if j in bent else np.zeros(0)
            inner = bends[(bends > own.min()) & (bends < own.max())]
            each = [-np.inf, *inner, *([np.nan] if unknown[j] > _RARE else [])]
            feature += [j] * len(each)
            bend += each
        return cls(np.array(feature, np.int64), np.array(bend, np.float64))

    def values(self, x: Matrix, columns: Columns) -> Floats:
        """Each term of each row, before it is centred and scaled."""
        out = np.empty((x.shape[0], self.feature.size))
        for term, (j, at) in enumerate(zip(self.feature, self.bend, strict=True)):
            if np.isnan(at):
                out[:, term] = np.isnan(x[:, j])
            else:
                value = columns.read(x, j)
                out[:, term] = value if np.isinf(at) else np.maximum(value - at, 0)
        return out


@dataclass(frozen=True)
class Linear:
    """The regression at one horizon: each term's mean, scale and weight in the log-odds, and the intercept."""

    columns: Columns
    terms: Terms
    mean: Floats
    scale: Floats
    weight: Floats
    intercept: float

    @classmethod
    def fit(cls, x: Matrix, label: npt.NDArray[np.int8], bent: Sequence[int]) -> Self:
        """The regression of labels; `bent`: columns that get bends."""
        columns = Columns.of(x)
        terms = Terms.of(x, columns, bent)
        values = terms.values(x, columns)
        mean, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
        z = np.clip((values - mean) / scale, -_REACH, _REACH)
        model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500, tol=1e-3).fit(z, label)
        return cls(columns, terms, mean, scale, model.coef_[0], float(model.intercept_[0]))

    def contributions(self, x: Matrix) -> Floats:
        """What each feature adds to the log-odds, against a row of means: (rows, features)."""
        z = (self.terms.values(x, self.columns) - self.mean) / self.scale
        added = np.clip(z, -_REACH, _REACH) * self.weight
        out = np.zeros(x.shape)
        for term, feature in enumerate(self.terms.feature):
            out[:, feature] += added[:, term]
        return out

    def raw(self, x: Matrix) -> Floats:
        """The log-odds."""
        return np.asarray(self.contributions(x).sum(axis=1) + self.intercept)

    def as_json(self) -> dict[str, Any]:
        """Its numbers as lists; bends, which may be no numbers, as words."""
        own = {"mean": self.mean, "scale": self.scale, "weight": self.weight}
        lists = {k: v.tolist() for k, v in {**vars(self.columns), **vars(self.terms), **own}.items()}
        return lists | {"bend": list(map(repr, lists["bend"])), "intercept": self.intercept}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        kinds: dict[str, Any] = {"feature": np.int64, "logged": np.bool_}
        of = {k: np.array(v, kinds.get(k, np.float64)) for k, v in told.items() if k != "intercept"}
        columns, terms = Columns(of["low"], of["middle"], of["high"], of["logged"]), Terms(of["feature"], of["bend"])
        return cls(columns, terms, of["mean"], of["scale"], of["weight"], float(told["intercept"]))
