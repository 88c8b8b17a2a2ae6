"""Whether what comes in, what lists are made from and what visits find is still as it was: alarms, each with what to
do. No person.

Counts, shares and medians are held against the sender's own past, or the same month of earlier years. What is watched,
from when it is an alarm, and every sentence is policy/health.yaml.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.health.alarm import Alarm
from fpml.health.changes import Change, changes
from fpml.health.deliveries import damaged, missing
from fpml.health.drift import expected, inputs, outlook, scores, threshold
from fpml.health.outcomes import (
    Came,
    astray,
    audited,
    calibration,
    calibration_delay,
    delay,
    foreseen,
    halvings,
    precision,
    recall,
)
from fpml.health.snapshot import Snapshot, came, of_list, snapshots, spread
from fpml.health.values import Told, levels, outside, shifted, told, volumes
from fpml.intake import Receipt
from fpml.intake.expected import Expected
from fpml.ledger import Ledger


@dataclass(frozen=True)
class Seen:
    """All that monitors look at: receipts, what was to be expected, the ledger, what lists were made from, reports."""

    receipts: Sequence[Receipt]
    told: Expected
    ledger: Ledger
    lists: Path
    reports: Path


def alarms(seen: Seen, catalogue: Catalogue, *months: AsOf) -> list[Alarm]:
    """Every alarm of some months, by month and monitor."""
    kept, came_in = snapshots(seen.lists, max(months)), told(seen.ledger, catalogue, *months)
    found: list[Alarm] = []
    for month in sorted(months):
        late = {f.sender for f in seen.told.of(str(month)) if f.kind == "missing"}
        owing = {n for n, d in catalogue.departments.items() if any(w.said("zh") in late for w in d.sent_by)}
        found += missing(seen.receipts, seen.told, month, catalogue, kept.get(month.month))
        found += damaged(seen.receipts, catalogue, month)
        found += levels(came_in, catalogue, month)
        found += volumes(came_in, catalogue, month, owing=frozenset(owing))
        found += inputs(kept, catalogue, month)
        found += threshold(kept, month)
        found += scores(kept, catalogue, month)
        found += expected(kept, catalogue, month)
        found += precision(seen.ledger, catalogue, month)
        found += calibration(kept, catalogue, month)
        found += recall(seen.reports, catalogue, month)
    return found


__all__ = [
    "Alarm", "Came", "Change", "Seen", "Snapshot", "Told", "alarms", "astray", "audited", "calibration",
    "calibration_delay", "came", "changes", "damaged", "delay", "expected", "foreseen", "halvings",
    "inputs", "levels", "missing", "of_list", "outlook", "outside", "precision", "recall", "scores", "shifted",
    "snapshots", "spread", "threshold", "told", "volumes",
]  # fmt: skip
