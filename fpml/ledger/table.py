"""The Delta Lake table that the ledger is.

One row is one version of one fact: household_id and person_id as told, indicator, record_id (where the source numbers
its records), event_date (when it happened, or began), until_date (the last day on which a status held; null for a
point in time, and for what goes on), known_date (when the office learned it), value (integer in stored units; null
withdraws the record), department, delivery (the fingerprint of the file it came in), fact (which fact this is a
version of). A later known_date replaces; nothing is ever overwritten. Any tool that reads Delta Lake or Parquet reads
it.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from pyarrow.dataset import Dataset

from fpml.errors import LedgerChangedError, LedgerError, NotYetError
from fpml.ledger.facts import SCHEMA, WORDS, days, encoded, fact_keys, household_order, shard_of, words_of
from fpml.ledger.reading import AS_READ, Reading

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


class Ledger(Reading):
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
            return _as_stored(self._read(mine, AS_READ.names), self.shards)
        parts = []
        for n in range(ranges):
            within = self.shards * ranges, shard * ranges + n
            parts.append(_as_stored(self._read(mine, AS_READ.names, within=within), self.shards))
        return pa.concat_tables(parts).unify_dictionaries().combine_chunks()

    def live_files(self) -> pa.Table:
        """The files that hold it now, one a row: path, length (`size_bytes`), shard, and what tells which are read."""
        return self._actions

    @contextmanager
    def raw(self, path: str) -> Iterator[BinaryIO]:
        """The bytes of one of its files; raises LedgerError where it is lost."""
        try:
            file = (self.folder / path).open("rb")
        except OSError as e:
            raise self._lost(e) from None
        with file:
            yield file

    def dataset(self) -> Dataset:
        """The rows as an Arrow dataset, which DuckDB, pandas, Polars and Spark query where they lie."""
        self._actions  # noqa: B018  (says so where there is nothing yet)
        return self._table.to_pyarrow_dataset()  # type: ignore[union-attr]

    @property
    def _actions(self) -> pa.Table:
        if self._table is None:
            raise NotYetError("ledger", "nothing has been taken in yet", "Run `fpml intake FILES...` first.")
        if self._live is None or self._live[0] != self._table.version():
            self._live = self._table.version(), pa.table(self._table.get_add_actions(flatten=True))
        return self._live[1]

    def _opened(self, path: str, words: list[str]) -> pq.ParquetFile:
        return pq.ParquetFile(self.folder / path, read_dictionary=words, memory_map=True)

    def _lost(self, error: Exception) -> LedgerError:
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
