"""What `fpml verify` and `fpml procedure` say: counts, reasons and places; nothing about anybody."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fpml.catalogue import Language
from fpml.county import County
from fpml.errors import EXIT_DONE, InputError
from fpml.visits import overdue

Say = Callable[..., None]


def verify(county: County, files: Sequence[Path], a: argparse.Namespace, say: Say) -> int:
    """Takes filled-in lists in and says what became of each; 3 where a file was refused whole."""
    receipts, quarrels = county.visits.take(files, received=a.received, language=a.lang)
    language: Language = a.lang or "en"
    refusals = county.catalogue.visiting.refusals
    table = Table("file", "list", "village", "rows", "accepted", "corrected", "known", "not filled", "refused")
    for r in receipts:
        counts = (r.rows, r.accepted, r.corrected, r.already_known, r.not_filled, sum(r.refused.values()))
        table.add_row(r.file, f"{r.month} {r.list_id}", r.village, *(f"{n:,}" for n in counts))
    why = [
        f"{r.file}: {n} × {refusals[reason].says.said(language).format(column='…')}"
        for r in receipts
        for reason, n in r.refused.items()
    ]
    back = sorted({str(county.visits.store.returned / r.returned) for r in receipts if r.returned})
    say(
        a,
        {"receipts": [asdict(r) for r in receipts], "returned": back, "ledger_refused": quarrels},
        Group(table, *map(Text, why), *(Text(f"to send back: {b}") for b in back)),
        wide=True,
    )
    for reason, n in quarrels.items():
        print(f"The ledger did not take {n} ({reason}): see data/quarantine.", file=sys.stderr)
    for r in receipts:
        if r.whole:
            print(f"{r.file}: {r.whole}", file=sys.stderr)
    return InputError.exit_code if any(r.whole for r in receipts) else EXIT_DONE


def steps(county: County, a: argparse.Namespace, say: Say) -> None:
    """Says how many households have reached each step, and how many are overdue; the villages' files are written."""
    day = a.day or date.today()
    told, folder = county.visits.write_overdue(day, a.lang)
    language: Language = a.lang or "en"
    late = overdue(told)
    table = Table("step", "reached", "open", "overdue", "longest (days)", title=str(day))
    answer = {}
    for name, step in county.catalogue.visiting.steps.items():
        mine, over = told[told["step"] == name], late[late["step"] == name]
        figures = {
            "reached": int(mine["reached"].notna().sum()), "open": int(mine["reached"].isna().sum()),
            "overdue": len(over), "longest": int(over["overdue_days"].max()) if len(over) else 0,
        }  # fmt: skip
        answer[name] = figures
        table.add_row(step.name.said(language), *(f"{n:,}" for n in figures.values()))
    say(a, {"day": str(day), "steps": answer, "folder": str(folder)}, Group(table, Text(f"by village: {folder}")))
