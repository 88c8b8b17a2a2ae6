"""Cells -> ID numbers (GB 11643: 18 characters, the last a check character), and cells masked to be shown.

What every cell is read by lies here too: the characters that say nothing, and how a cell that is not plain is tidied.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Faults = npt.NDArray[np.int8]
Characters = npt.NDArray[np.uint8]

# Why a cell is no ID number; the fault 1 is the first of them.
ID_FAULTS = (
    "rounded_id_number", "wrong_check_digit", "wrong_length", "bad_birth_date", "not_an_id_number", "no_id_number",
)  # fmt: skip
_ROUNDED, _CHECK, _LENGTH, _BIRTH, _OTHER, _NONE = range(1, 7)

# Blanks, and characters without width that leave the order of what is read as it is (those that turn it do not count).
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u200e\u202a\u202c\u202d\u2060\ufeff"
BLANKS += "".join(map(chr, range(0x2000, 0x200B)))
# No number, day or word has so many characters. Longer ones are not looked at: NFKC can take their length squared.
LONGEST = 500
# Stands for a cell that nobody can read.
_UNREADABLE = "\ufffd"

_WIDTH = 18
_ZERO, _X = ord("0"), ord("X")
# ISO 7064 MOD 11-2, as in GB 11643-1999: the weight of each digit, and the check character of each remainder.
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], np.int16)
_CHECKS = np.frombuffer(b"10X98765432", np.uint8)
# Provinces have the codes 11 to 82; foreigners' residence permits begin with 9.
_AREAS = (11, 91)
_EARLIEST, _LATEST = np.datetime64("1880-01-01"), np.datetime64("2100-12-31")

_PLAIN = r"^[0-9]{17}[0-9X]$"
_OLD = r"^[0-9]{15}$"
_CERTIFICATE = r"^[0-9]{17}[0-9X][1-7][1-4]$"
_LONG = r"^[0-9]{17}[0-9X][0-9]{4}$"
# What the rest may be, each line overriding those above. Excel keeps fifteen digits of a number.
_REST = (
    (r"^([0-9]+X?|[0-9]{17}X[0-9]+)$", _LENGTH),
    (r"^[0-9](\.[0-9]+)?E\+?[0-9]{1,2}$", _ROUNDED),
    (r"^[0-9]{15}(0{5}|0{7})$", _ROUNDED),
)
_TWENTY = r"^[0-9]{17}[0-9X][0-9]{2}$"
# How much of a number is shown, and of which: one long enough to be a whole one.
_NUMBER_LIKE, _SHOWN_FIRST, _SHOWN_LAST = r"^[0-9]{14,63}[0-9Xx]$", 4, 2


def strings(cells: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """The cells as one array of text."""
    whole = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    return whole if whole.type == pa.string() else whole.cast(pa.string())


def bools(column: pa.Array) -> Bools:
    """An array of truth values, null taken as false."""
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), bool)


def mended(cells: pa.StringArray, plain: str, mend: Callable[[pa.StringArray], pa.StringArray]) -> pa.StringArray:
    """The cells, those that a pattern does not match mended; null where nothing is left."""
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(cells, plain)), False)
    some = cells.filter(odd)
    if not len(some):
        return cells
    found = mend(some)
    return pc.replace_with_mask(cells, odd, pc.if_else(pc.equal(found, ""), None, found))


def tidy(cells: pa.StringArray) -> pa.StringArray:
    """Text in compatible form (NFKC), without blanks around it and without Excel's mark that it is text.

    Raised, ringed and other such digits are not read as digits: NFKC would make 10⁵ a hundred and five.
    """
    text = pc.utf8_trim(cells, characters=BLANKS)
    unread = pc.or_(pc.greater(pc.utf8_length(text), LONGEST), pc.match_substring_regex(text, r"\p{No}"))
    text = pc.utf8_normalize(pc.if_else(unread, _UNREADABLE, text), form="NFKC")
    return pc.utf8_trim(pc.replace_substring_regex(text, f"^[{BLANKS}]*'", ""), characters=BLANKS)


def without_blanks(text: pa.StringArray) -> pa.StringArray:
    """Text without any blank."""
    return pc.replace_substring_regex(text, f"[{BLANKS}]+", "")


def characters(text: pa.StringArray, width: int) -> Characters:
    """Texts of `width` ASCII characters, none of them null, as a matrix: a row for each."""
    if not len(text):
        return np.zeros((0, width), np.uint8)
    fixed = text.cast(pa.binary()).cast(pa.binary(width))
    return np.frombuffer(fixed.buffers()[1], np.uint8, len(text) * width, fixed.offset * width).reshape(-1, width)


def dates_at(matrix: Characters, year: slice, month: slice, day: slice) -> tuple[Ints, Bools]:
    """Days since 1970 that stand at some places of a matrix of digits, and whether there is such a day."""
    y, m, d = (_whole(matrix[:, place]) for place in (year, month, day))
    there = (m >= 1) & (m <= 12) & (d >= 1)
    months = ((y - 1970) * 12 + np.where(there, m - 1, 0)).astype("datetime64[M]")
    found = months.astype("datetime64[D]") + (np.where(there, d, 1) - 1)
    return found.astype(np.int64), there & (found.astype("datetime64[M]") == months)


def _whole(matrix: Characters) -> Ints:
    """The whole number that each row of digits is."""
    value = np.zeros(len(matrix), np.int64)
    for column in matrix.T:
        value = value * 10 + (column - np.uint8(_ZERO))
    return value


@dataclass(frozen=True)
class IdNumbers:
    """The ID number of each cell, 18 characters (null where none), or the fault: 1 is the first of ID_FAULTS, 0 none.

    `suspect`: it passes, but ends in 000 as what Excel has rounded does, of which one in eleven passes by chance.
    """

    number: pa.StringArray
    fault: Faults
    suspect: Bools


def id_numbers(cells: pa.Array | pa.ChunkedArray, *, certificate: bool = False) -> IdNumbers:
    """ID numbers of 18 characters, of 15 (from before 1999), or of 22, the last four of which say nothing here.

    `certificate`: also those of 20, where kind (1 to 7) and grade (1 to 4) of a disability follow.
    """
    text = mended(strings(cells), _PLAIN, _compact)
    plain = bools(pc.match_substring_regex(text, _PLAIN))
    fault = np.zeros(len(text), np.int8)
    held = np.zeros((len(text), _WIDTH), np.uint8)
    if not plain.all():
        rest = text.filter(pa.array(~plain))
        fault[~plain], held[~plain] = _not_plain(rest, certificate)
    held[plain] = characters(text.filter(pa.array(plain)), _WIDTH)
    fault[plain] = _judged(held[plain])
    suspect = plain & (fault == 0) & _ends_in_zeros(held)
    return IdNumbers(_texts(held, fault == 0), fault, suspect)


def holds_id_number(text: pa.StringArray) -> Bools:
    """Which texts hold an ID number: any 18 characters with the right check character.

    An old number of fifteen digits has none, and looks like many a household's code: it is not looked for.
    """
    upper = pc.ascii_upper(text)
    found = np.zeros(len(text), bool)
    at = np.flatnonzero(bools(pc.match_substring_regex(upper, _PLAIN[1:-1])))
    if at.size:
        found[at] = _any_window(upper.take(pa.array(at)))
    return found


def masks(cells: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """Cells as they may be shown: of a long number the first four and the last two characters, of all else none."""
    raw = strings(cells)
    text = without_blanks(tidy(raw))
    hidden = pc.binary_repeat("*", pc.min_element_wise(pc.utf8_length(raw), _WIDTH))
    number = pc.match_substring_regex(text, _NUMBER_LIKE)
    stars = pc.subtract(pc.utf8_length(text), _SHOWN_FIRST + _SHOWN_LAST)
    shown = pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(text, 0, _SHOWN_FIRST),
        pc.binary_repeat("*", pc.max_element_wise(stars, 0)),
        pc.utf8_slice_codeunits(text, -_SHOWN_LAST),
        "",
    )
    return pc.if_else(number, shown, hidden)


def _any_window(text: pa.StringArray) -> Bools:
    """Which texts, none of them null, have somewhere 18 characters that are an ID number; all are gone over once."""
    edges = np.frombuffer(text.buffers()[1], np.int32, len(text) + 1, 4 * text.offset)
    flat = np.frombuffer(text.buffers()[2], np.uint8, edges[-1])
    digit = flat - np.uint8(_ZERO) < 10
    before = np.concatenate([[0], np.cumsum(digit)])
    last = digit[_WIDTH - 1 :] | (flat[_WIDTH - 1 :] == _X)
    starts = np.flatnonzero(last & (before[_WIDTH - 1 : -1] - before[:-_WIDTH] == _WIDTH - 1))
    whose = np.searchsorted(edges, starts, side="right") - 1
    inside = starts + _WIDTH <= edges[whose + 1]
    sound = _judged(np.lib.stride_tricks.sliding_window_view(flat, _WIDTH)[starts[inside]]) == 0
    found = np.zeros(len(text), bool)
    found[whose[inside][sound]] = True
    return found


def _compact(cells: pa.StringArray) -> pa.StringArray:
    return pc.ascii_upper(without_blanks(tidy(cells)))


def _not_plain(text: pa.StringArray, certificate: bool) -> tuple[Faults, Characters]:
    """The fault of each text that is no 18 characters, and the ID number that it holds where it has none."""
    fault = np.where(bools(pc.is_null(text)), _NONE, _OTHER).astype(np.int8)
    held = np.zeros((len(text), _WIDTH), np.uint8)
    for pattern, what in _REST:
        fault[bools(pc.match_substring_regex(text, pattern))] = what
    whole = ((_OLD, 15), (_LONG, 22), *([(_CERTIFICATE, 20)] if certificate else []))
    if certificate:
        # With a kind or a grade that there is not; whoever has one is told below.
        wrong = bools(pc.match_substring_regex(text, _TWENTY)) & (fault != _ROUNDED)
        fault[wrong] = _OTHER
    for pattern, width in whole:
        at = bools(pc.match_substring_regex(text, pattern)) & (fault != _ROUNDED)
        some = characters(text.filter(pa.array(at)), width)
        held[at] = _modern(some) if width < _WIDTH else some[:, :_WIDTH]
        judged = _judged(held[at])
        # It has more digits than Excel keeps, and not all of these are zeros.
        fault[at] = np.where(judged == _ROUNDED, _CHECK, judged)
    return fault, held


def _judged(matrix: Characters) -> Faults:
    """The fault of each ID number, or 0: seventeen digits, and a digit or X."""
    area = _whole(matrix[:, :2])
    born, real = dates_at(matrix, slice(6, 10), slice(10, 12), slice(12, 14))
    real &= (born >= _EARLIEST.astype(np.int64)) & (born <= _LATEST.astype(np.int64))
    found = np.where(_ends_in_zeros(matrix), _ROUNDED, _CHECK)
    found[_check_characters(matrix[:, :-1]) == matrix[:, -1]] = 0
    found[~real] = _BIRTH
    found[(area < _AREAS[0]) | (area > _AREAS[1])] = _OTHER
    return found.astype(np.int8)


def _check_characters(matrix: Characters) -> Characters:
    """The check character of each seventeen digits."""
    return _CHECKS[(matrix - np.uint8(_ZERO)).astype(np.int16) @ _WEIGHTS % 11]


def _ends_in_zeros(matrix: Characters) -> Bools:
    return np.asarray((matrix[:, 15:] == _ZERO).all(axis=1), bool)


def _modern(old: Characters) -> Characters:
    """ID numbers of 15 digits with the century, always the twentieth, and the check character."""
    held = np.empty((len(old), _WIDTH), np.uint8)
    held[:, :6], held[:, 6:8], held[:, 8:17] = old[:, :6], np.frombuffer(b"19", np.uint8), old[:, 6:]
    held[:, 17] = _check_characters(held[:, :17])
    return held


def _texts(matrix: Characters, known: Bools) -> pa.StringArray:
    """The rows of a matrix of ASCII characters as texts; null where not known."""
    valid = pa.array(known).buffers()[1] if len(matrix) else None
    fixed = pa.Array.from_buffers(pa.binary(_WIDTH), len(matrix), [valid, pa.py_buffer(np.ascontiguousarray(matrix))])
    return fixed.cast(pa.binary()).cast(pa.string())
