"""What became known in a month -> the rows of each item: several facts of a household or person share a row.

Facts share a row where they are of the same household and person, have the same record number, and the same days in
the same columns; an item with several date columns puts side by side what each of them dates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue, Layout
from fpml.dates import FAR

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """Facts as arrays of one length: serials, codes of indicators, days since 1970 (FAR: it goes on), stored values."""

    household: Ints
    person: Ints
    indicator: Ints
    event: Ints
    until: Ints
    known: Ints
    value: Ints
    withdrawn: Bools
    record: Ints

    @classmethod
    def of(cls, told: pa.Table, catalogue: Catalogue) -> "Facts":
        """The facts of a table of what became known; raises ValueError where the catalogue lacks an indicator."""
        words = told["indicator"].combine_chunks().dictionary_encode()
        codes = np.array([catalogue.codes.get(w, -1) for w in words.dictionary.to_pylist()], np.int64)
        indicator = codes[words.indices.to_numpy()]
        if indicator.size and indicator.min() < 0:
            raise ValueError("facts of an indicator that the catalogue does not have")
        value = told["value"]
        return cls(
            household=_whole(told["household"]), person=_whole(told["person"]), indicator=indicator,
            event=_days(told["event_date"]), until=_days(told["until_date"]), known=_days(told["known_date"]),
            value=_whole(pc.fill_null(value, 0)), withdrawn=pc.is_null(value).to_numpy(),
            record=_whole(told["record_id"]),
        )  # fmt: skip

    def take(self, at: npt.NDArray[np.intp] | Bools) -> "Facts":
        """Some of them."""
        return Facts(**{name: column[at] for name, column in vars(self).items()})

    def __len__(self) -> int:
        return self.household.size


def _whole(column: pa.ChunkedArray) -> Ints:
    return column.cast(pa.int64()).to_numpy()


def _days(column: pa.ChunkedArray) -> Ints:
    return _whole(pc.fill_null(column.cast(pa.date32()).cast(pa.int32()), FAR))


@dataclass(frozen=True)
class Rows:
    """The rows of one item in one sender's file.

    `days` are those of each date and until column, by its header (FAR: an empty cell); `values` the stored values of
    each indicator, where `filled` says that there is a fact, `withdrawn` that it is taken back.
    """

    layout: Layout
    household: Ints
    person: Ints
    record: Ints
    days: Mapping[str, Ints]
    values: Mapping[str, Ints]
    filled: Mapping[str, Bools]
    withdrawn: Mapping[str, Bools]

    def __len__(self) -> int:
        return self.household.size


def fill(layout: Layout, facts: Facts, catalogue: Catalogue) -> Rows:
    """The rows that tell the facts, all of them of the layout's indicators.

    Raises ValueError where a row cannot say it: a last day, a record or a number that the item has no column for.
    """
    names = {catalogue.codes[n]: n for n in layout.indicators}
    _check(layout, facts, names)
    row, person = _placed(layout, facts, names)
    size = int(row.max(initial=-1)) + 1

    def spread(source: Ints | Bools, where: Bools | slice, default: int) -> Ints:
        column = np.full(size, default, np.int64)
        column[row[where]] = source[where]
        return column

    days: dict[str, Ints] = {}
    values, filled, withdrawn = {}, {}, {}
    for code, name in names.items():
        mine = facts.indicator == code if len(names) > 1 else np.ones(len(facts), bool)
        for column, source in ((layout.date(name), facts.event), (layout.until(name), facts.until)):
            if column:
                days[column.header] = np.minimum(days.get(column.header, FAR), spread(source, mine, FAR))
        values[name] = spread(facts.value, mine, 0)
        filled[name] = spread(mine, mine, 0).astype(bool)
        withdrawn[name] = spread(facts.withdrawn, mine, 0).astype(bool)
    return Rows(
        layout, spread(facts.household, slice(None), -1), spread(person, slice(None), -1),
        spread(facts.record, slice(None), -1), days, values, filled, withdrawn,
    )  # fmt: skip


def _check(layout: Layout, facts: Facts, names: Mapping[int, str]) -> None:
    told = f"{layout.department}.{layout.item}"
    if not layout.of_role("record") and (facts.record >= 0).any():
        raise ValueError(f"{told} has no column for record numbers")
    for code, name in names.items():
        mine = facts.indicator == code
        if not layout.until(name) and (facts.until[mine] != FAR).any():
            raise ValueError(f"{told} has no column for the last day of `{name}`")
        if not layout.value(name) and ((facts.value[mine] != 1) | facts.withdrawn[mine]).any():
            raise ValueError(f"{told} can say of `{name}` only that it happened once")


def _placed(layout: Layout, facts: Facts, names: Mapping[int, str]) -> tuple[Ints, Ints]:
    """The row of each fact, and the person of its row (one of the household, where it is told beside somebody's)."""
    if len(names) == 1:
        return np.arange(len(facts)), facts.person
    person = _beside(facts) if (facts.person < 0).any() and (facts.person >= 0).any() else facts.person
    columns = [layout.date(n) for n in names.values()]
    group_of = np.zeros(max(names) + 1, np.int64)
    group_of[list(names)] = [columns.index(c) for c in columns]
    group = group_of[facts.indicator]
    whose = [facts.household, person, facts.record]
    key = [*whose, group, facts.event, facts.until]
    piece = _number([*key, _occurrence([*key, facts.indicator])])
    if not group.any():
        return piece, person
    _, first, at = np.unique(piece, return_index=True, return_inverse=True)
    nth = _occurrence([*(k[first] for k in whose), group[first]])
    return _number([*whose, nth[at]]), person


def _beside(facts: Facts) -> Ints:
    """Persons, a household's own facts put beside a person's of the same household, days and record number."""
    key = _number([facts.household, facts.event, facts.until, facts.record])
    somebody = np.full(int(key.max()) + 1, -1, np.int64)
    np.maximum.at(somebody, key, facts.person)
    return np.where(facts.person < 0, somebody[key], facts.person)


def _in_order(keys: Iterable[Ints]) -> tuple[npt.NDArray[np.intp], Bools]:
    """The order by the keys, equal ones as they came; and where in it another begins."""
    varying = [k for k in keys if k.size and (k != k[0]).any()]
    size = next((k.size for k in keys), 0)
    order = np.lexsort(varying[::-1]) if varying else np.arange(size)
    begins = np.zeros(size, bool)
    begins[:1] = True
    for k in varying:
        sorted_ = k[order]
        begins[1:] |= sorted_[1:] != sorted_[:-1]
    return order, begins


def _number(keys: list[Ints]) -> Ints:
    """The number of each combination of keys, in their order."""
    order, begins = _in_order(keys)
    number = np.empty(order.size, np.int64)
    number[order] = np.cumsum(begins) - 1
    return number


def _occurrence(keys: list[Ints]) -> Ints:
    """How many of the same keys come before."""
    order, begins = _in_order(keys)
    at = np.arange(order.size)
    nth = np.empty(order.size, np.int64)
    nth[order] = at - np.maximum.accumulate(np.where(begins, at, 0))
    return nth
