"""Rows as delivered -> records, or a reason why not. Each refused row has one reason, the first that applies."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.intake.read import text
from fpml.ledger import days, identities, indicator_codes, ranked

Bools = npt.NDArray[np.bool_]
PLACES = 4
REASONS = {
    "torn_row": "The row has too few or too many cells: deliver it again.",
    "no_household": "Say which household the fact belongs to.",
    "unknown_indicator": "Mend the indicator's name, or add it to policy/indicators.yaml.",
    "no_person": "The indicator is told for each person: say whom.",
    "person_not_expected": "The indicator is told for the household: leave person_id empty.",
    "bad_date": "Write dates as 2024-03-05.",
    "event_after_known": "A fact cannot be known before it happened: check both dates.",
    "known_in_future": "The known date lies after the day of intake: check it.",
    "not_a_number": "Write the value as digits, with a point for decimals.",
    "too_many_decimals": "Round to the decimals that the indicator has.",
    "out_of_range": "The number is too large to be true: check it and its unit.",
    "negative": "The value cannot be below zero.",
    "no_event": "An event is told when it happened: leave the row out, or withdraw the record.",
    "unknown_code": "Use one of the codes in policy/indicators.yaml.",
    "other_household": "The record was told of another household: withdraw it there, and send it with a new number.",
    "conflict": "Two values for one fact, known on the same day: send the right one with a later known date.",
}
LARGEST = 10**12
EARLIEST = date(1900, 1, 1)


ACCEPTED, ALREADY_KNOWN = 0, 1
NUMBER = {name: i for i, name in enumerate(REASONS, start=2)}


@dataclass(frozen=True)
class Checked:
    """A delivery sorted out: records to append, and each row's reason (ACCEPTED, ALREADY_KNOWN or a NUMBER)."""

    accepted: pa.Table
    reason: npt.NDArray[np.int8]
    corrected: int

    def count(self, reason: int) -> int:
        """How many rows have this reason."""
        return int((self.reason == reason).sum())


class _Sorter:
    """Gives each row its first reason."""

    def __init__(self, size: int) -> None:
        self.reason = np.zeros(size, np.int8)

    def refuse(self, where: Bools, reason: str) -> None:
        """Marks the rows, but for those that have a reason already."""
        if where.any():
            self.reason[where & (self.reason == ACCEPTED)] = NUMBER[reason]

    @property
    def open(self) -> Bools:
        """Which rows have no reason against them so far."""
        return np.asarray(self.reason == ACCEPTED, bool)


def check(rows: pa.Table, catalogue: Catalogue, *, today: date) -> tuple[pa.Table, "_Sorter"]:
    """The rows with typed columns (null where refused), and the reasons so far; the ledger has not been asked yet."""
    sort = _Sorter(rows.num_rows)
    sort.refuse(_bools(rows["torn"]), "torn_row")
    household, person, record = (text(rows[c]) for c in ("household_id", "person_id", "record_id"))
    indicator = text(rows["indicator"])
    sort.refuse(_bools(pc.is_null(household)), "no_household")
    names = list(catalogue.indicators)
    code = pc.index_in(indicator.dictionary, value_set=pa.array(names)).take(indicator.indices)
    sort.refuse(_bools(pc.is_null(code)), "unknown_indicator")
    at = pc.fill_null(code, 0).to_numpy()

    def of_indicator(values: list[object], dtype: type) -> npt.NDArray[np.generic]:
        return np.array(values, dtype)[at]

    kinds = [catalogue.indicators[n] for n in names]
    personal = of_indicator([k.grain == "person" for k in kinds], bool).astype(bool)
    has_person = _bools(pc.is_valid(person))
    sort.refuse(personal & ~has_person, "no_person")
    sort.refuse(~personal & has_person, "person_not_expected")

    event, known = _dates(rows["event_date"]), _dates(rows["known_date"])
    sort.refuse(_bools(pc.or_(pc.is_null(event), pc.is_null(known))), "bad_date")
    sort.refuse(_bools(pc.fill_null(pc.greater(event, known), False)), "event_after_known")
    sort.refuse(_bools(pc.fill_null(pc.greater(known, pa.scalar(today, pa.date32())), False)), "known_in_future")

    decimals = of_indicator([k.decimals for k in kinds], np.int64).astype(np.int64)
    value, withdrawn = _values(rows["value"], decimals, sort)
    unsigned = of_indicator([k.kind in ("count", "status", "event") for k in kinds], bool).astype(bool)
    sort.refuse(unsigned & (value < 0), "negative")
    happened = of_indicator([k.kind == "event" for k in kinds], bool).astype(bool)
    sort.refuse(happened & (value == 0) & ~withdrawn, "no_event")
    for i, kind in enumerate(kinds):
        if kind.codes is not None:
            sort.refuse((at == i) & ~np.isin(value, list(kind.codes)) & ~withdrawn, "unknown_code")
    departments = pa.array([k.department for k in kinds]).dictionary_encode()
    typed = pa.table(
        {
            "household_id": household,
            "person_id": person,
            "indicator": indicator,
            "record_id": record,
            "event_date": event,
            "known_date": known,
            "value": pa.array(value, pa.int64(), mask=withdrawn | ~sort.open),
            "department": departments.take(pa.array(at)),
        }
    )
    return typed, sort


def compare(typed: pa.Table, sort: "_Sorter", ledger: pa.Table | None, catalogue: Catalogue) -> Checked:
    """What of the checked rows is new to the ledger: versions known already are counted, contradictions refused."""
    candidates = np.flatnonzero(sort.open)
    new = typed.take(pa.array(candidates))
    columns = ["household_id", "person_id", "indicator", "record_id", "event_date", "known_date", "value"]
    old = ledger.select(columns) if ledger is not None else new.select(columns).slice(0, 0)
    old = old.filter(pc.is_in(old["indicator"], value_set=pa.array(list(catalogue.codes)))).cast(
        new.select(columns).schema
    )
    both = pa.concat_tables([old, new.select(columns)], promote_options="permissive")
    value = pc.fill_null(both["value"], np.iinfo(np.int64).min).to_numpy()
    who, known = identities(both, catalogue.codes), days(both["known_date"])
    order = np.lexsort((np.arange(who.size), known, who))
    fresh = order >= old.num_rows
    starts = np.ones(order.size, bool)
    starts[1:] = (who[order][1:] != who[order][:-1]) | (known[order][1:] != known[order][:-1])
    group = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)[group]
    same = value[order] == value[order][first]
    in_ledger = ~fresh[first]
    quarrel = np.zeros(group.max(initial=-1) + 1, bool)
    np.logical_or.at(quarrel, group[~same], True)
    conflict = fresh & (np.where(in_ledger, ~same, quarrel[group]))
    elsewhere = fresh & _told_of_another(both, catalogue)[order]
    conflict &= ~elsewhere
    known_already = fresh & ~conflict & ~elsewhere & (np.arange(order.size) != first)
    for where, reason in (
        (conflict, NUMBER["conflict"]),
        (elsewhere, NUMBER["other_household"]),
        (known_already, ALREADY_KNOWN),
    ):
        sort.reason[candidates[order[where] - old.num_rows]] = reason
    accepted = fresh & ~conflict & ~elsewhere & ~known_already
    standing = np.flatnonzero(accepted | ~fresh)
    again = who[order][standing[1:]] == who[order][standing[:-1]]
    corrected = int((again & accepted[standing[1:]]).sum())
    return Checked(typed.filter(pa.array(sort.open)), sort.reason, corrected)


def _told_of_another(both: pa.Table, catalogue: Catalogue) -> Bools:
    """Numbered records that came first, in the ledger or in this delivery, for another household."""
    _, told = ranked(both["record_id"])
    _, household = ranked(both["household_id"])
    numbered = np.flatnonzero(told >= 0)
    out = np.zeros(both.num_rows, bool)
    if numbered.size:
        record = told[numbered] * 4096 + indicator_codes(both["indicator"], catalogue.codes)[numbered]
        _, first, where = np.unique(record, return_index=True, return_inverse=True)
        out[numbered] = household[numbered] != household[numbered][first][where]
    return out


def _bools(column: pa.Array | pa.ChunkedArray) -> Bools:
    """A column of truth values, null taken as false."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(pc.fill_null(whole, False).to_numpy(zero_copy_only=False), bool)


def _dates(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Days, null where the cell is not one."""
    if pa.types.is_temporal(column.type):
        day = column.cast(pa.date32(), safe=False)
        return pc.if_else(pc.greater_equal(day, pa.scalar(EARLIEST)), day, None)
    words = text(column)
    shaped = pc.match_substring_regex(words.dictionary, r"^(19|20)\d\d-\d\d-\d\d$")
    day = pc.strptime(pc.if_else(shaped, words.dictionary, None), format="%Y-%m-%d", unit="s", error_is_null=True)
    # The thirtieth of February is read as the first of March: what does not come back as it was is no date.
    same = pc.equal(pc.strftime(day, format="%Y-%m-%d"), words.dictionary)
    return pc.if_else(same, day.cast(pa.date32(), safe=False), None).take(words.indices)


def _values(
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], sort: "_Sorter"
) -> tuple[npt.NDArray[np.int64], Bools]:
    """Values as integers in stored units, and which rows withdraw their record (the word `withdrawn`)."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _from_numbers(column, decimals, sort)
    cells = text(column)
    words, at = cells.dictionary, pc.fill_null(cells.indices, 0).to_numpy(zero_copy_only=False)
    empty = _bools(pc.is_null(cells))
    if not len(words):
        words = pa.array([""])

    def rows(of_word: pa.Array) -> Bools:
        return _bools(of_word)[at] & ~empty

    number = rows(pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,12})?$"))
    withdrawn = rows(pc.equal(words, "withdrawn"))
    sort.refuse(~number & ~withdrawn, "not_a_number")
    in_range = pc.match_substring_regex(words, r"^[+-]?0*\d{1,12}(\.\d*)?$")
    sort.refuse(number & ~rows(in_range), "out_of_range")
    exact = pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,4}0*)?$")
    sort.refuse(number & ~rows(exact), "too_many_decimals")
    plain = pc.if_else(pc.and_(in_range, exact), words, "0")
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    plain = pc.replace_substring_regex(plain, r"^(-?\d+\.\d{1,4})0*$", r"\1")
    shifted = pc.multiply(plain.cast(pa.decimal128(20, PLACES)), pa.scalar(10**PLACES, pa.decimal128(5, 0)))
    value = shifted.cast(pa.decimal128(38, 0)).cast(pa.int64()).to_numpy()[at]
    step = 10 ** (PLACES - decimals)
    sort.refuse(value % step != 0, "too_many_decimals")
    return value // step, withdrawn


def _from_numbers(
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], sort: "_Sorter"
) -> tuple[npt.NDArray[np.int64], Bools]:
    """The same for a column of numbers: a float must lie within a millionth of a stored unit.

    An empty cell is no number: to withdraw a record, the column is delivered as text.
    """
    raw = pc.fill_null(column, 0).to_numpy()
    finite = np.isfinite(raw) & _bools(pc.is_valid(column))
    sort.refuse(~finite, "not_a_number")
    large = finite & ((raw >= LARGEST) | (raw <= -LARGEST))
    sort.refuse(large, "out_of_range")
    shifted = np.where(finite & ~large, raw, 0) * 10.0**decimals
    value = np.rint(shifted).astype(np.int64)
    precision = 1e-7 if column.type in (pa.float32(), pa.float16()) else 1e-12
    sort.refuse(np.abs(shifted - value) > np.maximum(1e-6, np.abs(shifted) * precision), "too_many_decimals")
    return value, np.zeros(value.size, bool)
