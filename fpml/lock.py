"""One writer at a time: a lock on a file, let go of by the system when its holder ends, however it ends."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpml.errors import UsageError


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Holds the lock; raises UsageError where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise UsageError(what, "another run is at it", "Wait until it has ended, and run again.") from None
        yield


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
