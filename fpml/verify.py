"""The visits of one workspace: filled-in workbooks into the ledger, and the steps that households have reached."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from fpml.catalogue import Catalogue, Language
from fpml.errors import NotYetError, UsageError
from fpml.inbox import Inbox
from fpml.ledger import Ledger
from fpml.lists import Issued
from fpml.lock import alone
from fpml.visits import Taker, VisitReceipt, VisitStore, confirmed_reasons, overdue, procedure, write_overdue
from fpml.workspace import Workspace, signing_key


@dataclass(frozen=True)
class Visits:
    """What has come back of a workspace's lists."""

    workspace: Workspace
    catalogue: Catalogue
    inbox: Inbox

    @property
    def store(self) -> VisitStore:
        """Where visits are kept."""
        return VisitStore(self.workspace.visits)

    def take(
        self, files: Iterable[Path], *, received: date | None = None, language: Language | None = None
    ) -> tuple[list[VisitReceipt], dict[str, int]]:
        """Takes filled-in workbooks in: what became of each, and what the ledger refused of it all, by reason.

        `received`: the day on which they came (None: today). Raises NotYetError where no list has gone out.
        """
        day, today = received or date.today(), date.today()
        if day > today:
            raise UsageError(f"verify {day}", "a day that has not come", "Give the day on which they came.")
        space = self.workspace
        if not any(space.issued.glob("*.parquet")):
            raise NotYetError("verify", "no list has gone out", "Publish one first: fpml month 2024-06.")
        with alone(space.cache / "verify.lock", "verify"):
            taker = Taker(
                self.catalogue, self.store, signing_key(space), space.issued, day,
                language or self.catalogue.county.language,
                lambda paths: self.inbox.take(paths, today=max(day, today)),
                lambda mark: Ledger(space.ledger).has(mark),
            )  # fmt: skip
            return taker.take(files), taker.quarrels

    def procedure(self, day: date) -> pd.DataFrame:
        """One row per listed household and step reached or next: see `fpml.visits.procedure`."""
        ledger, spells = Ledger(self.workspace.ledger), defaultdict(list)
        if "monitored" in self.catalogue.indicators and ledger.version >= 0:
            told = ledger.standing(day, "monitored").select(["household_id", "event_date", "until_date"]).to_pylist()
            for row in sorted(told, key=lambda r: r["event_date"]):
                spells[row["household_id"]].append((row["event_date"], row["until_date"]))
        lists = Issued.all(self.workspace.issued)
        return procedure(lists, self.store.standing(), spells, self.catalogue, day)

    def reasons(self, language: Language | None = None) -> pd.DataFrame:
        """How often the reasons of lists were found so at the door, by indicator: see `fpml.visits.confirmed`."""
        lang = language or self.catalogue.county.language
        return confirmed_reasons(self.store.standing().values(), self.catalogue, lang)

    def write_overdue(self, day: date, language: Language | None = None) -> tuple[pd.DataFrame, Path]:
        """Writes what is overdue on a day, a file for each village; all steps, and where the files lie."""
        steps, folder = self.procedure(day), self.workspace.procedure / str(day)
        write_overdue(overdue(steps), folder, self.catalogue, language or self.catalogue.county.language)
        return steps, folder
