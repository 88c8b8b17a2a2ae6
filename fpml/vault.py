"""Who is meant: names, addresses and telephone numbers of heads, by household; in a table of its own, closed to others.

Intake puts in what each delivery told, a file each, numbered and never changed; where there are many they are merged,
and a merged file says of every row in which delivery it came. The writer of villages' own lists alone looks households
up. What was known by a day, at a version, is always the same, merged or not: a list can be made again.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fpml.errors import InputError

ROLES = ("name", "address", "telephone")
# `own`: told by the register itself, whose word stands before any department's.
ENTRIES = pa.schema(
    [
        ("household_id", pa.string()), ("role", pa.string()), ("text", pa.string()), ("event_date", pa.date32()),
        ("known_date", pa.date32()), ("own", pa.bool_()),
    ]
)  # fmt: skip
# There may be so many files before the newest are merged, with such older ones as hold no more than twice as much: so
# there are some dozens at most, and what is old is written anew only when the vault has grown by half of it since.
MOST_FILES, GROWN = 12, 0.5
# Which delivery a row of a merged file came in.
_NUMBERED = ENTRIES.append(pa.field("number", pa.int32()))
_FILE = re.compile(r"(?P<n>\d{6})_(?P<day>\d{4}-\d\d-\d\d)_(?P<tag>[0-9a-f~]+)_(?P<hash>[0-9a-f]{12})\.parquet")
_MERGED = re.compile(r"merged_\d{6}_(?P<hash>[0-9a-f]{12})\.parquet")
_TOLD = b"fpml"
_AT_ONCE = 2**17
# A reader may find a file gone that was merged since it looked: it looks again, so often.
_LOOKS = 5
_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
_REMEDY = "Restore data/vault from a copy."


@dataclass(frozen=True)
class Contact:
    """Whom to ask for at the door; each empty where the vault does not tell it."""

    name: str = ""
    address: str = ""
    telephone: str = ""


@dataclass(frozen=True)
class _Told:
    """What one delivery told: its number (in order of coming), the day on which it became known, its content's hash."""

    number: int
    day: str
    tag: str
    hash: str


@dataclass(frozen=True)
class _File:
    """A file, a hash of all of it, and what it holds: what one delivery told, or in a merged one many."""

    path: Path
    hash: str
    told: tuple[_Told, ...]


@dataclass(frozen=True)
class Vault:
    """The vault's folder. Its owner alone may read it, where the system knows such rights."""

    folder: Path

    def put(self, tag: str, number: int, entries: pa.Table) -> None:
        """Writes what a piece of a delivery told as pending, in the place of what an earlier try wrote."""
        path = self._pending / f"{tag}.{number:05d}.parquet"
        if entries.num_rows:
            _made(self.folder)
            _made(self._pending)
            _write(entries, path)
        else:
            path.unlink(missing_ok=True)

    def place(self, tag: str) -> None:
        """Puts what is pending of one taking-in in its place; again, it changes nothing."""
        parts = sorted(self._pending.glob(f"{tag}.*.parquet"))
        if not parts:
            return
        before = self._told()
        if not any(t.tag == tag for t in before):
            told = pa.concat_tables([pq.read_table(p, partitioning=None) for p in parts])
            half = self._pending / f"{tag}.part"
            _write(told, half)
            day = told["known_date"][0].as_py()
            number = max((t.number for t in before), default=0) + 1
            half.replace(self.folder / f"{number:06d}_{day}_{tag}_{_digest(half)}.parquet")
        self.drop(tag)

    def merge(self) -> int:
        """Merges files where there are many, in one step; returns how many there are less.

        The newest, and older ones as long as they hold no more than twice as much. No entry is added, lost or changed,
        nor what was known by any day at any version. Killed at any moment, the next call removes what is left over.
        """
        files = self._files()
        before = len(self._there())
        if len(files) > MOST_FILES:
            files = self._merged(files)
        for path in set(self._there()) - {f.path for f in files}:
            with suppress(OSError):  # open elsewhere, on Windows: another time
                path.unlink()
        return before - len(files)

    def _merged(self, files: Sequence[_File]) -> list[_File]:
        """The files as they are after the newest have been written as one."""
        newest_first = sorted(files, key=lambda f: -f.told[-1].number)
        taken, rows = 0, 0
        for file in newest_first:
            mine = pq.read_metadata(file.path).num_rows
            if taken > 1 and rows < GROWN * mine:
                break
            taken, rows = taken + 1, rows + mine
        some, left = newest_first[:taken], newest_first[taken:]
        told = sorted((t for f in some for t in f.told), key=lambda t: t.number)
        half = self._pending / "merged.part"
        _made(self._pending)
        about = {_TOLD: json.dumps([asdict(t) for t in told])}
        with _closed(half) as out, pq.ParquetWriter(out, _NUMBERED.with_metadata(about), compression="zstd") as writer:
            for entries_ in _in_large(e for file in reversed(some) for e in _entries(file)):
                writer.write_table(entries_)
            writer.close()
            # What it holds is removed elsewhere: it must lie on the disk before.
            out.flush()
            os.fsync(out.fileno())
        path = self.folder / f"merged_{told[-1].number:06d}_{_digest(half)}.parquet"
        half.replace(path)
        return [*left, _File(path, "", tuple(told))]

    def drop(self, tag: str) -> None:
        """Removes what is pending of a delivery."""
        for path in self._pending.glob(f"{tag}.*"):
            path.unlink(missing_ok=True)

    @property
    def version(self) -> int:
        """The number of the last file put in place; 0 where nothing was."""
        return max((t.number for t in self._told()), default=0)

    def known_by(self, day: date, version: int) -> str:
        """Sixteen hex digits of all that it told by a day at a version; '' where that is nothing."""
        names = "\n".join(f"{t.tag} {t.day} {t.hash}" for t in self._known(day, version))
        return hashlib.sha256(names.encode()).hexdigest()[:16] if names else ""

    def contacts(self, households: Sequence[str], day: date, version: int) -> dict[str, Contact]:
        """Whom to ask for in some households, as known by a day at a version; those of whom it tells nothing left out.

        The register's own word first, else the latest known, of the latest event. Where that says two things nothing is
        told: nobody can say which is right. Raises InputError where others may read it, or a file is not as it was put.
        """
        if not self._known(day, version):
            return {}
        if os.name == "posix" and self.folder.stat().st_mode & _RIGHTS:
            problem = "others than its owner may read it"
            raise InputError("vault", problem, f"Run `chmod 700 {self.folder.name}` in its folder.")
        told = self._entries_of(pa.array(sorted(set(households)), pa.string()), day, version)
        return _contacts(told.to_pandas()) if told.num_rows else {}

    def _entries_of(self, households: pa.Array, day: date, version: int) -> pa.Table:
        """What is told of some households by a day at a version."""
        for _ in range(_LOOKS):
            files = self._files()
            wanted = pa.array([t.number for t in _known(files, day, version)], pa.int32())
            parts = [ENTRIES.empty_table()]
            try:
                for told in (told for file in files for told in _entries(file)):
                    mine = pc.is_in(told["number"], value_set=wanted)
                    mine = pc.and_(mine, pc.is_in(told["household_id"], value_set=households))
                    parts.append(told.filter(mine).select(ENTRIES.names))
            except FileNotFoundError:
                continue
            return pa.concat_tables(parts)
        raise InputError("vault", "a file of it is gone", _REMEDY)

    @property
    def _pending(self) -> Path:
        return self.folder / "pending"

    def _known(self, day: date, version: int) -> list[_Told]:
        return _known(self._files(), day, version)

    def _told(self) -> list[_Told]:
        """What every delivery told, whatever file it lies in now."""
        return [t for f in self._files() for t in f.told]

    def _there(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("*.parquet") if _FILE.fullmatch(p.name) or _MERGED.fullmatch(p.name))

    def _files(self) -> list[_File]:
        """The files that hold it; such as were merged, and not removed yet, are left out.

        Raises InputError where two deliveries have one number: which came when could not be told.
        """
        for _ in range(_LOOKS):
            try:
                there = [_file(path) for path in self._there()]
                break
            except FileNotFoundError:
                continue
        else:
            raise InputError("vault", "a file of it is gone", _REMEDY)
        found: list[_File] = []
        seen: set[_Told] = set()
        for file in sorted(there, key=lambda f: -len(f.told)):
            if not set(file.told) <= seen:
                found.append(file)
                seen.update(file.told)
        if len({t.number for t in seen}) < len(seen):
            # An earlier fpml, which does not see merged files, counts from 1 again.
            raise InputError("vault", "two deliveries have one number: an earlier fpml wrote into it", _REMEDY)
        return found


def _known(files: Iterable[_File], day: date, version: int) -> list[_Told]:
    """What was told by a day at a version, in an order that has nothing to do with files."""
    told = (t for f in files for t in f.told if t.day <= str(day) and t.number <= version)
    return sorted(told, key=lambda t: (t.day, t.tag))


def _file(path: Path) -> _File:
    """A file by its name and, where it is a merged one, by what it says itself."""
    if m := _FILE.fullmatch(path.name):
        return _File(path, m["hash"], (_Told(int(m["n"]), m["day"], m["tag"], m["hash"]),))
    try:
        told = json.loads(pq.read_schema(path).metadata[_TOLD])
        return _File(path, path.stem.rpartition("_")[2], tuple(_Told(**t) for t in told))
    except FileNotFoundError:  # merged since it was looked for
        raise
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as e:
        raise InputError("vault", f"a file of it cannot be read ({type(e).__name__})", _REMEDY) from None


def _contacts(told: pd.DataFrame) -> dict[str, Contact]:
    """The entries that stand, by household."""
    order = ["own", "known_date", "event_date"]
    best = told.sort_values(order).groupby(["household_id", "role"])[order].last().reset_index()
    standing = told.merge(best, on=["household_id", "role", *order]).drop_duplicates(["household_id", "role", "text"])
    standing = standing.drop_duplicates(["household_id", "role"], keep=False)
    out: dict[str, dict[str, str]] = {}
    for household, role, text in standing[["household_id", "role", "text"]].itertuples(index=False):
        out.setdefault(household, {})[role] = text
    return {household: Contact(**roles) for household, roles in out.items()}


def _entries(file: _File) -> Iterator[pa.Table]:
    """A file's entries, so many at a time, each with the number of its delivery."""
    try:
        if _digest(file.path) != file.hash:
            raise InputError("vault", "a file of it is no longer as it was put there", _REMEDY)
        with pq.ParquetFile(file.path) as parquet:
            for number in range(parquet.num_row_groups):
                table = parquet.read_row_group(number)
                if "number" not in table.column_names:
                    mine = pa.repeat(pa.scalar(file.told[0].number, pa.int32()), table.num_rows)
                    table = table.append_column("number", mine)
                yield table.cast(_NUMBERED)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as e:
        raise InputError("vault", f"a file of it cannot be read ({type(e).__name__})", _REMEDY) from None


def _in_large(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in few tables: what is read in many small pieces takes longer."""
    some: list[pa.Table] = []
    for table in tables:
        some.append(table)
        if sum(t.num_rows for t in some) >= _AT_ONCE:
            yield pa.concat_tables(some)
            some = []
    if some:
        yield pa.concat_tables(some)


def _digest(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:12]


def _made(folder: Path) -> None:
    """A folder that its owner alone may enter."""
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)


def _write(entries: pa.Table, path: Path) -> None:
    """Writes a file that its owner alone may read, in one step."""
    half = path.with_name(f"{path.name}.half")  # one run at a time takes deliveries in; a killed one's is dropped
    with _closed(half) as f:
        pq.write_table(entries.cast(ENTRIES), f, compression="zstd")
    half.replace(path)


@contextmanager
def _closed(path: Path) -> Iterator[IO[bytes]]:
    """A new file that its owner alone may read, in the place of what a killed run left."""
    path.unlink(missing_ok=True)
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, how, stat.S_IRUSR | stat.S_IWUSR), "wb") as f:
        yield f


def entries(columns: Mapping[str, Iterable[object]]) -> pa.Table:
    """Entries made of columns, as ENTRIES says."""
    return pa.table({k: pa.array(v, ENTRIES.field(k).type) for k, v in columns.items()}, schema=ENTRIES)
