"""Filled-in workbooks taken in: read, recognised, settled with what stands, kept; what is refused goes back.

    a workbook's rows = accepted + already known + not filled in + refused, by reason

The same files again change nothing, and a run that was killed anywhere is finished by the next one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from fpml.catalogue import Catalogue, Language
from fpml.dates import AsOf
from fpml.errors import DeliveryError
from fpml.intake import Receipt, fingerprint
from fpml.intake.receipts import shown_name
from fpml.keys import IdentityKey
from fpml.lists import Issued, Token
from fpml.visits.check import Checker
from fpml.visits.read import Row, read_rows
from fpml.visits.receipts import VisitReceipt
from fpml.visits.returned import Line, write_returned
from fpml.visits.settle import ACCEPTED, ALREADY_KNOWN, CORRECTED, Outcome, Told, settle
from fpml.visits.store import VisitStore
from fpml.visits.visit import Refused, Visit

NOT_FILLED = "not_filled"
IntoLedger = Callable[[Sequence[Path]], list[Receipt]]


@dataclass
class _Book:
    """A workbook that was read, and what becomes of each of its rows."""

    path: Path
    fingerprint: str
    rows: list[Row] = field(default_factory=list)
    found: list[Visit | Outcome] = field(default_factory=list)
    whole: str = ""
    month: AsOf | None = None
    list_id: str = ""
    village: str = ""


@dataclass
class Taker:
    """Where filled-in workbooks are taken in. `issued`: the folder of what went out; `into_ledger` takes deliveries in.

    `quarrels`: what the ledger's own intake refused of what it was told, by reason; empty where all is well.
    """

    catalogue: Catalogue
    store: VisitStore
    key: IdentityKey
    issued: Path
    received: date
    language: Language
    into_ledger: IntoLedger
    in_ledger: Callable[[str], bool]
    quarrels: dict[str, int] = field(default_factory=dict)
    _lists: dict[tuple[AsOf, str], Issued | None] = field(default_factory=dict, repr=False)

    def take(self, paths: Iterable[Path]) -> list[VisitReceipt]:
        """Takes workbooks in; what became of each. One that cannot be read whole is refused whole, the others go on."""
        self._finish()
        books = self._read(paths)
        checker = Checker(self.catalogue.visiting, self.key, self._issued, self.received)
        for book in books:
            self._check(book, checker)
        told = [(b, n, v) for b in books for n, v in enumerate(b.found) if isinstance(v, Visit)]
        standing = self.store.standing()
        outcomes, kept = settle([Told(v, b.fingerprint) for b, _, v in told], standing, checker)
        stands = {s.visit.token: s.visit.version for s in (*standing.values(), *kept)}
        for (book, n, _), outcome in zip(told, outcomes, strict=True):
            book.found[n] = outcome
        if kept:
            self.store.add(kept)
            self._finish()
        return [self._receipt(book, stands) for book in books]

    def _finish(self) -> None:
        """Tells the ledger what it has not been told yet."""
        waiting = [p for p in self.store.deliveries() if not self.in_ledger(fingerprint(p))]
        for receipt in self.into_ledger(waiting) if waiting else ():
            left = {"refused whole": receipt.rows or 1} if receipt.refused else receipt.quarantined
            self.quarrels = dict(Counter(self.quarrels) + Counter(left))

    def _issued(self, month: AsOf, list_id: str) -> Issued | None:
        """The list of an id that went out under the key in force."""
        if (month, list_id) not in self._lists:
            self._lists[month, list_id] = Issued.load(self.issued, month, list_id)
        return self._lists[month, list_id]

    def _read(self, paths: Iterable[Path]) -> list[_Book]:
        """Every file once, however often it is named, in the order of their fingerprints' coming."""
        books: dict[str, _Book] = {}
        for path in paths:
            mark = ""
            try:
                mark = fingerprint(path)
                if mark not in books:
                    books[mark] = _Book(path, mark, read_rows(path, self.catalogue.visiting))
            except DeliveryError as e:
                books[mark or str(path)] = _Book(path, mark, whole=f"{e.problem}. {e.remedy}")
        return list(books.values())

    def _check(self, book: _Book, checker: Checker) -> None:
        """What each row is, but for what others say: a workbook is of one list and one village, those of most rows."""
        visiting = self.catalogue.visiting
        known = [checker.identify(row) for row in book.rows]
        whose = [(t.month, t.list_id, i.villages[t.row - 1]) for t, i in (k for k in known if isinstance(k, tuple))]
        most = sorted(Counter(whose).items(), key=lambda c: (-c[1], c[0]))
        if most:
            book.month, book.list_id, book.village = most[0][0]
        for row, found in zip(book.rows, known, strict=True):
            if not row.filled(visiting):
                book.found.append(NOT_FILLED)
            elif isinstance(found, Refused):
                book.found.append(found)
            else:
                book.found.append(self._belongs(book, *found) or checker.check(row, *found))

    def _belongs(self, book: _Book, token: Token, issued: Issued) -> Refused | None:
        if (token.month, token.list_id) != (book.month, book.list_id):
            return Refused("other_list")
        return Refused("other_village") if issued.villages[token.row - 1] != book.village else None

    def _receipt(self, book: _Book, stands: dict[Token, str]) -> VisitReceipt:
        """A workbook's receipt, kept; its refused rows go into a workbook to send back."""
        refused = [(row, f) for row, f in zip(book.rows, book.found, strict=True) if isinstance(f, Refused)]
        counts = Counter(f for f in book.found if isinstance(f, str))
        name = ""
        if refused:
            name = f"{book.village or 'list'}-{book.fingerprint[:8]}.xlsx"
            lines = [Line(row, f, self._replaced(row, f, stands)) for row, f in refused]
            as_of = book.month.date if book.month else self.received
            write_returned(self.store.returned / name, lines, self.catalogue, self.language, as_of)
        receipt = VisitReceipt(
            shown_name(book.path.name), book.fingerprint, rows=len(book.rows),
            accepted=counts[ACCEPTED] + counts[CORRECTED], corrected=counts[CORRECTED],
            already_known=counts[ALREADY_KNOWN], not_filled=counts[NOT_FILLED],
            refused=dict(sorted(Counter(f.reason for _, f in refused).items())),
            month=str(book.month or ""), list_id=book.list_id, village=book.village, returned=name,
            whole=book.whole, received=str(self.received),
        )  # fmt: skip
        return receipt.keep(self.store.receipts) if book.fingerprint else receipt

    def _replaced(self, row: Row, refused: Refused, stands: dict[Token, str]) -> str:
        """The version that a row sent back may replace: that which it quarrels with."""
        token = Token.parse(row.cells.get("token", "").strip().upper())
        again = refused.reason in ("differs", "stale", "changed_today")
        return stands.get(token, "") if token and again else ""
