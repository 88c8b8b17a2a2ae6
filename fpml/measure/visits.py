"""Whom a method visits, month after month, within the visits at hand: one walk of a list through time, compiled.

A visit is a distinct household-visit. A household is not listed again for six months without a new fact, for every
method alike; a new fact is a hit that lists by itself now and was not there at the as-of before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt

from fpml.errors import UsageError

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]

# So many months a household is left in peace, unless there is a new fact.
PEACE = 6
# A fall counts as found by a listing in so many months before it.
WINDOW = 12
# As-ofs of one walk: a household's listings are the bits of one integer.
MOST_AS_OFS = 64
_NEVER = -10_000
ENDLESS = np.int64(1) << 60


@dataclass(frozen=True)
class Queue:
    """Rows in the order of visiting, as-of by as-of: those of as-of m lie at `edges[m]:edges[m+1]`.

    Where it is divided among allocation units, those of as-of m and unit u lie at `edges[m * units + u]` and on.
    """

    rows: Rows
    edges: Ints
    units: int = 1

    @classmethod
    def nobody(cls, as_ofs: int) -> "Queue":
        """A queue in which nobody stands."""
        return cls(np.zeros(0, np.int32), np.zeros(as_ofs + 1, np.int64))

    @classmethod
    def of(cls, chosen: Bools, at: npt.NDArray[np.int8], as_ofs: int, *, score: Floats | None = None) -> "Queue":
        """The chosen rows, highest score first (without scores, and among equals, in the order of the rows).

        `at`: the position of each row's as-of; -1 for one of an as-of that nobody is listed at.
        """
        rows = np.flatnonzero(chosen & (at >= 0)).astype(np.int32)
        rows = rows[np.argsort(at[rows], kind="stable")]
        edges = np.searchsorted(at[rows], np.arange(as_ofs + 1)).astype(np.int64)
        if score is not None:
            for m in range(as_ofs):
                here = rows[edges[m] : edges[m + 1]]
                rows[edges[m] : edges[m + 1]] = here[np.argsort(-score[here], kind="stable")]
        return cls(rows, edges)

    def where(self, chosen: Bools) -> "Queue":
        """The same queue with the chosen rows alone."""
        keep = chosen[self.rows]
        return Queue(self.rows[keep], np.concatenate([[0], np.cumsum(keep)])[self.edges], self.units)

    def divided(self, unit: Rows, units: int) -> "Queue":
        """The same queue, a part of its own for each unit; `unit`: that of each row of the panel."""
        if units == 1:
            return self
        as_ofs = self.edges.size - 1
        part = np.repeat(np.arange(as_ofs), np.diff(self.edges)) * units + unit[self.rows]
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(as_ofs * units + 1)).astype(np.int64)
        return Queue(self.rows[order], edges, units)


@dataclass(frozen=True)
class Ground:
    """What every method is walked over: for each row its household, month and whether there is a new fact.

    `months`: the month of each as-of at which lists are made; `fell` and `fell_in`: the household and the month of each
    fall; `unit`: the allocation unit of each household; `village`: the cluster of each. The as-ofs before position
    `first` are walked and not counted: they say who was listed when the counting begins.
    """

    household: Rows
    month: Ints
    fresh: Bools
    months: Ints
    fell: Rows
    fell_in: Ints
    unit: Rows
    village: Rows
    first: int = 0

    @cached_property
    def counted(self) -> Bools:
        """Which rows are of an as-of that is counted."""
        return np.asarray(self.month >= self.months[self.first], bool)

    @cached_property
    def row_village(self) -> Rows:
        """The village of each row's household."""
        return self.village[self.household]

    def __post_init__(self) -> None:
        if self.months.size > MOST_AS_OFS:
            problem = f"{self.months.size} as-ofs at once"
            raise UsageError("review", problem, f"Ask for {MOST_AS_OFS} at the most.")

    @cached_property
    def in_reach(self) -> npt.NDArray[np.uint64]:
        """For each fall, the as-ofs (as bits) that lie in the twelve months before it."""
        ahead = self.fell_in[:, None] - self.months[None, :]
        bits = ((ahead >= 1) & (ahead <= WINDOW)) @ (np.uint64(1) << np.arange(self.months.size, dtype=np.uint64))
        return np.asarray(bits, np.uint64)


@dataclass(frozen=True)
class Method:
    """Whom a method lists: `always` whoever stands there, then of `best` as many as the quota leaves.

    `quota`: visits by as-of and allocation unit; ENDLESS where nothing bounds them. `best` is divided among the units.
    """

    always: Queue
    best: Queue
    quota: Ints

    def __post_init__(self) -> None:
        if self.best.units != self.quota.shape[1]:
            raise ValueError(f"a queue of {self.best.units} units for a quota of {self.quota.shape[1]}")


@dataclass(frozen=True)
class Walked:
    """What a method came to in one draw of villages: the rows listed in order, visits by as-of, each fall's lead.

    Rows and visits of a village that was drawn twice count twice. A lead of 0: not found.
    """

    rows: Rows
    visits: Ints
    lead: npt.NDArray[np.int16]


def walks(method: Method, ground: Ground, drawn: Iterable[tuple[Rows, Ints]]) -> Iterator[Walked]:
    """One walk for each draw of villages: how often each household is in it, and the quota of that walk."""
    households = ground.unit.size
    last, bits = np.empty(households, np.int64), np.zeros(households, np.uint64)
    listed = np.empty(method.always.rows.size + method.best.rows.size, np.int32)
    reach = ground.in_reach
    # Taken together once: in the walk they are read one after another, and not from all over the panel.
    always, best = (
        (q.rows, q.edges, ground.household[q.rows], ground.fresh[q.rows]) for q in (method.always, method.best)
    )
    for weight, quota in drawn:
        visits = np.zeros(ground.months.size, np.int64)
        lead = np.zeros(ground.fell.size, np.int16)
        last.fill(_NEVER)
        n = _walk(always, best, quota, ground.unit, ground.months, weight, (last, bits, listed, visits))
        _leads(ground.fell, ground.fell_in, reach, ground.months, bits, lead)
        bits[ground.household[listed[:n]]] = 0
        yield Walked(listed[:n].copy(), visits, lead)


def leads(listed: Rows, ground: Ground) -> npt.NDArray[np.int16]:
    """The lead of each fall of the ground, by the rows that were listed."""
    bits = np.zeros(ground.unit.size, np.uint64)
    at = np.searchsorted(ground.months, ground.month[listed])
    np.bitwise_or.at(bits, ground.household[listed], np.uint64(1) << at.astype(np.uint64))
    lead = np.zeros(ground.fell.size, np.int16)
    _leads(ground.fell, ground.fell_in, ground.in_reach, ground.months, bits, lead)
    return lead


@numba.njit(nogil=True, cache=True)
def _walk(always, best, quota, unit, months, weight, walked):  # pragma: no cover  (compiled)
    """Fills each household's month of last listing and bits, the listed rows and the visits; how many were listed.

    `always`, `best`: rows, edges, and of each row its household and whether there is a new fact. A household drawn more
    often than there are visits left gives way to the next, so that no quota is exceeded.
    """
    last, bits, listed, visits = walked
    n = 0
    for m in range(months.size):
        left = quota[m].copy()
        now, bit = months[m], np.uint64(1) << np.uint64(m)
        # The part before all units is `always`, which no quota bounds.
        for u in range(-1, left.size):
            rows, edges, household, fresh = always if u < 0 else best
            part = m if u < 0 else m * left.size + u
            for i in range(edges[part], edges[part + 1]):
                if u >= 0 and left[u] <= 0:
                    break
                h = household[i]
                if weight[h] == 0 or last[h] == now or (now - last[h] < PEACE and not fresh[i]):
                    continue
                if u >= 0 and weight[h] > left[u]:
                    continue
                last[h], listed[n] = now, rows[i]
                bits[h] |= bit
                n += 1
                visits[m] += weight[h]
                left[unit[h]] -= weight[h]
    return n


@numba.njit(nogil=True, cache=True)
def sum_of(rows, village, times, value):  # pragma: no cover  (compiled)
    """The sum of a value over some rows, each as often as its village was drawn."""
    total = 0.0
    for i in range(rows.size):
        # Most rows have none: their village need not be looked up.
        if value[rows[i]] != 0:
            total += times[village[rows[i]]] * value[rows[i]]
    return total


@numba.njit(nogil=True, cache=True)
def _leads(fell, fell_in, reach, months, bits, lead):  # pragma: no cover  (compiled)
    """For each fall the months from its household's first listing within reach; 0 where there is none."""
    for f in range(fell.size):
        found = bits[fell[f]] & reach[f]
        for m in range(months.size):
            if (found >> np.uint64(m)) & np.uint64(1):
                lead[f] = fell_in[f] - months[m]
                break
