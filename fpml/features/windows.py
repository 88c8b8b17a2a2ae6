"""The kernel: every as-of, window and reduction of a shard, each record looked at once for each as-of it can matter to.

A record of event month e, known month k and superseded month u stands in the window (t - ago - length, t - ago] of
as-of month t exactly when `max(e + ago, k) <= t < min(e + ago + length, u)`: a range of as-ofs. The records of one
household and indicator lie together, oldest first (see `records`); each adds itself to the ranges of all windows at
once. Sums and counts are kept as differences, two writes a record and window whatever the number of as-ofs, and summed
up at the end; what cannot be taken back (highest, last) is written along the range. The figures of one household and
indicator fit the processor's nearest memory, and every cell of the result is written once.

What must look at a window month by month (ups and downs, share of months with any), and what holds of a status, is
walked through as-of by as-of. Sums are of integers: no order of rows, shards or threads can change them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fpml.catalogue import EVER, Catalogue, Feature
from fpml.features.kernel import OPERATIONS, YEAR_TO_DATE, fill
from fpml.features.records import Records

Ints = npt.NDArray[np.int64]
WHOLE = {"sum", "max", "min", "last"}
SMALL = {"count", "months_since", "duration", "holding"}


@dataclass(frozen=True)
class Rows:
    """Which (household, as-of) get a row: `of[household, as-of]` is the row's number, or -1; `months` ascend.

    Rows stand household by household, each with its as-ofs in order.
    """

    months: Ints
    of: npt.NDArray[np.int32]
    size: int

    @classmethod
    def where(cls, wanted: npt.NDArray[np.bool_], months: Ints) -> "Rows":
        """A row where `wanted[household, as-of]`."""
        numbers = np.cumsum(wanted.ravel(), dtype=np.int32).reshape(wanted.shape)
        return cls(months, np.where(wanted, numbers - 1, np.int32(-1)), int(wanted.sum()))

    @classmethod
    def every(cls, households: int, months: Ints) -> "Rows":
        """A row for each household at each as-of."""
        return cls.where(np.ones((households, months.size), bool), months)

    def each(self) -> tuple[Ints, Ints]:
        """The household and the position of the as-of of each row."""
        household, at = np.nonzero(self.of >= 0)
        return household, at


@dataclass(frozen=True)
class Reduced:
    """One array a feature, a value a row; `some` says, where it matters, where there was anything to reduce."""

    values: dict[str, npt.NDArray[np.generic]]
    some: dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Plan:
    """What to compute of each indicator: walks (by `ago`), in each nested windows, in each a place for each operation.

    `slot[window, operation]` is the row of the result's array, or -1 where that is not asked for; `some` likewise.
    `places` says of each feature in which array, in which row of it, and in which row of `some` (or -1) it will be.
    """

    walks: Ints
    ago: Ints
    way: Ints
    windows: Ints
    length: Ints
    slot: Ints
    some: Ints
    indicators: int
    places: dict[str, tuple[int, int, int]]
    sizes: tuple[int, int, int, int]


def reduce_records(records: Records, plan: Plan, rows: Rows) -> Reduced:
    """The plan's features of every row. Amounts are integers in stored units; 0, and `some` false, where none is."""
    whole = np.zeros((plan.sizes[0], rows.size), np.int64)
    small = np.zeros((plan.sizes[1], rows.size), np.int32)
    real = np.zeros((plan.sizes[2], rows.size), np.float64)
    some = np.zeros((plan.sizes[3], rows.size), np.bool_)
    if rows.size and plan.places and records.size:
        fill(
            records.starts, plan.indicators, records.event, records.until, records.known, records.superseded,
            records.person, records.value, plan.walks, plan.ago, plan.way, plan.windows, plan.length,
            plan.slot, plan.some, rows.months, rows.of, whole, small, real, some,
        )  # fmt: skip
    arrays = (whole, small, real)
    return Reduced(
        {name: arrays[kind][at] for name, (kind, at, _) in plan.places.items()},
        {name: some[has] for name, (_, _, has) in plan.places.items() if has >= 0},
    )


def _array_of(f: Feature) -> int:
    return 0 if f.reduction in WHOLE else 1 if f.reduction in SMALL else 2


def absence_matters(f: Feature, catalogue: Catalogue) -> bool:
    """Whether it must be known, row by row, if there was anything to reduce."""
    indicator = catalogue.indicators[f.indicator]
    if indicator.absent == "unknown" or f.reduction in ("months_since", "duration"):
        return True
    return indicator.covered_by is not None or indicator.direction == "raises"


def _way(f: Feature, catalogue: Catalogue) -> int:
    """How it is computed: 0 along ranges of as-ofs, 1 month by month, 2 as a status."""
    if catalogue.indicators[f.indicator].kind == "status" and f.reduction in STATES:
        return 2
    return int(f.reduction in ("sd", "months_with"))


def _nesting(f: Feature, catalogue: Catalogue) -> tuple[int, int, int, int, int]:
    """Features that agree in all but the last lie in windows that end together, the shortest first."""
    kind = 2 if f.window.length >= EVER else int(f.window.to_date)  # `ever` alone looks at the oldest records
    return (catalogue.codes[f.indicator], _way(f, catalogue), f.window.ago, kind, f.window.length)


def plan_for(features: Iterable[Feature], catalogue: Catalogue) -> Plan:
    """How these features are reduced from records."""
    order = sorted(features, key=lambda f: (_nesting(f, catalogue), f.name))
    walks = np.zeros(len(catalogue.codes) + 1, np.int64)
    ago, way = list[int](), list[int]()
    windows, length = [0], list[int]()
    slot, some = list[list[int]](), list[list[int]]()
    free = [0, 0, 0, 0]
    places: dict[str, tuple[int, int, int]] = {}
    before: tuple[int, int, int, int, int] | None = None
    for f in order:
        now = _nesting(f, catalogue)
        if before is None or before[:4] != now[:4]:
            walks[now[0] + 1] += 1
            ago.append(now[2])
            way.append(now[1])
            windows.append(windows[-1])
        if before != now:
            length.append(YEAR_TO_DATE if f.window.to_date else now[4])
            windows[-1] += 1
            slot.append([-1] * len(OPERATIONS))
            some.append([-1] * len(OPERATIONS))
        before = now
        unknown = catalogue.indicators[f.indicator].absent == "unknown"
        name = f"{f.reduction}_of_records" if unknown and f.reduction in ("trend", "sd") else f.reduction
        operation, kind = OPERATIONS.index(name), _array_of(f)
        slot[-1][operation] = free[kind]
        if absence_matters(f, catalogue):
            some[-1][operation] = free[3]
            free[3] += 1
        places[f.name] = kind, free[kind], some[-1][operation]
        free[kind] += 1

    def ints(values: list[int]) -> Ints:
        return np.array(values, np.int64)

    spread = [np.array(p, np.int64).reshape(-1, len(OPERATIONS)) for p in (slot, some)]
    return Plan(
        np.cumsum(walks), ints(ago), ints(way), ints(windows), ints(length), spread[0], spread[1],
        len(catalogue.codes), places, (free[0], free[1], free[2], free[3]),
    )  # fmt: skip


# Of a status these say what holds at the end of the window; any other reduction looks at when it was stated.
STATES = {"last", "duration", "holding", "months_with"}
