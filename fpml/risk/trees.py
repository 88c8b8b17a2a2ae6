"""Boosted trees walked for all horizons in one pass: LightGBM's own numbers, to the bit.

A stacked model is asked at every horizon, and its horizons differ in one column only. Each row walks each tree once;
where a split is on the horizon the horizons part, and only then is the tree walked again. LightGBM itself takes a pass
a horizon and booster, which was five times the time. `tests/unit/test_trees.py` holds every sum against LightGBM's.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

# Rows of one piece of work.
BLOCK = 512
# Bits of LightGBM's decision type: a split on a category, where the missing goes, and what counts as missing.
_CATEGORY, _LEFT, _ZERO, _NAN = 1, 2, 4, 8


@dataclass(frozen=True)
class Trees:
    """The trees of some boosters, one after the other; a child below 0 is the leaf ~child.

    Of each split: its column (-1: the horizon), threshold, whether the missing goes left, children (right, left), and
    the share of the rows it learnt from that went to each (`cover`).
    Of each tree: where its splits and its leaves begin (one more than trees), and whether it splits on the horizon. Of
    each booster: where its trees begin.
    """

    column: Ints
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    child: Ints
    cover: Floats
    value: Floats
    splits: Ints
    leaves: Ints
    parts: npt.NDArray[np.bool_]
    boosters: Ints

    @classmethod
    def of(cls, boosters: Sequence[str], columns: int) -> "Trees":
        """The trees of boosters in LightGBM's text, whose features are so many columns and then the horizon.

        Raises ValueError where a text holds what is never learnt here: splits on categories, linear leaves.
        """
        each = [[_fields(part) for part in text.split("\nTree=")[1:]] for text in boosters]
        trees = [t for booster in each for t in booster]
        kind = _joined(trees, "decision_type").astype(np.int32)
        if (kind & (_CATEGORY | _ZERO)).any() or any(t.get("is_linear", "0") != "0" for t in trees):
            raise ValueError("a booster with splits on categories, zeros as missing, or linear leaves")
        column = _joined(trees, "split_feature").astype(np.int32)
        threshold = _joined(trees, "threshold")
        leaves = [int(t["num_leaves"]) for t in trees]
        splits = _edges([n - 1 for n in leaves])
        child = np.stack([_joined(trees, side).astype(np.int32) for side in ("right_child", "left_child")], axis=1)
        begins = _edges(leaves)
        on_horizon = np.concatenate([[0], np.cumsum(column == columns)])
        return cls(
            np.where(column == columns, -1, column).astype(np.int32),
            threshold,
            # Where nothing was missing when it was learnt, LightGBM takes the missing for 0.
            np.where(kind & _NAN, (kind & _LEFT) > 0, threshold >= 0),
            np.ascontiguousarray(child),
            _shares(child, _joined(trees, "internal_count"), _joined(trees, "leaf_count"), splits, begins),
            _joined(trees, "leaf_value"),
            splits,
            begins,
            np.diff(on_horizon[splits]) > 0,
            _edges([len(booster) for booster in each]),
        )

    def raw(self, x: Matrix, horizons: Sequence[int]) -> Floats:
        """The mean of the boosters' sums: (rows, horizons), for horizons in ascending order."""
        out = np.empty((x.shape[0], len(horizons)))
        at = np.asarray(horizons, np.float64)
        told = (self.column, self.threshold, self.missing_left, self.child, self.value, self.splits, self.leaves,
                self.parts, self.boosters)  # fmt: skip
        x = np.ascontiguousarray(x)

        def walk(first: int) -> None:
            """Some rows."""
            _walk(x[first : first + BLOCK], at, *told, out[first : first + BLOCK])

        pieces = range(0, x.shape[0], BLOCK)
        if len(pieces) < 2:
            for first in pieces:
                walk(first)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(walk, pieces))
        return out


def _shares(child: Ints, inside: Floats, in_leaf: Floats, splits: Ints, leaves: Ints) -> Floats:
    """The share of each split's rows that went to each of its children."""
    tree = np.repeat(np.arange(splits.size - 1), np.diff(splits))
    many = np.empty(child.shape)
    for side in range(2):
        to = child[:, side]
        split, leaf = splits[tree] + np.maximum(to, 0), leaves[tree] + np.maximum(~to, 0)
        many[:, side] = np.where(to >= 0, inside[split], in_leaf[leaf])
    return many / many.sum(axis=1, keepdims=True)


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split("\n\n")[0].splitlines() if "=" in line)


def _joined(trees: list[dict[str, str]], name: str) -> Floats:
    """A field of all trees; a tree of one leaf has no splits, whatever its fields say."""
    alone = not name.startswith("leaf_")
    parts = [
        np.array(t[name].split(), np.float64) for t in trees if t.get(name) and not (alone and t["num_leaves"] == "1")
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _edges(sizes: list[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)


@numba.njit(nogil=True, cache=True)
def _walk(
    x, horizons, column, threshold, missing_left, child, value, splits, leaves, parts, boosters, out
):  # pragma: no cover  (compiled)
    """Each row's mean over the boosters at each horizon. The order of every sum is LightGBM's."""
    sums = np.empty(out.shape)
    out[:] = 0.0
    for b in range(boosters.size - 1):
        sums[:] = 0.0
        for t in range(boosters[b], boosters[b + 1]):
            begin, leaf = splits[t], leaves[t]
            if parts[t]:
                _apart(x, horizons, column, threshold, missing_left, child, value[leaf:], begin, sums)
                continue
            for r in range(x.shape[0]):
                node = 0 if splits[t + 1] > begin else -1
                while node >= 0:
                    s = begin + node
                    v = np.float64(x[r, column[s]])
                    node = child[s, np.int64((v <= threshold[s]) | ((v != v) & missing_left[s]))]
                told = value[leaf + ~node]
                for h in range(horizons.size):
                    sums[r, h] += told
        out += sums
    out /= boosters.size - 1


@numba.njit(nogil=True, cache=True)
def _apart(x, horizons, column, threshold, missing_left, child, value, begin, sums):  # pragma: no cover  (compiled)
    """One tree that splits on the horizon: the horizons from `low` to `high` walk it together until it parts them."""
    for r in range(x.shape[0]):
        low = 0
        while low < horizons.size:
            high, node = horizons.size, 0
            while node >= 0:
                s = begin + node
                if column[s] >= 0:
                    v = np.float64(x[r, column[s]])
                    node = child[s, np.int64((v <= threshold[s]) | ((v != v) & missing_left[s]))]
                    continue
                cut = low
                while cut < high and horizons[cut] <= threshold[s]:
                    cut += 1
                node = child[s, np.int64(cut > low)]
                high = cut if cut > low else high
            for h in range(low, high):
                sums[r, h] += value[~node]
            low = high
