"""Households by as-ofs, and what happened to them: what every comparison over months is made on.

Three kinds of events, never merged: a fall (true in a simulated county; else as the records tell it, which is less),
an identification (entered in the register as monitored), and a visit's confirmation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.features import as_of_months
from fpml.households import MONITORED, condition_holds, in_monitoring
from fpml.measure.visits import Bools, Ints, Rows
from fpml.outcomes import risk_set


@dataclass(frozen=True)
class Events:
    """Households (as the panel numbers them), each with the month in which something happened to it."""

    household: Rows
    month: Ints

    def __len__(self) -> int:
        return self.household.size

    def chosen(self, which: Bools) -> "Events":
        """Some of them."""
        return Events(self.household[which], self.month[which])


@dataclass(frozen=True)
class Panel:
    """Histories of several as-ofs, one row per watched household and as-of, household by household.

    `lists`: at how many of the as-ofs, from the first on, lists are made; the rest are there for what came after.
    `first`: the position from which on they are counted; those before say who had been listed by then.
    """

    histories: pa.Table
    as_ofs: tuple[AsOf, ...]
    lists: int
    catalogue: Catalogue
    first: int = 0

    @cached_property
    def households(self) -> pa.Array:
        """The households, in the order of their rows."""
        return self._coded[1]

    @cached_property
    def household(self) -> Rows:
        """The number of each row's household."""
        return self._coded[0]

    @cached_property
    def _coded(self) -> tuple[Rows, pa.Array]:
        coded = self.histories["household_id"].combine_chunks()
        coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
        coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
        return coded.indices.to_numpy(zero_copy_only=False).astype(np.int32), coded.dictionary

    @cached_property
    def at(self) -> "np.typing.NDArray[np.int8]":
        """The position of each row's as-of."""
        return np.searchsorted(self._all_months, as_of_months(self.histories)).astype(np.int8)

    @cached_property
    def month(self) -> Ints:
        """The month of each row's as-of."""
        return self._all_months[self.at]

    @cached_property
    def _all_months(self) -> Ints:
        return np.array([a.month for a in self.as_ofs], np.int64)

    @property
    def months(self) -> Ints:
        """The months at whose end lists are made."""
        return self._all_months[: self.lists]

    @property
    def counted(self) -> tuple[AsOf, ...]:
        """The as-ofs whose lists are counted."""
        return self.as_ofs[self.first : self.lists]

    @property
    def until(self) -> int:
        """The last month whose falls the last list could have found before the next list: that of the next as-of."""
        months, last = self.catalogue.county.as_of_months, int(self.months[-1])
        return next(m for m in range(last + 1, last + 13) if m % 12 + 1 in months)

    @cached_property
    def row(self) -> Rows:
        """The row of each household (down) at each as-of (across); -1 where it is not watched."""
        out = np.full((len(self.households), len(self.as_ofs)), -1, np.int32)
        out[self.household, self.at] = np.arange(self.household.size, dtype=np.int32)
        return out

    @cached_property
    def last_row(self) -> Rows:
        """The last row of each household."""
        out = np.zeros(len(self.households), np.int32)
        out[self.household] = np.arange(self.household.size, dtype=np.int32)
        return out

    @cached_property
    def village_code(self) -> Ints:
        """The code of each household's village, as known last; -1 where it never was."""
        return self.stored(f"{self.catalogue.county.village}__last__ever", -1)[self.last_row]

    @cached_property
    def villages(self) -> tuple[Ints, Rows]:
        """The codes of the villages in order, and for each household the position of its own."""
        codes, at = np.unique(self.village_code, return_inverse=True)
        return codes, at.astype(np.int32)

    @property
    def township(self) -> Ints:
        """The code of each household's township; -1 where its village never was known."""
        return np.where(self.village_code < 0, -1, self.village_code // self.catalogue.review.townships)

    def stored(self, feature: str, unknown: int) -> Ints:
        """A feature of whole numbers as stored, `unknown` where it is null."""
        return np.asarray(self.histories[feature].combine_chunks().fill_null(unknown).to_numpy(), np.int64)

    @cached_property
    def previous(self) -> Rows:
        """For each row the row of the same household at the as-of before; -1 where it has none."""
        at = self.at.astype(np.int64)
        return np.where(at > 0, self.row[self.household, np.maximum(at - 1, 0)], -1)

    def row_before(self, events: Events) -> Rows:
        """For each event its household's row at the last as-of with lists before it; -1 where there is none."""
        at = np.minimum(np.searchsorted(self.months, events.month) - 1, self.lists - 1)
        return np.where(at >= 0, self.row[events.household, np.maximum(at, 0)], -1)

    def position(self, households: "pa.Array | pa.ChunkedArray") -> Ints:
        """The number of each household of a column; -1 of those who are not watched."""
        names = pd.Index(self.households.to_numpy(zero_copy_only=False))
        return np.asarray(names.get_indexer(households.to_pandas()), np.int64)

    @cached_property
    def monitored(self) -> Bools:
        """Which rows are of households in monitoring: found already, and not listed."""
        return in_monitoring(self.histories)

    @cached_property
    def below(self) -> Bools:
        """Which rows are of households that the records say are below the line."""
        return condition_holds(self.catalogue.county.below_already, self.histories, self.catalogue)[0]

    def falls_told(self) -> Events:
        """Falls as the records tell them: at risk at one as-of, fallen by the next."""
        before = self.previous
        fell = np.zeros(self.household.size, bool)
        for outcome in self.catalogue.county.outcomes.values():
            risk = risk_set(outcome, self.histories, self.catalogue)
            fell |= risk.fallen & risk.state_known & (before >= 0) & risk.at_risk[before]
        return self._events(fell)

    def _events(self, rows: Bools) -> Events:
        return Events(self.household[rows], self.month[rows])

    def dated(self, records: pa.Table) -> Events:
        """Records (household_id, event_date) as events, those of households that the panel does not have left out."""
        household = self.position(records["household_id"])
        days = records["event_date"].to_numpy().astype("datetime64[M]").astype(np.int64) + 1970 * 12
        here = household >= 0
        return Events(household[here].astype(np.int32), days[here])

    def true_falls(self, states: pa.Table) -> tuple[Events, Ints, Bools]:
        """First month-ends below the line, or with a guarantee failing, of a simulated county's true states.

        Of those who were not in monitoring at the month-end before: these had been found. With the bit of each one's
        main cause, 0 where there is none; and for each row whether its household is in such trouble, unmonitored.
        """
        frame = states.select(["household_id", "month", "below", "failing", "monitored"])
        household, month = self.position(frame["household_id"]), frame["month"].to_numpy().astype(np.int64)
        trouble = frame["below"].to_numpy() | (frame["failing"].to_numpy() > 0)
        order = np.lexsort((month, household))
        order = order[household[order] >= 0]
        h, m, t, watched = household[order], month[order], trouble[order], frame["monitored"].to_numpy()[order] > 0
        follows = np.zeros(h.size, bool)
        follows[1:] = (h[1:] == h[:-1]) & (m[1:] == m[:-1] + 1)
        fell = follows & t & ~np.roll(t, 1) & ~np.roll(watched, 1)
        cause = states["cause"].to_numpy().astype(np.int64)[order]
        now = t & ~watched
        return Events(h[fell].astype(np.int32), m[fell]), cause[fell], self._rows_of(h[now], m[now])

    def _rows_of(self, household: Ints, month: Ints) -> Bools:
        """Which rows are of these households in these months."""
        at = np.minimum(np.searchsorted(self._all_months, month), self._all_months.size - 1)
        row = np.where(self._all_months[at] == month, self.row[household, at], -1)
        out = np.zeros(self.household.size, bool)
        out[row[row >= 0]] = True
        return out

    def judged(self, events: Events) -> Events:
        """Those that are counted: of the watched, after the first counted list, until the as-of after the last."""
        inside = (events.month > self.months[self.first]) & (events.month <= self.until)
        some = events.chosen(inside)
        return some.chosen(self.row_before(some) >= 0)

    def falls_within(self, events: Events, months: int, *, known_to: int) -> tuple[Bools, Bools]:
        """For each row whether its household has an event in so many months after it, and whether that is known yet."""
        return self._next(events)[0] - self.month <= months, self.month + months <= known_to

    def code_within(self, events: Events, code: Ints, months: int) -> Ints:
        """For each row the code of its household's next event, where it comes in so many months; else 0."""
        first, at = self._next(events)
        return np.where((first - self.month <= months) & (at >= 0), code[np.maximum(at, 0)] if len(events) else 0, 0)

    def _next(self, events: Events) -> tuple[Ints, Ints]:
        """For each row the month of its household's next event after the as-of (far away: none), and which that is."""
        order = np.lexsort((events.month, events.household))
        key = events.household[order].astype(np.int64) * 100_000 + events.month[order]
        after = np.searchsorted(key, self.household.astype(np.int64) * 100_000 + self.month, side="right")
        there = np.append(key, np.iinfo(np.int64).max)[after]
        same = there // 100_000 == self.household
        return np.where(same, there % 100_000, 1_000_000), np.where(same, np.append(order, -1)[after], -1)


def needed(catalogue: Catalogue, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The features that a panel needs: what rules, outcomes, household types, and `also` some groups read."""
    county = catalogue.county
    conditions = [county.below_already, *(c for o in county.outcomes.values() for c in (*o.at_risk, o.fall))]
    conditions += [c for group in county.cohort.values() for c in group.all]
    conditions += [c for rule in catalogue.rules.values() for _, c in rule.each()]
    names = {c.feature for c in conditions} | {f"{county.village}__last__ever", MONITORED, *also}
    names |= {f"{r}__last__ever" for r in [county.line.region] if r}
    return tuple(n for n in catalogue.names() if n in names)
