"""The history of deliveries: one row for each source, one for each file, and what is not as usual."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from fpml.catalogue import Catalogue, Language, Words
from fpml.dates import AsOf
from fpml.intake import REASONS, Receipt
from fpml.intake.expected import RECORDS, Expected, masked, month_told, sender_of
from fpml.intake.findings import Finding
from fpml.review.pages import rendered
from fpml.review.wording import STATES, TERMS, WORDS

# The grid's months, and the latest of those in the list of files that stand open.
MONTHS, OPEN = 24, 2
ALL = Words(zh="合计", en="all")
# What waits for the register, of all that is quarantined.
WAITING = ("unknown_person", "unknown_household")


@dataclass(frozen=True)
class Source:
    """One sender's deliveries together. `first` and `last`: the months that they are of."""

    sender: str
    name: Words
    files: int
    refused: int
    rows: int
    accepted: int
    corrected: int
    already_known: int
    quarantined: dict[str, int]
    first: str
    last: str
    findings: tuple[Finding, ...]

    @property
    def waiting(self) -> int:
        """Rows that wait for the register."""
        return sum(self.quarantined.get(reason, 0) for reason in WAITING)

    @property
    def months(self) -> str:
        """The months covered, as `2021-01…2021-03`."""
        return self.first if self.first == self.last else f"{self.first}…{self.last}"

    def as_json(self) -> dict[str, object]:
        """All of it, for a program."""
        told = {k: v for k, v in vars(self).items() if k not in ("name", "findings")}
        return {**told, "findings": [f.as_json() for f in self.findings]}


def sources(receipts: Sequence[Receipt], told: Expected, catalogue: Catalogue) -> tuple[Source, ...]:
    """One row for each source of some deliveries, in the order of policy, with what is found of their months."""
    names = {w.said("zh"): w for d in catalogue.departments.values() for w in d.sent_by} | {"": RECORDS}
    place = {sender: n for n, sender in enumerate(names)}
    months = {month_told(r) for r in receipts} | {told.latest}
    found = told.of(*months)
    senders = {sender_of(r) for r in receipts} | {f.sender for f in found}
    return tuple(
        _source(
            (sender, names.get(sender) or Words(zh=masked(sender))),
            [r for r in receipts if sender_of(r) == sender],
            tuple(f for f in found if f.sender == sender),
        )
        for sender in sorted(senders, key=lambda s: (place.get(s, len(place)), s))
    )


def total(receipts: Sequence[Receipt]) -> Source:
    """All deliveries together."""
    return _source(("", ALL), receipts, ())


def _source(who: tuple[str, Words], mine: Sequence[Receipt], found: tuple[Finding, ...]) -> Source:
    months = sorted(filter(None, map(month_told, mine)))
    return Source(
        *who,
        files=len(mine),
        refused=sum(bool(r.refused) for r in mine),
        rows=sum(r.rows for r in mine),
        accepted=sum(r.accepted for r in mine),
        corrected=sum(r.corrected for r in mine),
        already_known=sum(r.already_known for r in mine),
        quarantined=dict(sum((Counter(r.quarantined) for r in mine), Counter()).most_common()),
        first=months[0] if months else "",
        last=months[-1] if months else "",
        findings=found,
    )


def reason(name: str, language: Language) -> str:
    """A reason in a few words; one that an older version knew keeps its name."""
    return REASONS[name].zh if language == "zh" and name in REASONS else name.replace("_", " ")


@dataclass(frozen=True)
class Cell:
    """One month of one sender: how it stands, and what is found, in words."""

    state: str
    said: str


@dataclass(frozen=True)
class Deliveries:
    """Everything that the page shows. `grid`: for each sender its months, as `months` has them."""

    county: str
    simulated: bool
    as_of: str
    language: Language
    total: Source
    findings: tuple[Finding, ...]
    never: tuple[Finding, ...]
    months: tuple[str, ...]
    grid: tuple[tuple[str, tuple[Cell, ...]], ...]
    files: tuple[tuple[str, tuple[Receipt, ...]], ...]

    def html(self) -> str:
        """The page."""
        words = WORDS[self.language]
        return rendered(
            "deliveries.html.j2", page=self, words=words, states=STATES, masked=masked, noted=self._noted,
            reason=lambda name: reason(name, self.language), opened=OPEN, terms=TERMS[self.language],
        )  # fmt: skip

    def _noted(self, note: str) -> str:
        """A note about a file, in words; nothing that looks like a number of a person."""
        kind, _, rest = note.partition(" ")
        said = WORDS[self.language].get(f"note_{kind}", note if kind == note else "{0}")
        parts = rest.rsplit(" for ", 1) if kind == "header" else [rest.removesuffix(" ignored") or note]
        return masked(said.format(*parts, *("",) * 2))


def deliveries(
    receipts: Sequence[Receipt], told: Expected, catalogue: Catalogue, language: Language | None = None
) -> Deliveries:
    """The history of all deliveries; what is found of the two latest months stands first."""
    language = language or catalogue.county.language
    months = _latest(told.latest)
    return Deliveries(
        county=catalogue.county.name.said(language),
        simulated=catalogue.county.simulated,
        as_of=max((r.day for r in receipts), default="") or told.latest,
        language=language,
        total=total(receipts),
        findings=tuple(reversed(told.of(*months[-2:]))),
        never=told.never,
        months=months,
        grid=tuple(_grid(sources(receipts, told, catalogue), told, months, language)),
        files=tuple(_by_month(receipts)),
    )


def _latest(month: str) -> tuple[str, ...]:
    return tuple(str(AsOf.parse(month).shift(-n)) for n in reversed(range(MONTHS))) if month else ()


def _grid(
    rows: Iterable[Source], told: Expected, months: Sequence[str], language: Language
) -> Iterable[tuple[str, tuple[Cell, ...]]]:
    said: dict[tuple[str, str], list[str]] = {}
    for f in told.findings:
        said.setdefault((f.sender, f.month), []).append(f.said(language))
    for row in rows:
        at = [(row.sender, month) for month in months]
        yield (row.name.said(language), tuple(Cell(told.standing.get(k, ""), "\n".join(said.get(k, ()))) for k in at))


def _by_month(receipts: Sequence[Receipt]) -> Iterable[tuple[str, tuple[Receipt, ...]]]:
    """The deliveries by the month in which they came, newest first."""

    def came(r: Receipt) -> str:
        found = re.match(r"\d{4}-\d{2}", r.day or month_told(r) or r.taken_on)
        return found[0] if found else ""

    newest = sorted(receipts, key=lambda r: (came(r), r.day, r.file), reverse=True)
    for month, found in groupby(newest, key=came):
        yield month, tuple(found)
