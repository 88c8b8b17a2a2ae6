"""A county's health: what each list was made from is kept, alarms are told, and both go into MLflow. No person."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from fpml import health, tracking
from fpml.catalogue import Catalogue, fingerprint, load, policy_files
from fpml.dates import AsOf
from fpml.errors import FpmlError, InputError
from fpml.health import Alarm, Seen, Snapshot
from fpml.inbox import Inbox
from fpml.ledger import Ledger
from fpml.lists import POLICY, Edition, Standing, WarningList, editions, kept
from fpml.risk import RiskModel
from fpml.workspace import DEFAULT_POLICY, Workspace

Models = dict[str, RiskModel]


@dataclass(frozen=True)
class Watch:
    """What is watched of one workspace."""

    workspace: Workspace
    catalogue: Catalogue
    ledger: Ledger

    def knows(self, edition: Edition) -> bool:
        """Whether what an edition was made from is kept."""
        return self._kept(edition) is not None

    def has_asked(self, edition: Edition) -> bool:
        """Whether it is kept, and the monitors have been asked of it since, without a fault."""
        told = self._kept(edition)
        return told is not None and told.asked

    def note_asked(self, edition: Edition, *, asked: bool) -> None:
        """Keeps, with what an edition was made from, whether the monitors have been asked of it without a fault."""
        told = self._kept(edition)
        if told is not None and told.asked != asked:
            replace(told, asked=asked).keep(self.workspace.health)

    def _kept(self, edition: Edition) -> Snapshot | None:
        """What is kept of an edition; None where nothing is, or of another edition of its month."""
        told = health.snapshots(self.workspace.health, edition.month).get(edition.month.month)
        return told if told and told.stamp == stamp_of(edition) else None

    def keep(
        self, histories: pa.Table, stand: Standing, warnings: WarningList, models: Models, *, stamp: str = ""
    ) -> None:
        """Keeps what a list was made from, in counts, with what has changed since the list before and what came since.

        A list of the same month that is published again takes its place; its monitors have not been asked yet.
        `stamp`: see `stamp_of`.
        """
        told = health.of_list(histories, stand, warnings, models, self.catalogue)
        told = replace(told, stamp=stamp, asked=False)
        month = AsOf.parse(told.month)
        before = kept.last_kept(self.workspace.scores / f"{month.shift(-1)}.parquet")
        if before is not None:
            told = replace(told, came=health.came(before, histories, self.catalogue))
        earlier = [e for e in editions(self.workspace.lists) if e.month < month]
        if earlier:
            told = self._since(earlier[-1], told, histories, stand)
        told.keep(self.workspace.health)

    def _since(self, before: Edition, told: Snapshot, histories: pa.Table, stand: Standing) -> Snapshot:
        """With what of the policy is not as it was for the list before."""
        try:
            made = before.made
        except InputError:
            return told
        if made is None or made.policy == self.catalogue.fingerprint:
            return told
        files = policy_files(self.workspace.policy, DEFAULT_POLICY)
        now = {f"{POLICY}/{path.name}": fingerprint([path]) for path in files}
        then = {f"{POLICY}/{path.name}": fingerprint([path]) for path in (before.folder / POLICY).glob("*.yaml")}
        names = sorted(Path(n).name for n in {*now, *then} if now.get(n) != then.get(n))
        changed: tuple[health.Change, ...] = ()
        # A policy that this fpml no longer reads cannot be held against: its files are named all the same.
        with suppress(FpmlError, OSError):
            old = load(before.folder / POLICY, DEFAULT_POLICY)
            changed = tuple(health.changes(old, self.catalogue, histories, stand.hits))
        return replace(told, changes=changed, policy_files=tuple(names))

    def alarms(self, *months: AsOf) -> list[Alarm]:
        """Every alarm of some months, as far as is known now; none where nothing has been taken in."""
        if self.ledger.version < 0 or not months:
            return []
        inbox = Inbox(self.workspace, self.catalogue)
        seen = Seen(
            inbox.receipts(), inbox.expected(), self.ledger, self.workspace.health, self.workspace.reports
        )  # fmt: skip
        return health.alarms(seen, self.catalogue, *months)

    def lately(self, last: AsOf) -> list[Alarm]:
        """The alarms of a month and of the one before it."""
        return self.alarms(last.shift(-1), last)

    def outlook(self, last: AsOf) -> dict[str, object]:
        """What chances expect of the last list, what came of those before, what audits found; and how late each is."""
        snapshots = health.snapshots(self.workspace.health, last)
        told, rule = health.foreseen(snapshots), self.catalogue.watching.calibration
        a_month = sum(c.foreseen for c in told[-12:]) / len(told[-12:]) if told else 0.0
        audits = health.audited(self.workspace.reports)
        return {
            "estimate": health.outlook(snapshots),
            "entries": {
                "months": len(told),
                "foreseen": round(sum(c.foreseen for c in told), 1),
                "came": sum(c.came for c in told),
                "delay_months": round(health.calibration_delay(a_month, 1 / rule.times, rule), 1) if a_month else None,
            },
            "audit": {str(AsOf(m)): r for m, r in sorted(audits.items())[-1:]},
        }

    def log(self, month: AsOf, found: list[Alarm]) -> bool | None:
        """Logs a month's counts and alarms in MLflow; whether it could, and None where there is nothing to log into.

        A county's tracking database is made when its first model is trained. The list stands whatever MLflow says.
        """
        try:
            settings = self.workspace.tracking()
        except (InputError, OSError):
            return False
        database = Path(settings[0].removeprefix("sqlite:///"))
        if not database.is_file():
            return None
        monitors = Counter(a.monitor for a in found)
        figures = {f"alarms_{name}": float(monitors[name]) for name in self.catalogue.watching.monitors}
        told = health.snapshots(self.workspace.health, month).get(month.month)
        if told:
            figures |= {"households": told.households, "listed": told.listed, "expected": told.expected,
                        "mean_chance": told.chance, "high_risk_reasons": told.told}  # fmt: skip
            figures |= {f"reasons_{d}": float(n) for d, n in told.reasons.items()}
        params = {"month": str(month), "policy": self.catalogue.fingerprint}
        return tracking.logged(settings, name=f"health {month}", params=params, metrics=figures)


def stamp_of(edition: Edition) -> str:
    """The digest of what an edition says it was made from; '' where it does not say."""
    made = edition.made
    return made.digest if made else ""
