"""Months and month-ends.

A month is an integer, `year * 12 + month - 1`, so that windows are subtractions. An `AsOf` is the end of a month and
nothing else: whoever holds one cannot ask for "today".
"""

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from fpml.errors import UsageError

# What goes on has no last day, and what is never replaced no last month: 2699-12-31, in days since 1970, and the last
# month that sixteen bits hold.
FAR = 266_626
NEVER = 32_767


@dataclass(frozen=True, order=True)
class AsOf:
    """The end of a month: what was known by then may be used, nothing else.

    >>> AsOf.parse("2024-02").date
    datetime.date(2024, 2, 29)
    >>> str(AsOf.parse("2024-05").shift(-5))
    '2023-12'
    """

    month: int

    @classmethod
    def parse(cls, text: "str | AsOf") -> "AsOf":
        """The as-of that `2024-05` or `2024-05-31` names; raises UsageError for any other day of a month."""
        if isinstance(text, AsOf):
            return text
        m = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text)
        if not m or not 1 <= int(m[2]) <= 12 or int(m[1]) < 1900:
            raise UsageError(f"as-of {text!r}", "not a month", "Write it as 2024-05.")
        as_of = cls(int(m[1]) * 12 + int(m[2]) - 1)
        if m[3] and int(m[3]) != as_of.date.day:
            raise UsageError(f"as-of {text!r}", "not the end of a month", f"Write {as_of} or {as_of.date}.")
        return as_of

    @property
    def date(self) -> date:
        """The last day of the month."""
        year, month = divmod(self.month, 12)
        return date(year, month + 1, calendar.monthrange(year, month + 1)[1])

    def shift(self, months: int) -> "AsOf":
        """The as-of so many months later, or earlier when negative."""
        return AsOf(self.month + months)

    def __str__(self) -> str:
        return f"{self.month // 12:04d}-{self.month % 12 + 1:02d}"


def month_of(day: date) -> int:
    """The month, as an integer, that a day lies in."""
    return day.year * 12 + day.month - 1


def months_of(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int32]:
    """The months, as integers, that an array of days lies in."""
    return (days.astype("datetime64[M]").astype(np.int64) + 1970 * 12).astype(np.int32)


def as_ofs_between(first: AsOf, last: AsOf, months_of_year: Iterable[int]) -> tuple[AsOf, ...]:
    """Every as-of from first to last, both included, that falls in one of the months (1 to 12) given."""
    wanted = set(months_of_year)
    return tuple(AsOf(m) for m in range(first.month, last.month + 1) if m % 12 + 1 in wanted)
