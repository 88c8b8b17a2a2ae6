"""Boosted trees taken apart: what each column adds to a row's log-odds, exactly (Shapley values of the trees' paths).

A leaf is a game of the columns that its path asks: a row's answer to each is yes or no, and an answer that is not known
counts by the share of learning rows that went the leaf's way. Source: Lundberg et al., "From local explanations to
global understanding with explainable AI for trees" (Nature Machine Intelligence, 2020), path-dependent form. LightGBM
reckons each leaf anew for every row; here what a leaf adds is reckoned once for each set of answers that some row
gives (Yang, "Fast TreeSHAP", 2021, keeps all sets), a tree's rows side by side. `tests/unit/test_shapley.py` holds
every value against LightGBM's and against all orders of columns.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from fpml.risk.trees import Trees

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

# Rows of one piece of work.
BLOCK = 4096
# The answers to so many columns are kept by set; of a longer path they are reckoned row by row.
KEPT = 10
# Columns that a path may ask: each has a bit in a set of answers.
MOST = 62


def shapley(trees: Trees, x: Matrix, horizon: int) -> tuple[Floats, Floats]:
    """What each column adds at a horizon (rows, columns), and where all start (rows); the mean of the boosters.

    They sum to the boosters' raw log-odds. The horizon is the same for every row: what it adds belongs to the start.
    """
    added, start = np.zeros((x.shape[0], x.shape[1])), np.zeros(x.shape[0])
    pairs = list(zip(trees.boosters[:-1].tolist(), trees.boosters[1:].tolist(), strict=True))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, x.shape[0], BLOCK):
            turned = np.ascontiguousarray(x[first : first + BLOCK].T)
            work = _of_booster(trees, turned, float(horizon))
            # One sum for each booster, added in their order: any number of threads gives the same bits.
            for each, base in pool.map(work, pairs):
                added[first : first + BLOCK] += each[:-1].T
                start[first : first + BLOCK] += each[-1] + base
    return added / len(pairs), start / len(pairs)


def _of_booster(
    trees: Trees, turned: Matrix, horizon: float
) -> Callable[[tuple[int, int]], tuple[npt.NDArray[Any], float]]:
    def one(between: tuple[int, int]) -> tuple[npt.NDArray[Any], float]:
        """A booster's own: (columns and the horizon, rows), and its mean over the rows that it learnt from."""
        out = np.zeros((turned.shape[0] + 1, turned.shape[1]))
        base = _apart(
            turned, horizon, trees.column, trees.threshold, trees.missing_left, trees.child, trees.cover, trees.value,
            trees.splits, trees.leaves, *between, _weights(), out,
        )  # fmt: skip
        return out, float(base)

    return one


def _weights() -> Floats:
    """k! (d - 1 - k)! / d! for d columns, k of them answered before: (d, k), for all d that a path may have."""
    out = np.zeros((MOST + 1, MOST))
    for d in range(1, MOST + 1):
        out[d, 0] = 1 / d
        for k in range(1, d):
            out[d, k] = out[d, k - 1] * k / (d - k)
    return out


@numba.njit(nogil=True, cache=True)
def _apart(
    x, horizon, column, threshold, missing_left, child, cover, value, splits, leaves, first, last, weights, out
):  # pragma: no cover  (compiled)
    """The trees from `first` to before `last`: what each column (and, last, the horizon) adds to each row; the base."""
    columns, rows = x.shape
    base = 0.0
    mask, answer = np.empty(rows, np.int64), np.empty(rows, np.bool_)
    for t in range(first, last):
        begin, number = splits[t], splits[t + 1] - splits[t]
        if number == 0:
            base += value[leaves[t]]
            continue
        left = np.empty((number, rows), np.bool_)
        _answers(x, horizon, column[begin:], threshold[begin:], missing_left[begin:], left)
        above, way = _parents(child[begin : begin + number])
        node_of, way_of = np.empty(number, np.int64), np.empty(number, np.int64)
        asked_of, who, known = np.empty(number, np.int64), np.empty(number, np.int64), np.empty(number)
        for leaf in range(number + 1):
            # The path from the leaf up: its steps, and the columns that it asks with the share that goes its way.
            steps, asks, at = 0, 0, number + leaf
            while at != 0:
                node, side = above[at], way[at]
                c = columns if column[begin + node] < 0 else column[begin + node]
                j = 0
                while j < asks and who[j] != c:
                    j += 1
                if j == asks:
                    who[j], known[j] = c, 1.0
                    asks += 1
                known[j] *= cover[begin + node, side]
                node_of[steps], way_of[steps], asked_of[steps] = node, side, j
                steps += 1
                at = node
            if asks > MOST:
                raise ValueError("a path of a tree asks more columns than a set of answers holds")
            told = value[leaves[t] + leaf]
            base += told * np.prod(known[:asks])
            mask[:] = 0
            for j in range(asks):
                answer[:] = True
                for k in range(steps):
                    if asked_of[k] == j:
                        for r in range(rows):
                            answer[r] &= left[node_of[k], r] == (way_of[k] == 1)
                for r in range(rows):
                    mask[r] |= np.int64(answer[r]) << j
            _add(mask, who[:asks], known[:asks], told, weights[asks], out)
    return base


@numba.njit(nogil=True, cache=True)
def _answers(x, horizon, column, threshold, missing_left, left):  # pragma: no cover  (compiled)
    """Whether each row goes left at each split."""
    for n in range(left.shape[0]):
        if column[n] < 0:
            left[n] = horizon <= threshold[n]
            continue
        for r in range(x.shape[1]):
            v = np.float64(x[column[n], r])
            left[n, r] = (v <= threshold[n]) | ((v != v) & missing_left[n])


@numba.njit(nogil=True, cache=True)
def _parents(child):  # pragma: no cover  (compiled)
    """Of each split, and after them of each leaf: the split above, and which of its children it is."""
    number = child.shape[0]
    above, way = np.zeros(2 * number + 1, np.int64), np.zeros(2 * number + 1, np.int64)
    for n in range(number):
        for side in range(2):
            c = child[n, side]
            at = c if c >= 0 else number + ~c
            above[at], way[at] = n, side
    return above, way


@numba.njit(nogil=True, cache=True)
def _add(mask, who, known, told, weights, out):  # pragma: no cover  (compiled)
    """What a leaf adds to each row, column by column of its path; reckoned once for each set of answers."""
    asks, rows = who.size, mask.size
    if asks > KEPT:
        alone = np.empty((1, asks))
        for r in range(rows):
            _reckon(mask[r], known, told, weights, alone[0])
            for j in range(asks):
                out[who[j], r] += alone[0, j]
        return
    table, there = np.empty((1 << asks, asks)), np.zeros(1 << asks, np.bool_)
    for r in range(rows):
        if not there[mask[r]]:
            _reckon(mask[r], known, told, weights, table[mask[r]])
            there[mask[r]] = True
    for j in range(asks):
        mine = out[who[j]]
        for r in range(rows):
            mine[r] += table[mask[r], j]


@numba.njit(nogil=True, cache=True)
def _reckon(mask, known, told, weights, out):  # pragma: no cover  (compiled)
    """For one set of answers what each column adds: its own answer, beside every set of the others."""
    asks = known.size
    product = np.empty(asks)
    for j in range(asks):
        # Coefficients by how many of the others are answered; what is not answered counts by its share.
        product[0], size = 1.0, 1
        for i in range(asks):
            if i == j:
                continue
            yes = np.float64((mask >> i) & 1)
            product[size] = 0.0
            for k in range(size, 0, -1):
                product[k] = product[k] * known[i] + product[k - 1] * yes
            product[0] *= known[i]
            size += 1
        whole = 0.0
        for k in range(size):
            whole += product[k] * weights[k]
        out[j] = told * (np.float64((mask >> j) & 1) - known[j]) * whole
