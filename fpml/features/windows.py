"""The kernel: every as-of and every window of a shard, in one pass over its records.

A record with event month e, known month k and superseded month u stands in the window (t - ago - length, t - ago] of
as-of month t exactly when `max(e + ago, k) <= t < min(e + ago + length, u)`. So each record visits only the cells in
which it is alive. Sums are of integers: no order of rows, shards or threads can change them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue, Feature
from fpml.features.records import Records

REDUCTIONS = ("sum", "count", "max", "min", "mean", "last", "months_since")
_SUM, _COUNT, _MAX, _MIN, _MEAN, _LAST, _SINCE = range(len(REDUCTIONS))
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reduced:
    """What the kernel saw: `total` (integers in stored units), `number` of records; both (features, rows)."""

    names: tuple[str, ...]
    total: Ints
    number: npt.NDArray[np.int32]


def reduce_records(records: Records, features: Sequence[Feature], catalogue: Catalogue, rows: "Rows") -> Reduced:
    """The features of every asked row; `total` is the sum (for mean too), extreme, last value or latest event month."""
    ordered = sorted(features, key=lambda f: catalogue.codes[f.indicator])
    codes = np.array([catalogue.codes[f.indicator] for f in ordered], np.int64)
    starts = np.searchsorted(codes, np.arange(len(catalogue.codes) + 1)).astype(np.int64)
    ago = np.array([f.window.ago for f in ordered], np.int64)
    length = np.array([f.window.length for f in ordered], np.int64)
    operation = np.array([REDUCTIONS.index(f.reduction) for f in ordered], np.int64)
    total = np.zeros((len(ordered), rows.size), np.int64)
    number = np.zeros((len(ordered), rows.size), np.int32)
    if records.size and rows.size and ordered:
        _fill(
            records.household, records.indicator, records.day, records.event, records.known, records.superseded,
            records.value, starts, ago, length, operation, rows.months, rows.of, total, number,
            np.zeros((max(1, int((operation == _LAST).sum())), rows.size), np.int32),
        )  # fmt: skip
    return Reduced(tuple(f.name for f in ordered), total, number)


@dataclass(frozen=True)
class Rows:
    """Which (household, as-of) get a row: `of[household, as-of]` is the row's number, or -1; `months` ascend."""

    months: Ints
    of: npt.NDArray[np.int32]
    size: int

    @classmethod
    def every(cls, households: int, months: Ints) -> "Rows":
        """A row for each household at each as-of, as-of by as-of."""
        of = np.arange(households * months.size, dtype=np.int32).reshape(months.size, households).T
        return cls(months, np.ascontiguousarray(of), households * months.size)

    @classmethod
    def where(cls, wanted: npt.NDArray[np.bool_], months: Ints) -> "Rows":
        """A row where `wanted[as-of, household]`, as-of by as-of, households in order."""
        numbers = np.where(wanted, np.cumsum(wanted.ravel()).reshape(wanted.shape) - 1, -1)
        return cls(months, np.ascontiguousarray(numbers.T.astype(np.int32)), int(wanted.sum()))


@numba.njit(nogil=True, cache=True)
def _fill(
    household, indicator, day, event, known, superseded, value,
    starts, ago, length, operation, months, row_of, total, number, latest,
):  # fmt: skip  # pragma: no cover  (compiled)
    last_slot = np.zeros(operation.size, np.int64)
    slots = 0
    for s in range(operation.size):
        last_slot[s] = slots
        if operation[s] == _LAST:
            slots += 1
    base, end = months[0], months[-1] + 1
    first_at = np.zeros(end - base + 1, np.int64)
    for m in range(base, end + 1):
        first_at[m - base] = np.searchsorted(months, m)
    for r in range(household.size):
        h, x, i = household[r], value[r], indicator[r]
        for s in range(starts[i], starts[i + 1]):
            alive = max(event[r] + ago[s], known[r], base)
            dead = min(event[r] + ago[s] + length[s], superseded[r], end)
            if alive >= dead:
                continue
            for a in range(first_at[alive - base], first_at[dead - base]):
                row = row_of[h, a]
                if row < 0:
                    continue
                n = number[s, row]
                number[s, row] = n + 1
                op = operation[s]
                if op in (_SUM, _MEAN):
                    total[s, row] += x
                elif op == _MAX:
                    if n == 0 or x > total[s, row]:
                        total[s, row] = x
                elif op == _MIN:
                    if n == 0 or x < total[s, row]:
                        total[s, row] = x
                elif op == _LAST:
                    if n == 0 or day[r] >= latest[last_slot[s], row]:
                        latest[last_slot[s], row] = day[r]
                        total[s, row] = x
                elif op == _SINCE:
                    total[s, row] = event[r] if n == 0 else max(event[r], total[s, row])
