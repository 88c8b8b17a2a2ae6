"""What departments' files are like: kinds of file, their columns, and the headers these have had.

The layouts lie in departments.yaml. Whoever reads a delivery and whoever writes one (the simulator) use the same.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from fpml.catalogue.types import Indicator, Name, Policy, Words
from fpml.errors import Fault, did_you_mean

Grain = Literal["person", "household"]
Role = Literal[
    "id_number", "certificate", "head_id_number", "household", "name", "record", "date", "until", "value",
    "indicator", "address", "telephone", "remark",
]  # fmt: skip
# Keys by which a person, or a household, is found again. A certificate's number begins with the ID number.
OF_PERSON: tuple[Role, ...] = ("id_number", "certificate")
OF_HOUSEHOLD: tuple[Role, ...] = ("household", "head_id_number")
ONCE: tuple[Role, ...] = (*OF_PERSON, *OF_HOUSEHOLD, "name", "record", "indicator")
# Columns that a file may come without: nothing of them is taken in.
SPARE: tuple[Role, ...] = ("name", "address", "telephone", "remark")
# In a value cell: the record is taken back. Assumed, the first is the one that the simulator writes.
WITHDRAWN = ("作废", "撤销", "withdrawn")
_FILE = re.compile(r"(?P<sender>[^_]+?)(?:-(?P<item>[^_]+))?-(?P<month>\d{4}-\d{2})_(?P<day>\d{4}-\d{2}-\d{2})")


class Column(Policy):
    """A column: what it holds (`role`), of which indicators, and under which headers.

    A value is a number (of `units`, which the header names in brackets: how many of the indicator's own unit one is)
    or one of the `words` for a code. A date or until column `of` some indicators is theirs alone; one without is
    that of all the others. A date of an indicator without a value column tells that it happened, once, on that day.

    In a long layout each row names its indicator: a column of role `indicator` says by which `names`, and the one value
    column is that of whichever the row names.
    """

    header: str = Field(min_length=1)
    also: tuple[str, ...] = ()
    role: Role
    of: tuple[Name, ...] = ()
    units: dict[str, int] = Field(default_factory=dict)
    words: dict[int, tuple[str, ...]] = Field(default_factory=dict)
    names: dict[Name, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.role == "value" and len(self.of) > 1:
            raise ValueError("a value is of exactly one indicator; write `of: [savings]`")
        if bool(self.names) != (self.role == "indicator"):
            raise ValueError("`names` are those of a column of role `indicator`, and only it has them")
        said = [w for words in self.names.values() for w in words]
        if any(not words for words in self.names.values()) or len(set(said)) < len(said):
            raise ValueError("names that do not tell one indicator from another; give each names of its own")
        if self.of and self.role not in ("value", "date", "until"):
            raise ValueError(f"a {self.role} column is of no indicator; leave `of` out")
        if (self.units or self.words) and self.role != "value":
            raise ValueError("`units` and `words` are those of a value; leave them out")
        if self.units and self.words:
            raise ValueError("a value has either units or words; leave one of the two out")
        if any(str(u).rstrip("0") != "1" for u in self.units.values()):
            raise ValueError("a unit that is no power of ten of the indicator's own; write 1, 10000 and the like")
        known = [w for words in self.words.values() for w in words]
        if any(not words for words in self.words.values()) or len(set(known)) < len(known):
            raise ValueError("words that do not tell one code from another; give each code words of its own")
        return self

    def headers(self) -> dict[str, int]:
        """Every header under which the column may come, as `plain_header` leaves it, and how many units one is there.

        >>> Column(header="金额", role="value", of=("savings",), units={"元": 1, "万元": 10000}).headers()
        {'金额': 1, '金额(元)': 1, '金额(万元)': 10000}
        """
        found = {}
        for header in map(plain_header, (self.header, *self.also)):
            found[header] = next(iter(self.units.values()), 1)
            found.update({f"{header}({unit})": factor for unit, factor in self.units.items()})
        return found


def plain_header(cell: str) -> str:
    """A header cell without blanks and marks that nobody sees, its letters and brackets of common width."""
    seen = (c for c in unicodedata.normalize("NFKC", cell) if unicodedata.category(c) != "Cf")
    return "".join("".join(seen).split())


class Item(Policy):
    """A kind of file, or of sheet, that a department delivers. `grain`: whose keys its rows begin with."""

    name: Words
    grain: Grain
    columns: tuple[Column, ...] = Field(min_length=1)


class Department(Policy):
    """A department, bank or survey that delivers records.

    `items` are its kinds of file; none where it delivers in the canonical form. `leading` are the columns with which
    each item of a grain begins. `senders` are those who deliver for it, each in files of its own; by default itself.
    """

    name: Words
    cadence_months: int = Field(default=1, ge=1, le=12)
    senders: tuple[Words, ...] = ()
    leading: dict[Grain, tuple[Column, ...]] = Field(default_factory=dict)
    items: dict[Name, Item] = Field(default_factory=dict)

    @property
    def sent_by(self) -> tuple[Words, ...]:
        """The names under which its files come."""
        return self.senders or (self.name,)


@dataclass(frozen=True)
class Layout:
    """One item of one department, with all its columns in order."""

    department: str
    item: str
    name: Words
    columns: tuple[Column, ...]

    @property
    def indicators(self) -> tuple[str, ...]:
        """The indicators that the item tells of, each once."""
        named = [n for c in self.of_role("indicator") for n in c.names]
        named += [n for role in ("value", "date") for c in self.columns if c.role == role for n in c.of]
        return tuple(dict.fromkeys(named))

    @property
    def long(self) -> Column | None:
        """The column in which each row names its indicator; None where each has columns of its own."""
        return next(iter(self.of_role("indicator")), None)

    def of_role(self, *roles: Role) -> tuple[Column, ...]:
        """The columns that play one of the roles."""
        return tuple(c for c in self.columns if c.role in roles)

    def value(self, indicator: str) -> Column | None:
        """The column with an indicator's value; None where its date says all: once, that day."""
        return next((c for c in self.of_role("value") if indicator in c.of or (not c.of and self.long)), None)

    def date(self, indicator: str) -> Column | None:
        """The column that dates an indicator's facts."""
        return self._own("date", indicator)

    def until(self, indicator: str) -> Column | None:
        """The column with the last day of an indicator's facts; None where they have none."""
        return self._own("until", indicator)

    def _own(self, role: Role, indicator: str) -> Column | None:
        columns = self.of_role(role)
        own = next((c for c in columns if indicator in c.of), None)
        return own or next((c for c in columns if not c.of), None)


def layouts(departments: Mapping[str, Department]) -> tuple[Layout, ...]:
    """The layout of every item, in the order of departments and items."""
    return tuple(
        Layout(key, item_key, item.name, (*d.leading.get(item.grain, ()), *item.columns))
        for key, d in departments.items()
        for item_key, item in d.items.items()
    )


@dataclass(frozen=True)
class DeliveryName:
    """The name of a delivered file: `医保局-住院-2021-01_2021-01-25`, without ending.

    Whose it is, which item (none: a workbook of several, its sheets named by item), of which month, and the day on
    which it was delivered: the day that its records became known. Such a habit is assumed.
    """

    sender: str
    item: str | None
    month: str
    day: date

    def __str__(self) -> str:
        item = f"-{self.item}" if self.item else ""
        return f"{self.sender}{item}-{self.month}_{self.day}"

    @classmethod
    def parse(cls, stem: str) -> "DeliveryName | None":
        """What a file's name says; None where it is no such name.

        >>> DeliveryName.parse("医保局-住院-2021-01_2021-01-25").item
        '住院'
        """
        # Browsers number what is loaded down twice.
        m = _FILE.fullmatch(re.sub(r"\s*\(\d{1,2}\)$", "", unicodedata.normalize("NFKC", stem).strip()))
        try:
            return m and cls(m["sender"], m["item"], m["month"], date.fromisoformat(m["day"]))
        except ValueError:
            return None


def layout_faults(departments: Mapping[str, Department], indicators: Mapping[str, Indicator]) -> Iterator[Fault]:
    """Every fault of the layouts, alone and against the indicators."""
    for layout in layouts(departments):
        where = f"departments.yaml @ {layout.department}.items.{layout.item}"
        yield from _of_headers(layout, where)
        yield from _of_indicators(layout, indicators, where)
        yield from _of_keys(layout, indicators, where)
        yield from _of_columns(layout, indicators, where)
    for key, department in departments.items():
        told = Counter(n for a in layouts({key: department}) for n in a.indicators)
        for name, indicator in indicators.items():
            if department.items and indicator.department == key and name not in told:
                yield Fault(f"departments.yaml @ {key}.items", f"no item tells of `{name}`", "Add a column for it.")
        for name in (n for n, times in told.items() if times > 1):
            yield Fault(f"departments.yaml @ {key}.items", f"two items tell of `{name}`", "Keep one of the two.")


def _of_headers(layout: Layout, where: str) -> Iterator[Fault]:
    seen = Counter(plain_header(h) for c in layout.columns for h in (c.header, *c.also))
    for header in (h for h, times in seen.items() if times > 1):
        yield Fault(where, f"header `{header}` stands twice", "Each header names one column, synonyms too.")
    roles = Counter(c.role for c in layout.columns)
    for role in (r for r in ONCE if roles[r] > 1):
        yield Fault(where, f"two columns of role {role}", "Keep one of the two.")


def _of_indicators(layout: Layout, indicators: Mapping[str, Indicator], where: str) -> Iterator[Fault]:
    own = [k for k, i in indicators.items() if i.department == layout.department]
    for name in dict.fromkeys(n for c in layout.columns for n in (*c.of, *c.names)):
        if name not in indicators:
            yield Fault(where, f"unknown indicator `{name}`", did_you_mean(name, own or indicators))
        elif name not in own:
            whose = indicators[name].department
            yield Fault(where, f"`{name}` is an indicator of `{whose}`", "Tell it there.")
    if not layout.indicators:
        yield Fault(where, "tells of no indicator", "Add a column with `role: value`.")
    values = layout.of_role("value")
    if layout.long and (len(values) != 1 or values[0].of or values[0].words):
        yield Fault(where, "a long layout has one value column, of whichever indicator a row names", "Leave `of` out.")
    if not layout.long and any(not c.of for c in values):
        yield Fault(where, "a value of no indicator", "Write `of: [savings]`, or add a column of role `indicator`.")
    for role in ("value", "date", "until"):
        times = Counter(n for c in layout.columns if c.role == role for n in c.of)
        for name in (n for n, count in times.items() if count > 1):
            yield Fault(where, f"two {role} columns of `{name}`", "Keep one of the two.")


def _of_keys(layout: Layout, indicators: Mapping[str, Indicator], where: str) -> Iterator[Fault]:
    roles = {c.role for c in layout.columns}
    grains = {indicators[n].grain for n in layout.indicators if n in indicators}
    if "person" in grains and roles.isdisjoint(OF_PERSON):
        yield Fault(where, "no column says which person", f"Add one of role {' or '.join(OF_PERSON)}.")
    if "household" in grains and roles.isdisjoint(OF_HOUSEHOLD):
        yield Fault(where, "no column says which household", f"Add one of role {' or '.join(OF_HOUSEHOLD)}.")


def _of_columns(layout: Layout, indicators: Mapping[str, Indicator], where: str) -> Iterator[Fault]:
    for name in (n for n in layout.indicators if n in indicators):
        if not layout.date(name):
            yield Fault(where, f"no date for `{name}`", "Add a column with `role: date`.")
        value = layout.value(name)
        if not value and indicators[name].kind != "event":
            yield Fault(where, f"no value for `{name}`", "Only an event says all by its date: add `role: value`.")
        if value and value.words:
            yield from _of_words(value.words, indicators[name], f"{where}.{name}")
    for column in layout.of_role("until"):
        for name in (n for n in column.of if n in indicators and indicators[n].kind != "status"):
            yield Fault(where, f"a last day of `{name}`, which is no status", "Only a status goes on.")
    for role in ("date", "until"):
        if sum(not c.of for c in layout.columns if c.role == role) > 1:
            yield Fault(where, f"two {role} columns without `of`", "Say whose each of them is.")


def _of_words(words: Iterable[int], indicator: Indicator, where: str) -> Iterator[Fault]:
    codes = set(indicator.codes or words)
    for code in sorted(set(words) - codes):
        yield Fault(where, f"words for {code}, which is no code of it", "Mend it, or add the code.")
    for code in sorted(codes - set(words)):
        yield Fault(where, f"no words for code {code}", "Write how it comes.")
