"""What each row of a list that went out is: kept under the list's id, so that what comes back can be recognised.

Codes and hashes alone; a list that is published anew has another id, and the workbooks of the one before stay valid.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fpml.dates import AsOf
from fpml.errors import InputError

_COLUMNS = ("household_id", "village", "listed_by", "printed", "asked", "drawn")
SCHEMA = pa.schema([(name, pa.string()) for name in _COLUMNS])
_ABOUT = b"fpml"
# The prefilled columns of a village's list that must come back as they went out.
PRINTED = ("household", "listed_by", "rules", "reasons", "eases")


def printed_hash(text: str) -> str:
    """Eight hex digits of what a prefilled cell says; how its lines are broken and blanks are put does not matter."""
    return hashlib.sha256(re.sub(r"\s", "", text).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Issued:
    """A list that went out: one row of `rows` for each of its rows, in order, as SCHEMA says.

    `key`: the fingerprint of the key that signed it. `printed` holds each prefilled cell's hash, by column, as JSON.
    """

    list_id: str
    month: AsOf
    key: str
    rows: pa.Table

    @cached_property
    def households(self) -> list[str]:
        """The household of each row."""
        return self.rows["household_id"].to_pylist()

    @cached_property
    def villages(self) -> list[str]:
        """The code of each row's village."""
        return self.rows["village"].to_pylist()

    @cached_property
    def printed(self) -> list[Mapping[str, str]]:
        """The hash of each prefilled cell of each row, by column."""
        return [json.loads(t) for t in self.rows["printed"].to_pylist()]

    def keep(self, folder: Path) -> None:
        """Writes it, in one step; the same list gives the same bytes."""
        path = folder / f"{self.month}-{self.list_id}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        about = json.dumps({"list": self.list_id, "month": str(self.month), "key": self.key})
        half = path.with_suffix(".part")
        pq.write_table(self.rows.cast(SCHEMA).replace_schema_metadata({_ABOUT: about}), half, compression="zstd")
        half.replace(path)

    @cached_property
    def asked(self) -> list[tuple[str, ...]]:
        """The indicators whose reasons each row was asked to confirm; none of lists that went out before this was."""
        return [tuple(json.loads(t or "[]")) for t in self.rows["asked"].to_pylist()]

    @cached_property
    def drawn(self) -> list[float | None]:
        """The chance with which each row was drawn by lot; None of those that were not."""
        return [float(t) if t else None for t in self.rows["drawn"].to_pylist()]

    @classmethod
    def load(cls, folder: Path, month: AsOf, list_id: str) -> "Issued | None":
        """The list of an id; None where none such went out. Raises InputError where it cannot be read."""
        path = folder / f"{month}-{list_id}.parquet"
        if not path.is_file():
            return None
        try:
            table = pq.read_table(path, partitioning=None)
            about = json.loads(table.schema.metadata[_ABOUT])
            for later in (n for n in ("asked", "drawn") if n not in table.column_names):
                table = table.append_column(later, pa.nulls(table.num_rows, pa.string()))
            return cls(about["list"], AsOf.parse(about["month"]), about["key"], table.select(SCHEMA.names))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as e:
            problem = f"what went out cannot be read ({type(e).__name__})"
            raise InputError(
                f"list {month}", problem, f"Restore data/issued, or publish it again: fpml month {month}."
            ) from None

    @staticmethod
    def all(folder: Path) -> list["Issued"]:
        """Every list that went out, oldest month first."""
        names = (re.fullmatch(r"(\d{4}-\d{2})-([0-9A-F]{8})", p.stem) for p in sorted(folder.glob("*.parquet")))
        found = (Issued.load(folder, AsOf.parse(m[1]), m[2]) for m in names if m)
        return [one for one in found if one]
