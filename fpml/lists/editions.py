"""Published lists on disk: each edition a folder that appears whole, in one step, and is never changed again.

`data/lists/2024-06` is a month's first edition; a correction lies beside it as `2024-06-edition-2`, and so on. The
newest is the one with the highest number. An edition holds its files, `stamp.json` (what it was made from, and a hash
of each file) and `policy/`, the policy that it was made under, so that it can be made again.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fpml.catalogue import Language
from fpml.dates import AsOf
from fpml.errors import InputError

STAMP, POLICY = "stamp.json", "policy"
_FOLDER = re.compile(r"(\d{4}-\d{2})(?:-edition-([1-9]\d*))?")
_HALF = ".part-"
Pairs = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class MadeFrom:
    """All that decides a list: what was known by its as-of, the policy, models, lists of the months before, and code.

    `known`: see `Ledger.known_by`; `ledger`: the version at which that was first published. `models`: the artefact's
    folder of each; `earlier`: of each month whose list counted for the peace of six months its edition and a hash of
    whom it listed. `key`: the fingerprint of the key that signed its rows. `names`: see `Vault.known_by`, '' where
    lists show codes; `vault`: its version at which that was first published.
    """

    as_of: str
    language: Language
    ledger: int
    known: str
    policy: str
    models: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    key: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    names: str = ""
    vault: int = 0

    def differs(self, other: "MadeFrom") -> tuple[str, ...]:
        """Which parts are not the same.

        The versions of ledger and vault are none: later ones may tell nothing of this month.
        """
        names = (f.name for f in fields(self) if f.name not in ("ledger", "vault"))
        return tuple(n for n in names if getattr(self, n) != getattr(other, n))

    @property
    def digest(self) -> str:
        """Sixteen hex digits of it all."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Edition:
    """One published list of a month."""

    folder: Path
    month: AsOf
    number: int

    @property
    def made(self) -> MadeFrom | None:
        """What it was made from; None of one that an earlier fpml published, without a stamp."""
        told = self._stamp()
        if told is None:
            return None
        made = dict(told["made"])
        made["earlier"] = {m: (int(n), str(h)) for m, (n, h) in made["earlier"].items()}
        return MadeFrom(**made)

    @property
    def about(self) -> Pairs:
        """The counts and fingerprints on its cover; empty where it has no stamp."""
        return tuple((str(k), v) for k, v in (self._stamp() or {"about": ()})["about"])

    @property
    def files(self) -> dict[str, str]:
        """The hash of each of its files, by place within its folder, as published."""
        return dict((self._stamp() or {"files": {}})["files"])

    def altered(self) -> tuple[str, ...]:
        """Its files that are no longer as they were published, or are gone, or were added."""
        told, now = self.files, hashes(self.folder)
        return tuple(sorted(n for n in {*told, *now} if told.get(n) != now.get(n)))

    def _stamp(self) -> dict[str, Any] | None:
        try:
            told = json.loads((self.folder / STAMP).read_text(encoding="utf-8"))
            MadeFrom(**told["made"])
            return dict(told) | {"about": told["about"], "files": told["files"]}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as e:
            problem = f"its stamp cannot be read ({type(e).__name__})"
            raise InputError(f"list {self.folder.name}", problem, "Restore its folder from a copy.") from None


def editions(lists: Path, month: AsOf | None = None) -> tuple[Edition, ...]:
    """Every whole edition (of one month), oldest month first, newest edition last; half-made ones are not seen."""
    found = []
    with suppress(FileNotFoundError):
        for path in lists.iterdir():
            if (m := _FOLDER.fullmatch(path.name)) and path.is_dir():
                found.append(Edition(path, AsOf.parse(m[1]), int(m[2] or 1)))
    wanted = (e for e in found if month is None or e.month == month)
    return tuple(sorted(wanted, key=lambda e: (e.month, e.number)))


def newest(lists: Path, month: AsOf) -> Edition | None:
    """The edition in force of a month; None where none was published."""
    found = editions(lists, month)
    return found[-1] if found else None


def half_made(lists: Path, month: AsOf) -> Path:
    """A new empty folder in which the next edition is made; those that runs that were killed left are removed.

    Its name is its own: a process that outlived a run that was killed finds its folder gone, and never writes here.
    """
    for left in lists.glob(f"{_HALF}{month}*"):
        shutil.rmtree(left, ignore_errors=True)
    half = lists / f"{_HALF}{month}-{secrets.token_hex(4)}"
    half.mkdir(parents=True)
    return half


def sealed(half: Path, made: MadeFrom, about: Pairs, policy: Iterable[Path]) -> dict[str, str]:
    """Puts the policy and the stamp into a folder whose files are all written; returns their hashes, as stamped."""
    (half / POLICY).mkdir()
    for path in policy:
        shutil.copyfile(path, half / POLICY / path.name)
    files = hashes(half)
    told = {"made": asdict(made), "about": about, "files": files}
    (half / STAMP).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return files


def put_in_force(half: Path, lists: Path, month: AsOf) -> Edition:
    """Makes a sealed folder the newest edition of its month, in one step; nothing that was published is touched.

    Raises InputError where a file of it is open elsewhere (on Windows).
    """
    last = newest(lists, month)
    number = last.number + 1 if last else 1
    folder = lists / (str(month) if number == 1 else f"{month}-edition-{number}")
    _to_disk(half)
    try:
        os.rename(half, folder)
    except PermissionError:
        problem, remedy = "a file of it is open elsewhere", "Close it, and run again."
        raise InputError(f"list {folder.name}", problem, remedy) from None
    _synced(lists)
    return Edition(folder, month, number)


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder but the stamp, by its place there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != STAMP:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _to_disk(folder: Path) -> None:
    """Waits until all of a folder lies on the disk: a name that survives a power cut must not outlive its content."""
    for path in (*folder.rglob("*"), folder):
        _synced(path)


def _synced(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
