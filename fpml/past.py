"""A county's months as its ledger tells them: histories, built shard by shard; those built last are kept at hand."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from fpml import engine, lists
from fpml.catalogue import Catalogue
from fpml.dates import AsOf, as_ofs_between, month_of
from fpml.engine import Engine
from fpml.errors import NotYetError, UsageError
from fpml.features import COLUMNS, Asked, histories, read_later
from fpml.households import LINKED_FORMAT, Linked, linked
from fpml.ledger import Ledger, Reading, lent, shard_of
from fpml.outcomes import told_by
from fpml.progress import Progress
from fpml.workspace import Workspace

# Of so many rows and more, what the last call left in memory is given back to the system before the next.
LARGE = 10_000_000


@dataclass(frozen=True)
class Then:
    """What a list was made from, and the versions of ledger and vault to read it in.

    A county opened so stays as it was then.
    """

    made: lists.MadeFrom
    version: int
    vault: int = 0


@dataclass
class Built:
    """What was built last, by what it was built from; each holds until the ledger or the policy changes.

    `whole`: histories with every feature; `told`: who was at risk and who fell, at all as-ofs up to one; `ties`: what
    shards must know of each other.
    """

    whole: dict[tuple[object, ...], pa.Table] = field(default_factory=dict)
    told: tuple[str, str, AsOf, pa.Table] | None = None
    ties: tuple[str, Linked] | None = None


@dataclass(frozen=True)
class Past:
    """What histories of a county are built from, and where; `built` outlives it, and is shared with the next."""

    workspace: Workspace
    catalogue: Catalogue
    ledger: Ledger
    progress: Progress
    engine: Engine
    built: Built

    def as_ofs(self, last: AsOf | None = None) -> tuple[AsOf, ...]:
        """Every as-of of the county's calendar that the ledger reaches, up to the last one given."""
        span = self.ledger.known_span()
        first, end = AsOf(month_of(span[0])), AsOf(month_of(span[1]))
        found = as_ofs_between(first, min(end, last) if last else end, self.catalogue.county.as_of_months)
        if not found:
            raise NotYetError(
                f"as-ofs up to {last or end}", f"nothing was known before {span[0]}", "Choose a later one."
            )
        return found

    def histories(
        self,
        *as_ofs: str | AsOf,
        names: Sequence[str] | None = None,
        rows: pa.Table | None = None,
        late: Collection[str] = (),
    ) -> pa.Table:
        """One row per watched household and as-of, with every feature: see `County.histories`."""
        months = tuple(sorted({AsOf.parse(a) for a in as_ofs}))
        if not months:
            raise UsageError("histories", "no as-of given", "Give at least one, as 2024-05.")
        ledger = self.ledger
        reached = AsOf(month_of(ledger.known_span()[1]))
        if months[-1] > reached:
            raise NotYetError(f"as-of {months[-1]}", f"the ledger reaches {reached}", "Take in later deliveries first.")
        key = (ledger.content, self.catalogue.fingerprint, months)
        whole = names is None and rows is None and not late
        if whole and key in self.built.whole:
            return self.built.whole[key]
        if ledger.rows > LARGE:
            engine.give_back()
        read, ties = self._lent(), self.linked()
        self.progress(f"histories at {len(months)} as-of{'s' if len(months) > 1 else ''}")
        asked = Asked(months, None if names is None else tuple(names), rows)
        delayed = frozenset(n for n, i in self.catalogue.indicators.items() if i.department in late)
        table = histories(
            partial(read_later, read.shard, delayed),
            read.shards,
            self.catalogue,
            asked,
            run=self.engine.run,
            linked=ties,
        )
        if whole:
            self.built.whole.clear()
            self.built.whole[key] = table
        return table

    def at(self, as_of: str | AsOf, *, names: Sequence[str] | None = None) -> pa.Table:
        """The histories of one as-of, taken from those built last where they hold it; `names`: these are enough."""
        month = AsOf.parse(as_of)
        ledger = self.ledger
        for (content, policy, months), table in self.built.whole.items():
            if content == ledger.content and policy == self.catalogue.fingerprint and month in months:  # type: ignore[operator]
                return table.filter(pc.equal(table["as_of"], pa.scalar(month.date, pa.date32())))
        return self.histories(month, names=names)

    def found(self, household: str, as_of: str | AsOf) -> tuple[pa.Table, int]:
        """An as-of's histories and the row of one household; raises UsageError where it is not watched then."""
        table = self.at(as_of)
        row: int = pc.index(table["household_id"], pa.scalar(household)).as_py()
        if row < 0:
            raise UsageError("household", f"not watched at {AsOf.parse(as_of)}", "Check its id and the as-of.")
        return table, row

    def records(self, household: str) -> pa.Table:
        """Every version of every record told of one household, and of the persons who came to it."""
        ledger = self.ledger
        shard = int(shard_of(pa.array([household]), ledger.shards)[0])
        incoming = self.linked().incoming(shard)
        parts = [t.select(COLUMNS) for t in (ledger.shard(shard, COLUMNS), incoming) if t is not None]
        return pa.concat_tables(parts)

    def known(self, households: Sequence[str], as_of: AsOf) -> lists.Known:
        """What is known at an as-of of the dates of some households' records, and of departments' last months."""
        ledger = self._lent()
        self.progress("reasons")
        return lists.known(ledger.shard, ledger.shards, households, as_of, self.catalogue, self.engine.run)

    def told(self, last: AsOf) -> pa.Table:
        """Who was at risk and who fell at every as-of up to the last (perhaps later too), in the features that tell."""
        if (held := self.held(last)) is not None:
            return held
        key = self.ledger.content, self.catalogue.fingerprint
        if self.built.told is None or self.built.told[:2] != key or self.built.told[2] < last:
            self.built.told = None
            self.built.told = *key, last, self.histories(*self.as_ofs(last), names=told_by(self.catalogue))
        return self.built.told[3]

    def held(self, last: AsOf) -> pa.Table | None:
        """Histories of every as-of up to the last (perhaps later too), where those built last go as far."""
        for (content, policy, months), table in self.built.whole.items():
            reaches = set(self.as_ofs(last)) <= set(months)  # type: ignore[call-overload]
            if content == self.ledger.content and policy == self.catalogue.fingerprint and reaches:
                return table
        return None

    def _lent(self) -> Reading:
        """The ledger as whoever works on its shards reads it: in its copy, where the engine has one."""
        if not self.engine.ledger_copy:
            return self.ledger
        return lent(self.ledger, self.engine.ledger_copy, self.progress)

    def linked(self) -> Linked:
        """What shards must know of each other, kept on disk until the ledger changes.

        It can always be found anew: a file that cannot be read or written is no reason to stop.
        """
        content = self.ledger.content
        if self.built.ties is None or self.built.ties[0] != content:
            path = self.workspace.cache / f"linked-{LINKED_FORMAT}-{content}.arrow"
            try:
                found = Linked.load(path)
            except (OSError, pa.ArrowException, KeyError):
                found = linked(self._lent(), COLUMNS, self.engine.run)
                with suppress(OSError):
                    if found.size:
                        found.save(path)
                    for old in path.parent.glob("linked-*.arrow"):
                        if old != path:
                            old.unlink(missing_ok=True)
            self.built.ties = content, found
        return self.built.ties[1]
