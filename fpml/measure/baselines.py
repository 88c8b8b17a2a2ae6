"""What the model is held against: one column, the village's mean, logistic regression, plain LightGBM, chance."""

import lightgbm as lgb
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fpml.measure.metrics import Floats, Ints
from fpml.risk.model import Matrix, threads_for


def chance(rows: int, *, seed: int) -> Floats:
    """Random scores."""
    return np.random.default_rng(seed).random(rows)


def one_column(x: Matrix, column: int, *, high_is_bad: bool) -> Floats:
    """One feature as a score: its value, turned so that more is worse; the unknown rank in the middle."""
    value = x[:, column].astype(np.float64) * (1 if high_is_bad else -1)
    return np.where(np.isnan(value), np.nanmedian(value) if np.isfinite(value).any() else 0.0, value)


def village_mean(village: Ints, y: Ints, at: Ints) -> Floats:
    """The share that fell in each village among the training rows, shrunk to the mean as if by 20 more rows."""
    mean = float(y.mean())
    names, where = np.unique(village, return_inverse=True)
    share = (np.bincount(where, weights=y) + 20 * mean) / (np.bincount(where) + 20)
    position = np.minimum(np.searchsorted(names, at), names.size - 1)
    return np.where(names[position] == at, share[position], mean)


def logistic_regression(x: Matrix, y: Ints, at: Matrix) -> Floats:
    """Ridge-penalised logistic regression on standardised columns, medians and flags for what is missing."""
    told = ~np.isnan(x).all(axis=0)  # a column that nobody told of says nothing
    x, at = x[:, told], at[:, told]
    lowest, highest = np.nanquantile(x, [0.002, 0.998], axis=0)
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    model.fit(np.clip(x, lowest, highest), y)
    return np.asarray(model.predict_proba(np.clip(at, lowest, highest))[:, 1], np.float64)


def plain_lightgbm(x: Matrix, y: Ints, at: Matrix, *, seed: int) -> Floats:
    """LightGBM as it comes: 100 rounds of its defaults."""
    parameters = {"objective": "binary", "verbosity": -1, "seed": seed, "deterministic": True, "force_col_wise": True}
    parameters["num_threads"] = threads_for(x)
    return np.asarray(lgb.train(parameters, lgb.Dataset(x, y), 100).predict(at), np.float64)
