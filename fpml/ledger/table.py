"""The Delta Lake table that the ledger is.

One row is one version of one fact: household_id and person_id as told, indicator, record_id (where the source numbers
its records), event_date (when it happened, or began), until_date (the last day on which a status held; null for a
point in time, and for what goes on), known_date (when the office learned it), value (integer in stored units; null
withdraws the record), department, delivery (the fingerprint of the file it came in), fact (which fact this is a
version of). A later known_date replaces; nothing is ever overwritten. Any tool that reads Delta Lake or Parquet reads
it.
"""

import hashlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from pyarrow.dataset import Dataset

from fpml.errors import LedgerChangedError, LedgerError, NotYetError
from fpml.ledger import counted
from fpml.ledger.facts import (
    SCHEMA,
    WORDS,
    coded,
    days,
    encoded,
    fact_keys,
    household_order,
    latest,
    shard_of,
    words_of,
)
from fpml.ledger.probe import Sought

SHARDS = 16
# The version of a ledger into which nothing has been taken yet.
BEFORE = -1
# A shard may have so many files before they are merged into one: a year of months, and the years before. What was
# merged stays on the disk, for past days. So they are merged only when the ledger has grown by so large a part since:
# merged files take up some three times what it holds at most, where each year's merging would add all of it again.
MOST_FILES, GROWN = 12, 0.5
WHOLE_FILE_BYTES = 2**30
# So many rows at most are put in order at a time, or a range of households with more.
MOST_IN_ORDER = 1_000_000
# Every append writes this mark, so that of two at once, each compared with the ledger as it was before, one is refused.
_TURN = "append"
_AS_READ = pa.schema(
    [
        pa.field(f.name, pa.dictionary(pa.int32(), f.type) if f.name in WORDS else f.type)
        for f in SCHEMA
        if f.name != "shard"
    ]
)
_OF_A_VERSION = ("household_id", "person_id", "indicator", "event_date", "until_date", "known_date", "value", "fact")
# Words and dates are packed by dictionaries, values by their differences, and keys not at all; a compressor on top
# saved 5 % of the bytes and cost half of the reading time.
_WRITER = WriterProperties(
    compression="UNCOMPRESSED",
    max_row_group_size=2**20,
    column_properties={
        "value": ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED"),
        "fact": ColumnProperties(dictionary_enabled=False),
    },
)

# The log and the files that were merged are kept for a hundred years, not a month: any past day can be opened.
_KEPT: dict[str, str | None] = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


class Ledger:
    """The ledger that lies in a folder, read at one version; `append` is atomic and takes each delivery once.

    `day`: the ledger as it lay on disk at the end of a past day; `version`: as it was after its change of that number.
    What the office *knew* on a past day, whenever it was taken in, is `standing`.
    """

    def __init__(
        self, folder: Path, *, shards: int = SHARDS, day: date | None = None, version: int | None = None
    ) -> None:
        self.folder, self.day, self._past = folder, day, version is not None
        self._live: tuple[int, pa.Table] | None = None
        self._table: DeltaTable | None = None
        self.shards, columns = shards, set(SCHEMA.names)
        try:
            if version != BEFORE:
                table = DeltaTable(str(folder), version=version)
                if day is not None:
                    self._go_back(table, day)
                self.shards = int((table.metadata().description or "").removeprefix("shards="))
                columns = set(table.schema().to_arrow().names)
                self._table = table
        except TableNotFoundError:
            if version is not None:  # there was one: a folder without it is lost, or not mounted
                problem = f"cannot be read (no version {version} there)"
                raise LedgerError("ledger", problem, "Restore its folder, or mount it.") from None
        except (DeltaError, ValueError, OSError) as e:
            raise LedgerError("ledger", f"cannot be read ({type(e).__name__})", "Restore its folder.") from None
        if not columns >= set(SCHEMA.names):
            raise LedgerError("ledger", "made by an earlier fpml", "Move it away, and take the deliveries in again.")

    def __reduce__(self) -> "tuple[Callable[..., Ledger], tuple[object, ...]]":
        """Handed to another process or machine it stays at its version: its files are read there, from that folder."""
        return _elsewhere, (self.folder.absolute(), self.version)

    @property
    def version(self) -> int:
        """The number of the last change; -1 before the first."""
        return self._table.version() if self._table else BEFORE

    @property
    def content(self) -> str:
        """Sixteen hex digits of which files hold it: another ledger, or another state of this one, has others."""
        return hashlib.sha256("\n".join(self.paths).encode()).hexdigest()[:16]

    def has(self, delivery: str) -> bool:
        """Whether a delivery of this fingerprint has been taken in."""
        return self._table is not None and self._table.transaction_version(delivery) is not None

    def append(self, records: pa.Table, *deliveries: str) -> bool:
        """Adds what was accepted of deliveries in one commit; False, and nothing changes, where the first is in it.

        `records` has the columns of SCHEMA, but for shard and fact, which are computed here. Raises LedgerChangedError
        where another run added to it since it was opened: what was compared with it must be compared again, and it is
        opened anew for that.
        """
        if self.day is not None or self._past:
            problem = f"opened as it was then ({self.day or f'version {self.version}'})"
            raise LedgerError("ledger", problem, "Open it as it stands to add to it.")
        if self.has(deliveries[0]):
            return False
        try:
            write_deltalake(
                self._table or str(self.folder),
                _as_stored(records, self.shards),
                mode="append" if self._table else "error",
                partition_by=["shard"],
                description=f"shards={self.shards}" if self._table is None else None,
                configuration=_KEPT if self._table is None else None,
                writer_properties=_WRITER,
                commit_properties=CommitProperties(app_transactions=[Transaction(d, 1) for d in (*deliveries, _TURN)]),
            )
        except (DeltaError, OSError) as e:
            if self._moved_on():
                raise LedgerChangedError("ledger", "another run added to it meanwhile", "Run again.") from None
            problem = f"nothing was added: the disk refused, or the ledger is damaged ({type(e).__name__})"
            raise LedgerError("ledger", problem, "See to the disk, and run again.") from None
        self._table = DeltaTable(str(self.folder))
        return True

    def _moved_on(self) -> bool:
        """Whether there is a later version than was read, which then is the one that is read."""
        before = self.version
        with suppress(DeltaError, OSError):
            self._table = DeltaTable(str(self.folder))
        return self.version > before

    def compact(self, *, most: int = MOST_FILES) -> int:
        """Writes shards of more than so many files anew as one, in order; returns how many files are gone.

        They wait until all but each shard's largest file hold half as much as these. No record is added, lost or
        changed. Each shard is a commit of its own: killed in between, the others are merged another time. The
        files that were merged stay for whoever opens a past day.
        """
        if self._table is None:
            return 0
        before = self.files
        for shard in self._scattered(most):
            with suppress(CommitFailedError):  # another run changed the shard meanwhile: it is merged another time
                write_deltalake(
                    self._table,
                    self._in_order(shard),
                    mode="overwrite",
                    predicate=f"shard = {shard}",
                    writer_properties=_WRITER,
                    target_file_size=WHOLE_FILE_BYTES,
                )
            self._table = DeltaTable(str(self.folder))
        if self.files < before:
            self._table.create_checkpoint()
        return before - self.files

    def _scattered(self, most: int) -> list[int]:
        """The shards to be merged: all that have too many files, or, before the ledger has grown enough, none."""
        shard, rows = (self._actions[c].to_numpy() for c in ("partition.shard", "num_records"))
        largest = np.zeros(self.shards, np.int64)
        np.maximum.at(largest, shard, rows)
        if rows.sum() < (1 + GROWN) * largest.sum():
            return []
        found: list[int] = np.flatnonzero(np.bincount(shard, minlength=self.shards) > most).tolist()
        return found

    def _in_order(self, shard: int) -> pa.Table:
        """A shard's rows as they are stored, read and put in order one range of households after another.

        That bounds memory: what sorting needs is needed for one range at a time. One chunk: the writer may mix several.
        """
        mine = pc.equal(self._actions["partition.shard"], shard)
        rows = int(pc.sum(self._actions.filter(mine)["num_records"]).as_py())
        ranges = -(-rows // MOST_IN_ORDER) or 1
        if ranges == 1:
            return _as_stored(self._read(mine, _AS_READ.names), self.shards)
        parts = []
        for n in range(ranges):
            within = self.shards * ranges, shard * ranges + n
            parts.append(_as_stored(self._read(mine, _AS_READ.names, within=within), self.shards))
        return pa.concat_tables(parts).unify_dictionaries().combine_chunks()

    def shard(self, number: int, columns: Sequence[str] = _AS_READ.names) -> pa.Table:
        """Every version in one shard, its words dictionary-encoded."""
        return self._read(pc.equal(self._actions["partition.shard"], number), columns)

    def everything(self) -> pa.Table:
        """Every version in the ledger."""
        return self._read(None, _AS_READ.names)

    def dataset(self) -> Dataset:
        """The rows as an Arrow dataset, which DuckDB, pandas, Polars and Spark query where they lie."""
        self._actions  # noqa: B018  (says so where there is nothing yet)
        return self._table.to_pyarrow_dataset()  # type: ignore[union-attr]

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
        empty = pa.schema([_AS_READ.field(c) for c in _OF_A_VERSION]).empty_table()

        def found(path: str) -> pa.Table:
            keys = self._file(path, ["fact", "event_date"])
            rows = sought.among(keys["fact"].to_numpy(), days(keys["event_date"]), first, last)
            return self._file(path, _OF_A_VERSION).take(pa.array(rows)) if rows.size else empty

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return pa.concat_tables([empty, *pool.map(found, sorted(paths))])

    def of_indicator(self, indicator: str, columns: Sequence[str]) -> pa.Table:
        """Some columns of every version that tells of an indicator; one file after another, so that little is held."""
        parts = [pa.schema([_AS_READ.field(c) for c in columns]).empty_table()]
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
        table = self.of_indicator(indicator, [n for n in _AS_READ.names if n != "indicator"])
        of_it = pa.array([indicator] * table.num_rows, pa.string())
        table = table.append_column("indicator", of_it).select(_AS_READ.names).cast(_AS_READ)
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

    def live_files(self) -> pa.Table:
        """The files that hold it now, one a row: path, length (`size_bytes`), shard, and what tells which are read."""
        return self._actions

    @property
    def rows(self) -> int:
        """How many versions it holds."""
        return int(pc.sum(self._actions["num_records"]).as_py() or 0)

    @property
    def files(self) -> int:
        """How many files hold the ledger now."""
        return int(self._actions.num_rows)

    @property
    def _actions(self) -> pa.Table:
        if self._table is None:
            raise NotYetError("ledger", "nothing has been taken in yet", "Run `fpml intake FILES...` first.")
        if self._live is None or self._live[0] != self._table.version():
            self._live = self._table.version(), pa.table(self._table.get_add_actions(flatten=True))
        return self._live[1]

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
        parts = [pa.schema([_AS_READ.field(c) for c in columns]).empty_table()]
        for file in live.to_pylist():
            told = [c for c in columns if file[f"null_count.{c}"] != file["num_records"]]
            table = self._file(file["path"], columns, told=told)
            parts.append(table if within is None else _in_range(table, *within))
        return pa.concat_tables(parts)

    def _file(self, path: str, columns: Sequence[str], *, told: Sequence[str] | None = None) -> pa.Table:
        """A file's columns, of which only those told of (None: all) are read: the others hold nothing."""
        schema = pa.schema([_AS_READ.field(c) for c in columns])
        try:
            with self._opened(path, [c for c in WORDS if c in columns]) as file:
                table = file.read(columns=list(columns if told is None else told), use_threads=False)
        except (OSError, pa.ArrowException) as e:
            raise self._lost(e) from None
        for name in set(columns) - set(table.column_names):
            table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
        return table.select(list(columns)).cast(schema)

    def _opened(self, path: str, words: list[str]) -> pq.ParquetFile:
        """A data file, of whose columns these hold words."""
        return pq.ParquetFile(self.folder / path, read_dictionary=words, memory_map=True)

    def _lost(self, error: Exception) -> LedgerError:
        """What is said of a data file that cannot be read."""
        problem = f"a data file is missing or damaged ({type(error).__name__})"
        return LedgerError("ledger", problem, "Restore its folder.")

    @staticmethod
    def _go_back(table: DeltaTable, day: date) -> None:
        end = datetime.combine(day + timedelta(days=1), time()).astimezone()
        versions = [int(c["version"]) for c in table.history() if c["timestamp"] < end.timestamp() * 1000]
        if not versions:
            raise NotYetError("ledger", f"nothing had been taken in by {day}", "Choose a later day.")
        table.load_as_version(max(versions))


def _elsewhere(folder: Path, version: int) -> Ledger:
    """The ledger in a folder as this machine sees it."""
    if version != BEFORE and not folder.is_dir():
        problem = f"there is no {folder} on {socket.gethostname()}"
        raise LedgerError("ledger", problem, "Share the workspace's folder with every machine, at the same path.")
    return Ledger(folder, version=version)


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
        rows = rows.set_column(at, _AS_READ.field(name), encoded(words_of(rows[name])))
    return rows


def _as_stored(records: pa.Table, shards: int) -> pa.Table:
    """The rows in the table's columns and order: household, indicator, event; so each file reads and packs well."""
    for name in WORDS:
        column = encoded(words_of(records[name]))
        records = records.set_column(records.column_names.index(name), name, column)
    household = words_of(records["household_id"])
    rank = np.empty(len(household.words), np.int64)
    rank[household_order(household.words)] = np.arange(rank.size)
    indicator = words_of(records["indicator"])
    by_name = np.empty(len(indicator.words), np.int64)
    by_name[pc.sort_indices(indicator.words).to_numpy()] = np.arange(by_name.size)
    day = days(records["event_date"]).astype(np.int64) + 2**20
    key = (rank[household.at] << 36) | (by_name[indicator.at] << 22) | day
    rows = records.append_column("shard", pa.array(shard_of(records["household_id"], shards), pa.int32()))
    if "fact" not in rows.column_names:
        rows = rows.append_column("fact", pa.array(fact_keys(records), pa.int64()))
    return rows.select(SCHEMA.names).take(pa.array(np.argsort(key, kind="stable")))
