"""A shard's records as the kernel reads them: each household's and indicator's together, oldest first, small integers.

Each version carries the months in which it stood: from the month in which it became known until the month in which a
later version replaced or withdrew it. The order is decided by the records' own content alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import FAR, months_of
from fpml.features.kernel import Entries
from fpml.features.versions import count, stand, tell
from fpml.households import Facts, resolved
from fpml.ledger import days, household_order, indicator_codes, marked, words_of

COLUMNS = ("household_id", "person_id", "indicator", "event_date", "until_date", "known_date", "value", "fact")
TOLD_COLUMNS = ("indicator", "event_date", "known_date")
Months = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Records:
    """One shard, one entry a version that stood at some month's end.

    `households` are ids in their standing order; the entries of household h and indicator code i are those from
    `starts[h * indicators + i]` on. `event`, `until` (the first month at whose end it no longer held), `known` and
    `superseded` are months; `value` is in stored units (fen for yuan).
    """

    households: pa.Array
    starts: npt.NDArray[np.int64]
    event: Months
    until: Months
    known: Months
    superseded: Months
    person: npt.NDArray[np.int32]
    value: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many versions there are."""
        return int(self.value.size)


@dataclass(frozen=True)
class Told:
    """How many rows a shard was told: `number[group, event month - first_event, known month - first_known]`.

    They are counted as they were delivered, by the group of indicators whose delivery they attest
    (`Catalogue.attested`).
    """

    number: npt.NDArray[np.int32]
    first_event: int
    first_known: int

    @classmethod
    def of(cls, table: pa.Table, catalogue: Catalogue) -> "Told":
        """Of a shard's own rows (TOLD_COLUMNS)."""
        if not table.num_rows:
            return cls(np.zeros((len(catalogue.departments), 1, 1), np.int32), 0, 0)
        group = np.append(np.array(catalogue.attested, np.int16), np.int16(-1))
        event_day, known_day = days(table["event_date"]), days(table["known_date"])
        event, first_event, events = _calendar(event_day)
        known, first_known, knowns = _calendar(known_day)
        number = np.zeros((len(catalogue.departments), events, knowns), np.int32)
        bases = int(event_day.min()), int(known_day.min())
        indicator = indicator_codes(table["indicator"], catalogue.codes)
        tell(indicator, event_day, known_day, *bases, event, known, group, number)
        return cls(number, first_event, first_known)


def from_ledger(table: pa.Table, catalogue: Catalogue, *, incoming: pa.Table | None = None) -> Records:
    """A shard's rows (COLUMNS) as `Records`; indicators that the catalogue does not have are left aside.

    The table must hold all rows of each of its households. Facts of people who moved are given to the household they
    were in (`fpml.households.resolved`); `incoming` holds what other shards know of the people told of in this one.
    """
    own = table.num_rows
    table = pa.concat_tables([t.select(COLUMNS) for t in (table, incoming) if t is not None])
    told = words_of(table["household_id"])
    order = household_order(told.words)
    rank = np.empty(order.size, np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    household = told.told(rank, np.int32(-1))
    people = words_of(table["person_id"]) if table["person_id"].null_count < table.num_rows else None
    value = table["value"]
    facts = Facts(
        household=household,
        person=people.at if people else np.full(table.num_rows, -1, np.int32),
        indicator=indicator_codes(table["indicator"], catalogue.codes),
        fact=table["fact"].to_numpy(),
        event_day=days(table["event_date"]),
        until_day=_until(table["until_date"]),
        known_day=days(table["known_date"]),
        value=(pc.fill_null(value, 0) if value.null_count else value).to_numpy(),
        withdrawn=pc.is_null(value).to_numpy() if value.null_count else np.zeros(0, bool),
    )
    del table, value  # their copies as numbers are all that is needed from here on
    if people is not None:
        facts = resolved(facts, catalogue, people=len(people.words))
    # Of households of other shards, and those that no row has, nothing is said.
    here = marked(household[:own], order.size)
    position = np.append(np.where(here, np.cumsum(here, dtype=np.int32) - 1, np.int32(-1)), np.int32(-1))
    households = told.words.take(pa.array(order[here]))
    starts, at = _grouped(facts, position, len(households), len(catalogue.codes))
    return _standing(facts, starts, at, households)


def _until(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """The last day of each fact, far away where there is none; an empty array where none has one."""
    if column.null_count == len(column):
        return np.zeros(0, np.int32)
    return days(pc.fill_null(column, pa.scalar(FAR, pa.int32()).cast(pa.date32())))


def _grouped(
    facts: Facts, position: npt.NDArray[np.int32], households: int, indicators: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where each household's and indicator's rows begin, and the rows in that order (a counting sort, stable).

    `position`: the number under which each household stands, or -1. Pieces are numbered after the rows.
    """
    starts = np.zeros(households * indicators + 2, np.int64)
    at = np.empty(facts.indicator.size, np.int32)
    count(facts, position, indicators, starts, at)
    return starts[:-1], at[: starts[-2]]


def _standing(f: Facts, starts: npt.NDArray[np.int64], at: npt.NDArray[np.int32], households: pa.Array) -> Records:
    n = at.size
    event, until, known, superseded = (np.empty(n, np.int16) for _ in range(4))
    person, value = np.empty(n, np.int32), np.empty(n, np.int64)
    base = int(min(f.event_day.min(initial=0), f.known_day.min(initial=0)))
    top = int(max(f.event_day.max(initial=0), f.known_day.max(initial=0), base)) + 1
    month_of_day = months_of(np.arange(base, top + 1).astype("datetime64[D]")).astype(np.int16)
    entries = Entries(np.empty(starts.size, np.int64), event, until, known, superseded, person, value)
    size = stand(f, starts, at, base, month_of_day, entries)
    return Records(
        households, entries.starts, event[:size], until[:size], known[:size], superseded[:size], person[:size],
        value[:size],
    )  # fmt: skip


def _calendar(day: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], int, int]:
    """For each day from the first on, how many months after the first month it lies; the first month; how many."""
    months = months_of(np.arange(int(day.min()), int(day.max()) + 1).astype("datetime64[D]"))
    return (months - months[0]).astype(np.int32), int(months[0]), int(months[-1] - months[0]) + 1
