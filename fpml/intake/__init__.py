"""Deliveries -> clean records in the ledger, or rows in quarantine with the reason. Nothing is lost on the way."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.errors import LedgerChangedError
from fpml.intake.check import ALREADY_KNOWN, NUMBER, REASONS, Checked, check, compare
from fpml.intake.read import fingerprint, read
from fpml.ledger import Ledger

# How often a delivery is compared anew before another run's appends are told as the fault they then are.
TRIES = 5

__all__ = ["REASONS", "Receipt", "fingerprint", "take_in"]


@dataclass(frozen=True)
class Receipt:
    """What became of one delivery: rows = accepted + already_known + the sum of `quarantined`."""

    file: str
    delivery: str
    rows: int
    accepted: int
    corrected: int
    already_known: int
    quarantined: dict[str, int]


def take_in(path: Path, ledger: Ledger, catalogue: Catalogue, *, quarantine: Path, today: date) -> Receipt:
    """Takes a delivery file into the ledger and its refused rows into quarantine; the same file again changes nothing.

    Where another run adds to the ledger meanwhile, the rows are compared again with what it then holds. Raises
    DeliveryError where the file cannot be read whole; the ledger is then as it was.
    """
    delivery, rows = fingerprint(path), read(path)
    for _ in range(TRIES - 1):
        with suppress(LedgerChangedError):
            return _take_in(path, delivery, rows, ledger, catalogue, quarantine, today)
    return _take_in(path, delivery, rows, ledger, catalogue, quarantine, today)


def _take_in(
    path: Path, delivery: str, rows: pa.Table, ledger: Ledger, catalogue: Catalogue, quarantine: Path, today: date
) -> Receipt:
    typed, sort = check(rows, catalogue, today=today)
    checked = compare(typed, sort, ledger, catalogue)
    quarantined = {reason: checked.count(number) for reason, number in NUMBER.items()}
    receipt = Receipt(
        path.name,
        delivery,
        rows.num_rows,
        checked.accepted.num_rows,
        checked.corrected,
        checked.count(ALREADY_KNOWN),
        {reason: n for reason, n in quarantined.items() if n},
    )
    # The refused rows first: if the next step never comes, the next run writes the same file again.
    _set_apart(rows, checked, path, quarantine / f"{delivery}.parquet")
    accepted = checked.accepted.append_column("delivery", pa.repeat(pa.scalar(delivery), checked.accepted.num_rows))
    if accepted.num_rows or not ledger.has(delivery):
        # Rows refused before may be taken in when their file comes again: each such time is an append of its own.
        ledger.append(accepted, f"{delivery}-{receipt.already_known}" if ledger.has(delivery) else delivery)
    return receipt


def _set_apart(rows: pa.Table, checked: Checked, path: Path, target: Path) -> None:
    """Writes the refused rows as they were delivered, with file, row number, reason and remedy; whole or not at all."""
    refused = checked.reason > ALREADY_KNOWN
    if not refused.any():
        target.unlink(missing_ok=True)
        return
    names = {number: reason for reason, number in NUMBER.items()}
    reason = [names[int(r)] for r in checked.reason[refused]]
    kept = rows.drop_columns(["torn"]).filter(pa.array(refused))
    kept = kept.append_column("file", pa.array([path.name] * len(reason)))
    kept = kept.append_column("reason", pa.array(reason)).append_column(
        "remedy", pa.array([REASONS[r] for r in reason])
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_suffix(".part")
    pq.write_table(kept, half)
    os.replace(half, target)
