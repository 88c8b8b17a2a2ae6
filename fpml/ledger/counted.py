"""What became known in which month, counted file by file of the ledger: each once, for no file is ever changed."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from fpml.dates import months_of
from fpml.ledger.facts import days

# By month how many versions, and a checksum of which they are and what they say.
ByMonth = dict[int, tuple[int, int]]
# Odd: no two values are mixed to the same.
_MIX = np.uint64(0x9E3779B97F4A7C15)


def of_rows(told: pa.Table) -> ByMonth:
    """The counts and checksums of versions: `known_date`, `event_date`, `until_date`, `fact`, `value`."""
    months, number = np.unique(months_of(told["known_date"].to_numpy()), return_inverse=True)
    value = told["value"].fill_null(np.iinfo(np.int64).min).to_numpy()
    until = days(told["until_date"].fill_null(date.max))
    mixed = told["fact"].to_numpy().astype(np.uint64)
    for column in (value, days(told["known_date"]), days(told["event_date"]), until):
        with np.errstate(over="ignore"):
            mixed = (mixed ^ (mixed >> np.uint64(29)) ^ column.astype(np.int64).astype(np.uint64)) * _MIX
    sums = np.zeros(months.size, np.uint64)
    np.add.at(sums, number, mixed)
    counts = np.bincount(number, minlength=months.size)
    return {m: (n, part) for m, n, part in zip(months.tolist(), counts.tolist(), sums.tolist(), strict=True)}


def together(parts: Iterable[ByMonth]) -> ByMonth:
    """The same of several files."""
    found: ByMonth = {}
    for part in parts:
        for month, (n, mixed) in part.items():
            before = found.get(month, (0, 0))
            found[month] = before[0] + n, (before[1] + mixed) % 2**64
    return found


def read(kept: Path) -> dict[str, ByMonth]:
    """What was kept, by file; nothing where it is not there or not whole."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        told = json.loads(kept.read_text(encoding="utf-8"))
        return {path: {int(m): (int(n), int(mixed)) for m, (n, mixed) in of.items()} for path, of in told.items()}
    return {}


def keep(by_path: Mapping[str, ByMonth], kept: Path) -> None:
    """Keeps it, in one step; a disk that will not take it is no reason to stop."""
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".part")
        half.write_text(json.dumps(by_path), encoding="utf-8")
        half.replace(kept)
