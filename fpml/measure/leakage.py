"""Leakage, told from outside: what is known after an as-of may change its label, and nothing else."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.dates import AsOf


def swapped_after(records: pa.Table, as_of: AsOf, *, seed: int) -> pa.Table:
    """Ledger records in which random pairs of households have exchanged everything known after the as-of.

    Rebuilt from these, histories at the as-of must be bit-equal, and no score made there can tell the labels.
    """
    households = records["household_id"].combine_chunks().cast(pa.string())
    names = np.array(sorted(set(households.to_pylist())), object)
    shuffled = np.random.default_rng(seed).permutation(names.size)
    partner = np.empty(names.size, np.int64)
    half = names.size // 2
    first, second = shuffled[:half], shuffled[half : 2 * half]
    partner[first], partner[second] = second, first
    partner[shuffled[2 * half :]] = shuffled[2 * half :]
    at = np.searchsorted(names.astype(str), np.array(households.to_pylist(), str))
    swapped = pa.array(names[partner[at]], pa.string())
    later = pc.greater(records["known_date"].combine_chunks(), pa.scalar(as_of.date, pa.date32()))
    column = pc.if_else(later, swapped, households)
    return records.set_column(records.column_names.index("household_id"), "household_id", column)
