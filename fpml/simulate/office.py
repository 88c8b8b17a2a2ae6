"""What becomes known of a township, when: the records that departments, banks and the register would tell.

A fact waits here from the month in which it happens to the month in which its department tells of it. Statuses are
followed: where a code changed since it was told, the old one is told again with its last day, and the new one begun.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.simulate.draws import Bools, Draws, Ints

NOBODY = -1
_EPOCH = 1970 * 12
FIELDS = ("household", "person", "indicator", "event_date", "until_date", "known_date", "value")
OPEN = np.iinfo(np.int64).min
WITHDRAWN = np.iinfo(np.int64).min


def days_of(month: Ints | int, day: Ints | int) -> Ints:
    """Days since 1970 of a day in a month."""
    months = np.asarray(np.asarray(month) - _EPOCH).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + np.asarray(day) - 1


@dataclass
class Told:
    """What was last told of a status: the code by row, its first day, and the household it was told of."""

    code: Ints
    since: Ints
    home: Ints
    known: Ints  # month in which that becomes known: what ends it is told later

    @classmethod
    def nothing(cls) -> "Told":
        """Nothing told yet of anybody."""
        return cls(*(np.zeros(0, np.int64) for _ in range(4)))

    def reach(self, size: int) -> None:
        """Makes room for rows that have come since."""
        more = size - self.code.size
        if more > 0:
            self.code, self.since, self.known = (
                np.concatenate([c, np.zeros(more, np.int64)]) for c in (self.code, self.since, self.known)
            )
            self.home = np.concatenate([self.home, np.full(more, NOBODY)])


@dataclass
class Office:
    """The waiting facts of one township."""

    catalogue: Catalogue
    draws: Draws  # of the month
    opening: bool = True
    late: float = 0.03
    corrected: float = 0.003
    waiting: dict[int, list[tuple[Ints, ...]]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    levels: dict[str, Ints] = field(default_factory=dict)

    def tell(
        self, indicator: str, value: Ints, *, homes: Ints, people: Ints | None = None, day: Ints | int | None = None
    ) -> None:
        """Facts of this month: `value` in the ledger's unit (fen), one per household or person given."""
        n, month = len(homes), self.draws.month
        if not n:
            return
        rng = self.draws.of(f"tell {indicator}")
        days = rng.integers(1, 29, n) if day is None else np.broadcast_to(np.asarray(day, np.int64), n)
        event = days_of(month, days)
        known = self._known(indicator, rng, days)
        who = np.full(n, NOBODY) if people is None else people
        nothing = np.full(n, OPEN)
        definition = self.catalogue.indicators[indicator]
        if definition.kind == "amount" and self.corrected:
            value, mended = self._typing(rng, value, known)
            for rows, right, when in mended:
                self._wait(indicator, homes[rows], who[rows], event[rows], nothing[rows], right, when)
        self._wait(indicator, homes, who, event, nothing, value, known)

    def follow(self, indicator: str, code: Ints, *, homes: Ints, born: Ints | None = None, shift: int = 0) -> None:
        """Brings a status up to date: `code` of each row now (0: it does not hold), told of the household given.

        `born`: days of birth, where it is told of persons. The ledger gets `code - shift`, where 0 itself is a code.
        In the first month of all, what holds is told with a day in the past.
        """
        told = self.told.setdefault(indicator, Told.nothing())
        told.reach(code.size)
        # What somebody is or has goes along to another household; only membership itself ends there.
        moved = (told.home != homes) & (indicator == self.catalogue.county.membership)
        rows = np.flatnonzero((told.code != code) | ((told.code != 0) & moved))
        if not rows.size:
            return
        rng = self.draws.of(f"follow {indicator}")
        days = rng.integers(1, 8, rows.size)
        begin = days_of(self.draws.month, days)
        if self.opening:
            begin = days_of(self.draws.month - rng.integers(3, 72, rows.size), days)
        if born is not None:
            begin = np.maximum(begin, born[rows])
        was = told.code[rows] != 0
        begin = np.where(was, np.maximum(begin, told.since[rows] + 1), begin)
        known = np.maximum(self._known(indicator, rng, days), told.known[rows] + was)
        known += begin > days_of(known, delivery_day(self.catalogue.indicators[indicator].department))
        who = rows if born is not None else np.full(rows.size, NOBODY)
        old, starts = rows[was], code[rows] != 0
        self._wait(
            indicator, told.home[old], who[was], told.since[old], begin[was] - 1, told.code[old] - shift, known[was]
        )
        new = rows[starts]
        still = np.full(new.size, OPEN)
        self._wait(indicator, homes[new], who[starts], begin[starts], still, code[new] - shift, known[starts])
        told.code[rows], told.since[rows], told.home[rows], told.known[rows] = code[rows], begin, homes[rows], known

    def beside(self, indicator: str, code: Ints, *, of: str) -> None:
        """Tells a household's status in the same row as another (`of`), just followed: same days, same delivery.

        It begins and ends with that one, and keeps the code that it began with.
        """
        lead, told = self.told[of], self.told.setdefault(indicator, Told.nothing())
        told.reach(code.size)
        rows = np.flatnonzero(told.since != lead.since)
        begin, known, now = lead.since[rows], lead.known[rows], np.where(lead.code[rows] != 0, code[rows], 0)
        was, starts = told.code[rows] != 0, now != 0
        nobody = np.full(rows.size, NOBODY)
        ended = told.home[rows], nobody, told.since[rows], begin - 1, told.code[rows], known
        begun = lead.home[rows], nobody, begin, np.full(rows.size, OPEN), now, known
        for which, facts in ((was, ended), (starts, begun)):
            self._wait(indicator, *(column[which] for column in facts))
        told.code[rows], told.since[rows], told.home[rows], told.known[rows] = now, begin, lead.home[rows], known

    def level(self, indicator: str, value: Ints, *, active: Bools) -> None:
        """Tells of a household's level where it is not what was told last."""
        last = self.levels.get(indicator, np.zeros(0, np.int64))
        last = np.concatenate([last, np.full(value.size - last.size, NOBODY)])
        rows = np.flatnonzero(active & (last != value))
        self.tell(indicator, value[rows], homes=rows, day=1)
        last[rows] = value[rows]
        self.levels[indicator] = last

    def births(self, rows: Ints, *, homes: Ints, born: Ints) -> None:
        """Tells the days of birth of people who are new to the register."""
        known = np.full(rows.size, self.draws.month)
        known += born > days_of(self.draws.month, delivery_day("register"))
        one, still = np.ones(rows.size, np.int64), np.full(rows.size, OPEN)
        self._wait("born", homes, rows, born, still, one, known)

    def known_now(self) -> dict[str, Ints]:
        """Takes out what becomes known this month: columns of FIELDS, household by household."""
        parts = self.waiting.pop(self.draws.month, [])
        if not parts:
            return {name: np.zeros(0, np.int64) for name in FIELDS}
        columns = [np.concatenate([p[i] for p in parts]) for i in range(len(FIELDS))]
        return dict(zip(FIELDS, columns, strict=True))

    def _known(self, indicator: str, rng: np.random.Generator, days: Ints) -> Ints:
        """The months in which these facts become known: the department's usual delay, and for a few some more."""
        definition = self.catalogue.indicators[indicator]
        delay = np.full(days.size, definition.usual_lag_months)
        late = rng.random(days.size)
        delay += (late < self.late) + (late < self.late / 3)
        delay += (delay == 0) & (days > delivery_day(definition.department))
        return self.draws.month + delay

    def _typing(self, rng: np.random.Generator, value: Ints, known: Ints) -> tuple[Ints, list[tuple[Ints, Ints, Ints]]]:
        """A few amounts are first told wrong and put right later; fewer are taken back and told again."""
        luck = rng.random(value.size)
        wrong = np.flatnonzero(luck < self.corrected)
        if not wrong.size:
            return value, []
        said = value.copy()
        shift = rng.integers(0, 3, wrong.size)
        said[wrong] = np.select(
            [shift == 0, shift == 1], [value[wrong] * 10, value[wrong] // 10], value[wrong] + 10_000
        )
        mended = [(wrong, value[wrong], known[wrong] + 1 + (luck[wrong] < self.corrected / 3))]
        taken = wrong[luck[wrong] < self.corrected / 10]
        if taken.size:
            mended.append((taken, np.full(taken.size, WITHDRAWN), known[taken] + 1))
        return said, mended

    def _wait(self, indicator: str, home: Ints, who: Ints, event: Ints, until: Ints, value: Ints, known: Ints) -> None:
        code = self.catalogue.codes[indicator]
        day = delivery_day(self.catalogue.indicators[indicator].department)
        for month in np.unique(known):
            m = int(month)
            at = known == month
            count = int(at.sum())
            parts = (home[at], who[at], np.full(count, code), event[at], until[at],
                     np.full(count, int(days_of(m, day))), value[at])  # fmt: skip
            self.waiting.setdefault(m, []).append(parts)


def delivery_day(department: str) -> int:
    """The day of the month on which a department delivers: the same every month, assumed."""
    return 8 + sum(department.encode()) % 18


def table(columns: dict[str, Ints], names: list[str]) -> pa.Table:
    """Columns of FIELDS as an Arrow table in real types; `names` of the indicators by code."""

    def dates(days: Ints) -> pa.Array:
        return pa.array(np.where(days == OPEN, 0, days).astype(np.int32), mask=days == OPEN).cast(pa.date32())

    indicator = pa.DictionaryArray.from_arrays(columns["indicator"].astype(np.int32), pa.array(names))
    value = columns["value"]
    return pa.table(
        {
            "household": pa.array(columns["household"], pa.int64()),
            "person": pa.array(columns["person"], pa.int64()),
            "indicator": indicator,
            "event_date": dates(columns["event_date"]),
            "until_date": dates(columns["until_date"]),
            "known_date": dates(columns["known_date"]),
            "value": pa.array(value, pa.int64(), mask=value == WITHDRAWN),
            "record_id": pa.array(np.full(value.size, NOBODY), pa.int64()),
        }
    )
