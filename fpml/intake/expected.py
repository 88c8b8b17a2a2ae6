"""What came, against what was to be expected: each source's cadence, its usual volume, and its usual columns.

Everything is learnt from the receipts themselves. A county's rare events (deaths, accidents, disasters) come when they
come: silence is a finding only of what has come steadily, and a volume only where it has been steady or is beyond all
that was seen. All thresholds are our own; they were set so that a county in good order is not accused.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from statistics import median

from fpml.catalogue import Catalogue, DeliveryName, Words, layouts
from fpml.dates import AsOf, month_of
from fpml.intake.findings import Finding
from fpml.intake.receipts import Receipt
from fpml.intake.sources import CORRECTIONS
from fpml.intake.usual import (
    ENOUGH,
    HALF_A_YEAR,
    OUT_OF_STEP,
    RARE,
    ROWS,
    STRAGGLERS,
    Series,
    Told,
    before_month,
    empty,
    has_rhythm,
    together,
    volume,
)

# A delivery is waited for so many days beyond its usual day of the month.
GRACE = timedelta(days=7)
# A delivery repeats if so many of its rows are known already, where that was so of fewer than so many.
KNOWN, NEW = 0.95, 0.5
# What visits tell comes when it comes, in deliveries whose names begin so.
VISITS = "visits-"
RECORDS = Words(zh="标准记录", en="records")
# A sender and an item; no item where all of a sender's are taken together.
Key = tuple[str, str]


@dataclass(frozen=True)
class Expected:
    """What was found, oldest month first, and how each month of each sender stands.

    `never`: items that never came of senders who deliver others; many are merely rare, so that they are no finding.
    `standing`: by sender and month, `arrived`, `late`, `unusual`, `refused` or `missing`.
    """

    findings: tuple[Finding, ...]
    never: tuple[Finding, ...]
    standing: Mapping[tuple[str, str], str]
    latest: str

    def of(self, *months: str) -> tuple[Finding, ...]:
        """The findings of some months, and the files refused whole that were not replaced."""
        return tuple(f for f in self.findings if f.month in months or f.kind == "refused")


def masked(text: str) -> str:
    """A file's name or a header without the long numbers that somebody may have written into it.

    >>> masked("张三360199199001011234.csv")
    '张三….csv'
    """
    return re.sub(r"\d{11,}[Xx]?", "…", text)


def sender_of(receipt: Receipt) -> str:
    """Whose a delivery is: its sender, or where it has none what its name says; "" for canonical records."""
    name = DeliveryName.parse(receipt.file.rpartition(".")[0])
    return receipt.sender or (name.sender if name and receipt.refused else "")


def month_told(receipt: Receipt) -> str:
    """The month that a delivery is of: as its name says, or else the newest of which it tells."""
    found = re.search(r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?!\d)", receipt.file)
    return receipt.month or (found[0] if found else max(receipt.months, default=""))


def expected(receipts: Sequence[Receipt], catalogue: Catalogue) -> Expected:
    """What was found of all deliveries so far, and how they stand: as of the latest day on which anything came."""
    book = Book.of(receipts, catalogue)
    if not book.series:
        return Expected(tuple(_refused(receipts, book)), (), {}, "")
    found = [*_refused(receipts, book), *book.silent()]
    found += [f for key, series in book.series.items() for f in book.unlike(key, series)]
    found.sort(key=lambda f: (f.month, f.sender, f.item, f.kind))
    return Expected(tuple(found), tuple(book.never()), _standing(found, book), str(AsOf(book.latest)))


@dataclass(frozen=True)
class Book:
    """Every series of deliveries, by sender and item, and the day that the county has reached."""

    catalogue: Catalogue
    series: Mapping[Key, Series]
    reached: date

    @classmethod
    def of(cls, receipts: Iterable[Receipt], catalogue: Catalogue) -> "Book":
        """The book of all receipts of deliveries that were not refused, nor corrections of others."""
        series: dict[Key, dict[int, Told]] = defaultdict(dict)
        reached = date.min
        for r in sorted(receipts, key=lambda r: r.day):
            name = DeliveryName.parse(r.file.rpartition(".")[0])
            if r.refused or not month_told(r) or (name and name.item in CORRECTIONS) or r.file.startswith(VISITS):
                continue
            month = AsOf.parse(month_told(r))
            day = date.fromisoformat(r.day) if r.day else month.date
            reached = max(reached, day)
            for item, told in _items(r, day):
                mine = series[sender_of(r), item]
                mine[month.month] = mine[month.month].plus(told) if month.month in mine else told
        return cls(catalogue, dict(series), reached)

    @cached_property
    def latest(self) -> int:
        """The latest month of which anything came."""
        return max(month for s in self.series.values() for month in s)

    @cached_property
    def _cadence(self) -> dict[str, int]:
        return {w.said("zh"): d.cadence_months for d in self.catalogue.departments.values() for w in d.sent_by}

    @cached_property
    def _names(self) -> dict[Key, Words]:
        known = layouts(self.catalogue.departments)
        found = {("", ""): RECORDS}
        for key, department in self.catalogue.departments.items():
            for who in department.sent_by:
                found[who.said("zh"), ""] = who
                for a in (a for a in known if a.department == key):
                    zh, en = f"{who.said('zh')}·{a.name.said('zh')}", f"{who.said('en')}, {a.name.said('en')}"
                    found[who.said("zh"), a.item] = Words(zh=zh, en=en)
        return found

    def name(self, sender: str, item: str) -> Words:
        """A source in words; as its files say where policy does not know it."""
        return self._names.get((sender, item)) or Words(zh=" ".join(filter(None, (sender, item))) or "?")

    def finding(self, kind: str, key: Key, month: int, **facts: object) -> Finding:
        """A finding about a source in a month."""
        return Finding(kind, *key, self.name(*key), str(AsOf(month)), **facts)  # type: ignore[arg-type]

    def silent(self) -> Iterator[Finding]:
        """Each month of each sender, or else of each of its items, that is missing though it was due."""
        for sender in dict.fromkeys(s for s, _ in self.series):
            mine = {k: s for k, s in self.series.items() if k[0] == sender}
            whole = together(mine.values())
            quiet = dict(self._silences((sender, ""), whole, ENOUGH))
            yield from quiet.values()
            for key, series in mine.items():
                yield from (f for m, f in self._silences(key, series, HALF_A_YEAR) if key[1] and m not in quiet)

    def _silences(self, key: Key, series: Series, span: int) -> Iterator[tuple[int, Finding]]:
        cadence = self._cadence.get(key[0], 1)
        for month in range(min(series) + 1, self.latest + 1):
            before = before_month(series, month)
            if month in series or month - max(before) < cadence or not has_rhythm(sorted(before), cadence, span):
                continue
            lag = median((told.day - _first(m)).days for m, told in before.items())
            rows = sorted(told.rows for told in before.values())
            usual = median(rows)
            if (
                rows[len(rows) // OUT_OF_STEP] >= max(RARE, STRAGGLERS * usual)
                and _first(month) + timedelta(days=lag) + GRACE <= self.reached
            ):
                yield month, self.finding("missing", key, month, usual=round(usual))

    def unlike(self, key: Key, series: Series) -> Iterator[Finding]:
        """What is not as usual about the months that came."""
        for month, told in series.items():
            before = before_month(series, month)
            if len(before) < ENOUGH:
                continue
            usual = round(median(t.rows for t in before.values()))
            figures = {"rows": told.rows, "usual": usual}
            if month_of(told.day) - month > median(month_of(t.day) - m for m, t in before.items()):
                yield self.finding("late", key, month, file=str(told.day), **figures)
            # A few rows so soon after the last are stragglers.
            straggles = month - max(before) < self._cadence.get(key[0], 1)
            kind = volume(told, list(before.values()))
            if kind and not (straggles and kind == "half_usual"):
                yield self.finding(kind, key, month, **figures)
            often = median(t.known for t in before.values())
            if told.cells >= ROWS and told.known >= KNOWN and often < NEW:
                yield self.finding("repeats", key, month, **figures)
            for column in empty(told, list(before.values())):
                yield self.finding("empty_column", key, month, column=column, **figures)

    def never(self) -> Iterator[Finding]:
        """Items that never came of senders who deliver others."""
        senders = {s for s, _ in self.series}
        for key in (k for k in self._names if k[1] and k[0] in senders and k not in self.series):
            yield self.finding("never", key, self.latest)


def _items(receipt: Receipt, day: date) -> Iterator[tuple[str, Told]]:
    """What a delivery tells of each item; canonical records are of none."""
    known = receipt.already_known / receipt.rows if receipt.rows else 0.0
    for item, filled in (receipt.filled or {"": {"*": receipt.rows}}).items():
        rows = filled.get("*", 0)
        yield item, Told(day, rows, known, {h: n for h, n in filled.items() if h != "*"}, rows)


def _first(month: int) -> date:
    return AsOf(month).date.replace(day=1)


def _refused(receipts: Sequence[Receipt], book: Book) -> Iterator[Finding]:
    """The files that were refused whole and not replaced by another of the same sender, item and month, or name."""
    good = {r.file for r in receipts if not r.refused}
    called = {w: a.item for a in layouts(book.catalogue.departments) for w in (a.name.zh, a.name.en) if w}
    for r in (r for r in receipts if r.refused and r.file not in good):
        name = DeliveryName.parse(r.file.rpartition(".")[0])
        sender, month = sender_of(r), month_told(r) or r.taken_on[:7]
        item = called.get((name and name.item) or "", "")
        if not (item and AsOf.parse(month).month in book.series.get((sender, item), {})):
            yield Finding("refused", sender, item, book.name(sender, item), month, file=masked(r.file))


def _standing(found: Iterable[Finding], book: Book) -> dict[tuple[str, str], str]:
    standing = {(key[0], str(AsOf(m))): "arrived" for key, series in book.series.items() for m in series}
    ranks = {"arrived": 0, "late": 1, "unusual": 2, "missing": 3, "refused": 4}
    for f in found:
        state = f.kind if f.kind in ranks else "unusual"
        at = f.sender, f.month
        standing[at] = max(standing.get(at, "arrived"), state, key=ranks.__getitem__)
    return standing
