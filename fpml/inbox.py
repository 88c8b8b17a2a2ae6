"""Where a county's deliveries come in: what waits, taking it in, and what became of everything that came."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from fpml import lists, review
from fpml.catalogue import Catalogue, DeliveryName, Language
from fpml.intake import Intake, Receipt, Shelf, fingerprint, place_of
from fpml.intake.expected import Expected, expected
from fpml.ledger import Ledger
from fpml.lock import alone
from fpml.progress import Progress, silent
from fpml.vault import Vault
from fpml.workspace import Workspace

_Kind = tuple[str, str | None, str] | None


@dataclass(frozen=True)
class Inbox:
    """The deliveries of one workspace."""

    workspace: Workspace
    catalogue: Catalogue
    progress: Progress = silent

    @property
    def shelf(self) -> Shelf:
        """What intake keeps beside the ledger."""
        space = self.workspace
        return Shelf(space.receipts, space.quarantine, Vault(space.vault) if self.catalogue.county.names_kept else None)

    def take(self, files: Iterable[Path], *, today: date | None = None) -> list[Receipt]:
        """Takes files into the ledger; what became of each. Refused rows go into workbooks for whoever sent them."""
        space, paths = self.workspace, list(files)
        day, told = today or date.today(), self._counted(len(paths))
        with alone(space.cache / "intake.lock", "intake"):
            intake = Intake(Ledger(space.ledger), self.catalogue, self.shelf, space.key, space.cache, day, told)
            receipts = intake.take(paths)
            lists.write_corrections(self.shelf, self.catalogue, space.corrections, space.cache / "corrections.json")
        return receipts

    def _counted(self, files: int) -> Callable[[str, float], None]:
        """Tells of each file its number."""
        number = count(1)

        def told(what: str, share: float) -> None:
            """Shows the next one."""
            self.progress(f"file {next(number)} of {files}: {what}", share)

        return told

    def waiting(self, *, today: date | None = None) -> list[Path]:
        """The files in the deliveries folder that are to be taken in on a day (None: today).

        Those not taken in yet; those refused whole, until a later one of their kind and month has come; and those with
        refused rows, since when the policy has changed or their day has come. Rows that wait for the register need no
        file: see `fpml.intake.waiting`.
        """
        receipts, day = self.receipts(), today or date.today()
        told = {r.place: r for r in receipts}
        found = (p for p in self.workspace.deliveries.rglob("*") if p.is_file() and p.suffix != ".part")
        return sorted(
            p for p in found if not p.name.startswith((".", "~$")) and self._waits(p, told.get(place_of(p)), day)
        )

    def _waits(self, path: Path, receipt: Receipt | None, today: date) -> bool:
        receipt = receipt or self.shelf.receipt(fingerprint(path))
        if receipt is None:
            return True
        if not receipt.runs:
            name = DeliveryName.parse(path.stem)
            return name is None or self._whole_on(path.name) <= str(name.day)
        # What an earlier fpml took in has no such day: it is asked once more, and then has.
        in_time = "known_in_future" in receipt.quarantined and receipt.again_on <= str(today)
        return bool(receipt.quarantined) and (in_time or receipt.policy != self.catalogue.fingerprint)

    def _whole_on(self, file: str) -> str:
        """The day of the last delivery of a file's kind and month that was taken in; '' where none was."""
        kind = _kind(file)
        return max((r.day for r in self.receipts() if r.runs and _kind(r.file) == kind), default="")

    def receipts(self) -> list[Receipt]:
        """What became of every delivery so far, oldest first."""
        return self.shelf.all()

    def expected(self) -> Expected:
        """What came so far against what was to be expected: late, missing, twice the usual, a column suddenly empty."""
        return expected(self.receipts(), self.catalogue)

    def page(self, language: Language | None = None) -> Path:
        """Writes the page with the history of deliveries; where it lies."""
        receipts = self.receipts()
        page = review.deliveries(receipts, expected(receipts, self.catalogue), self.catalogue, language)
        return review.written(self.workspace.reports / "deliveries.html", page.html())


def _kind(file: str) -> _Kind:
    """Sender, item and month of a department's file, as its name says; None of any other."""
    name = DeliveryName.parse(Path(file).stem)
    return (name.sender, name.item, name.month) if name else None
