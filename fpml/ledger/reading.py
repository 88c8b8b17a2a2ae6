"""Reading the ledger's rows from its files, wherever these lie: see `fpml.ledger.table` for what a row is."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fpml.errors import LedgerError, NotYetError
from fpml.ledger import counted
from fpml.ledger.facts import SCHEMA, WORDS, coded, days, encoded, fact_keys, latest, shard_of, words_of
from fpml.ledger.probe import Sought

AS_READ = pa.schema(
    [
        pa.field(f.name, pa.dictionary(pa.int32(), f.type) if f.name in WORDS else f.type)
        for f in SCHEMA
        if f.name != "shard"
    ]
)
_OF_A_VERSION = ("household_id", "person_id", "indicator", "event_date", "until_date", "known_date", "value", "fact")


class Reading(ABC):
    """One version of a ledger as its files tell it; where they lie, and what is said where one is lost, is the child's.

    `shards`: into how many its households are dealt.
    """

    shards: int

    @property
    @abstractmethod
    def version(self) -> int:
        """The number of the change after which it was so; -1 before the first."""

    @property
    @abstractmethod
    def _actions(self) -> pa.Table:
        """The files that hold it: path, length (`size_bytes`), shard, and what tells which are read."""

    @abstractmethod
    def _opened(self, path: str, words: list[str]) -> AbstractContextManager[pq.ParquetFile]:
        """A data file, of whose columns these hold words."""

    @abstractmethod
    def _lost(self, error: Exception) -> LedgerError:
        """What is said of a data file that cannot be read."""

    @property
    def content(self) -> str:
        """Sixteen hex digits of which files hold it: another ledger, or another state of this one, has others."""
        return hashlib.sha256("\n".join(self.paths).encode()).hexdigest()[:16]

    def shard(self, number: int, columns: Sequence[str] = AS_READ.names) -> pa.Table:
        """Every version in one shard, its words dictionary-encoded."""
        return self._read(pc.equal(self._actions["partition.shard"], number), columns)

    def everything(self) -> pa.Table:
        """Every version in the ledger."""
        return self._read(None, AS_READ.names)

    def versions_of(self, records: pa.Table) -> pa.Table:
        """The ledger's versions of the facts that these records tell: those they repeat, correct or contradict.

        Of each version who it tells of, its dates, its value and its fact.
        """
        sought = Sought.of(fact_keys(records))
        event = days(records["event_date"])
        first, last = int(event.min()), int(event.max())
        actions = self._actions
        near = pc.and_(
            pc.less_equal(actions["min.event_date"], pa.scalar(last, pa.int32()).cast(pa.date32())),
            pc.greater_equal(actions["max.event_date"], pa.scalar(first, pa.int32()).cast(pa.date32())),
        )
        # A numbered record may have been corrected to another day: it is sought everywhere.
        paths = (actions if sought.numbered else actions.filter(near))["path"].to_pylist()
        empty = pa.schema([AS_READ.field(c) for c in _OF_A_VERSION]).empty_table()

        def found(path: str) -> pa.Table:
            keys = self._file(path, ["fact", "event_date"])
            rows = sought.among(keys["fact"].to_numpy(), days(keys["event_date"]), first, last)
            return self._file(path, _OF_A_VERSION).take(pa.array(rows)) if rows.size else empty

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return pa.concat_tables([empty, *pool.map(found, sorted(paths))])

    def of_indicator(self, indicator: str, columns: Sequence[str]) -> pa.Table:
        """Some columns of every version that tells of an indicator; one file after another, so that little is held."""
        parts = [pa.schema([AS_READ.field(c) for c in columns]).empty_table()]
        for path in self.paths:
            table = self._file(path, [*columns, "indicator"])
            mine = coded(table["indicator"], pa.array([indicator])) == 0
            parts.append(table.drop_columns(["indicator"]).filter(pa.array(mine)))
        return pa.concat_tables(parts)

    def known_span(self) -> tuple[date, date]:
        """The first and the last day on which anything became known."""
        actions = self._actions
        if not actions.num_rows:
            remedy = "No row of what came could be taken in: `fpml intake` says what was refused, and why."
            raise NotYetError("ledger", "it holds no records", remedy)
        return pc.min(actions["min.known_date"]).as_py(), pc.max(actions["max.known_date"]).as_py()

    def known_by_month(self, kept: Path | None = None) -> dict[int, tuple[int, int]]:
        """How many versions became known in each month, and a checksum of which they are and what they say.

        The checksum is a sum: in which files and in what order the versions lie makes no difference. `kept`: where what
        was counted of each of the ledger's files is kept, so that it is read once. None: all are read.
        """
        before = counted.read(kept) if kept else {}
        by_path = {path: before[path] if path in before else self._counted(path) for path in self.paths}
        if kept and by_path.keys() != before.keys():
            counted.keep(by_path, kept)
        return counted.together(by_path.values())

    def _counted(self, path: str) -> counted.ByMonth:
        return counted.of_rows(self._file(path, ["known_date", "event_date", "until_date", "fact", "value"]))

    def known_by(self, month: int) -> str:
        """Sixteen hex digits of all that became known up to a month's end: which versions, and what they say.

        In which files and in what order they lie, and what became known later, makes no difference.
        """
        return digest_of(self.known_by_month(), month)

    def standing(self, day: date, indicator: str) -> pa.Table:
        """The latest version, known by a day, of every record of an indicator; withdrawn ones are left out.

        In the order of their days, and of their facts within a day: in which files they lie makes no difference.
        """
        table = self.of_indicator(indicator, [n for n in AS_READ.names if n != "indicator"])
        of_it = pa.array([indicator] * table.num_rows, pa.string())
        table = table.append_column("indicator", of_it).select(AS_READ.names).cast(AS_READ)
        table = table.filter(pc.less_equal(table["known_date"], pa.scalar(day)))
        chosen = table.take(pa.array(latest(table["fact"].to_numpy(), days(table["known_date"]))))
        chosen = chosen.take(pa.array(np.lexsort((chosen["fact"].to_numpy(), days(chosen["event_date"])))))
        return chosen.filter(pc.is_valid(chosen["value"]))

    @property
    def tells_of_people(self) -> bool:
        """Whether any row tells of a person."""
        actions = self._actions
        return bool(pc.any(pc.less(actions["null_count.person_id"], actions["num_records"])).as_py())

    @property
    def paths(self) -> list[str]:
        """The files, within its folder, that hold the ledger now; a glob would also find those that were merged."""
        return sorted(self._actions["path"].to_pylist())

    @property
    def rows(self) -> int:
        """How many versions it holds."""
        return int(pc.sum(self._actions["num_records"]).as_py() or 0)

    @property
    def files(self) -> int:
        """How many files hold the ledger now."""
        return int(self._actions.num_rows)

    def _read(
        self, wanted: pa.ChunkedArray | None, columns: Sequence[str], *, within: tuple[int, int] | None = None
    ) -> pa.Table:
        """The rows of the wanted files; `within`: only those of one of so many ranges of households."""
        counts = [f"null_count.{c}" for c in columns]
        live = self._actions.select(["path", "min.event_date", "num_records", *counts])
        if wanted is not None:
            live = live.filter(wanted)
        # Oldest events first: so the rows of a household are nearly in order already.
        live = live.sort_by([("min.event_date", "ascending"), ("path", "ascending")])
        parts = [pa.schema([AS_READ.field(c) for c in columns]).empty_table()]
        for file in live.to_pylist():
            told = [c for c in columns if file[f"null_count.{c}"] != file["num_records"]]
            table = self._file(file["path"], columns, told=told)
            parts.append(table if within is None else _in_range(table, *within))
        return pa.concat_tables(parts)

    def _file(self, path: str, columns: Sequence[str], *, told: Sequence[str] | None = None) -> pa.Table:
        """A file's columns, of which only those told of (None: all) are read: the others hold nothing."""
        schema = pa.schema([AS_READ.field(c) for c in columns])
        try:
            with self._opened(path, [c for c in WORDS if c in columns]) as file:
                table = file.read(columns=list(columns if told is None else told), use_threads=False)
        except (OSError, pa.ArrowException) as e:
            raise self._lost(e) from None
        for name in set(columns) - set(table.column_names):
            table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
        return table.select(list(columns)).cast(schema)


def digest_of(by_month: Mapping[int, tuple[int, int]], month: int) -> str:
    """Sixteen hex digits of what became known up to a month's end, as `Ledger.known_by_month` counted it."""
    parts = [part for m, part in by_month.items() if m <= month]
    rows, mixed = sum(n for n, _ in parts), sum(m for _, m in parts) % 2**64
    return hashlib.sha256(f"{rows} {mixed}".encode()).hexdigest()[:16]


def _in_range(rows: pa.Table, ranges: int, number: int) -> pa.Table:
    """The rows of one of so many ranges of households, with no more words than they need."""
    rows = rows.filter(pa.array(shard_of(rows["household_id"], ranges) == number))
    for name in WORDS:
        at = rows.column_names.index(name)
        rows = rows.set_column(at, AS_READ.field(name), encoded(words_of(rows[name])))
    return rows
