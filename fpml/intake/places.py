"""Where a refused row stands, and the token that names the place to whoever puts it right."""

import re
from dataclasses import dataclass
from hashlib import sha256

_TOKEN = re.compile(r"([0-9a-f]{16})-(\d{1,9})-([0-9a-f]{4})", re.ASCII)


@dataclass(frozen=True, order=True)
class Place:
    """Where a refused row stands: the delivery, the row's number, and four digits that stand for its sheet."""

    delivery: str
    row: int
    sheet: str

    @classmethod
    def of(cls, delivery: str, sheet: str | None, row: int) -> "Place":
        """The place of a row of a sheet."""
        return cls(delivery, row, sha256((sheet or "").encode()).hexdigest()[:4])

    @classmethod
    def parse(cls, token: str | None) -> "Place | None":
        """The place that a token names; None where it is no token."""
        m = _TOKEN.fullmatch(token.strip()) if token else None
        return m and cls(m[1], int(m[2]), m[3])

    def __str__(self) -> str:
        return f"{self.delivery}-{self.row}-{self.sheet}"
