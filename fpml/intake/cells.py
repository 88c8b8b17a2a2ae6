"""Cells -> days, numbers, codes and keys, or a fault: what can be read in two ways is not read at all.

Plain cells are read all at once, odd ones word by word. Each cell is a value, empty, withdrawn, or at fault.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date as Date
from functools import cache, partial
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue.deliveries import WITHDRAWN
from fpml.intake.id_numbers import BLANKS, LONGEST, bools, characters, dates_at, holds_id_number, mended, strings, tidy

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Faults = npt.NDArray[np.int8]
Cells: TypeAlias = pa.Array | pa.ChunkedArray
# What one word says: its value, and what it is (_VALUE, _EMPTY, _TAKEN_BACK, _LOOSE, or a fault).
_Read: TypeAlias = tuple[int, int]

# Why a cell is not read; the fault 1 is the first of its kind.
DAY_FAULTS = ("bad_date",)
NUMBER_FAULTS = ("not_a_number", "too_many_decimals", "out_of_range", "formula_error")
CODE_FAULTS = ("unknown_word",)
KEY_FAULTS = ("bad_key", "id_number_as_key")
_BAD_DATE, _UNKNOWN_WORD = 1, 1
_NOT_A_NUMBER, _TOO_MANY_DECIMALS, _OUT_OF_RANGE, _FORMULA_ERROR = range(1, 5)
_BAD_KEY, _ID_NUMBER_AS_KEY = 1, 2
# What a cell is when it is at no fault.
_VALUE, _EMPTY, _TAKEN_BACK, _LOOSE = 0, -1, -2, -3

# In a column of last days: it goes on. The number is Excel's for the last of these days.
_ENDLESS_WORDS = ("长期", "至今", "2958465")
_ENDLESS_DAYS = (Date(9999, 12, 31), Date(2099, 12, 31))
# Excel counts days so that this one is 1970-01-01; it has five digits for all of 1950 to 2099.
_EXCEL, _SERIALS, _EPOCH = 25_569, range(18_264, 73_051), Date(1970, 1, 1).toordinal()
_FIRST, _LAST = Date(1900, 1, 1).toordinal() - _EPOCH, Date(2099, 12, 31).toordinal() - _EPOCH
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMED = (
    r"^([0-9]{4}(?:[-/.][0-9]{1,2}){2}|[0-9]{8}|[^T:]*日)[T ] *"
    r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?$"
)
_DAY = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|\.([0-9]{1,2})\.([0-9]{1,2})"
    r"| *年 *([0-9]{1,2}) *月 *([0-9]{1,2}) *日)"
)
_MONTH = re.compile(r"([0-9]{4})(?:[-/]([0-9]{1,2})| *年 *([0-9]{1,2}) *月|([0-9]{2}))")
_SERIAL = re.compile(r"([0-9]{5})(?:\.0)?")

# Units behind a number: how many zeros each is.
_UNITS = {"元": 0, "万": 4, "万元": 4}
# No amount has so many digits before the point.
_LARGEST = 12
# Bracket, sign, currency, sign; the whole, its part, a power of ten; bracket, currency or unit.
_NUMBER = re.compile(
    r"(\( *+)?([+-]? *+)(¥|CNY|RMB|元)? *+([+-]?)"
    r"([1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]+|(?=\.))(?:\.([0-9]+))?(?:E([+-]?[0-9]{1,3}))?"
    r"( *+\))? *+(¥|CNY|RMB|元|万元|万)?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN_KEY = r"^[A-Za-z0-9\-_/.:#()]{1,64}$"
# A digit at least: words alone are more likely a name that slid into the wrong column.
_KEY = r"^[A-Za-z\p{Han}\-_/.:#()]*[0-9][A-Za-z0-9\p{Han}\-_/.:#()]*$"
_LONGEST_KEY = 64
_PLAIN_WORD = "^[!-&(-~]+$"
_UNSEEN = r"[\p{Cc}\p{Cf}]+"
_BLANK = re.compile(f"[{BLANKS}]+")


@dataclass(frozen=True)
class Days:
    """The day of each cell, since 1970 (0 where none). `loose`: the cell names a month only, the day is its last."""

    day: npt.NDArray[np.int32]
    known: Bools
    fault: Faults
    loose: Bools


@dataclass(frozen=True)
class Numbers:
    """The stored value of each cell, x 10^decimals (0 where none); or its record is withdrawn."""

    value: Ints
    known: Bools
    withdrawn: Bools
    fault: Faults


class Codes(Numbers):
    """The code of each cell, as its value."""


@dataclass(frozen=True)
class Keys:
    """The record number, or code of a household, of each cell; null where none."""

    text: pa.StringArray
    fault: Faults


class _All(NamedTuple):
    """What words say: values, and what each is."""

    value: Ints
    kind: Ints


def days(cells: Cells, *, month_end: bool = True, endless: bool = False) -> Days:
    """Days from 1900 to 2099: year, month, day in this order, or the serial of Excel; a time of day is left out.

    `month_end`: a month without a day is its last day, else a fault. `endless`: 9999-12-31 and the like are no day.
    """
    text = mended(strings(cells), _ISO, _without_time)
    plain = bools(pc.match_substring_regex(text, _ISO))
    found = _odd(text, plain, partial(_day, month_end=month_end, endless=endless))
    found.value[plain], found.kind[plain] = _plain_days(characters(text.filter(pa.array(plain)), 10), endless)
    known = (found.kind == _VALUE) | (found.kind == _LOOSE)
    return Days(found.value.astype(np.int32), known, _faults(found), found.kind == _LOOSE)


def numbers(cells: Cells, *, decimals: int, factor: int = 1, money: bool = True) -> Numbers:
    """Exact numbers below 10^12, in units of `factor`, a power of ten. `money`: with a currency, or 万 for 10,000."""
    power = len(str(factor)) - 1
    if factor != 10**power or not 0 <= power <= 8 or not 0 <= decimals <= 6:
        raise ValueError(f"a factor of {factor} with {decimals} decimals; a power of ten up to 10^8, and 6 at most")
    places = decimals + power
    pattern = rf"^-?[0-9]{{1,{_LARGEST - power}}}" + (rf"(\.[0-9]{{1,{places}}})?$" if places else "$")
    text = mended(strings(cells), pattern, _without_zeros)
    plain = bools(pc.match_substring_regex(text, pattern))
    found = _odd(text, plain, partial(_number, scale=(decimals, power), money=money))
    exact = text.filter(pa.array(plain)).cast(pa.decimal128(_LARGEST + decimals, places))
    # A 128-bit decimal is its integer in two halves, of which the first holds all.
    halves = np.frombuffer(exact.buffers()[1], np.int64, 2 * len(exact)) if len(exact) else np.zeros(0, np.int64)
    found.value[plain], found.kind[plain] = halves[::2], _VALUE
    return Numbers(found.value, found.kind == _VALUE, found.kind == _TAKEN_BACK, _faults(found))


def codes(cells: Cells, words: Mapping[int, tuple[str, ...]]) -> Codes:
    """The codes that words stand for, whatever their width, case and blanks; a word that two codes have is unknown."""
    meant: dict[str, set[_Read]] = {}
    for code, known in words.items():
        for word in _folded(known):
            meant.setdefault(word, set()).add((code, _VALUE))
    for word in _folded(WITHDRAWN):
        meant.setdefault(word, set()).add((0, _TAKEN_BACK))
    sure = {word: next(iter(found)) for word, found in meant.items() if len(found) == 1}
    told = strings(cells).dictionary_encode()
    text = mended(told.dictionary, _PLAIN_WORD, tidy).take(told.indices)
    found = _odd(text, np.zeros(len(text), bool), lambda word: sure.get(_fold(word), (0, _UNKNOWN_WORD)))
    return Codes(found.value, found.kind == _VALUE, found.kind == _TAKEN_BACK, _faults(found))


def plain(cells: Cells) -> pa.StringArray:
    """Text in compatible form (NFKC) without blanks around it, control and unseen characters; null where empty."""

    def mend(some: pa.StringArray) -> pa.StringArray:
        long = pc.greater(pc.utf8_length(some), LONGEST)
        text = pc.if_else(long, some, pc.utf8_normalize(pc.if_else(long, "", some), form="NFKC"))
        seen = pc.replace_substring_regex(text, _UNSEEN, "")
        return pc.utf8_trim(seen, characters=BLANKS)

    return mended(strings(cells), r"^[!-~]+$", mend)


def keys(cells: Cells) -> Keys:
    """Record numbers and codes of households: letters, digits (one at least), Han and -_/.:#(), 64 at most.

    One that holds an ID number is at fault: those are never kept.
    """
    text = mended(strings(cells), _PLAIN_KEY, tidy)
    text = pc.replace_substring_regex(text, r"^([0-9]+)\.0$", r"\1")
    short = bools(pc.less_equal(pc.utf8_length(text), _LONGEST_KEY))
    sound = bools(pc.match_substring_regex(text, _KEY)) & short
    fault = np.where(sound | bools(pc.is_null(text)), 0, _BAD_KEY).astype(np.int8)
    at = np.flatnonzero(sound)
    fault[at[holds_id_number(text.take(pa.array(at)))]] = _ID_NUMBER_AS_KEY
    return Keys(pc.if_else(pa.array(fault == 0), text, None), fault)


def _without_time(cells: pa.StringArray) -> pa.StringArray:
    """The cells tidied, days without a time of day, and 20240305 as 2024-03-05."""
    text = pc.replace_substring_regex(tidy(cells), _TIMED, r"\1")
    return pc.replace_substring_regex(text, "^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3")


def _without_zeros(cells: pa.StringArray) -> pa.StringArray:
    """The cells tidied, plain numbers without zeros that end their decimals."""
    text = pc.replace_substring_regex(tidy(cells), r"^(-?[0-9]+)\.0+$", r"\1")
    return pc.replace_substring_regex(text, r"^(-?[0-9]+\.[0-9]*[1-9])0+$", r"\1")


def _odd(text: pa.StringArray, plain: Bools, read: Callable[[str], _Read]) -> _All:
    """What the texts say that are not plain, each distinct one read once; plain ones are left open, as empty."""
    value, kind = np.zeros(len(text), np.int64), np.full(len(text), _EMPTY, np.int64)
    odd = ~plain & bools(pc.is_valid(text))
    if odd.any():
        held = text.filter(pa.array(odd)).dictionary_encode()
        words = held.dictionary.to_pylist()
        found = np.fromiter(chain.from_iterable(map(read, words)), np.int64, 2 * len(words)).reshape(-1, 2)
        value[odd], kind[odd] = found[held.indices.to_numpy()].T
    return _All(value, kind)


def _faults(found: _All) -> Faults:
    return np.maximum(found.kind, 0).astype(np.int8)


def _plain_days(matrix: npt.NDArray[np.uint8], endless: bool) -> _All:
    """What days such as 2024-03-05 say, given as a matrix of their characters."""
    found, real = dates_at(matrix, slice(0, 4), slice(5, 7), slice(8, 10))
    kind = np.where(real & (found >= _FIRST) & (found <= _LAST), _VALUE, _BAD_DATE)
    if endless:
        kind[real & np.isin(found, [d.toordinal() - _EPOCH for d in _ENDLESS_DAYS])] = _EMPTY
    return _All(np.where(kind == _VALUE, found, 0), kind)


def _day(word: str, *, month_end: bool, endless: bool) -> _Read:
    """What one word says of a day."""
    kind, day = _VALUE, None
    if serial := _SERIAL.fullmatch(word):
        day = Date.fromordinal(int(serial[1]) - _EXCEL + _EPOCH) if int(serial[1]) in _SERIALS else None
    elif m := _DAY.fullmatch(word):
        day = _date(*(int(g) for g in m.groups() if g))
    elif month_end and (m := _MONTH.fullmatch(word)):
        kind, day = _LOOSE, _last_day(m)
    if endless and (day in _ENDLESS_DAYS or word in _ENDLESS_WORDS):
        return 0, _EMPTY
    found = day.toordinal() - _EPOCH if day else _LAST + 1
    return (found, kind) if _FIRST <= found <= _LAST else (0, _BAD_DATE)


def _last_day(told: re.Match[str]) -> Date | None:
    """The last day of a month. Six digits such as 201203 may be a day of 2020 as well: they are not read."""
    year, month = (int(g) for g in told.groups() if g)
    either = told[4] and 1 <= year % 100 <= 12
    return None if either or not 1 <= month <= 12 else _date(year, month, monthrange(year, month)[1])


def _date(*year_month_day: int) -> Date | None:
    try:
        return Date(*year_month_day)
    except ValueError:
        return None


def _number(word: str, *, scale: tuple[int, int], money: bool) -> _Read:
    """What one word says of a number; `scale`: its decimals, and the power of ten that its unit is."""
    m = _NUMBER.fullmatch(word)
    if m is None:
        return _no_number(word)
    opened, sign, before, inner, whole, part, power, closed, after = m.groups()
    part, sign = part or "", sign.strip() + inner
    unit = before == "元" or after in _UNITS
    # Two signs, half a bracket, a unit besides the header's, or zeros that a rounded 1.2E+05 only stands for.
    unclear = (
        len(sign) > 1
        or bool(opened) != bool(closed)
        or (opened and sign)
        or (unit and scale[1] > 0)
        or ((before or after or opened) and not money)
        or (power and (int(power) > len(part) or "," in whole))
    )
    if unclear:
        return 0, _NOT_A_NUMBER
    shift = sum(scale) + _UNITS.get(after, 0) + int(power or 0) - len(part)
    value, kind = _stored(int(whole.replace(",", "") + part), shift, scale[0])
    return (-value if opened or sign == "-" else value), kind


def _stored(number: int, shift: int, decimals: int) -> _Read:
    """number x 10^shift, where that is a whole number and below 10^12 with so many decimals."""
    number, parts = (number * 10**shift, 1) if shift > 0 else (number, 10**-shift)
    if number >= 10 ** (_LARGEST + decimals) * parts:
        return 0, _OUT_OF_RANGE
    value, rest = divmod(number, parts)
    return (0, _TOO_MANY_DECIMALS) if rest else (value, _VALUE)


def _no_number(word: str) -> _Read:
    if word.startswith("#"):
        return 0, _FORMULA_ERROR
    return (0, _TAKEN_BACK if _fold(word) in _folded(WITHDRAWN) else _NOT_A_NUMBER)


@cache
def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words of the policy as those of cells are compared, but for those that nobody can read."""
    return tuple(_fold(w) for w in tidy(pa.array(words, pa.string())).to_pylist() if "\ufffd" not in w)


def _fold(word: str) -> str:
    return _BLANK.sub("", word).casefold()
