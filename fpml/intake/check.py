"""Rows as delivered -> records, or a reason why not. Each refused row has exactly one reason, the first that applies."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.intake.read import text
from fpml.ledger import days, identities

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
    "unknown_code": "Use one of the codes in policy/indicators.yaml.",
    "conflict": "Two different values for the same fact, known on the same day: send the right one with a later known date.",
}
LARGEST = 10**12


@dataclass(frozen=True)
class Checked:
    """A delivery sorted out: records to append, and each other row's reason (`already_known` is no fault)."""

    accepted: pa.Table
    rows: pa.Table
    reason: npt.NDArray[np.object_]
    corrected: int

    def count(self, reason: str) -> int:
        """How many rows have this reason ('' is accepted)."""
        return int((self.reason == reason).sum())


class _Sorter:
    """Gives each row its first reason."""

    def __init__(self, size: int) -> None:
        self.reason = np.full(size, "", object)

    def refuse(self, where: Bools, reason: str) -> None:
        self.reason[where & (self.reason == "")] = reason

    @property
    def open(self) -> Bools:
        return np.asarray(self.reason == "", bool)


def check(rows: pa.Table, catalogue: Catalogue, *, today: date) -> tuple[pa.Table, "_Sorter"]:
    """The rows with typed columns (null where refused), and the reasons so far; the ledger has not been asked yet."""
    sort = _Sorter(rows.num_rows)
    sort.refuse(_bools(rows["torn"]), "torn_row")
    household, person, record = (text(rows[c]) for c in ("household_id", "person_id", "record_id"))
    indicator = text(rows["indicator"])
    sort.refuse(_bools(pc.is_null(household)), "no_household")
    names = list(catalogue.indicators)
    code = pc.index_in(indicator, value_set=pa.array(names))
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
            "department": departments.take(pa.array(at)).cast(pa.string()),
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
    both = pa.concat_tables([old, new.select(columns)])
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
    known_already = fresh & ~conflict & (np.arange(order.size) != first)
    for where, reason in ((conflict, "conflict"), (known_already, "already_known")):
        sort.reason[candidates[order[where] - old.num_rows]] = reason
    accepted = fresh & ~conflict & ~known_already
    earlier = np.zeros(order.size, bool)
    earlier[1:] = who[order][1:] == who[order][:-1]
    return Checked(typed.filter(pa.array(sort.open)), typed, sort.reason, int((accepted & earlier).sum()))


def _bools(column: pa.ChunkedArray) -> Bools:
    return np.asarray(
        pc.fill_null(column, False).to_numpy(zero_copy_only=False)
        if isinstance(column, pa.Array)
        else pc.fill_null(column, False).to_numpy(),
        bool,
    )


def _dates(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days, null where the cell is not one."""
    if pa.types.is_date32(column.type):
        return column
    if pa.types.is_temporal(column.type):
        return column.cast(pa.date32(), safe=False)
    words = text(column)
    shaped = pc.fill_null(pc.match_substring_regex(words, r"^(19|20)\d\d-\d\d-\d\d$"), False)
    return pc.strptime(pc.if_else(shaped, words, None), format="%Y-%m-%d", unit="s", error_is_null=True).cast(
        pa.date32(), safe=False
    )


def _values(
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], sort: "_Sorter"
) -> tuple[npt.NDArray[np.int64], Bools]:
    """Values as integers in stored units, and which rows withdraw their record (the word `withdrawn`, or null)."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _from_numbers(column, decimals, sort)
    words = text(column)
    withdrawn = _bools(pc.fill_null(pc.equal(words, "withdrawn"), False))
    number = _bools(pc.fill_null(pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,12})?$"), False))
    sort.refuse(~number & ~withdrawn, "not_a_number")
    fine = _bools(pc.fill_null(pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,4}0*)?$"), False))
    sort.refuse(number & ~fine, "too_many_decimals")
    sized = _bools(pc.fill_null(pc.match_substring_regex(words, r"^[+-]?0*\d{1,12}(\.\d*)?$"), False))
    sort.refuse(fine & ~sized, "out_of_range")
    good = fine & sized
    plain = pc.replace_substring_regex(pc.if_else(pa.array(good), words, "0"), r"^\+|(\.\d{1,4}?)0*$", r"\1")
    exact = plain.cast(pa.decimal128(18, PLACES))
    shifted = pc.multiply(exact.cast(pa.decimal128(24, PLACES)), pa.scalar(10**PLACES, pa.decimal128(5, 0)))
    value = shifted.cast(pa.int64()).to_numpy()
    step = 10 ** (PLACES - decimals)
    sort.refuse(good & (value % step != 0), "too_many_decimals")
    return value // step, withdrawn


def _from_numbers(
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], sort: "_Sorter"
) -> tuple[npt.NDArray[np.int64], Bools]:
    """The same for a column of numbers: a float must lie within a millionth of a stored unit."""
    withdrawn = _bools(pc.is_null(column))
    raw = pc.fill_null(column, 0).to_numpy()
    finite = np.isfinite(raw)
    sort.refuse(~finite, "not_a_number")
    large = finite & (np.abs(raw) >= LARGEST)
    sort.refuse(large, "out_of_range")
    shifted = np.where(finite & ~large, raw, 0) * 10.0**decimals
    value = np.rint(shifted).astype(np.int64)
    sort.refuse(np.abs(shifted - value) > np.maximum(1e-6, np.abs(shifted) * 1e-12), "too_many_decimals")
    return value, withdrawn
