"""The same histories written by hand with other tools, one module for each; see `benchmarks/histories.py`.

Each has `tables(path, as_ofs)`: a Parquet file of events (household_id, indicator, event_date, known_date, value in
fen; in the order of household, indicator and event, as the ledger has them), month numbers as `fpml.AsOf.month` has
them; yields each as-of with one wide table of what was known then. A window of w months at T takes events of the months
(T - w, T] that were known in month T or before. Cells without events are zero or null, households without events may be
left out. The peers know no corrections, withdrawals, moves or months without news: the events have none.

All use the fastest form found, the same in each: a place is numbered for each band of a window (the last 3 months, the
3 before, the 6 before those), indicator and household; the tool groups the events of an as-of by place, once; and
`laid_out` turns the groups into columns and adds the bands up. Other forms are named in the modules' docstrings, with
seconds for 3.84 million events and 12 as-ofs, better of two runs on two shared cores: to be compared within a module.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

INDICATORS = tuple(f"ind_{i:02d}" for i in range(20))
WINDOWS = (3, 6, 12)
REDUCTIONS = ("sum", "count", "max")


def column(indicator: str, reduction: str, window: int) -> str:
    """The column's name, the same as fpml's."""
    return f"{indicator}__{reduction}__{window}m"


COLUMNS = tuple(column(i, r, w) for i in INDICATORS for r in REDUCTIONS for w in WINDOWS)


def laid_out(
    place: npt.NDArray[Any], groups: Mapping[str, npt.NDArray[Any]], homes: int
) -> dict[str, npt.NDArray[Any]]:
    """A column of every feature, a value a household, from sum, count and max of each place.

    A place is `(band * indicators + indicator) * homes + home`. Values are above zero, so no event is a highest of 0.
    """
    out = {}
    for reduction in REDUCTIONS:
        whole = np.zeros(len(WINDOWS) * len(INDICATORS) * homes, np.int32 if reduction == "count" else np.int64)
        whole[place] = groups[reduction]
        bands = whole.reshape(len(WINDOWS), len(INDICATORS), homes)
        added = (np.maximum if reduction == "max" else np.add).accumulate(bands, axis=0)
        for k, window in enumerate(WINDOWS):
            for j, indicator in enumerate(INDICATORS):
                out[column(indicator, reduction, window)] = added[k, j]
    return out
