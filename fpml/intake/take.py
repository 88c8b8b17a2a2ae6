"""Deliveries taken in: read, compared with the ledger, appended in few commits, what is refused set apart."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import DeliveryError, InputError, LedgerChangedError
from fpml.intake import contacts
from fpml.intake.ahead import Ahead, opened
from fpml.intake.check import check
from fpml.intake.columns import encoded
from fpml.intake.compare import Told, compare
from fpml.intake.corrections import read_corrections
from fpml.intake.departments import Office, read_department
from fpml.intake.pieces import FACTS, Piece
from fpml.intake.read import fingerprint, is_canonical, read
from fpml.intake.reasons import ACCEPTED, ALREADY_KNOWN, CODES, CORRECTION, NAMES, TAKEN, Codes
from fpml.intake.receipts import Receipt, place_of, shown_name
from fpml.intake.register import COLUMNS, Register
from fpml.intake.shelf import Pending, Shelf, held_facts, refused_rows
from fpml.intake.sources import Source, is_named, source_of
from fpml.intake.waiting import healed
from fpml.keys import load
from fpml.ledger import Ledger, fact_keys, indicator_codes

# So many facts are compared with the ledger and appended at once.
BATCH = 2_000_000
# How often facts are compared anew before another run's appends are told as the fault they then are.
TRIES = 5
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Delivery:
    """A file to be taken in. `source`: what its name says of a department's; None of canonical records.

    `tag` is the transaction by which the ledger knows that all of it is in: its fingerprint, or where it comes again
    (there is a word of policy more, or a clerk insists) that and a number.
    """

    path: Path
    fingerprint: str
    source: Source | None
    tag: str

    @property
    def month(self) -> int:
        """The month that it tells of, as a number; 0 where it does not say."""
        return AsOf.parse(self.source.month).month if self.source else 0

    @property
    def again(self) -> bool:
        """Whether it has been taken in before."""
        return self.tag != self.fingerprint


@dataclass(frozen=True)
class _Compared:
    """A piece of a delivery, waiting to be compared with the ledger and appended."""

    delivery: Delivery
    number: int
    last: bool
    piece: Piece

    @property
    def transaction(self) -> str:
        """By what the ledger knows that it is in."""
        return self.delivery.tag if self.last else f"{self.delivery.tag}#{self.number}"


@dataclass
class Intake:
    """Where a county's deliveries are taken in: its ledger and policy, and the places of what intake keeps."""

    ledger: Ledger
    catalogue: Catalogue
    shelf: Shelf
    key: Path
    cache: Path
    today: date
    progress: Progress = lambda _what, _share: None
    _ahead: Ahead = field(default_factory=lambda: Ahead([]), repr=False)
    _batch: list[_Compared] = field(default_factory=list, repr=False)
    _placed: dict[str, Receipt] = field(default_factory=dict, repr=False)

    def take(self, paths: Iterable[Path]) -> list[Receipt]:
        """Takes files in, the register's first, then by day; what became of each, as it is now.

        A file that cannot be read whole is refused whole and the others go on. The same files again change nothing.
        Where another run adds to the ledger meanwhile, facts are compared again with what it then holds.
        """
        self.shelf.finish(self.ledger)
        found, refused = [], []
        seen: dict[str, Path] = {}
        for path in paths:
            key = ""
            try:
                key = fingerprint(path)
                if seen.setdefault(key, path) is path:
                    found.append(self._delivery(path, key))
            except DeliveryError as e:
                refused.append(self._refuse(path, key, e))
        found.sort(key=lambda d: (not self._of_register(d), d.source.day if d.source else self.today, d.path.name))
        whole = max(sum(d.path.stat().st_size for d in found), 1)
        done = 0
        with Ahead([d.path for d in found if d.source]) as self._ahead:
            for i, delivery in enumerate(found):
                self.progress(delivery.path.name, done / whole)
                refusal = self._read(delivery)
                refused += [refusal] if refusal else []
                done += delivery.path.stat().st_size
                # Others are read with the register as it then is.
                if self._of_register(delivery) and not (i + 1 < len(found) and self._of_register(found[i + 1])):
                    self._commit()
            self._commit()
        self._take_held()
        self.ledger.compact()
        if self.shelf.vault:
            self.shelf.vault.merge()
        if self.catalogue.county.membership and self.ledger.version >= 0 and "register" in vars(self):
            self.register.save(self.ledger, self.cache)
        taken = [self._placed.pop(d.fingerprint) for d in found if d.fingerprint in self._placed]
        return [*taken, *refused]

    def _delivery(self, path: Path, key: str) -> Delivery:
        before = self.shelf.receipt(key)
        tag, n = key, 0
        while self.ledger.has(tag) or (before and tag in before.runs):
            n += 1
            tag = f"{key}~{n}"
        if is_canonical(path) or (not is_named(path) and path.suffix.lower() in (".csv", ".parquet")):
            return Delivery(path, key, None, tag)
        source = source_of(path, self.catalogue, today=self.today)
        if before and before.runs and (before.sender, before.month) != (source.sender, source.month):
            problem = f"of another month or department: the same bytes came as {before.file}"
            raise DeliveryError(path.name, problem, "Deliver this one's own.")
        return Delivery(path, key, source, tag)

    def _of_register(self, delivery: Delivery) -> bool:
        membership = self.catalogue.county.membership
        whose = self.catalogue.indicators[membership].department if membership else ""
        return delivery.source is not None and delivery.source.department == whose

    @cached_property
    def register(self) -> Register:
        """Which household each person is in, as the ledger has it."""
        return Register.of(self.ledger, self.catalogue.county, self.cache)

    @cached_property
    def _office(self) -> Office:
        key = load(self.key)
        others = {r.key for r in self.shelf.all() if r.key} - {key.fingerprint}
        if others:
            problem = "not the one under which people were taken in before"
            raise InputError(f"key {self.key.name}", problem, "Restore the county's own key from its safe copy.")
        return Office(self.catalogue, key, self.register)

    def _pieces(self, delivery: Delivery) -> Iterator[Piece]:
        """A file's pieces; where it comes again those of the rows that were refused, and of no others."""
        pieces = self._all_pieces(delivery)
        if not delivery.again or self.shelf.receipt(delivery.fingerprint) is None:
            return pieces
        refused = self.shelf.refused(delivery.fingerprint)
        places = set(zip(refused["sheet"].to_pylist(), refused["row"].to_pylist(), strict=True))
        return (piece.only(places) for piece in pieces)

    def _all_pieces(self, delivery: Delivery) -> Iterator[Piece]:
        if delivery.source is None:
            return (check(rows, self.catalogue, today=self.today) for rows in read(delivery.path))
        reader = read_corrections if delivery.source.corrects else read_department
        return reader(self._ahead.tables(delivery.path), delivery.source, self._office)

    def _read(self, delivery: Delivery) -> Receipt | None:
        """Puts a delivery's pieces into the batch, which is appended when it is full; its refusal, if it is refused."""
        try:
            before = None
            for number, piece in enumerate(self._pieces(delivery)):
                self._add(before)
                before = _Compared(delivery, number, False, piece)
            self._add(before and replace(before, last=True))
        except DeliveryError as e:
            self._batch = [c for c in self._batch if c.delivery is not delivery]
            self.shelf.drop(delivery.tag)
            return self._refuse(delivery.path, delivery.fingerprint, e, delivery.source)
        return None

    def _add(self, part: _Compared | None) -> None:
        if part is None or (self.ledger.has(part.transaction) and self.shelf.pending(part.delivery.tag, part.number)):
            return
        self._batch.append(part)
        if sum(c.piece.facts.num_rows for c in self._batch) >= BATCH:
            if not part.last and not self.shelf.pending(part.delivery.tag, 0):
                # Some of it goes into the ledger now: what cannot be read to its end must not have begun.
                _read_through(part.delivery)
            self._commit()

    def _refuse(self, path: Path, key: str, error: DeliveryError, source: Source | None = None) -> Receipt:
        """The receipt of a file that was refused whole; one that was taken in before keeps its own."""
        receipt = replace(self._blank(path, key, source), refused=f"{error.problem}. {error.remedy}")
        before = self.shelf.receipt(key)
        if key and (before is None or not before.runs):
            self.shelf.keep(receipt)
        return receipt

    def _commit(self) -> None:
        """Compares the batch with the ledger and appends it, again where another run came between."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        for left in reversed(range(TRIES)):
            try:
                facts = self._append(batch)
                break
            except LedgerChangedError:
                if not left:
                    raise
        self._tell_register(facts)
        for part in batch:
            if part.last:
                self._placed[part.delivery.fingerprint] = self.shelf.place(part.delivery.tag)

    def _append(self, batch: list[_Compared]) -> pa.Table:
        """One try at it; returns what was appended."""
        batch = [c for c in batch if not self.ledger.has(c.transaction)] or batch
        facts = _together([c.piece.facts for c in batch])
        month = np.concatenate([np.full(c.piece.fault.size, c.delivery.month) for c in batch])
        told = Told(facts, np.concatenate([c.piece.fault for c in batch]), month)
        outcome = compare(told, self.ledger, self.catalogue)
        edges = np.cumsum([0, *(c.piece.facts.num_rows for c in batch)])
        for part, begin, end in zip(batch, edges[:-1], edges[1:], strict=True):
            self.shelf.put(self._pending(part, outcome[begin:end]))
        kept = _taken(facts, outcome, [(c.delivery.fingerprint, c.piece.facts.num_rows) for c in batch])
        if kept.num_rows or not all(c.delivery.again for c in batch):
            self.ledger.append(kept, *(c.transaction for c in batch))
        return kept

    def _pending(self, part: _Compared, fault: Codes) -> Pending:
        piece, delivery = part.piece, part.delivery
        outcome = piece.outcome(fault)
        receipt = self._blank(delivery.path, delivery.fingerprint, delivery.source)
        codes, numbers = np.unique(outcome, return_counts=True)
        counts = dict(zip(codes.tolist(), numbers.tolist(), strict=True))
        receipt = replace(
            receipt,
            rows=piece.row.size,
            accepted=counts.get(ACCEPTED, 0) + counts.get(CORRECTION, 0),
            corrected=counts.get(CORRECTION, 0),
            already_known=counts.get(ALREADY_KNOWN, 0),
            quarantined={NAMES[c]: n for c, n in counts.items() if c > CORRECTION},
            facts=fault.size,
            new_facts=int(np.isin(fault, TAKEN).sum()),
            filled={piece.item: {"*": piece.row.size, **piece.filled}} if piece.item else {},
            months=_months(piece.facts, fault),
            notes=piece.notes,
            mends=piece.mends,
            again_on=_again_on(piece.facts, fault),
        )
        refused = refused_rows(piece, outcome, fault, shown_name(delivery.path.name))
        day = delivery.source.day if delivery.source else self.today
        named = contacts.told(piece, outcome, fault, day=day, own=self._of_register(delivery))
        return Pending(delivery.tag, part.number, receipt, refused, held_facts(piece, fault), named)

    def _blank(self, path: Path, key: str, source: Source | None) -> Receipt:
        policy, place = self.catalogue.fingerprint, place_of(path)
        told = Receipt(shown_name(path.name), key, taken_on=str(self.today), policy=policy, place=place)
        if source is None:
            return told
        return replace(
            told,
            sender=source.sender,
            department=source.department,
            month=source.month,
            day=str(source.day),
            key=self._office.key.fingerprint,
        )

    def _tell_register(self, facts: pa.Table) -> None:
        county = self.catalogue.county
        if county.membership and facts.num_rows:
            about = indicator_codes(facts["indicator"], {county.membership: 0, county.village: 1})
            told = facts.filter(pa.array(about == 1))
            self.register.add_households(told["household_id"])
            mine = facts.filter(pa.array(about == 0))
            self.register.add(mine.append_column("fact", pa.array(fact_keys(mine))).select(COLUMNS))

    def _take_held(self) -> None:
        """Takes in the facts that waited for the register and of whom it now knows."""
        known = healed(self.shelf, self.register, self.cache)
        found = [(key, held, *self._resolved(held)) for key, held in self.shelf.held(known)]
        found = [f for f in found if (f[3] == ACCEPTED).any()]
        if not found:
            return
        for left in reversed(range(TRIES)):
            try:
                outcomes = self._append_held(found)
                break
            except LedgerChangedError:
                if not left:
                    raise
        for (key, held, _, _), outcome in zip(found, outcomes, strict=True):
            self.shelf.settle(key, held, outcome)

    def _append_held(self, found: list[tuple[str, pa.Table, pa.Table, Codes]]) -> list[Codes]:
        facts = _together([f for _, _, f, _ in found])
        month = np.concatenate([np.full(held.num_rows, self._month_of(key)) for key, held, _, _ in found])
        told = Told(facts, np.concatenate([fault for *_, fault in found]), month)
        outcome = compare(told, self.ledger, self.catalogue)
        kept = _taken(facts, outcome, [(key, held.num_rows) for key, held, _, _ in found])
        if kept.num_rows:
            tag = hashlib.sha256(fact_keys(kept).tobytes() + "".join(k for k, *_ in found).encode()).hexdigest()[:16]
            self.ledger.append(kept, f"held-{tag}")
            self._tell_register(kept)
        edges = np.cumsum([held.num_rows for _, held, _, _ in found])[:-1]
        return np.split(outcome, edges)

    def _month_of(self, delivery: str) -> int:
        """The month that a delivery tells of, as a number; 0 where it does not say."""
        receipt = self.shelf.receipt(delivery)
        return AsOf.parse(receipt.month).month if receipt and receipt.month else 0

    def _resolved(self, held: pa.Table) -> tuple[pa.Table, Codes]:
        """Waiting facts with their households, and the reasons left: those still waited for keep theirs."""
        whole = held.combine_chunks()
        via, code = whole["via"].combine_chunks(), whole["household_id"].combine_chunks().cast(pa.string())
        # As when they came: a person in the household of the event date, a head in that of the day of delivery.
        personal = pc.is_valid(whole["person_id"])
        day = pc.if_else(personal, whole["event_date"], whole["known_date"]).combine_chunks().cast(pa.int32())
        looked = self.register.households(via, day.to_numpy()).cast(pa.string())
        given = code.is_valid().to_numpy(zero_copy_only=False)
        known = np.where(given, self.register.knows_households(code), looked.is_valid().to_numpy(zero_copy_only=False))
        home = encoded(pc.if_else(pa.array(given), code, looked))
        facts = whole.select(FACTS.names).set_column(0, FACTS.field(0), home)
        return facts, np.where(known, ACCEPTED, whole["code"].to_numpy()).astype(np.int16)


def _read_through(delivery: Delivery) -> None:
    """Reads a file to its end; raises DeliveryError where that cannot be."""
    if delivery.source is None:
        for _ in read(delivery.path):
            pass
        return
    for table in opened(delivery.path):
        for _ in table.blocks(0):
            pass


def _together(parts: list[pa.Table]) -> pa.Table:
    """Facts in one piece, with one dictionary a column: so that each word is looked at once."""
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _taken(facts: pa.Table, outcome: Codes, deliveries: list[tuple[str, int]]) -> pa.Table:
    """The facts to append, each with the delivery that it came in; so many of each, one after another."""
    at = np.repeat(np.arange(len(deliveries)), [n for _, n in deliveries]).astype(np.int32)
    prints = pa.DictionaryArray.from_arrays(at, pa.array([key for key, _ in deliveries]))
    return facts.append_column("delivery", prints).filter(pa.array(np.isin(outcome, TAKEN)))


def _again_on(facts: pa.Table, fault: Codes) -> str:
    """The first of the days to come on which facts are told to have become known; '' where there are none."""
    days = facts["known_date"].filter(pa.array(fault == CODES["known_in_future"]))
    first = pc.min(days).as_py()
    return str(first) if first else ""


def _months(facts: pa.Table, fault: Codes) -> dict[str, int]:
    """How many of the facts taken, or known already, happened in each month."""
    day = facts["event_date"].filter(pa.array(fault <= CORRECTION)).to_numpy().astype("datetime64[M]")
    months, numbers = np.unique(day, return_counts=True)
    return dict(zip(months.astype(str).tolist(), numbers.tolist(), strict=True))
