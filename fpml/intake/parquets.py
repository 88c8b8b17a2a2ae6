"""A department's Parquet file -> a table of text cells, as from any other file."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fpml.errors import DeliveryError
from fpml.intake.tables import Block, trimmed, without_empty

# Digits that a float keeps exactly; an ID number that was one is told by its power of ten.
_EXACT = 1e15


@dataclass(frozen=True)
class ParquetTable:
    """The columns of a Parquet file; its header is the names, its rows are numbered from 2 as below one."""

    path: Path
    top: tuple[tuple[str, ...], ...]
    sheet: None = None
    notes: tuple[str, ...] = ("parquet",)

    @classmethod
    def of(cls, path: Path) -> "ParquetTable":
        """The table of a file; raises DeliveryError where it is no whole Parquet file of plain columns."""
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowException) as e:
            raise _not_whole(path, e) from None
        for field in schema:
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                problem = "a column that is no plain text, number or date"
                raise DeliveryError(path.name, problem, "Deliver plain columns.")
        return cls(path, (tuple(schema.names),))

    def filling(self, columns: Collection[int]) -> "ParquetTable":
        """Itself: it has no merged cells."""
        return self

    def blocks(self, header: int, *, spare: int = 0, size: int = 200_000) -> Iterator[Block]:
        """The rows, at most `size` to a block."""
        begin = 2
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=size):
                    cells = tuple(trimmed(_texts(column)) for column in batch.columns)
                    numbers = np.arange(begin, begin + batch.num_rows)
                    begin += batch.num_rows
                    yield without_empty(Block(numbers, cells, np.empty(0, np.int64)))
        except (OSError, pa.ArrowException) as e:
            raise _not_whole(self.path, e) from None


def _texts(column: pa.Array) -> pa.StringArray:
    """A column as text: whole floats without a point, those too large to be exact by their power of ten."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_floating(column.type):
        return column.cast(pa.string())
    texts = [
        None if v is None else f"{v:.14E}" if abs(v) >= _EXACT else f"{v:.0f}" if v == int(v) else f"{v:.15g}"
        for v in (None if v is None or v != v or abs(v) == float("inf") else v for v in column.to_pylist())
    ]
    return pa.array(texts, pa.string())


def _not_whole(path: Path, e: Exception) -> DeliveryError:
    problem = f"not a whole Parquet file ({type(e).__name__})"
    return DeliveryError(path.name, problem, "It may have been cut off: deliver it again.")
