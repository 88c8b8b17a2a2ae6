"""Scores of an as-of kept on disk: what a month was ranked by, for reviews of many months.

Codes and probabilities only. They are used again where model, policy and all that was known by the as-of are the same.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fpml.lists.standing import Standing

SCHEMA = pa.schema([("household_id", pa.string()), ("outcome", pa.string()), ("probability", pa.float64())])
_STAMP = b"fpml"


def keep(path: Path, households: "pa.Array | pa.ChunkedArray", stand: Standing, stamp: str) -> pa.Table:
    """Writes by which probability everybody at risk is ranked, in one step; the same as a table.

    It can always be reckoned again: a disk that will not take it is no reason to stop.
    """
    rows = pa.array(np.flatnonzero(~np.isnan(stand.score)))
    columns = [
        households.take(rows).cast(pa.string()),
        pa.array(stand.outcome, pa.string()).take(rows),
        pa.array(stand.score).take(rows),
    ]
    table = pa.table(columns, schema=SCHEMA).replace_schema_metadata({_STAMP: stamp})
    half = path.with_suffix(".part")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, half, compression="zstd")
        half.replace(path)
    return table


def kept(path: Path, stamp: str) -> pa.Table | None:
    """What was kept under the same stamp; None where there is nothing, or it is of something else."""
    try:
        with pq.ParquetFile(path) as file:
            told = (file.schema_arrow.metadata or {}).get(_STAMP)
            return file.read() if told == stamp.encode() else None
    except (OSError, pa.ArrowException):
        return None


def last_kept(path: Path) -> pa.Table | None:
    """What was kept last, whatever it was made from; None where there is nothing."""
    with suppress(OSError, pa.ArrowException):
        return pq.read_table(path, schema=SCHEMA, partitioning=None)
    return None
