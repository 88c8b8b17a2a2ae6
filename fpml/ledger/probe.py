"""Whether facts told now are in the ledger already: a hash set of keys, probed by a file's own."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sought:
    """The keys of facts, in a table of open addresses (a power of two, at most half full; 0 is an empty place)."""

    table: Keys
    numbered: bool

    @classmethod
    def of(cls, keys: Keys) -> "Sought":
        """From the keys of the facts sought."""
        size = 2 ** max(4, int(2 * keys.size).bit_length())
        table = np.zeros(size, np.int64)
        _enter(keys, table)
        return cls(table, bool((keys & 1).any()))

    def among(self, keys: Keys, day: npt.NDArray[np.int32], first: int, last: int) -> npt.NDArray[np.int64]:
        """The positions of those among these keys that are sought; natural ones between two days only (event days)."""
        out = np.empty(keys.size, np.int64)
        return out[: _probe(keys, day, first, last, self.table, out)]


@numba.njit(nogil=True, cache=True)
def _place(key: Any) -> Any:  # pragma: no cover  (compiled)
    # The lowest bit says what kind of key it is, and the rest is a hash already.
    return key >> 1


@numba.njit(nogil=True, cache=True)
def _enter(keys: Any, table: Any) -> None:  # pragma: no cover  (compiled)
    mask = table.size - 1
    for i in range(keys.size):
        at = _place(keys[i]) & mask
        while table[at] != 0 and table[at] != keys[i]:
            at = (at + 1) & mask
        table[at] = keys[i]


@numba.njit(nogil=True, cache=True)
def _probe(keys: Any, day: Any, first: Any, last: Any, table: Any, out: Any) -> Any:  # pragma: no cover  (compiled)
    mask = table.size - 1
    n = 0
    for i in range(keys.size):
        if keys[i] & 1 == 0 and (day[i] < first or day[i] > last):
            continue
        at = _place(keys[i]) & mask
        while table[at] != 0 and table[at] != keys[i]:
            at = (at + 1) & mask
        if table[at] != 0:
            out[n] = i
            n += 1
    return n
