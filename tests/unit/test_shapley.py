"""Trees taken apart: LightGBM's own contributions, the definition over all orders of columns, sums that are whole."""

from itertools import permutations

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.risk import shapley
from fpml.risk.shapley import BLOCK
from fpml.risk.shapley import shapley as taken_apart
from fpml.risk.trees import Trees
from tests.unit.test_trees import COLUMNS, HORIZONS, booster, rows


def lightgbms(texts: list[str], x: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    stacked = np.column_stack([x, np.full(len(x), horizon, np.float32)])
    told = np.mean([lgb.Booster(model_str=t).predict(stacked, pred_contrib=True) for t in texts], axis=0)
    return told[:, :COLUMNS], told[:, COLUMNS:].sum(axis=1)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    leaves=st.integers(2, 40),
    missing=st.sampled_from((0.0, 0.3)),
    fell=st.sampled_from((0.0, 0.02, 0.5)),  # where nobody fell, every tree is one leaf
    horizon=st.sampled_from(HORIZONS),
)
def test_what_columns_add_is_what_lightgbm_says(
    seed: int, leaves: int, missing: float, fell: float, horizon: int
) -> None:
    texts = [booster(seed + k, leaves=leaves, missing=missing, fell=fell) for k in range(2)]
    x, trees = rows(seed + 9, 200, missing=0.4), Trees.of(texts, COLUMNS)
    added, start = taken_apart(trees, x, horizon)
    theirs, base = lightgbms(texts, x, horizon)
    assert np.abs(added - theirs).max() < 1e-9
    assert np.abs(start - base).max() < 1e-9
    assert np.abs(added.sum(axis=1) + start - trees.raw(x, [horizon])[:, 0]).max() < 1e-9


def test_what_columns_add_is_the_mean_over_all_orders_in_which_they_become_known() -> None:
    text = booster(3, rounds=3, leaves=9)
    trees, horizon = Trees.of([text], COLUMNS), 6
    x = rows(4, 5, missing=0.3)
    added, _ = taken_apart(trees, x, horizon)

    def expected(row: np.ndarray, known: frozenset[int]) -> float:
        """Of the trees, where a column that is not known goes both ways by the rows that learnt."""

        def of(t: int, node: int) -> float:
            if node < 0:
                return float(trees.value[trees.leaves[t] + ~node])
            s = trees.splits[t] + node
            column = COLUMNS if trees.column[s] < 0 else trees.column[s]
            if column not in known:
                return sum(trees.cover[s, side] * of(t, trees.child[s, side]) for side in (0, 1))
            v = horizon if column == COLUMNS else row[column]
            left = bool(trees.missing_left[s]) if np.isnan(v) else v <= trees.threshold[s]
            return of(t, trees.child[s, int(left)])

        return sum(of(t, 0 if trees.splits[t + 1] > trees.splits[t] else -1) for t in range(trees.splits.size - 1))

    orders = list(permutations(range(COLUMNS + 1)))
    values: dict[frozenset[int], float] = {}
    for r, row in enumerate(x):
        values.clear()
        mean = np.zeros(COLUMNS + 1)
        for order in orders:
            known: frozenset[int] = frozenset()
            for column in order:
                more = known | {column}
                for some in (known, more):
                    if some not in values:
                        values[some] = expected(row, some)
                mean[column] += values[more] - values[known]
                known = more
        assert np.abs(added[r] - mean[:COLUMNS] / len(orders)).max() < 1e-9


def test_rows_beyond_one_block_are_those_of_one_row_at_a_time() -> None:
    trees = Trees.of([booster(1, rounds=20), booster(2, rounds=20)], COLUMNS)
    x = rows(2, BLOCK + 7, missing=0.3)
    added, start = taken_apart(trees, x, 3)
    some = [0, 1, BLOCK - 1, BLOCK, BLOCK + 6]
    for i in some:
        alone, base = taken_apart(trees, x[i : i + 1], 3)
        assert (alone[0] == added[i]).all()
        assert base[0] == start[i]
    none, nothing = taken_apart(trees, x[:0], 3)
    assert none.shape == (0, COLUMNS)
    assert nothing.size == 0


def test_paths_too_long_for_a_table_add_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = Trees.of([booster(5, leaves=30)], COLUMNS)
    x = rows(6, 50, missing=0.3)
    mask = np.array([0, 5, 7, 2], np.int64)
    known, who = np.array([0.2, 0.5, 0.9]), np.array([0, 2, 1])
    kept, alone = np.zeros((3, 4)), np.zeros((3, 4))
    weights = shapley._weights()[3]
    shapley._add.py_func(mask, who, known, 1.5, weights, kept)
    monkeypatch.setattr(shapley, "KEPT", 2)
    shapley._add.py_func(mask, who, known, 1.5, weights, alone)
    assert (kept == alone).all()
    assert np.isfinite(taken_apart(trees, x, 1)[0]).all()
