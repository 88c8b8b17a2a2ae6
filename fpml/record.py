"""The county's record: who ran, published, replayed and read what. One line each, only ever added to.

Each line holds the hash of the line before it, so that none can be altered, removed or put elsewhere unnoticed; the
hash of the last stands in a file of its own. Whoever can write both files can still write all of it anew: so the hash
of the last line is to be noted elsewhere from time to time, and `verify` asks whether a noted one is still there.
Lines hold months, counts and fingerprints, accounts and machines; nothing about a household.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpml.errors import disk
from fpml.lock import alone, now, who
from fpml.version import code

BEGINNING = "0" * 64
# So long, in seconds, a line waits for its turn.
PATIENCE = 20.0
# No line is so long.
_TAIL = 64 * 1024


@dataclass(frozen=True)
class Verified:
    """What a record's check found: how many lines, the hash of the last, and what is wrong; nothing: it is whole."""

    lines: int
    head: str
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A record in a file, with the hash of its last line in one beside it."""

    path: Path

    @property
    def head(self) -> Path:
        """Where the number and the hash of the last line stand."""
        return self.path.with_suffix(".head")

    def add(self, did: str, **told: Any) -> None:
        """Adds a line; raises DiskError where it cannot be kept, and BusyError where another run does not let go."""
        with disk("record"), alone(self.path.with_suffix(".lock"), "record", patience=PATIENCE):
            number, before = self._last()
            line: dict[str, Any] = {"n": number + 1, "at": now(), **who(), "did": did, **told, "fpml": code()["source"]}
            if (noted := self._noted()) not in self._ends(number, before):
                # The end of the record was cut or put there by somebody else: from now on it says so.
                line["ended_elsewhere"] = list(noted)
            raw = json.dumps(line | {"before": before}, ensure_ascii=False, separators=(",", ":")).encode()
            _append(self.path, raw + b"\n")
            half = self.head.with_suffix(".head.part")
            half.write_text(f"{number + 1} {_hash(raw)}\n", encoding="ascii")
            half.replace(self.head)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every line that can be read, oldest first."""
        with suppress(FileNotFoundError), disk("record"), self.path.open("rb") as file:
            for raw in file:
                with suppress(ValueError):
                    yield dict(json.loads(raw))

    def verify(self, noted: str | None = None) -> Verified:
        """Looks through all of it. `noted`: a hash that was the last line's once, and must still be there.

        A last line that was cut off while it was written (a killed run, a full disk) is no fault: the next run removes
        it. So is no fault that the end noted beside is the line before the last: a run was killed between the two.
        """
        faults: list[str] = []
        before, number, ends = BEGINNING, 0, {BEGINNING: 0}
        with suppress(FileNotFoundError), disk("record"), self.path.open("rb") as file:
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                number += 1
                faults += _faults(raw, number, before)
                before = _hash(raw.rstrip(b"\n"))
                ends[before] = number
        told, end = self._noted()
        if (told, end) not in (
            (number, before),
            (number - 1, next((h for h, n in ends.items() if n == number - 1), "")),
        ):
            faults.append(f"it ends with line {number}, and should with another ({told}): lines were cut off or added")
        if noted is not None and noted not in ends:
            faults.append("the noted hash is none of its lines': it was written anew, or cut")
        return Verified(number, before, tuple(faults))

    def _last(self) -> tuple[int, str]:
        """The number and the hash of the last whole line; what a killed run left of another is removed."""
        try:
            with self.path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                tail = file.read()
                if not tail.endswith(b"\n") and tail:
                    whole = tail.rfind(b"\n") + 1
                    file.truncate(size - len(tail) + whole)
                    tail = tail[:whole]
        except FileNotFoundError:
            return 0, BEGINNING
        if not tail:
            return 0, BEGINNING
        raw = tail.rstrip(b"\n").rpartition(b"\n")[2]
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(raw)["n"]), _hash(raw)
        return self._noted()[0], _hash(raw)

    def _ends(self, number: int, before: str) -> tuple[tuple[int, str], ...]:
        """What may stand as the noted end: the last line, or the one before it where a run was killed between."""
        if number == 0:
            return ((0, BEGINNING),)
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            raw = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        with suppress(ValueError, KeyError, TypeError):
            return (number, before), (number - 1, str(json.loads(raw)["before"]))
        return ((number, before),)

    def _noted(self) -> tuple[int, str]:
        try:
            number, _, end = self.head.read_text(encoding="ascii").strip().partition(" ")
            return int(number), end
        except FileNotFoundError:
            return 0, BEGINNING
        except ValueError:
            return -1, ""


def _append(path: Path, line: bytes) -> None:
    """Writes a whole line at the end, or nothing."""
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            done = 0
            while done < len(line):  # a disk that becomes full takes a part, and refuses only the rest
                done += file.write(line[done:])
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def _faults(raw: bytes, number: int, before: str) -> Iterator[str]:
    """What is wrong with one line, whose number and whose line before are known."""
    try:
        line = json.loads(raw)
        told = line["n"], line["before"]
    except (ValueError, KeyError, TypeError):
        yield f"line {number}: not as it was written"
        return
    if told[0] != number:
        yield f"line {number}: it says that it is line {told[0]}: one was removed, added or moved"
    if told[1] != before:
        yield f"line {number}: the line before it was altered, removed, added or moved"
    if "ended_elsewhere" in line:
        yield f"line {number}: before it was written, the end had been cut off or added to"


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
