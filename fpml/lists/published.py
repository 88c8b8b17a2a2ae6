"""Who was listed in the months before, and who is therefore left in peace now: the same rule as every review walks.

A household is not listed again for six months without a new fact; a new fact is a hit that lists by itself (a rule that
pushes, a declaration, a find) and was not there at the as-of before. A published list keeps beside its workbook whom it
listed, by code alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
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
from fpml.lists.editions import Edition, editions, newest
from fpml.measure import PEACE
from fpml.rules import hit

Bools = npt.NDArray[np.bool_]
LISTED = "listed.parquet"
SCHEMA = pa.schema([("household_id", pa.string()), ("listed_by", pa.string())])


def keep_listed(folder: Path, households: pa.Array, listed_by: tuple[str, ...]) -> None:
    """Writes whom a list has, and by which line each came, beside the list."""
    table = pa.table([households.cast(pa.string()), pa.array(listed_by, pa.string())], schema=SCHEMA)
    pq.write_table(table, folder / LISTED, compression="zstd")


def earlier(lists: Path, as_of: AsOf) -> dict[str, tuple[int, str]]:
    """The editions in force of the months before an as-of that count for the peace of six months, with their hash."""
    found = {}
    for back in reversed(range(1, PEACE)):
        if edition := newest(lists, as_of.shift(-back)):
            found[str(edition.month)] = edition.number, _digest(edition)
    return found


def listed_lately(lists: Path, as_of: AsOf, then: Mapping[str, tuple[int, str]] | None = None) -> pa.Array:
    """The households of the lists published for the months before an as-of that count for the peace of six months.

    `lists`: the folder of all editions; `then`: those that counted, as `earlier` told (None: those in force now).
    Raises InputError where whom a list had cannot be read, or is no longer what counted: who would be sent to the same
    door again must be known.
    """
    found: list[pa.Array] = []
    for month, (number, digest) in (earlier(lists, as_of) if then is None else then).items():
        edition = next((e for e in editions(lists, AsOf.parse(month)) if e.number == number), None)
        if edition is None or _digest(edition) != digest:
            problem = f"edition {number}, by which households are left in peace, is missing or changed"
            raise InputError(f"list {month}", problem, "Restore it from a copy.")
        found.append(_listed(edition))
    return pc.unique(pa.chunked_array(found, pa.string()))


def listed_in(lists: Path, months: Iterable[AsOf]) -> dict[AsOf, pa.Array]:
    """Whom the editions in force of some months have; months of which none was published are left out."""
    return {month: _listed(edition) for month in months if (edition := newest(lists, month))}


def _listed(edition: Edition) -> pa.Array:
    """Whom a published list has; of one that was published before this was kept, its file of rows says it."""
    try:
        path = _told_in(edition)
        if path.name == LISTED:
            return pa.array(pq.read_table(path)["household_id"].to_pylist(), pa.string())
        rows = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)
        # The second column; a code that a spreadsheet would run was written with a quote before it.
        return pa.array(rows.iloc[:, 1].str.replace(r"^'(?=[=+@\t\r-])", "", regex=True), pa.string())
    except (OSError, ValueError, IndexError, pa.ArrowException) as e:
        raise _unreadable(edition, e) from None


def _told_in(edition: Edition) -> Path:
    kept = edition.folder / LISTED
    return kept if kept.is_file() else edition.folder / "warnings.csv"


def _digest(edition: Edition) -> str:
    try:
        return hashlib.sha256(_told_in(edition).read_bytes()).hexdigest()[:16]
    except OSError as e:
        raise _unreadable(edition, e) from None


def _unreadable(edition: Edition, error: Exception) -> InputError:
    problem = f"whom it listed cannot be read ({type(error).__name__})"
    return InputError(f"list {edition.month}", problem, f"Restore {edition.folder.name} from a copy.")


def published_after(lists: Path, as_of: AsOf) -> list[str]:
    """The months after an as-of, within its six months of peace, whose lists are published already."""
    return [str(m) for m in (as_of.shift(n) for n in range(1, PEACE)) if newest(lists, m)]


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
