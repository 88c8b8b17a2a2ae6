"""Trees walked by fpml give LightGBM's own sums, to the bit."""

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.risk.trees import BLOCK, Trees

HORIZONS = (1, 3, 6, 12)
COLUMNS = 6


def rows(seed: int, number: int, *, missing: float) -> np.ndarray:
    """Columns of several kinds, with zeros, and gaps in all but the first two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, (number, COLUMNS)).astype(np.float32)
    x[:, 0] = rng.integers(0, 3, number)
    x[rng.random(x.shape) < 0.2] = 0
    x[:, 2:][rng.random((number, COLUMNS - 2)) < missing] = np.nan
    return x


def booster(seed: int, *, rounds: int = 12, leaves: int = 15, missing: float = 0.3, fell: float = 0.3) -> str:
    """A booster on the columns and the horizon, in LightGBM's text."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rows(seed, 3000, missing=missing), rng.choice(HORIZONS, 3000)])
    y = rng.random(3000) < fell * (0.3 + 0.7 * (x[:, 0] > 1)) * np.sqrt(x[:, -1] / 12)
    asked = {"objective": "binary", "verbosity": -1, "num_leaves": leaves, "num_threads": 1, "min_data_in_leaf": 5}
    return str(lgb.train(asked, lgb.Dataset(x, y.astype(int)), rounds).model_to_string())


def lightgbms(texts: list[str], x: np.ndarray, horizon: int) -> np.ndarray:
    stacked = np.column_stack([x, np.full(len(x), horizon, np.float32)])
    each = [np.asarray(lgb.Booster(model_str=t).predict(stacked, raw_score=True)) for t in texts]
    return np.asarray(np.sum(each, axis=0) / len(each))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    leaves=st.integers(2, 40),
    missing=st.sampled_from((0.0, 0.3)),
    fell=st.sampled_from((0.0, 0.02, 0.5)),  # where nobody fell, every tree is one leaf
)
def test_every_horizon_is_summed_as_lightgbm_sums_it(seed: int, leaves: int, missing: float, fell: float) -> None:
    texts = [booster(seed + k, leaves=leaves, missing=missing, fell=fell) for k in range(2)]
    x = rows(seed + 9, 300, missing=0.4)  # also where nothing was missing when it was learnt
    told = Trees.of(texts, COLUMNS).raw(x, HORIZONS)
    for j, horizon in enumerate(HORIZONS):
        assert (told[:, j] == lightgbms(texts, x, horizon)).all()


def test_rows_beyond_one_block_are_those_of_one_row_at_a_time() -> None:
    trees = Trees.of([booster(1, rounds=40, leaves=6)], COLUMNS)
    assert trees.parts.any()
    assert not trees.parts.all()
    x = rows(2, 3 * BLOCK + 7, missing=0.3)
    whole = trees.raw(x, HORIZONS)
    assert (whole == np.concatenate([trees.raw(x[i : i + 1], HORIZONS) for i in range(len(x))])).all()
    assert (trees.raw(np.asfortranarray(x), HORIZONS) == whole).all()
    assert trees.raw(x[:0], HORIZONS).shape == (0, len(HORIZONS))


def test_what_is_never_learnt_here_is_refused() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (2000, 2)).astype(float), rng.integers(0, 2, 2000)
    category = lgb.train({"objective": "binary", "verbosity": -1}, lgb.Dataset(x, y, categorical_feature=[0]), 3)
    zero = lgb.train({"objective": "binary", "verbosity": -1, "zero_as_missing": True}, lgb.Dataset(x, y), 3)
    for told in (category, zero):
        with pytest.raises(ValueError, match="categories"):
            Trees.of([told.model_to_string()], 2)
