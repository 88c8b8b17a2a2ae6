"""Rows -> cells as text: keys, names, days, numbers and words, in one form for a whole column of a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import WITHDRAWN, Catalogue, Column
from fpml.dates import FAR
from fpml.simulate.files.rows import Rows
from fpml.simulate.identity import certificate_numbers, mixed

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# Days that a cell can show: all of 1900 to 2099. Excel's first day was so many before 1970.
_FIRST, _LAST = date(1900, 1, 1), date(2100, 1, 1)
_BASE = (_FIRST - date(1970, 1, 1)).days
_EXCEL = 25_569


@dataclass(frozen=True)
class Form:
    """How a column comes in one file: header, how many of the own unit one is, form of days, which word of a code."""

    header: str
    factor: int = 1
    days: str = "iso"
    word: int = 0

    @classmethod
    def standard(cls, column: Column) -> "Form":
        """The form of a tidy file: the first header, unit and words."""
        return cls.of(column, column.header, next(iter(column.units), None))

    @classmethod
    def of(cls, column: Column, header: str, unit: str | None) -> "Form":
        """A form with another header or unit, which the header names in brackets."""
        return cls(f"{header}（{unit}）", column.units[unit]) if unit else cls(header)


def _zh(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _excel(day: date) -> str:
    return str((day - date(1970, 1, 1)).days + _EXCEL)


DAY_FORMS = {
    "iso": date.isoformat,
    "compact": lambda d: d.isoformat().replace("-", ""),
    "zh": _zh,
    "slash": lambda d: f"{d.year}/{d.month}/{d.day}",
    "excel": _excel,
}


@cache
def _calendar(form: str) -> pa.StringArray:
    """Every day that a cell can show, in one form."""
    write = DAY_FORMS[form]
    return pa.array([write(_FIRST + timedelta(n)) for n in range((_LAST - _FIRST).days)])


def day_texts(days: Ints, form: str) -> pa.StringArray:
    """Days since 1970 as text; null where FAR. Raises ValueError outside 1900 to 2099."""
    known = days != FAR
    at = np.where(known, days - _BASE, 0)
    if at.size and (at.min() < 0 or at.max() >= len(_calendar(form))):
        raise ValueError(f"a day that is not within {_FIRST.year} to {_LAST.year - 1}")
    return _calendar(form).take(pa.array(at, pa.int64(), mask=~known))


def number_texts(value: Ints, decimals: int, factor: int = 1) -> pa.StringArray:
    """Stored values (x 10^decimals) as exact text, in units of `factor` (a power of ten; no needless zeros then)."""
    scale = decimals + len(str(factor)) - 1
    if not scale:
        return pa.array(value).cast(pa.string())
    # A 128-bit decimal is its integer in two halves: the second is all sign.
    halves = np.stack([value, value >> 63], axis=1)
    exact = pa.Array.from_buffers(pa.decimal128(38, scale), value.size, [None, pa.py_buffer(halves)])
    text = exact.cast(pa.string())
    return pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".") if factor > 1 else text


class Positions:
    """Where each serial stands in a table."""

    def __init__(self, serial: pa.ChunkedArray, what: str) -> None:
        serials, self._what = serial.to_numpy(), what
        self._first = int(serials.min(initial=0))
        self._at = np.full(int(serials.max(initial=0)) - self._first + 1, -1, np.int64)
        self._at[serials - self._first] = np.arange(serials.size)

    def of(self, serials: Ints) -> Ints:
        """The positions; raises ValueError where a serial is not in the table."""
        offset = serials - self._first
        inside = (offset >= 0) & (offset < self._at.size)
        at = self._at[np.where(inside, offset, 0)]
        missing = int((~inside | (at < 0)).sum())
        if missing:
            raise ValueError(f"{missing} facts of a {self._what} that the table of them does not have")
        return at


class Who:
    """People and homes of a month, by serial: the keys, names and places that rows bear."""

    def __init__(self, people: pa.Table, homes: pa.Table) -> None:
        self._people, self._homes = people.combine_chunks(), homes.combine_chunks()
        self._person, self._home = Positions(people["person"], "person"), Positions(homes["household"], "household")

    def of_person(self, column: str, persons: Ints) -> pa.StringArray:
        """What `people` says of each; null where -1."""
        return _taken(self._people[column], self._at(persons), persons >= 0)

    def of_home(self, column: str, households: Ints) -> pa.StringArray:
        """What `homes` says of each household; `address` and `telephone` are made up, the latter always masked."""
        made_up = {"address": lambda: self._addresses, "telephone": lambda: self._telephones}
        source = made_up[column]() if column in made_up else self._homes[column]
        return _taken(source, self._home.of(households), None)

    def heads(self, households: Ints) -> Ints:
        """The serial of each household's head."""
        return self._homes["head"].to_numpy()[self._home.of(households)]

    def certificates(self, persons: Ints, grade: Ints) -> pa.StringArray:
        """Certificate numbers; the grade where not given (0) is `people`'s `disability_grade`, or else 4."""
        some = persons >= 0
        at = self._at(persons)
        if "disability_grade" in self._people.column_names:
            held = pc.fill_null(self._people["disability_grade"], 4).to_numpy()[at]
            grade = np.where(grade > 0, grade, held)
        kind = (mixed(persons, 7) % np.uint64(7)).astype(np.int64) + 1
        numbers = certificate_numbers(_taken(self._people["id_number"], at, None), kind, np.where(grade > 0, grade, 4))
        return pc.if_else(pa.array(some), numbers, None)

    def _at(self, persons: Ints) -> Ints:
        some = persons >= 0
        at = np.zeros(persons.size, np.int64)
        at[some] = self._person.of(persons[some])
        return at

    @cached_property
    def _addresses(self) -> pa.StringArray:
        team = pa.array(self._homes["household"].to_numpy() % 12 + 1).cast(pa.string())
        return pc.binary_join_element_wise(self._homes["township_name"], self._homes["village_name"], team, "组", "")

    @cached_property
    def _telephones(self) -> pa.StringArray:
        bits = mixed(self._homes["household"].to_numpy(), 11) % np.uint64(10_000)
        last = pc.utf8_lpad(pa.array(bits.astype(np.int64)).cast(pa.string()), 4, "0")
        return pc.binary_join_element_wise("138****", last, "")


def _taken(source: pa.Array | pa.ChunkedArray, at: Ints, known: Bools | None) -> pa.StringArray:
    whole = source.combine_chunks() if isinstance(source, pa.ChunkedArray) else source
    return whole.cast(pa.string()).take(pa.array(at, pa.int64(), mask=None if known is None else ~known))


def cells(rows: Rows, forms: Mapping[str, Form], who: Who, catalogue: Catalogue) -> dict[str, pa.StringArray]:
    """Every column of the rows as text, by standard header; null is an empty cell."""
    return {c.header: _cells(rows, c, forms[c.header], who, catalogue) for c in rows.layout.columns}


def _cells(rows: Rows, column: Column, form: Form, who: Who, catalogue: Catalogue) -> pa.StringArray:
    match column.role:
        case "date" | "until":
            return day_texts(rows.days[column.header], form.days)
        case "value":
            return _value(rows, column, form, catalogue)
        case "id_number":
            return who.of_person("id_number", rows.person)
        case "certificate":
            return who.certificates(rows.person, rows.values.get("disability_grade", np.zeros(len(rows), np.int64)))
        case "head_id_number":
            return who.of_person("id_number", who.heads(rows.household))
        case "name":
            personal = bool(rows.layout.of_role("id_number", "certificate"))
            return who.of_person("name", rows.person if personal else who.heads(rows.household))
        case "household":
            return who.of_home("household_id", rows.household)
        case "record":
            return pc.if_else(pa.array(rows.record >= 0), pa.array(rows.record).cast(pa.string()), None)
        case "address" | "telephone":
            return who.of_home(column.role, rows.household)
        case "remark":
            return pa.nulls(len(rows), pa.string())


def _value(rows: Rows, column: Column, form: Form, catalogue: Catalogue) -> pa.StringArray:
    name = column.of[0]
    value, filled, withdrawn = rows.values[name], rows.filled[name], rows.withdrawn[name]
    if column.words:
        text = _words(np.where(filled & ~withdrawn, value, min(column.words)), column, form.word)
    else:
        text = number_texts(value, catalogue.indicators[name].decimals, form.factor)
    if withdrawn.any():
        text = pc.if_else(pa.array(withdrawn), WITHDRAWN[0], text)
    return text if filled.all() else pc.if_else(pa.array(filled), text, None)


def _words(value: Ints, column: Column, word: int) -> pa.StringArray:
    codes = np.array(sorted(column.words), np.int64)
    at = np.minimum(np.searchsorted(codes, value), codes.size - 1)
    if (codes[at] != value).any():
        raise ValueError(f"a code of `{column.of[0]}` that departments.yaml has no words for")
    words = [column.words[c][word % len(column.words[c])] for c in codes.tolist()]
    return pa.array(words).take(pa.array(at))
