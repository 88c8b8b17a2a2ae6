"""Rows as delivered -> records, or a reason why not. Each refused row has one reason, the first that applies."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.intake.read import text
from fpml.ledger import Ledger, fact_keys, indicator_codes, words_of

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
    "until_before_event": "The last day lies before the first: check both dates.",
    "until_not_expected": "Only a status goes on until a day: leave until_date empty.",
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
# Tags under which persons and households are hashed apart.
_PERSON, _HOUSEHOLD = np.uint64(1), np.uint64(2)
EARLIEST, LATEST = date(1900, 1, 1), date(2100, 1, 1)


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
    until, point = _until(rows["until_date"], event, sort)
    goes_on = of_indicator([k.kind == "status" for k in kinds], bool).astype(bool)
    sort.refuse(~goes_on & ~point, "until_not_expected")
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
            "until_date": until,
            "known_date": known,
            "value": pa.array(value, pa.int64(), mask=withdrawn | ~sort.open),
            "department": departments.take(pa.array(at)),
        }
    )
    return typed, sort


def compare(typed: pa.Table, sort: "_Sorter", ledger: Ledger, catalogue: Catalogue) -> Checked:
    """What of the checked rows is new to the ledger: versions known already are counted, contradictions refused."""
    candidates = np.flatnonzero(sort.open)
    new = typed if candidates.size == typed.num_rows else typed.take(pa.array(candidates))
    if not candidates.size:
        return Checked(new, sort.reason, 0)
    old = ledger.versions_of(new) if ledger.version >= 0 else new.slice(0, 0)
    both = _Versions.of(old, new, catalogue.county.membership)
    order = both.order()
    # A numbered record belongs to whom it was told of first: in the ledger, or else in this delivery.
    begins = np.ones(order.size, bool)
    begins[1:] = both.fact[order][1:] != both.fact[order][:-1]
    owner = both.who[np.minimum.reduceat(order, np.flatnonzero(begins))][np.cumsum(begins) - 1]
    elsewhere = (order >= both.old) & (both.who[order] != owner)
    sort.reason[candidates[order[elsewhere] - both.old]] = NUMBER["other_household"]
    order = order[~elsewhere]
    fact, known = both.fact[order], both.known[order]
    fresh = order >= both.old
    starts = np.ones(order.size, bool)
    starts[1:] = (fact[1:] != fact[:-1]) | (known[1:] != known[:-1])
    group = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)[group]
    same = (both.value[order] == both.value[order][first]) & (both.until[order] == both.until[order][first])
    same &= both.home[order] == both.home[order][first]
    quarrel = np.zeros(group.max(initial=-1) + 1, bool)
    quarrel[group[~same]] = True
    conflict = fresh & np.where(~fresh[first], ~same, quarrel[group])
    known_already = fresh & ~conflict & (np.arange(order.size) != first)
    sort.reason[candidates[order[conflict] - both.old]] = NUMBER["conflict"]
    sort.reason[candidates[order[known_already] - both.old]] = ALREADY_KNOWN
    accepted = fresh & ~conflict & ~known_already
    standing = np.flatnonzero(accepted | ~fresh)
    corrected = int((accepted[standing[1:]] & (fact[standing[1:]] == fact[standing[:-1]])).sum())
    return Checked(typed.filter(pa.array(sort.open)), sort.reason, corrected)


@dataclass(frozen=True)
class _Versions:
    """The ledger's versions of the facts told now, then the rows told now, as numbers."""

    old: int
    fact: npt.NDArray[np.int64]
    known: npt.NDArray[np.int32]
    value: npt.NDArray[np.int64]
    until: npt.NDArray[np.int32]
    who: npt.NDArray[np.int64]
    home: npt.NDArray[np.int64]

    @classmethod
    def of(cls, old: pa.Table, new: pa.Table, membership: str | None) -> "_Versions":
        fact = np.concatenate([old["fact"].to_numpy(), fact_keys(new)]) if old.num_rows else fact_keys(new)
        parts = [t for t in (old, new) if t.num_rows]

        def numbers(name: str, none: int, dtype: type) -> npt.NDArray[Any]:
            columns = [t[name].cast(pa.int32() if name.endswith("date") else pa.int64()) for t in parts]
            return np.concatenate([pc.fill_null(c, none).to_numpy() for c in columns]).astype(dtype)

        return cls(
            old.num_rows,
            fact,
            numbers("known_date", 0, np.int32),
            numbers("value", np.iinfo(np.int64).min, np.int64),
            numbers("until_date", np.iinfo(np.int32).max, np.int32),
            np.concatenate([_who(t) for t in parts]),
            np.concatenate([_home(t, membership) for t in parts]),
        )

    def order(self) -> npt.NDArray[np.int64]:
        """By fact, then by when it became known, then as they came: the ledger's before those told now."""
        by_fact = np.argsort(self.fact, kind="stable")
        fact = self.fact[by_fact]
        several = np.zeros(fact.size + 1, bool)
        several[1:-1] = fact[1:] == fact[:-1]
        # Nearly every fact has one version: only where there are more must they be put in order.
        more = np.flatnonzero(several[1:] | several[:-1])
        rows = by_fact[more]
        by_fact[more] = rows[np.lexsort((rows, self.known[rows], self.fact[rows]))]
        return by_fact


def _who(table: pa.Table) -> npt.NDArray[np.int64]:
    """Whom each row tells of, the person or else the household, as a number that is the same in every table."""
    person, household = words_of(table["person_id"]), words_of(table["household_id"])
    return np.where(person.at >= 0, person.hashes(_PERSON), household.hashes(_HOUSEHOLD)).view(np.int64)


def _home(table: pa.Table, membership: str | None) -> npt.NDArray[np.int64]:
    """The household that a statement of membership names, as a number; 0 for all else, where it is but a fallback."""
    codes = indicator_codes(table["indicator"], {membership: 0} if membership else {})
    return np.where(codes == 0, words_of(table["household_id"]).hashes(_HOUSEHOLD).view(np.int64), 0)


def _until(column: pa.ChunkedArray, event: Any, sort: "_Sorter") -> tuple[Any, Bools]:
    """The last days as dates, null where none is told; and which rows tell none."""
    if pa.types.is_temporal(column.type):
        far = pc.greater_equal(column.cast(pa.date32(), safe=False), pa.scalar(LATEST))
        none = _bools(pc.or_kleene(pc.is_null(column), far))
    else:
        words = text(column)
        # 9999-12-31 and the like are how some systems write that a status goes on.
        endless = pc.match_substring_regex(words.dictionary, r"^(2[1-9]|[3-9]\d)\d\d-\d\d-\d\d$").take(words.indices)
        none = _bools(pc.or_kleene(pc.is_null(words), endless))
    if none.all():
        return pa.nulls(none.size, pa.date32()), none
    column = pc.if_else(
        pa.array(none),
        None,
        column.cast(pa.date32(), safe=False) if pa.types.is_temporal(column.type) else text(column).cast(pa.string()),
    )
    until = _dates(pa.chunked_array([column]) if isinstance(column, pa.Array) else column)
    sort.refuse(_bools(pc.is_null(until)) & ~none, "bad_date")
    sort.refuse(_bools(pc.fill_null(pc.less(until, event), False)), "until_before_event")
    return until, none


def _bools(column: pa.Array | pa.ChunkedArray) -> Bools:
    """A column of truth values, null taken as false."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(pc.fill_null(whole, False).to_numpy(zero_copy_only=False), bool)


def _dates(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Days, null where the cell is not one."""
    if pa.types.is_temporal(column.type):
        day = column.cast(pa.date32(), safe=False)
        inside = pc.and_(pc.greater_equal(day, pa.scalar(EARLIEST)), pc.less(day, pa.scalar(LATEST)))
        return pc.if_else(inside, day, None)
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
