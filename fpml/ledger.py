"""The ledger: bitemporal records in a Delta Lake table, partitioned by household shard.

One row is one version of one fact: household_id, person_id, indicator, record_id, event_date (when it happened),
known_date (when the office learned it), value (integer in stored units; null withdraws the record), department,
delivery (the fingerprint of the file it came in). A later known_date replaces; nothing is ever overwritten.
"""

import zlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from fpml.errors import LedgerError, NotYetError

SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("household_id", pa.string()),
        ("person_id", pa.string()),
        ("indicator", pa.string()),
        ("record_id", pa.string()),
        ("event_date", pa.date32()),
        ("known_date", pa.date32()),
        ("value", pa.int64()),
        ("department", pa.string()),
        ("delivery", pa.string()),
    ]
)
WORDS = ("household_id", "person_id", "indicator", "record_id", "department", "delivery")
SHARDS = 16
_AS_READ = pa.schema(
    [
        pa.field(f.name, pa.dictionary(pa.int32(), f.type) if f.name in WORDS else f.type)
        for f in SCHEMA
        if f.name != "shard"
    ]
)


class Ledger:
    """The ledger that lies in a folder, read at one version; `append` is atomic and takes each delivery once."""

    def __init__(self, folder: Path, *, shards: int = SHARDS) -> None:
        self.folder = folder
        try:
            self._table: DeltaTable | None = DeltaTable(str(folder))
            self.shards = int((self._table.metadata().description or "").removeprefix("shards="))
        except TableNotFoundError:
            self._table, self.shards = None, shards
        except (DeltaError, ValueError, OSError) as e:
            raise LedgerError("ledger", f"cannot be read ({type(e).__name__})", "Restore its folder.") from None

    @property
    def version(self) -> int:
        """The number of the last append; -1 before the first."""
        return self._table.version() if self._table else -1

    def has(self, delivery: str) -> bool:
        """Whether a delivery of this fingerprint has been taken in."""
        return self._table is not None and self._table.transaction_version(delivery) is not None

    def append(self, records: pa.Table, delivery: str) -> bool:
        """Adds a delivery's accepted records in one commit; False, and nothing changes, where it is in already."""
        if self.has(delivery):
            return False
        shard = shard_of(records["household_id"], self.shards)
        _, household = ranked(records["household_id"])
        _, indicator = ranked(records["indicator"])
        order = np.lexsort((days(records["event_date"]), indicator, household, shard))
        rows = records.append_column("shard", pa.array(shard, pa.int32())).select(SCHEMA.names)
        rows = rows.take(pa.array(order)).cast(SCHEMA)
        write_deltalake(
            self._table or str(self.folder),
            rows,
            mode="append",
            partition_by=["shard"],
            description=f"shards={self.shards}" if self._table is None else None,
            commit_properties=CommitProperties(app_transactions=[Transaction(delivery, 1)]),
        )
        self._table = DeltaTable(str(self.folder))
        return True

    def shard(self, number: int) -> pa.Table:
        """Every version in one shard, its words dictionary-encoded."""
        return self._read(pc.equal(self._actions["partition.shard"], number))

    def everything(self) -> pa.Table:
        """Every version in the ledger."""
        return self._read(None)

    def overlapping(self, first: date, last: date) -> pa.Table:
        """Every version in the files that may hold events between two days; a few more come along."""
        actions = self._actions
        return self._read(
            pc.and_(
                pc.less_equal(actions["min.event_date"], pa.scalar(last)),
                pc.greater_equal(actions["max.event_date"], pa.scalar(first)),
            )
        )

    def known_span(self) -> tuple[date, date]:
        """The first and the last day on which anything became known."""
        actions = self._actions
        if not actions.num_rows:
            raise NotYetError("ledger", "it holds no records", "Take in a delivery first.")
        return pc.min(actions["min.known_date"]).as_py(), pc.max(actions["max.known_date"]).as_py()

    def reach(self) -> pa.Table:
        """How many records each department told of which day, and when: see `told_counts`."""
        parts = [self._file(p, ["department", "known_date", "event_date"]) for p in self._actions["path"].to_pylist()]
        if not parts:
            raise NotYetError("ledger", "it holds no records", "Take in a delivery first.")
        return pa.concat_tables([told_counts(t) for t in parts])

    def standing(self, day: date, indicator: str, codes: Mapping[str, int]) -> pa.Table:
        """The latest version, known by a day, of every record of an indicator; withdrawn ones are left out."""
        table = self.everything()
        table = table.filter(
            pc.and_(pc.equal(table["indicator"], indicator), pc.less_equal(table["known_date"], pa.scalar(day)))
        )
        who, known = identities(table, codes), days(table["known_date"])
        order = np.lexsort((known, who))
        latest = np.ones(order.size, bool)
        latest[:-1] = who[order][1:] != who[order][:-1]
        chosen = table.take(pa.array(np.sort(order[latest])))
        return chosen.filter(pc.is_valid(chosen["value"]))

    @property
    def _actions(self) -> pa.Table:
        if self._table is None:
            raise NotYetError("ledger", "nothing has been taken in yet", "Run `fpml intake FILES...` first.")
        return pa.table(self._table.get_add_actions(flatten=True))

    def _read(self, wanted: pa.ChunkedArray | None) -> pa.Table:
        actions = self._actions
        live = (actions if wanted is None else actions.filter(wanted))["path"].to_pylist()
        if not live:
            return _AS_READ.empty_table()
        parts = [self._file(p, _AS_READ.names) for p in sorted(live)]
        return pa.concat_tables(parts, promote_options="permissive")

    def _file(self, path: str, columns: list[str]) -> pa.Table:
        try:
            return pq.read_table(
                self.folder / path, columns=columns, read_dictionary=list(WORDS), partitioning=None, use_threads=False
            )
        except (OSError, pa.ArrowException) as e:
            problem = f"a data file is missing or damaged ({type(e).__name__})"
            raise LedgerError("ledger", problem, "Restore its folder.") from None


def told_counts(records: pa.Table) -> pa.Table:
    """How many records each department told: department, event_date, known_date, number."""
    keys = ["department", "event_date", "known_date"]
    plain = records.select(keys).set_column(0, "department", records["department"].cast(pa.string()))
    counted = plain.group_by(keys).aggregate([([], "count_all")])
    return counted.rename_columns([*keys, "number"])


def shard_of(household_id: pa.ChunkedArray, shards: int) -> npt.NDArray[np.int32]:
    """The shard of each household: CRC-32 of its id, the same on every machine."""
    encoded = household_id.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    of_word = [zlib.crc32(w.encode()) % shards for w in encoded.dictionary.to_pylist()]
    return np.array(of_word, np.int32)[encoded.indices.to_numpy(zero_copy_only=False)]


def identities(records: pa.Table, codes: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """One number for each record, equal where two rows are versions of the same one.

    A record is who, what and when, unless its source numbers its records: then household and number decide. `codes`
    numbers the indicators, of which there must be fewer than 4,096.
    """
    _, household = ranked(records["household_id"])
    _, person = ranked(records["person_id"])
    _, told = ranked(records["record_id"])
    indicator = indicator_codes(records["indicator"], codes).astype(np.int64)
    day = days(records["event_date"]).astype(np.int64)
    who = np.unique((household << 32) | (person + 1), return_inverse=True)[1].astype(np.int64)
    natural = (who << 36) | (indicator << 24) | (day + 2**22)
    numbered = (
        (np.int64(1) << 62) | (np.unique((household << 32) | (told + 1), return_inverse=True)[1] << 12) | indicator
    )
    return np.where(told >= 0, numbered, natural)


def ranked(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """The distinct words in ascending order, and each row's position among them (-1 for null)."""
    if not len(column):
        return np.array([], object), np.array([], np.int64)
    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = encoded.combine_chunks()
    words = np.asarray(codes.dictionary.to_pylist(), object)
    at = pc.fill_null(codes.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    used = np.zeros(words.size + 1, bool)
    used[at] = True
    present = np.flatnonzero(used[:-1])
    ordered = present[np.argsort(words[present])] if present.size else present
    position = np.full(words.size + 1, -1, np.int64)
    position[ordered] = np.arange(ordered.size)
    return words[ordered], position[at]


def indicator_codes(column: pa.ChunkedArray, codes: Mapping[str, int]) -> npt.NDArray[np.int16]:
    """Each row's indicator as its number in the catalogue."""
    names, position = ranked(column)
    return np.array([codes[n] for n in names], np.int16)[position] if names.size else np.array([], np.int16)


def days(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Dates as days since 1970."""
    numbers: npt.NDArray[np.int32] = column.cast(pa.int32()).to_numpy()
    return numbers
