"""Generated records to time with. Nobody's data, like a county in size, lateness and unevenness only."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue, Indicator

INDICATORS = 20
FIRST_DAY = np.datetime64("2021-01-01")
Numbers = npt.NDArray[np.int64]


def events(households: int, months: int, *, seed: int = 0) -> pa.Table:
    """About eight events a household and month, Zipf over 20 indicators, known 0 to 75 days later; values in fen."""
    rng = np.random.default_rng(seed)
    n = households * months * 8
    share = 1 / np.arange(1, INDICATORS + 1)
    day = rng.integers(0, int(months * 30.4375), n)
    return pa.table(
        {
            "household_id": _words([str(i) for i in range(households)], rng.integers(0, households, n)),
            "indicator": _words(
                [f"ind_{i:02d}" for i in range(INDICATORS)], rng.choice(INDICATORS, n, p=share / share.sum())
            ),
            "event_date": _dates(day),
            "known_date": _dates(day + rng.integers(0, 76, n)),
            "value": pa.array(np.rint(rng.lognormal(5, 1.5, n) * 100).astype(np.int64)),
        }
    )


def as_records(rows: pa.Table, catalogue: Catalogue) -> pa.Table:
    """The same with every column that the ledger is given."""
    n = rows.num_rows
    names = list(catalogue.indicators)
    department = [catalogue.indicators[i].department for i in names]
    told = rows["indicator"].combine_chunks()
    of_word = np.array([names.index(w) for w in told.dictionary.to_pylist()], np.int32)
    at = of_word[told.indices.to_numpy()]
    columns = {
        "person_id": pa.nulls(n, pa.string()),
        "record_id": pa.nulls(n, pa.string()),
        "until_date": pa.nulls(n, pa.date32()),
        "department": pa.DictionaryArray.from_arrays(pa.array(at), pa.array(department)),
        "delivery": pa.repeat(pa.scalar("generated"), n),
    }
    for name, column in columns.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, column)
    return rows


@dataclass
class County:
    """A county in a catalogue's own terms, month by month: a register of people who move, what is told of them.

    `per_month`: records a household and month, spread over the catalogue's indicators; one in fifty is corrected a
    month later, one in six hundred people moves in a month, and most things are known weeks late. `first`: the number
    of its first household, so that a large county can be put together from parts.
    """

    catalogue: Catalogue
    households: int
    months: int
    per_month: float = 8.0
    seed: int = 1
    first: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng((self.seed, self.first))
        self.rng = rng
        self.home = np.repeat(np.arange(self.households), rng.integers(1, 7, self.households))
        self.ids = pa.array([f"H{self.first + i:012d}" for i in range(self.households)])
        self.people = pa.array([f"P{10 * self.first + i:016d}" for i in range(self.home.size)])
        self.names = list(self.catalogue.indicators)
        self.late: pa.Table | None = None

    def deliveries(self) -> Iterator[pa.Table]:
        """One table of records a month."""
        yield from (self._month(m) for m in range(self.months))

    def _month(self, m: int) -> pa.Table:
        parts = self._register(m)
        for name, number in self._numbers(m):
            parts.append(self._told(name, number, m))
        whole = {c: np.concatenate([p[c] for p in parts]) for c in parts[0]}
        rows = pa.table(
            {
                "household_id": _words(self.ids, whole["household"]),
                "person_id": _words(self.people, whole["person"]),
                "indicator": _words(self.names, whole["indicator"]),
                "event_date": _dates(whole["day"]),
                "known_date": _dates(whole["known"]),
                "value": pa.array(whole["value"]),
            }
        )
        table = as_records(rows, self.catalogue)
        corrected, self.late = self.late, self._corrections(table)
        return pa.concat_tables([table, corrected]) if corrected is not None else table

    def _numbers(self, m: int) -> list[tuple[str, int]]:
        """How many records of each indicator a month brings: money and levels many, events and statuses few."""
        told = {
            n: i
            for n, i in self.catalogue.indicators.items()
            if n not in (self.catalogue.county.membership, self.catalogue.county.village, "members", "born")
        }
        weight = {n: _WEIGHT[i.kind] / (1 + k % 7) for k, (n, i) in enumerate(told.items())}
        scale = self.per_month * self.households / sum(weight.values())
        return [(n, max(1, int(w * scale))) for n, w in weight.items()]

    def _register(self, m: int) -> list[dict[str, Numbers]]:
        county, rng = self.catalogue.county, self.rng
        everyone, all_homes = np.arange(self.home.size), np.arange(self.households)
        if m == 0:
            place = 360121000000 + 1000 * (1 + all_homes // 4000) + 1 + (all_homes // 300) % 13
            parts = [
                self._rows(county.village, all_homes, None, np.zeros(self.households, int), place),
                self._rows(
                    "members",
                    all_homes,
                    None,
                    np.zeros(self.households, int),
                    np.bincount(self.home, minlength=self.households),
                ),
            ]
            if county.membership:
                parts.append(self._rows(county.membership, self.home, everyone, 0 * everyone, 1 + everyone % 3))
            if "born" in self.catalogue.indicators:
                parts.append(
                    self._rows("born", self.home, everyone, -rng.integers(30, 30000, self.home.size), 1 + 0 * everyone)
                )
            return parts
        movers = np.flatnonzero(rng.random(self.home.size) < 1 / 600)
        self.home[movers] = rng.integers(0, self.households, movers.size)
        if not county.membership or not movers.size:
            return []
        return [self._rows(county.membership, self.home[movers], movers, self._days(m, movers.size), 1 + 0 * movers)]

    def _told(self, name: str, number: int, m: int) -> dict[str, Numbers]:
        indicator, rng = self.catalogue.indicators[name], self.rng
        day = self._days(m, number)
        if indicator.grain == "person":
            who = rng.integers(0, self.home.size, number)
            return self._rows(name, self.home[who], who, day, self._values(indicator, number))
        return self._rows(name, rng.integers(0, self.households, number), None, day, self._values(indicator, number))

    def _values(self, indicator: Indicator, n: int) -> Numbers:
        if indicator.kind == "amount":
            return np.rint(self.rng.lognormal(6, 1.2, n) * 10**indicator.decimals).astype(np.int64)
        if indicator.codes:
            return self.rng.choice(np.array(list(indicator.codes)), n)
        return self.rng.integers(1, 4, n)

    def _days(self, m: int, n: int) -> Numbers:
        return int(m * 30.4375) + self.rng.integers(0, 30, n)

    def _rows(
        self, name: str, household: Numbers, person: Numbers | None, day: Numbers, value: Numbers
    ) -> dict[str, Numbers]:
        return {
            "household": household,
            "person": np.full(day.size, -1) if person is None else person,
            "indicator": np.full(day.size, self.names.index(name)),
            "day": day,
            "known": np.maximum(day, 0) + self.rng.integers(0, 45, day.size),
            "value": value.astype(np.int64),
        }

    def _corrections(self, table: pa.Table) -> pa.Table:
        chosen = table.take(pa.array(np.flatnonzero(self.rng.random(table.num_rows) < 0.02)))
        known = chosen["known_date"].cast(pa.int32()).to_numpy() + 31
        chosen = chosen.set_column(
            chosen.column_names.index("known_date"), "known_date", pa.array(known).cast(pa.date32())
        )
        value = chosen["value"].to_numpy()
        return chosen.set_column(
            chosen.column_names.index("value"), "value", pa.array(np.where(value > 9, value + 7, value))
        )


_WEIGHT = {"amount": 1.0, "level": 0.6, "count": 0.3, "event": 0.05, "status": 0.02}


def _words(words: list[str] | pa.Array, at: Numbers) -> pa.DictionaryArray:
    places = pa.array(at.astype(np.int32), mask=at < 0)
    return pa.DictionaryArray.from_arrays(places, pa.array(words, pa.string()) if isinstance(words, list) else words)


def _dates(day: Numbers) -> pa.Array:
    return pa.array((FIRST_DAY + day.astype("timedelta64[D]")).astype("datetime64[D]"))
