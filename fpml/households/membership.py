"""Membership through time: a person's facts go to the household the person was in, as known at the as-of.

The register is bitemporal like everything else: membership is a status of a person (`county.yaml: membership`), told
with the household, the day from which and, where it ended, the last day on which it held. What happened (amounts,
counts, events) goes to the household of the event date and stays there; what a person is or has (statuses, levels:
see `Indicator.follows`) goes with the person, and ends for the household when the person leaves or dies. Before a
person's first known membership the first one stands; of a person whom the register does not know, the household told
with each fact does.

Nearly everybody has been in one household only: their rows are left as they are. For the others each version of a
fact is cut into pieces, one for each household it belonged to as knowledge went on.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.dates import FAR, NEVER, months_of
from fpml.households.pieces import find_moved, pieces, rows_of
from fpml.ledger import Hashes, Reading, encoded, hashes, marked, words_of

Ints = npt.NDArray[np.int64]
# To be raised when what `Linked` keeps, or its columns, change: files of another format are not read.
LINKED_FORMAT = 1


class Facts(NamedTuple):
    """Rows of the ledger as numbers, one entry a version; `household`, `person` and `indicator` are codes.

    Days are days since 1970; an indicator of -1 sets a row aside (those of pieces come last). `until_day` and
    `withdrawn` are empty where no row needs them. The last four are the pieces that rows of people who moved were cut
    into (`resolved`): of which row, the household, and the months from which and until which it stands there.
    """

    household: npt.NDArray[np.int32]
    person: npt.NDArray[np.int32]
    indicator: npt.NDArray[np.int16]
    fact: Ints
    event_day: npt.NDArray[np.int32]
    until_day: npt.NDArray[np.int32]
    known_day: npt.NDArray[np.int32]
    value: Ints
    withdrawn: npt.NDArray[np.bool_]
    piece_of: Ints = np.zeros(0, np.int64)
    piece_household: npt.NDArray[np.int32] = np.zeros(0, np.int32)
    begins: npt.NDArray[np.int16] = np.zeros(0, np.int16)
    finishes: npt.NDArray[np.int16] = np.zeros(0, np.int16)


def resolved(facts: Facts, catalogue: Catalogue, *, people: int) -> Facts:
    """The same facts, those of people who moved or left given to the right household for each time of knowing.

    The rows stay where they are, so that a shard's columns need not be copied: those of people who moved are set aside,
    and the pieces say what takes their place.
    """
    member = catalogue.codes.get(catalogue.county.membership or "", -1)
    first = np.full(people, -1, np.int32)
    moved = np.zeros(people + 1, bool)
    find_moved(facts.household, facts.person, facts.indicator, facts.until_day, member, first, moved)
    if not moved.any():
        return facts
    rows = np.empty(rows_of(facts.person, moved, np.zeros(0, np.int64)), np.int64)
    rows_of(facts.person, moved, rows)
    # Versions of one fact in the order of knowing; a person's facts together.
    rows = rows[np.lexsort((facts.known_day[rows], facts.fact[rows], facts.person[rows]))]
    month_ends, base = _month_ends(facts)
    known = _month(facts.known_day[rows])
    ends = np.full(rows.size, NEVER, np.int16)
    again = (facts.fact[rows][1:] == facts.fact[rows][:-1]) & (facts.person[rows][1:] == facts.person[rows][:-1])
    ends[:-1][again] = known[1:][again]
    withdrawn = facts.withdrawn[rows] if facts.withdrawn.size else np.zeros(rows.size, bool)
    until = facts.until_day[rows] if facts.until_day.size else np.full(rows.size, FAR, np.int32)
    follows = np.append(np.array(catalogue.following, bool), False)[facts.indicator[rows]]
    person, told, event = facts.person[rows], facts.household[rows], facts.event_day[rows]
    said = np.flatnonzero((facts.indicator[rows] == member) & ~withdrawn & (ends > known) & (member >= 0))
    ended = np.where(until[said] < FAR, _month(until[said] + 1), np.int16(NEVER))
    statements = (
        np.searchsorted(person[said], np.arange(people + 1)),
        *(told[said], event[said], until[said], known[said], ends[said], _month(event[said]), ended),
    )
    size = 0
    piece = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int16)
    for _ in range(2):  # once to count the pieces, once to write them
        piece = tuple(np.empty(size, p.dtype) for p in piece)  # type: ignore[assignment]
        size = pieces(told, event, known, ends, person, follows, ~withdrawn, *statements, month_ends, base, *piece)
    of, household, begins, finishes = piece
    indicator = facts.indicator.copy()
    indicator[rows] = -1
    kept = indicator, facts.indicator[rows[of]]
    return facts._replace(
        indicator=np.concatenate(kept), piece_of=rows[of], piece_household=household, begins=begins, finishes=finishes
    )


def _month(day: npt.NDArray[np.int32]) -> npt.NDArray[np.int16]:
    return months_of(day.astype("datetime64[D]")).astype(np.int16)


def _month_ends(facts: Facts) -> tuple[npt.NDArray[np.int32], int]:
    """The last day of each month from the first known one to where nothing changes any more; that first month."""
    known = months_of(np.array([facts.known_day.min()]).astype("datetime64[D]"))[0]
    latest = [facts.known_day.max(), facts.event_day.max()]
    if facts.until_day.size:
        dated = facts.until_day[facts.until_day < FAR]
        latest.append(dated.max(initial=0))
    last = months_of(np.array([max(latest)]).astype("datetime64[D]"))[0] + 2
    months = np.arange(int(known), int(last) + 1)
    ends = (months + 1 - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return ends.astype(np.int32), int(known)


@dataclass(frozen=True)
class Linked:
    """What shards must know of each other: the rows that tell of people who are told of in more than one of them.

    `facts` has one dictionary a column of words; `shard` says where each row lies.
    """

    facts: pa.Table
    shard: npt.NDArray[np.int32]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return int(self.shard.size)

    def incoming(self, shard: int) -> pa.Table | None:
        """What other shards hold of the people of this one; None where there is nothing."""
        if not self.size:
            return None
        told = words_of(self.facts["person_id"])
        here = np.zeros(len(told.words) + 1, bool)
        here[told.at[self.shard == shard]] = True
        rows = np.flatnonzero(here[told.at] & (self.shard != shard))
        return _with_own_words(self.facts.take(pa.array(rows))) if rows.size else None

    def save(self, path: Path) -> None:
        """Writes it as an Arrow file, whole or not at all."""
        whole = self.facts.append_column("shard", pa.array(self.shard, pa.int32()))
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.part")
        with half.open("wb") as disk:
            with pa.ipc.new_file(disk, whole.schema) as file:
                file.write_table(whole)
            disk.flush()
            os.fsync(disk.fileno())
        os.replace(half, path)

    @classmethod
    def load(cls, path: Path) -> "Linked":
        """Reads what `save` wrote."""
        with pa.ipc.open_file(path) as file:
            whole = file.read_all()
        return cls(whole.drop_columns(["shard"]).combine_chunks(), whole["shard"].to_numpy())


def linked(ledger: Reading, columns: Sequence[str], run: Callable[..., list[Any]]) -> Linked:
    """The facts (these columns) of people told of in more than one shard; `run` applies a function to each shard."""
    none = Linked(pa.table({}), np.zeros(0, np.int32))
    if not ledger.tells_of_people:
        return none
    seen = run(partial(_people, ledger.shard), range(ledger.shards))
    people, number = np.unique(np.concatenate(seen), return_counts=True)
    several = people[number > 1]
    if not several.size:
        return none
    facts = run(partial(_of_people, ledger.shard, tuple(columns), several), range(ledger.shards))
    shard = np.repeat(np.arange(ledger.shards, dtype=np.int32), [t.num_rows for t in facts])
    return Linked(_with_own_words(pa.concat_tables(facts)), shard)


def _people(read: Callable[..., pa.Table], shard: int) -> Hashes:
    """Everybody told of in a shard, each once, as hashes."""
    told = words_of(read(shard, ["person_id"])["person_id"])
    return hashes(told.words.filter(pa.array(marked(told.at, len(told.words)))))


def _of_people(read: Callable[..., pa.Table], columns: Sequence[str], people: Hashes, shard: int) -> pa.Table:
    """A shard's rows that tell of these people, their words without the others'."""
    table = read(shard, columns)
    told = words_of(table["person_id"])
    theirs = np.isin(hashes(told.words), people)
    return _with_own_words(table.filter(pa.array(told.told(theirs, np.False_))))


def _with_own_words(table: pa.Table) -> pa.Table:
    """The same table, each column of words with one dictionary, of its own words only."""
    columns = {
        name: encoded(words_of(table[name])) if pa.types.is_dictionary(kind) else table[name].combine_chunks()
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
    }
    return pa.table(columns)
