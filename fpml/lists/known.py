"""When what is told of a household was, as known at an as-of: its last records, and what departments last told of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import EVER, Catalogue, Window
from fpml.dates import AsOf, month_of, months_of
from fpml.features import Reach
from fpml.ledger import days, indicator_codes, latest, words_of

COLUMNS = ("household_id", "indicator", "event_date", "known_date", "value", "fact")
Days = npt.NDArray[np.int32]
Run = Callable[..., list["_Part"]]
Read = Callable[[int, Sequence[str]], pa.Table]


@dataclass(frozen=True)
class Known:
    """What is known of dates at an as-of.

    `reported`: by department the last month that it had told of (as a month's number); missing where it never told.
    `events`: by household and indicator the days of its standing records, ascending, of those households asked for.
    `came`: by household and kind of income that may fall the day of the last of these that is not 0.
    """

    as_of: AsOf
    reported: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[tuple[str, str], Days] = field(default_factory=dict)
    came: Mapping[tuple[str, str], date] = field(default_factory=dict)

    def last(self, household: str, indicator: str, window: Window) -> date | None:
        """The day of the last record of a window; None where there is none, or nobody asked for the household."""
        end = self.as_of.month - window.ago
        start = end - (end % 12 if window.to_date else window.length - 1)
        for day in self.events.get((household, indicator), np.zeros(0, np.int32))[::-1]:
            when = _date(int(day))
            if month_of(when) <= end:
                return when if window.length >= EVER or month_of(when) >= start else None
        return None


@dataclass(frozen=True)
class _Part:
    """What one shard says: how many rows of each group of indicators and event month, and the households' events."""

    counted: npt.NDArray[np.int64]
    months: npt.NDArray[np.int64]
    events: dict[tuple[str, str], Days]
    came: dict[tuple[str, str], date]


def known(read: Read, shards: int, households: Sequence[str], as_of: AsOf, catalogue: Catalogue, run: Run) -> Known:
    """What is known of dates at an as-of; `read` gives a shard's rows, `run` applies a function to each shard."""
    parts = run(partial(_part, read, frozenset(households), as_of, catalogue), range(shards))
    told = {}
    for n, department in enumerate(catalogue.departments):
        counted: dict[int, int] = {}
        for part in parts:
            for month, number in zip(
                part.months[part.counted[n] > 0], part.counted[n][part.counted[n] > 0], strict=True
            ):
                counted[int(month)] = counted.get(int(month), 0) + int(number)
        if counted:
            months = np.array(sorted(counted), np.int64)
            number = np.array([counted[int(m)] for m in months], np.int64)
            told[department] = months, np.full(months.size, as_of.month, np.int64), number
    reach = Reach(told, {n: d.cadence_months for n, d in catalogue.departments.items()})
    reported = {d: int(np.flatnonzero(reach.delivered(d, as_of.month))[-1]) for d in told}
    events = {k: v for part in parts for k, v in part.events.items()}
    return Known(as_of, reported, events, {k: v for part in parts for k, v in part.came.items()})


def _part(read: Read, wanted: frozenset[str], as_of: AsOf, catalogue: Catalogue, shard: int) -> _Part:
    table = read(shard, COLUMNS)
    event, known, last = days(table["event_date"]), days(table["known_date"]), _day(as_of.date)
    then = (known <= last) & (event <= last)
    names = words_of(table["household_id"])
    mine = names.told(np.array([w in wanted for w in names.words.to_pylist()], bool), np.False_)
    told = _standing(table.filter(pa.array(then & mine)), catalogue)
    events, came = _events(told), _came(told, catalogue)
    group = np.append(np.array(catalogue.attested, np.int32), np.int32(-1))
    of_row = group[indicator_codes(table["indicator"], catalogue.codes)]
    counts = then & (of_row >= 0)
    if not counts.any():
        return _Part(np.zeros((len(catalogue.departments), 0), np.int64), np.zeros(0, np.int64), events, came)
    of_row, day = of_row[counts], event[counts]
    base, width = int(day.min()), int(day.max()) - int(day.min()) + 1
    # Day by day first: a table of days is short, and their months are looked up once.
    by_day = np.bincount(of_row * width + (day - base), minlength=len(catalogue.departments) * width)
    month = months_of(np.arange(base, base + width).astype("datetime64[D]"))
    months, begins = np.unique(month, return_index=True)
    counted = np.add.reduceat(by_day.reshape(len(catalogue.departments), width), begins, axis=1)
    return _Part(counted, months.astype(np.int64), events, came)


def _standing(table: pa.Table, catalogue: Catalogue) -> pa.Table:
    """The standing records: of what stays where it happened alone."""
    table = table.take(pa.array(latest(table["fact"].to_numpy(), days(table["known_date"]))))
    follows = np.append(np.array(catalogue.following, bool), True)
    stays = ~follows[indicator_codes(table["indicator"], catalogue.codes)]
    return table.filter(pc.and_(pc.is_valid(table["value"]), pa.array(stays)))


def _grouped(records: pa.Table) -> Iterator[tuple[tuple[str, str], Days]]:
    """The days of records, ascending, by household and indicator."""
    household, indicator = words_of(records["household_id"]), words_of(records["indicator"])
    day = days(records["event_date"])
    order = np.lexsort((day, indicator.at, household.at))
    which, of_it, day = household.at[order], indicator.at[order], day[order]
    new = np.ones(day.size, bool)
    new[1:] = (np.diff(which) != 0) | (np.diff(of_it) != 0)
    begins = np.flatnonzero(new)
    names, kinds = household.words.to_pylist(), indicator.words.to_pylist()
    for begin, end in pairwise([*begins, day.size]):
        yield (names[which[begin]], kinds[of_it[begin]]), day[begin:end]


def _events(records: pa.Table) -> dict[tuple[str, str], Days]:
    """The days of records, by household and indicator."""
    return dict(_grouped(records))


def _came(records: pa.Table, catalogue: Catalogue) -> dict[tuple[str, str], date]:
    """The day of the last record that is not 0, by household and kind of income that may fall."""
    kinds = sorted({cause.fell.indicator for cause in catalogue.listing.causes.values() if cause.fell})
    of_kind = pc.is_in(records["indicator"].cast(pa.string()), value_set=pa.array(kinds, pa.string()))
    some = records.filter(pc.and_(of_kind, pc.not_equal(records["value"], 0)))
    return {k: _date(int(each[-1])) for k, each in _grouped(some)}


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _day(day: date) -> int:
    return (day - date(1970, 1, 1)).days
