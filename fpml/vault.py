"""Who is meant: names, addresses and telephone numbers of heads, by household; in a table of its own, closed to others.

Intake puts in what each delivery told, a file each, numbered and never changed; the writer of villages' own lists alone
looks households up. What was known by a day, at a version, is always the same: a list can be made again.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

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
_FILE = re.compile(r"(?P<n>\d{6})_(?P<day>\d{4}-\d\d-\d\d)_(?P<tag>[0-9a-f~]+)_(?P<hash>[0-9a-f]{12})\.parquet")
_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
_REMEDY = "Restore data/vault from a copy."


@dataclass(frozen=True)
class Contact:
    """Whom to ask for at the door; each empty where the vault does not tell it."""

    name: str = ""
    address: str = ""
    telephone: str = ""


@dataclass(frozen=True)
class _File:
    """What one delivery told: its number (in order of coming), the day on which it became known, its content's hash."""

    path: Path
    number: int
    day: date
    tag: str
    hash: str


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
        before = self._files()
        if not any(f.tag == tag for f in before):
            told = pa.concat_tables([pq.read_table(p, partitioning=None) for p in parts])
            half = self._pending / f"{tag}.part"
            _write(told, half)
            digest = hashlib.sha256(half.read_bytes()).hexdigest()[:12]
            day = told["known_date"][0].as_py()
            number = max((f.number for f in before), default=0) + 1
            half.replace(self.folder / f"{number:06d}_{day}_{tag}_{digest}.parquet")
        self.drop(tag)

    def drop(self, tag: str) -> None:
        """Removes what is pending of a delivery."""
        for path in self._pending.glob(f"{tag}.*"):
            path.unlink(missing_ok=True)

    @property
    def version(self) -> int:
        """The number of the last file put in place; 0 where nothing was."""
        return max((f.number for f in self._files()), default=0)

    def known_by(self, day: date, version: int) -> str:
        """Sixteen hex digits of all that it told by a day at a version; '' where that is nothing."""
        names = "\n".join(f"{f.tag} {f.day} {f.hash}" for f in self._known(day, version))
        return hashlib.sha256(names.encode()).hexdigest()[:16] if names else ""

    def contacts(self, households: Sequence[str], day: date, version: int) -> dict[str, Contact]:
        """Whom to ask for in some households, as known by a day at a version; those of whom it tells nothing left out.

        The register's own word first, else the latest known, of the latest event. Where that says two things nothing is
        told: nobody can say which is right. Raises InputError where others may read it, or a file is not as it was put.
        """
        files = self._known(day, version)
        if not files:
            return {}
        if os.name == "posix" and self.folder.stat().st_mode & _RIGHTS:
            problem = "others than its owner may read it"
            raise InputError("vault", problem, f"Run `chmod 700 {self.folder.name}` in its folder.")
        wanted = pa.array(sorted(set(households)), pa.string())
        told = pa.concat_tables([_read(f, wanted) for f in files])
        return _contacts(told.to_pandas()) if told.num_rows else {}

    @property
    def _pending(self) -> Path:
        return self.folder / "pending"

    def _known(self, day: date, version: int) -> list[_File]:
        return [f for f in self._files() if f.day <= day and f.number <= version]

    def _files(self) -> list[_File]:
        found = ((p, _FILE.fullmatch(p.name)) for p in self.folder.glob("*.parquet"))
        files = (_File(p, int(m["n"]), date.fromisoformat(m["day"]), m["tag"], m["hash"]) for p, m in found if m)
        return sorted(files, key=lambda f: (f.day, f.tag))


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


def _read(file: _File, households: pa.Array) -> pa.Table:
    try:
        content = file.path.read_bytes()
        sound = hashlib.sha256(content).hexdigest().startswith(file.hash)
        table = pq.read_table(pa.BufferReader(content)) if sound else None
    except (OSError, pa.ArrowException) as e:
        raise InputError("vault", f"a file of it cannot be read ({type(e).__name__})", _REMEDY) from None
    if table is None:
        raise InputError("vault", "a file of it is no longer as it was put there", _REMEDY)
    return table.cast(ENTRIES).filter(pc.is_in(table["household_id"], value_set=households))


def _made(folder: Path) -> None:
    """A folder that its owner alone may enter."""
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)


def _write(entries: pa.Table, path: Path) -> None:
    """Writes a file that its owner alone may read, in one step."""
    half = path.with_name(f"{path.name}.half")  # one run at a time takes deliveries in; a killed one's is dropped
    half.unlink(missing_ok=True)
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(half, how, stat.S_IRUSR | stat.S_IWUSR), "wb") as f:
        pq.write_table(entries.cast(ENTRIES), f, compression="zstd")
    half.replace(path)


def entries(columns: Mapping[str, Iterable[object]]) -> pa.Table:
    """Entries made of columns, as ENTRIES says."""
    return pa.table({k: pa.array(v, ENTRIES.field(k).type) for k, v in columns.items()}, schema=ENTRIES)
