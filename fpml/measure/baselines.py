"""What the model is held against: one column, the village's mean, logistic regression, plain LightGBM, chance."""

from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fpml.measure.metrics import Floats, Ints
from fpml.risk.shown import Matrix

# Cells of a matrix that are worked on at once.
LARGE = 5_000_000
Predict = Callable[[Matrix], Floats]


def chance(rows: int, *, seed: int) -> Floats:
    """Random scores."""
    return np.random.default_rng(seed).random(rows)


def one_column(x: Matrix, column: int, *, high_is_bad: bool) -> Floats:
    """One feature as a score: its value, turned so that more is worse; the unknown rank in the middle."""
    value = x[:, column].astype(np.float64) * (1 if high_is_bad else -1)
    return np.where(np.isnan(value), np.nanmedian(value) if np.isfinite(value).any() else 0.0, value)


def village_mean(village: Ints, y: Ints, weight: Floats) -> Callable[[Ints], Floats]:
    """The share that fell in each village among the training rows, shrunk to the mean as if by 20 more rows."""
    mean = float(np.average(y, weights=weight))
    names, where = np.unique(village, return_inverse=True)
    share = (np.bincount(where, weights=y * weight) + 20 * mean) / (np.bincount(where, weights=weight) + 20)

    def predict(at: Ints) -> Floats:
        """The share of each row's village; the mean where it was not among them."""
        position = np.minimum(np.searchsorted(names, at), names.size - 1)
        return np.where(names[position] == at, share[position], mean)

    return predict


def best_column(x: Matrix, y: Ints, weight: Floats) -> tuple[int, bool]:
    """The column that alone ranks the training rows best, by average precision; and whether high is bad."""
    found = [
        (float(average_precision_score(y, one_column(x, j, high_is_bad=high), sample_weight=weight)), j, high)
        for j in range(x.shape[1])
        for high in (True, False)
    ]
    _, column, high = max(found)
    return column, high


def of_all(probability: Floats, kept: float) -> Floats:
    """Probabilities learnt where a share of the negatives was kept, as they are among all: the odds times that share.

    Source: King and Zeng, Logistic regression in rare events data, 2001.
    """
    return probability if kept == 1 else probability * kept / (probability * kept + 1 - probability)


def logistic_regression(x: Matrix, y: Ints, *, kept: float = 1.0) -> Predict:
    """Ridge-penalised logistic regression on standardised columns, medians and flags for what is missing.

    `kept`: the share of the household-months without a fall that is among the training rows.
    """
    told = np.flatnonzero(~np.isnan(x).all(axis=0))  # a column that nobody told of says nothing
    x = x[:, told]
    lowest, highest = np.nanquantile(x, [0.002, 0.998], axis=0)
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000, tol=1e-3),
    )
    model.fit(np.clip(x, lowest, highest), y)

    def predict(at: Matrix) -> Floats:
        """The probability of each row, some rows at a time."""
        parts = np.array_split(at, max(1, at.size // LARGE))
        return np.concatenate([model.predict_proba(np.clip(p[:, told], lowest, highest))[:, 1] for p in parts])

    return lambda at: of_all(predict(at), kept)


def plain_lightgbm(x: Matrix, y: Ints, *, seed: int, kept: float = 1.0) -> Predict:
    """LightGBM as it comes: 100 rounds of its defaults; `kept`: see `logistic_regression`."""
    parameters = {"objective": "binary", "verbosity": -1, "seed": seed, "deterministic": True, "force_col_wise": True}
    # Several are fitted side by side instead: threads within one wait for each other at every split.
    parameters["num_threads"] = 1
    booster = lgb.train(parameters, lgb.Dataset(x, y), 100)
    return lambda at: of_all(np.asarray(booster.predict(at), np.float64), kept)
