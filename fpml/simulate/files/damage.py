"""What was done to files, cell by cell, so that whoever reads them can be asked about each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
# untidy: everything can still be told. degraded: a fact remains, less exact. unreadable: facts are lost.
Effect = Literal["untidy", "degraded", "unreadable"]
SCHEMA = pa.schema(
    [
        ("file", pa.string()),  # within the folder of all months
        ("sheet", pa.string()),  # of a workbook; null in a CSV file
        ("row", pa.int64()),  # as a spreadsheet counts: title rows and header too. 0: the whole file or column
        ("column", pa.string()),  # its header in that file; null: the whole row or file
        ("kind", pa.string()),
        ("effect", pa.string()),
    ]
)


@dataclass(frozen=True)
class Damage:
    """One kind of damage to some rows of a column (null: to whole rows) of one sheet; rows null: to all of it."""

    kind: str
    effect: Effect = "untidy"
    rows: Ints | None = None
    column: str | None = None

    def moved(self, first: int) -> "Damage":
        """The same, its rows (counted from 0) below a header: the first of them is row `first`."""
        return self if self.rows is None else replace(self, rows=self.rows + first)

    def copied(self, source: Ints, first: int) -> "Damage":
        """The same where its rows stand once more: those of `source`, from row `first` on."""
        if self.rows is None:
            return self
        again = first + np.flatnonzero(np.isin(source, self.rows))
        return replace(self, rows=np.concatenate([self.rows, again]))

    def before(self, row: int) -> "Damage":
        """What of it lies above a row."""
        return self if self.rows is None else replace(self, rows=self.rows[self.rows < row])

    @property
    def numbers(self) -> Ints:
        """Its rows, as SCHEMA counts them."""
        return np.zeros(1, np.int64) if self.rows is None else self.rows


def listed(file: str, sheet: str | None, damages: Iterable[Damage]) -> pa.Table:
    """Damages of one sheet of a file, one row each."""
    found = [d for d in damages if d.numbers.size]
    times = [d.numbers.size for d in found]
    size = sum(times)

    def repeated(values: list[str | None]) -> pa.Array:
        at = np.repeat(np.arange(len(found)), times) if found else np.empty(0, np.int64)
        return pa.array(values, pa.string()).take(pa.array(at))

    return pa.table(
        [
            pa.array([file], pa.string()).take(pa.array(np.zeros(size, np.int64))),
            pa.array([sheet], pa.string()).take(pa.array(np.zeros(size, np.int64))),
            pa.array(np.concatenate([d.numbers for d in found]) if found else np.empty(0, np.int64)),
            repeated([d.column for d in found]),
            repeated([d.kind for d in found]),
            repeated([d.effect for d in found]),
        ],
        schema=SCHEMA,
    )
