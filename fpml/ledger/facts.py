"""What a row of the ledger is, and which rows are versions of one fact.

A fact is who (the person, or else the household), what and when; where its source numbers its records, the indicator
and the number. `fact` holds that identity as a 64-bit key, so that versions meet without comparing words: two of a
county's hundred million facts share a key with a chance below one in a thousand, and rows are taken for versions of
one fact only where their indicator agrees too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("household_id", pa.string()),
        ("person_id", pa.string()),
        ("indicator", pa.string()),
        ("record_id", pa.string()),
        ("event_date", pa.date32()),
        ("until_date", pa.date32()),
        ("known_date", pa.date32()),
        ("value", pa.int64()),
        ("department", pa.string()),
        ("delivery", pa.string()),
        ("fact", pa.int64()),
    ]
)
WORDS = ("household_id", "person_id", "indicator", "record_id", "department", "delivery")
Hashes = npt.NDArray[np.uint64]
Number = TypeVar("Number", bound=np.generic)
# Tags that keep a person's, a household's and a number's words apart.
_PERSON, _HOUSEHOLD, _NUMBER, _INDICATOR = (np.uint64(i * 0x9E3779B97F4A7C15 % 2**64) for i in (1, 2, 3, 4))


@dataclass(frozen=True)
class Words:
    """A column of words: the distinct ones, and each row's position among them (-1 where there is none).

    `parts` holds the positions chunk by chunk, each with the place of a chunk's words among all (None: the same).
    """

    words: pa.Array
    parts: tuple[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32] | None], ...]

    @cached_property
    def at(self) -> npt.NDArray[np.int32]:
        """Each row's position among the words; -1 where it has none."""
        if len(self.parts) == 1 and self.parts[0][1] is None:
            return self.parts[0][0]
        return self.told(np.arange(len(self.words), dtype=np.int32), np.int32(-1))

    def told(self, of_word: npt.NDArray[Number], none: Number) -> npt.NDArray[Number]:
        """What is said of each row's word; `none` where a row has no word."""
        of_word = np.append(of_word, none).astype(none.dtype)
        out = np.empty(sum(at.size for at, _ in self.parts), of_word.dtype)
        begin = 0
        for at, place in self.parts:
            _look_up(at, of_word if place is None else of_word[np.append(place, -1)], out[begin : begin + at.size])
            begin += at.size
        return out

    def hashes(self, tag: np.uint64) -> Hashes:
        """Each row's word as 64 bits; 0 where there is none."""
        return self.told(_mixed(hashes(self.words) ^ tag), np.uint64(0))


@numba.njit(nogil=True, cache=True)
def _look_up(at: Any, table: Any, out: Any) -> None:  # pragma: no cover  (compiled)
    """The table's last entry is of those at -1. NumPy's own indexing holds the interpreter's lock."""
    for i in range(at.size):
        out[i] = table[at[i]]


def marked(at: npt.NDArray[np.int32], number: int) -> npt.NDArray[np.bool_]:
    """Which of so many positions some row has."""
    here = np.zeros(number, bool)
    _mark(at, here)
    return here


@numba.njit(nogil=True, cache=True)
def _mark(at: Any, here: Any) -> None:  # pragma: no cover  (compiled)
    for i in range(at.size):
        if at[i] >= 0:
            here[at[i]] = True


def words_of(column: pa.ChunkedArray | pa.Array) -> Words:
    """A column of strings, dictionary-encoded or not, as `Words`; after a filter some may have no row any more."""
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    at = [pc.fill_null(c.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False) for c in column.chunks]
    dictionaries = [c.dictionary.cast(pa.string()) for c in column.chunks]
    if len(dictionaries) == 1:
        return Words(dictionaries[0], ((at[0], None),))
    # Each file and row group has a dictionary of its own: words are the same where their 64 bits of hash are.
    code, _ = pd.factorize(np.concatenate([np.zeros(0, np.uint64), *map(hashes, dictionaries)]))
    first = np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))
    edges = np.cumsum([0, *map(len, dictionaries)])
    place = [code[e : e + len(d)].astype(np.int32) for e, d in zip(edges, dictionaries, strict=False)]
    whole = pa.chunked_array(dictionaries, pa.string()).take(pa.array(first)).combine_chunks()
    return Words(whole, tuple(zip(at, place, strict=True)))


def encoded(told: Words) -> pa.DictionaryArray:
    """The words as an Arrow column again, without those that no row has."""
    used = marked(told.at, len(told.words))
    at = told.told(np.cumsum(used, dtype=np.int32) - 1, np.int32(-1))
    return pa.DictionaryArray.from_arrays(pa.array(at, mask=at < 0), told.words.filter(pa.array(used)))


def coded(column: pa.ChunkedArray | pa.Array, words: pa.Array) -> npt.NDArray[np.int32]:
    """Each row's position among words given; -1 for any other, and for none."""
    found = words_of(column)
    place = pc.fill_null(pc.index_in(found.words, value_set=words), -1).to_numpy(zero_copy_only=False)
    return found.told(place, np.int32(-1))


def hashes(words: pa.Array) -> Hashes:
    """The 64-bit FNV-1a hash of each word's UTF-8 bytes, the same on every machine."""
    out = np.empty(len(words), np.uint64)
    if len(words):
        _, offsets, text = words.cast(pa.string()).buffers()
        bounds = np.frombuffer(offsets, np.int32)[words.offset : words.offset + len(words) + 1]
        _fnv_1a(bounds, np.frombuffer(text, np.uint8) if text is not None else np.zeros(0, np.uint8), out)
    return out


def household_order(words: pa.Array) -> npt.NDArray[np.int64]:
    """The order in which households stand everywhere: by a hash of their id. Shards are ranges of the same hash."""
    by_word = pc.sort_indices(words).to_numpy()
    return by_word[np.argsort(_spread(words)[by_word], kind="stable")]


def shard_of(household_id: pa.ChunkedArray | pa.Array, shards: int) -> npt.NDArray[np.int32]:
    """The shard of each row's household."""
    found = words_of(household_id)
    return found.told(_shards(found.words, shards), np.int32(0))


def fact_keys(records: pa.Table) -> npt.NDArray[np.int64]:
    """Which fact each row is a version of; the lowest bit says that its source numbers its records."""
    person, household = words_of(records["person_id"]), words_of(records["household_id"])
    number = words_of(records["record_id"])
    who = np.where(person.at >= 0, person.hashes(_PERSON), household.hashes(_HOUSEHOLD))
    what = words_of(records["indicator"]).hashes(_INDICATOR)
    day = days(records["event_date"]).astype(np.int64).view(np.uint64)
    natural = _mixed(_mixed(who + what) ^ day)
    numbered = _mixed(what + number.hashes(_NUMBER))
    one = np.uint64(1)
    key = np.where(number.at >= 0, (numbered << one) | one, natural << one)
    return key.view(np.int64)


def latest(fact: npt.NDArray[np.int64], known: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The rows, ascending, that hold the version of each fact which became known last."""
    order = np.lexsort((known, fact))
    last = np.ones(order.size, bool)
    last[:-1] = fact[order][1:] != fact[order][:-1]
    return np.sort(order[last])


def indicator_codes(column: pa.ChunkedArray, codes: Mapping[str, int]) -> npt.NDArray[np.int16]:
    """Each row's indicator as its number in the catalogue; -1 for one that the catalogue does not have."""
    found = words_of(column)
    return found.told(np.array([codes.get(w, -1) for w in found.words.to_pylist()], np.int16), np.int16(-1))


def days(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Dates as days since 1970."""
    numbers: npt.NDArray[np.int32] = column.cast(pa.int32()).to_numpy()
    return numbers


def _shards(words: pa.Array, shards: int) -> npt.NDArray[np.int32]:
    return ((_spread(words) >> np.uint64(32)) * np.uint64(shards) >> np.uint64(32)).astype(np.int32)


def _spread(words: pa.Array) -> Hashes:
    return _mixed(hashes(words) ^ _HOUSEHOLD)


def _mixed(x: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): every bit of the input moves every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def _fnv_1a(bounds: Any, text: Any, out: Any) -> None:  # pragma: no cover  (compiled)
    """Fowler, Noll & Vo's hash 1a, over the bytes between bounds."""
    for i in range(out.size):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(bounds[i], bounds[i + 1]):
            h = (h ^ np.uint64(text[j])) * np.uint64(0x100000001B3)
        out[i] = h
