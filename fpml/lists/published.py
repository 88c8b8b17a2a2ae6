"""Who was listed in the months before, and who is therefore left in peace now: the same rule as every review walks.

A household is not listed again for six months without a new fact; a new fact is a hit that lists by itself (a rule that
pushes, a declaration, a find) and was not there at the as-of before. A published list keeps beside its workbook whom it
listed, by code alone.
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import InputError
from fpml.measure import PEACE
from fpml.rules import hit

Bools = npt.NDArray[np.bool_]
LISTED = "listed.parquet"
SCHEMA = pa.schema([("household_id", pa.string()), ("listed_by", pa.string())])


def keep_listed(folder: Path, households: pa.Array, listed_by: tuple[str, ...]) -> None:
    """Writes whom a list has, and by which line each came, beside the list."""
    table = pa.table([households.cast(pa.string()), pa.array(listed_by, pa.string())], schema=SCHEMA)
    pq.write_table(table, folder / LISTED, compression="zstd")


def listed_lately(lists: Path, as_of: AsOf) -> pa.Array:
    """The households of the lists published for the months before an as-of that count for the peace of six months.

    `lists`: the folder with a folder for each month. Raises InputError where whom a list had cannot be read: who would
    be sent to the same door again must be known.
    """
    found: list[pa.Array] = []
    for back in reversed(range(1, PEACE)):
        month = as_of.shift(-back)
        if (lists / str(month)).is_dir():
            found.append(_listed(lists / str(month), month))
    return pc.unique(pa.chunked_array(found, pa.string()))


def _listed(folder: Path, month: AsOf) -> pa.Array:
    """Whom a published list has; of one that was published before this was kept, its file of rows says it."""
    try:
        if (folder / LISTED).is_file():
            return pa.array(pq.read_table(folder / LISTED)["household_id"].to_pylist(), pa.string())
        rows = pd.read_csv(folder / "warnings.csv", dtype=str, encoding="utf-8-sig", keep_default_na=False)
        # The second column; a code that a spreadsheet would run was written with a quote before it.
        return pa.array(rows.iloc[:, 1].str.replace(r"^'(?=[=+@\t\r-])", "", regex=True), pa.string())
    except (OSError, ValueError, IndexError, pa.ArrowException) as e:
        problem = f"whom it listed cannot be read ({type(e).__name__})"
        raise InputError(f"list {month}", problem, f"Publish it again: fpml month {month}.") from None


def restore(lists: Path) -> None:
    """Puts back each list whose replacing was cut off half-way: a reader finds the old one or the new one."""
    for old in lists.glob(".old-*"):
        folder = old.with_name(old.name.removeprefix(".old-"))
        if not folder.exists():
            os.replace(old, folder)


def published_after(lists: Path, as_of: AsOf) -> list[str]:
    """The months after an as-of, within its six months of peace, whose lists are published already."""
    return [str(m) for m in (as_of.shift(n) for n in range(1, PEACE)) if (lists / str(m)).is_dir()]


def in_peace(histories: pa.Table, lately: pa.Array, before: pa.Table, catalogue: Catalogue) -> Bools:
    """Which rows of an as-of are of households listed lately of whom nothing new is known.

    `before`: their histories at the as-of before, with what rules read.
    """
    listed = np.asarray(pc.is_in(histories["household_id"].cast(pa.string()), value_set=lately), bool)
    rows = np.flatnonzero(listed)
    now = histories.take(pa.array(rows))
    then = np.asarray(pc.fill_null(pc.index_in(now["household_id"], value_set=_names(before)), -1), np.int64)
    new = np.zeros(rows.size, bool)
    for rule in catalogue.rules.values():
        if rule.lists(catalogue.county.pushed):
            held = np.append(hit(rule, before, catalogue), False)
            new |= hit(rule, now, catalogue) & ~held[then]
    listed[rows[new]] = False
    return listed


def _names(histories: pa.Table) -> pa.Array:
    names = histories["household_id"].combine_chunks()
    return names.chunk(0) if isinstance(names, pa.ChunkedArray) else names
