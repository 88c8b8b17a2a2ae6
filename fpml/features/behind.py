"""The records that a feature of one household was reduced from: what a person who doubts it would want to see."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import EVER, Catalogue, Feature
from fpml.dates import AsOf, month_of
from fpml.ledger import days, latest

# Of these a later statement of the same person replaces the earlier one; of those below one record is told.
STATES = ("holding", "duration", "last", "months_since")
EXTREMES = {"max": max, "min": min}


@dataclass(frozen=True, order=True)
class Behind:
    """One record behind a feature, as it stood at the as-of; `value` in its indicator's unit. Of whom is not told."""

    indicator: str
    event_date: date
    known_date: date
    until_date: date | None
    value: Decimal


Row = dict[str, Any]


def records_behind(name: str, household: str, table: pa.Table, as_of: AsOf, catalogue: Catalogue) -> tuple[Behind, ...]:
    """The records behind a feature, derived or not, in order; none where the feature is of a place or of the calendar.

    `table` holds the ledger's rows of the household and of the people told of with it (`features.COLUMNS`).
    """
    rows = _standing(household, table, as_of)
    found: dict[Behind, None] = {}
    for base in sorted(catalogue.needed_for([name])):
        f = catalogue.features[base]
        for r in _reduced(f, _within(f, household, rows, as_of, catalogue)):
            value = Decimal(r["value"]).scaleb(-catalogue.indicators[f.indicator].decimals)
            found[Behind(f.indicator, r["event_date"], r["known_date"], r["until_date"], value)] = None
    return tuple(sorted(found, key=lambda b: (b.indicator, b.event_date, b.known_date)))


def _standing(household: str, table: pa.Table, as_of: AsOf) -> list[Row]:
    """The latest version known at the as-of of each fact of the household's and of the people told of with it."""
    table = table.filter(pc.less_equal(table["known_date"], pa.scalar(as_of.date)))
    mine = pc.equal(table["household_id"].cast(pa.string()), household)
    people = pc.unique(table.filter(mine)["person_id"].cast(pa.string())).drop_null()
    theirs = pc.is_in(table["person_id"].cast(pa.string()), value_set=people)
    table = table.filter(pc.or_(mine, theirs))
    chosen = table.take(pa.array(latest(table["fact"].to_numpy(), days(table["known_date"]))))
    rows: list[Row] = chosen.filter(pc.is_valid(chosen["value"])).to_pylist()
    return rows


def _within(f: Feature, household: str, rows: list[Row], as_of: AsOf, catalogue: Catalogue) -> Iterator[Row]:
    """The records of a feature's window that belong to the household."""
    end = as_of.month - f.window.ago
    start = end - (end % 12 if f.window.to_date else f.window.length - 1)
    start = min(start, 0) if f.window.length >= EVER else start
    follows = catalogue.indicators[f.indicator].follows
    member = catalogue.county.membership
    for r in rows:
        if r["indicator"] == f.indicator and start <= month_of(r["event_date"]) <= end:
            day = AsOf(end).date if follows else r["event_date"]
            said = [s for s in rows if s["indicator"] == member and s["person_id"] == r["person_id"]]
            if _home(r, said, day, follows=follows) == household:
                yield r


def _home(record: Row, said: list[Row], day: date, *, follows: bool) -> str | None:
    """The household that a record belongs to on a day, by what the register said of its person; see `membership`."""
    if record["person_id"] is None or not said:
        return str(record["household_id"])
    said = sorted(said, key=lambda s: (s["event_date"], s["known_date"]))
    stood = [s for s in said if s["event_date"] <= day] or said[:1]
    if follows and stood[-1]["until_date"] is not None and stood[-1]["until_date"] < day:
        return None
    return str(stood[-1]["household_id"])


def _reduced(f: Feature, rows: Iterable[Row]) -> list[Row]:
    """Those of a window's records that decide its reduction: of a highest the highest, of the latest the latest."""
    rows = sorted(rows, key=lambda r: (r["event_date"], r["known_date"]))
    if not rows:
        return rows
    if f.reduction in EXTREMES:
        extreme = EXTREMES[f.reduction](r["value"] for r in rows)
        return [r for r in rows if r["value"] == extreme]
    if f.reduction == "holding":
        newest = list({r["person_id"]: r for r in rows}.values())
        return [r for r in newest if r["value"] > 0]
    return rows[-1:] if f.reduction in STATES else rows
