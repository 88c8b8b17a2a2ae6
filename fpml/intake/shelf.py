"""What intake keeps beside the ledger: receipts, refused rows, facts that wait for the register; and heads' names.

Everything is written as pending before the ledger's commit, and put in its place after it. A run that is killed in
between is finished by the next: what the ledger has stands, what it does not have is taken in anew.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fpml.intake.pieces import FACTS, Piece
from fpml.intake.places import Place
from fpml.intake.reasons import CORRECTION, NAMES, REASONS, WAITING, Codes
from fpml.intake.receipts import Receipt, receipts_in
from fpml.ledger import Ledger
from fpml.vault import ENTRIES, Vault

# A refused row: where it stands, why it was refused, and what of it may be shown to whoever sent it.
REFUSED = pa.schema(
    [
        ("file", pa.string()),
        ("sheet", pa.string()),
        ("row", pa.int64()),
        ("item", pa.string()),
        ("column", pa.string()),
        ("code", pa.int16()),
        ("reason", pa.string()),
        ("remedy", pa.string()),
        ("cells", pa.string()),
    ]
)
HELD = pa.schema([("sheet", pa.string()), ("row", pa.int64()), ("code", pa.int16()), ("via", pa.string()), *FACTS])
_PENDING = re.compile(r"(?P<tag>[0-9a-f~]+)\.(?P<n>\d{5})")


@dataclass(frozen=True)
class Pending:
    """A piece compared with the ledger: the transaction by which its delivery is known there, and its number."""

    tag: str
    number: int
    receipt: Receipt
    refused: pa.Table
    held: pa.Table
    contacts: pa.Table = field(default_factory=ENTRIES.empty_table)


@dataclass(frozen=True)
class Shelf:
    """The folders of receipts and of quarantine, and the vault; None where nothing is to be put into it."""

    receipts: Path
    quarantine: Path
    vault: Vault | None = None

    def put(self, pending: Pending) -> None:
        """Writes a piece's outcome as pending."""
        name = f"{pending.tag}.{pending.number:05d}"
        for kind, table in (("refused", pending.refused), ("held", pending.held)):
            _replace_or_remove(table, self.quarantine / "pending" / f"{name}.{kind}.parquet")
        if self.vault:
            self.vault.put(pending.tag, pending.number, pending.contacts)
        _write_text(pending.receipt.as_json(), self.receipts / "pending" / f"{name}.json")

    def finish(self, ledger: Ledger) -> None:
        """Puts in its place what is pending of deliveries that the ledger has whole; the rest stays pending."""
        tags = {m["tag"] for p in (self.receipts / "pending").glob("*.json") if (m := _PENDING.match(p.name))}
        for tag in sorted(tags):
            if ledger.has(tag):
                self.place(tag)

    def place(self, tag: str) -> Receipt:
        """Puts in its place what is pending of one taking-in; returns the receipt of that alone."""
        parts = sorted((self.receipts / "pending").glob(f"{tag}.*.json"))
        told = [Receipt.from_json(p.read_text(encoding="utf-8")) for p in parts]
        delivery = tag.partition("~")[0]
        if not told:  # another run has put it in its place
            return self.receipt(delivery) or Receipt("", delivery)
        whole = told[0]
        for part in told[1:]:
            whole = whole.plus(part)
        before = self.receipt(whole.delivery)
        if before is None or tag not in before.runs:
            for kind in ("refused", "held"):
                # What an earlier run took apart is told anew, all of it, by this one.
                self._gather(tag, kind, self._of(whole.delivery, kind))
            self._mend(whole.mends, whole.sender)
            if self.vault:
                self.vault.place(tag)
            earlier = before if before is not None and before.runs else None
            kept = earlier.after(whole) if earlier else whole
            whole = earlier.once_more(whole) if earlier else whole
            self.keep(replace(kept, runs=(*(earlier.runs if earlier else ()), tag)))
        # The receipts last: by them the next run sees what is left to do.
        for path in (*(self.quarantine / "pending").glob(f"{tag}.*.parquet"), *parts):
            path.unlink(missing_ok=True)
        return whole

    def pending(self, tag: str, number: int) -> bool:
        """Whether the outcome of a piece lies there as pending."""
        return (self.receipts / "pending" / f"{tag}.{number:05d}.json").exists()

    def drop(self, tag: str) -> None:
        """Removes what is pending of a delivery that was refused whole after all."""
        for folder in (self.receipts, self.quarantine):
            for path in (folder / "pending").glob(f"{tag}.*"):
                path.unlink()
        if self.vault:
            self.vault.drop(tag)

    def keep(self, receipt: Receipt) -> None:
        """Writes a receipt in its place."""
        _write_text(receipt.as_json(), self.receipts / f"{receipt.delivery}.json")

    def receipt(self, delivery: str) -> Receipt | None:
        """What became of a delivery; None where it never came."""
        try:
            return Receipt.from_json((self.receipts / f"{delivery}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return None

    def all(self) -> list[Receipt]:
        """Every receipt, oldest delivery first."""
        return receipts_in(self.receipts)

    def refused(self, delivery: str) -> pa.Table:
        """A delivery's refused rows."""
        path = self._of(delivery, "refused")
        return pq.read_table(path, partitioning=None) if path.exists() else REFUSED.empty_table()

    def held(self, deliveries: Collection[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
        """The facts of each delivery (None: of all) that wait for the register."""
        for delivery in sorted(self.waiting() if deliveries is None else deliveries):
            yield delivery, pq.read_table(self._of(delivery, "held"), partitioning=None).cast(HELD)

    def waiting(self) -> dict[str, str]:
        """The deliveries of which facts wait for the register, and the state of the file of each."""
        return {p.name.partition(".")[0]: state_of(p) for p in self.quarantine.glob("*.held.parquet")}

    def state(self, delivery: str) -> str:
        """The state of the file of a delivery's refused rows: another one whenever they change."""
        return state_of(self._of(delivery, "refused"))

    def settle(self, delivery: str, held: pa.Table, outcome: Codes) -> None:
        """Takes away waiting facts that were taken in; those refused for another reason go to the refused rows.

        `outcome` is what became of each of `held`; those that wait still keep their reason. The order of writing makes
        it safe to be killed and called again.
        """
        waits = np.isin(outcome, WAITING)
        places = _places(held)
        still = {p for p, w in zip(places, waits.tolist(), strict=True) if w}
        worse = {
            p: int(c) for p, c in zip(places, outcome.tolist(), strict=True) if c > CORRECTION and c not in WAITING
        }
        gone = set(places) - still
        rows = self.refused(delivery)
        codes = [
            worse.get(p, 0) if p in gone and c in WAITING else c
            for p, c in zip(_places(rows), rows["code"].to_pylist(), strict=True)
        ]
        left = _renamed(rows, codes)
        _replace_or_remove(left, self._of(delivery, "refused"))
        receipt = self.receipt(delivery)
        if receipt is not None:
            self.keep(receipt.settled(_counts(left)))
        _replace_or_remove(held.filter(pa.array(waits)), self._of(delivery, "held"))

    def _mend(self, tokens: Iterable[str], sender: str) -> None:
        """Takes away the refused rows of a sender, and the waiting facts, that lines of its corrections stand for."""
        places = defaultdict(set)
        for token in tokens:
            places[token.partition("-")[0]].add(token)
        for delivery, mine in places.items():
            receipt = self.receipt(delivery)
            if receipt is None or receipt.sender != sender:
                continue
            for kind in ("refused", "held"):
                path = self._of(delivery, kind)
                if path.exists():
                    rows = pq.read_table(path, partitioning=None)
                    keep = [str(Place.of(delivery, *p)) not in mine for p in _places(rows)]
                    _replace_or_remove(rows.filter(pa.array(keep, pa.bool_())), path)
            self.keep(receipt.put_right(_counts(self.refused(delivery))))

    def _of(self, delivery: str, kind: str) -> Path:
        return self.quarantine / (f"{delivery}.parquet" if kind == "refused" else f"{delivery}.{kind}.parquet")

    def _gather(self, tag: str, kind: str, target: Path) -> None:
        """One file of what all pieces of a delivery set apart; none where they set nothing apart."""
        parts = sorted((self.quarantine / "pending").glob(f"{tag}.*.{kind}.parquet"))
        if parts:
            _write(pa.concat_tables([pq.read_table(p, partitioning=None) for p in parts]), target)
        else:
            target.unlink(missing_ok=True)


def refused_rows(piece: Piece, outcome: Codes, fault: Codes, file: str) -> pa.Table:
    """The refused rows of a piece, as REFUSED says."""
    at = np.flatnonzero(outcome > CORRECTION)
    if not at.size:
        return REFUSED.empty_table()
    codes = outcome[at]
    names = [NAMES[c] for c in codes.tolist()]
    table = {
        "file": pa.array([file] * at.size), "sheet": pa.array([piece.sheet] * at.size, pa.string()),
        "row": pa.array(piece.row[at]), "item": pa.array([piece.item] * at.size),
        "column": pa.array(piece.blames(outcome, fault)), "code": pa.array(codes), "reason": pa.array(names),
        "remedy": pa.array([REASONS[n].remedy for n in names]), "cells": pa.array(piece.shown(at), pa.string()),
    }  # fmt: skip
    order = np.argsort(piece.row[at], kind="stable")
    return pa.table(table, schema=REFUSED).take(pa.array(order))


def held_facts(piece: Piece, fault: Codes) -> pa.Table:
    """The facts of a piece that wait for the register, as HELD says."""
    wanted = piece.waiting(fault)
    if not wanted.any():
        return HELD.empty_table()
    at = piece.at[wanted]
    facts = piece.facts.filter(pa.array(wanted))
    via = piece.via.filter(pa.array(wanted)) if piece.via is not None else pa.nulls(at.size, pa.string())
    columns = [pa.array([piece.sheet] * at.size, pa.string()), pa.array(piece.row[at]), pa.array(fault[wanted]), via]
    return pa.table([*columns, *facts.columns], schema=HELD)


def state_of(path: Path) -> str:
    """What tells a file from itself after a change: its size, time of change and number on the disk; '' for none."""
    try:
        state = path.stat()
    except OSError:
        return ""
    return f"{state.st_size}-{state.st_mtime_ns}-{state.st_ino}"


def _places(table: pa.Table) -> list[tuple[str | None, int]]:
    return list(zip(table["sheet"].to_pylist(), table["row"].to_pylist(), strict=True))


def _counts(refused: pa.Table) -> dict[str, int]:
    return dict(Counter(refused["reason"].to_pylist()))


def _renamed(rows: pa.Table, codes: list[int]) -> pa.Table:
    """The rows with other reasons, but for those with none."""
    rows = rows.filter(pa.array([c > CORRECTION for c in codes], pa.bool_()))
    kept = [c for c in codes if c > CORRECTION]
    names = [NAMES[c] for c in kept]
    columns = {"code": kept, "reason": names, "remedy": [REASONS[n].remedy for n in names]}
    for name, values in columns.items():
        at = REFUSED.get_field_index(name)
        rows = rows.set_column(at, REFUSED.field(at), pa.array(values, REFUSED.field(at).type))
    return rows


def _replace_or_remove(table: pa.Table, path: Path) -> None:
    if table.num_rows:
        _write(table, path)
    else:
        path.unlink(missing_ok=True)


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    pq.write_table(table, half)
    half.replace(path)


def _write_text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
