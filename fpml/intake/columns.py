"""Columns as Arrow holds them, made from arrays."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
EPOCH = date(1970, 1, 1)


def encoded(words: pa.Array) -> pa.DictionaryArray:
    """Words as a dictionary and positions in it."""
    if pa.types.is_dictionary(words.type):
        return words
    column = words.dictionary_encode()
    return column if isinstance(column, pa.DictionaryArray) else column.combine_chunks()


def constant(word: str, size: int) -> pa.DictionaryArray:
    """The same word so many times."""
    return pa.DictionaryArray.from_arrays(np.zeros(size, np.int32), pa.array([word]))


def nothing(size: int) -> pa.StringArray:
    """So many cells that say nothing."""
    return pa.nulls(size, pa.string())


def dates(day: npt.NDArray[np.int32], known: Bools) -> pa.Array:
    """Days since 1970 as dates, null where not known."""
    return pa.array(day, pa.int32(), mask=~known).cast(pa.date32())


def is_null(column: pa.Array | pa.ChunkedArray) -> Bools:
    """Which cells say nothing."""
    found = pc.is_null(column)
    return np.asarray(found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy(), bool)
