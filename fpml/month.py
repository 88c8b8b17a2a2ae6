"""The monthly batch: one straight function, safe to run again."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fpml.catalogue import Language
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import InputError
from fpml.intake import Receipt
from fpml.lists import WarningList, published_after, restore, write_lists


@dataclass(frozen=True)
class Published:
    """What a month's run did: the deliveries taken in, the list, and where its files lie.

    `later`: months published before, whose lists could not know of this one: they may name the same households.
    """

    receipts: list[Receipt]
    warnings: WarningList
    folder: Path
    later: tuple[str, ...]


def run(county: County, as_of: str | AsOf, *, language: Language | None = None) -> Published:
    """Takes in what lies in the deliveries folder, and publishes the warning list of one as-of, whole or not at all."""
    month = AsOf.parse(as_of)
    restore(county.workspace.lists)
    receipts = county.intake()
    warnings = county.warning_list(month, language=language)
    county.keep_scores(month)
    county.progress("writing the list")
    folder = county.workspace.lists / str(month)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".part-{month}*"):  # by a run that was killed
        shutil.rmtree(left)
    half = folder.with_name(f".part-{month}")
    half.mkdir()
    write_lists(warnings, half, county.desk())
    _replace(half, folder)
    return Published(receipts, warnings, folder, tuple(published_after(folder.parent, month)))


def _replace(new: Path, folder: Path) -> None:
    """Puts a whole new folder in the place of an old one."""
    old = folder.with_name(f".old-{folder.name}")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except PermissionError:
        raise InputError(
            f"list {folder.name}", "a file of it is open elsewhere", "Close the workbook, and run again."
        ) from None
    shutil.rmtree(old, ignore_errors=True)
