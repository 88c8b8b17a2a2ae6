"""Canonical rows -> facts, or a reason why not. Each refused row has one reason, the first that applies."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue, Indicator
from fpml.intake.id_numbers import holds_id_number, tidy
from fpml.intake.pieces import FACTS, Piece, pseudonymous
from fpml.intake.read import COLUMNS, text
from fpml.intake.reasons import ACCEPTED, Faults

Bools = npt.NDArray[np.bool_]
PLACES = 4
LARGEST = 10**12
EARLIEST, LATEST = date(1900, 1, 1), date(2100, 1, 1)


def check(rows: pa.Table, catalogue: Catalogue, *, today: date) -> Piece:
    """The rows with typed columns (null where refused), and the reasons so far; the ledger has not been asked yet."""
    faults = Faults(rows.num_rows)
    faults.refuse(_bools(rows["torn"]), "torn_row")
    kinds = _Kinds.of(rows["indicator"], catalogue)
    household, person, record = _check_who(rows, kinds, faults)
    event, known = _dates(rows["event_date"]), _dates(rows["known_date"])
    faults.refuse(_bools(pc.or_(pc.is_null(event), pc.is_null(known))), "bad_date")
    faults.refuse(_bools(pc.fill_null(pc.greater(event, known), False)), "event_after_known")
    until, point = _until(rows["until_date"], event, faults)
    faults.refuse(~kinds.of_kind("status") & ~point, "until_not_expected")
    faults.refuse(_bools(pc.fill_null(pc.greater(known, pa.scalar(today, pa.date32())), False)), "known_in_future")
    value, withdrawn = _values(rows["value"], kinds.told([k.decimals for k in kinds.kinds]), faults)
    faults.refuse(kinds.of_kind("count", "status", "event") & (value < 0), "negative")
    faults.refuse(kinds.of_kind("event") & (value == 0) & ~withdrawn, "no_event")
    for i, kind in enumerate(kinds.kinds):
        if kind.codes is not None:
            faults.refuse((kinds.at == i) & ~np.isin(value, list(kind.codes)) & ~withdrawn, "unknown_code")
    departments = pa.array([k.department for k in kinds.kinds]).dictionary_encode()
    columns = [
        household, person, kinds.words, record, event, until, known,
        pa.array(value, pa.int64(), mask=withdrawn | (faults.codes != ACCEPTED)), departments.take(pa.array(kinds.at)),
    ]  # fmt: skip
    columns = [c.cast(f.type) for c, f in zip(columns, FACTS, strict=True)]
    return Piece(
        facts=pa.table(columns, schema=FACTS),
        fault=faults.codes,
        at=np.arange(rows.num_rows),
        row=rows["row"].to_numpy(),
        row_fault=np.zeros(rows.num_rows, np.int16),
        cells={name: rows[name].cast(pa.string()).combine_chunks() for name in COLUMNS},
        show=pseudonymous,
    )


@dataclass(frozen=True)
class _Kinds:
    """The indicator of each row, as a position among all; 0 also for a name that nobody knows (`unknown`)."""

    kinds: list[Indicator]
    words: pa.DictionaryArray
    at: npt.NDArray[np.int64]
    unknown: Bools

    @classmethod
    def of(cls, column: pa.ChunkedArray, catalogue: Catalogue) -> "_Kinds":
        words, names = text(column), list(catalogue.indicators)
        code = pc.index_in(words.dictionary, value_set=pa.array(names)).take(words.indices)
        at = pc.fill_null(code, 0).to_numpy().astype(np.int64)
        return cls([catalogue.indicators[n] for n in names], words, at, _bools(pc.is_null(code)))

    def told(self, of_each: list[int]) -> npt.NDArray[np.int64]:
        """What is so of each row's indicator."""
        return np.array(of_each, np.int64)[self.at]

    def of_kind(self, *kinds: str) -> Bools:
        """Which rows tell of an indicator of one of the kinds."""
        return self.told([k.kind in kinds for k in self.kinds]).astype(bool)


def _check_who(rows: pa.Table, kinds: _Kinds, faults: Faults) -> list[pa.DictionaryArray]:
    """Household, person and record number as words; whom a row must tell of, and may not, is told by its indicator."""
    words = [text(rows[c]) for c in ("household_id", "person_id", "record_id")]
    for column in words:
        # An ID number, whoever's, is never kept.
        named = holds_id_number(tidy(column.dictionary))
        if named.any():
            faults.refuse(_bools(pa.array(named).take(column.indices)), "id_number_as_key")
    faults.refuse(_bools(pc.is_null(words[0])), "no_household")
    faults.refuse(kinds.unknown, "unknown_indicator")
    personal = kinds.told([k.grain == "person" for k in kinds.kinds]).astype(bool)
    has_person = _bools(pc.is_valid(words[1]))
    faults.refuse(personal & ~has_person, "no_person")
    faults.refuse(~personal & has_person, "person_not_expected")
    return words


def _until(column: pa.ChunkedArray, event: Any, faults: Faults) -> tuple[Any, Bools]:
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
    faults.refuse(_bools(pc.is_null(until)) & ~none, "bad_date")
    faults.refuse(_bools(pc.fill_null(pc.less(until, event), False)), "until_before_event")
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
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], faults: Faults
) -> tuple[npt.NDArray[np.int64], Bools]:
    """Values as integers in stored units, and which rows withdraw their record (the word `withdrawn`)."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _from_numbers(column, decimals, faults)
    cells = text(column)
    words, at = cells.dictionary, pc.fill_null(cells.indices, 0).to_numpy(zero_copy_only=False)
    empty = _bools(pc.is_null(cells))
    if not len(words):
        words = pa.array([""])

    def rows(of_word: pa.Array) -> Bools:
        return _bools(of_word)[at] & ~empty

    number = rows(pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,12})?$"))
    withdrawn = rows(pc.equal(words, "withdrawn"))
    faults.refuse(~number & ~withdrawn, "not_a_number")
    in_range = pc.match_substring_regex(words, r"^[+-]?0*\d{1,12}(\.\d*)?$")
    faults.refuse(number & ~rows(in_range), "out_of_range")
    exact = pc.match_substring_regex(words, r"^[+-]?\d{1,18}(\.\d{1,4}0*)?$")
    faults.refuse(number & ~rows(exact), "too_many_decimals")
    plain = pc.if_else(pc.and_(in_range, exact), words, "0")
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    plain = pc.replace_substring_regex(plain, r"^(-?\d+\.\d{1,4})0*$", r"\1")
    shifted = pc.multiply(plain.cast(pa.decimal128(20, PLACES)), pa.scalar(10**PLACES, pa.decimal128(5, 0)))
    value = shifted.cast(pa.decimal128(38, 0)).cast(pa.int64()).to_numpy()[at]
    step = 10 ** (PLACES - decimals)
    faults.refuse(value % step != 0, "too_many_decimals")
    return value // step, withdrawn


def _from_numbers(
    column: pa.ChunkedArray, decimals: npt.NDArray[np.int64], faults: Faults
) -> tuple[npt.NDArray[np.int64], Bools]:
    """The same for a column of numbers: a float must lie within a millionth of a stored unit.

    An empty cell is no number: to withdraw a record, the column is delivered as text.
    """
    raw = pc.fill_null(column, 0).to_numpy()
    finite = np.isfinite(raw) & _bools(pc.is_valid(column))
    faults.refuse(~finite, "not_a_number")
    large = finite & ((raw >= LARGEST) | (raw <= -LARGEST))
    faults.refuse(large, "out_of_range")
    shifted = np.where(finite & ~large, raw, 0) * 10.0**decimals
    value = np.rint(shifted).astype(np.int64)
    precision = 1e-7 if column.type in (pa.float32(), pa.float16()) else 1e-12
    faults.refuse(np.abs(shifted - value) > np.maximum(1e-6, np.abs(shifted) * precision), "too_many_decimals")
    return value, np.zeros(value.size, bool)
