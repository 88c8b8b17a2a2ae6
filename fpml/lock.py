"""One writer at a time: a lock on a file, let go of by the system when its holder ends, however it ends.

Beside it lies who holds it, so that whoever comes second can be told.
"""

import getpass
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from fpml.errors import BusyError

_PAUSE = 0.02


@contextmanager
def alone(path: Path, what: str, *, patience: float = 0.5) -> Iterator[None]:
    """Holds the lock; raises BusyError, which says who holds it, where another process does.

    `patience`: seconds to wait before that: whoever only asks who holds it holds it for an instant.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told, until = path.with_suffix(".who"), time.monotonic() + patience
    with path.open("a+b") as file:
        while not _taken(file.fileno()):
            if time.monotonic() >= until:
                raise BusyError(what, f"another run is at it{_said(told)}", "Wait until it has ended, and run again.")
            time.sleep(_PAUSE)
        with suppress(OSError):
            told.write_text(json.dumps({"what": what, "process": os.getpid()} | who() | {"since": now()}), "utf-8")
        try:
            yield
        finally:
            with suppress(OSError):
                told.unlink()


def held(path: Path) -> str:
    """Who holds a lock now, in words; empty where nobody does, or nobody can be asked."""
    try:
        with path.open("r+b") as file:
            return "" if _taken(file.fileno()) else _said(path.with_suffix(".who")).strip(" ()") or "somebody"
    except OSError:
        return ""


def who() -> dict[str, str]:
    """The account and the machine that this runs under."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's number without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return {"user": user, "host": platform.node()}


def now() -> str:
    """What this machine's clock says, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _said(told: Path) -> str:
    try:
        found = json.loads(told.read_text("utf-8"))
        return " ({what} by {user} on {host}, process {process}, since {since})".format(**found)
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _taken(descriptor: int) -> bool:
    try:
        _lock(descriptor)
    except OSError:
        return False
    return True


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
