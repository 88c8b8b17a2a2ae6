"""What can go wrong, and what to do about it.

    FpmlError             where: problem. Remedy.                 exit status
    ├── UsageError        the call's words are off                 2
    ├── InputError        a file that a person can put right       3
    │   ├── PolicyError   a policy or model definition; lists every fault of the file
    │   ├── DeliveryError a delivery refused whole; the ledger is as it was
    │   ├── LedgerError   the ledger cannot be read as it stands
    │   │   └── LedgerChangedError   another run added to it meanwhile
    │   └── DiskError     the disk is full, or may not be written to
    └── NotYetError       nothing to do yet: something must come first   4
        └── BusyError     another run must end first

Anything else that escapes is a fault of ours (exit status 5). No message holds a household, a person or a name.
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

EXIT_DONE, EXIT_OURS = 0, 5


class FpmlError(Exception):
    """An error for a person: `where: problem. Remedy.` and an exit status."""

    exit_code = EXIT_OURS

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[type["FpmlError"], tuple[object, ...]]:
        """Its parts, so that it can come from another process."""
        return type(self), (self.where, self.problem, self.remedy)


class UsageError(FpmlError):
    """The call's words are off."""

    exit_code = 2


class InputError(FpmlError):
    """A file that a person can put right."""

    exit_code = 3


class DeliveryError(InputError):
    """A delivery that is refused whole; nothing of it has been taken in."""


class LedgerError(InputError):
    """The ledger cannot be read as it stands."""


class LedgerChangedError(LedgerError):
    """Another run added to the ledger meanwhile."""


class DiskError(InputError):
    """The disk is full, or may not be written to; what was published before stands."""


class NotYetError(FpmlError):
    """Nothing to do yet: something else must come first."""

    exit_code = 4


class BusyError(NotYetError):
    """Another run must end first."""


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of a policy file: its place, what is wrong, and what to write instead."""

    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. {self.remedy}"


class PolicyError(InputError):
    """Every fault of the policy, at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(first.where, first.problem, first.remedy)

    def __reduce__(self) -> tuple[type["PolicyError"], tuple[object, ...]]:
        """Its faults."""
        return type(self), (self.faults,)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy that names the nearest known word, or all of them when they are few.

    >>> did_you_mean("amonut", ["amount", "count"])
    'Did you mean `amount`?'
    >>> did_you_mean("x", ["b", "a"])
    'Known: a, b.'
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}."


def place_of(error: BaseException) -> str:
    """The file and line at which an unforeseen error arose: its message could hold a household's data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"


_REFUSED = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "a file may not grow so large",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no right to write there",
    errno.EPERM: "no right to write there",
    errno.EIO: "the disk fails",
}


@contextmanager
def disk(where: str) -> Iterator[None]:
    """Tells a disk that refuses as what it is, a matter for whoever keeps the machine: raises DiskError.

    Libraries wrap the system's error in their own: it is looked for in what they raise.
    """
    try:
        yield
    except FpmlError:
        raise
    except Exception as e:
        if told := _refused(e):
            remedy = "See to the disk, and run again: what is whole stays, and nothing is done twice."
            raise DiskError(where, told, remedy) from None
        raise


def _refused(error: BaseException | None) -> str:
    """In words what a disk refused, where that is at the bottom of an error; else empty."""
    depth = 0
    while error is not None and depth < 5:
        for one in (error, *error.args):
            if isinstance(one, OSError) and one.errno in _REFUSED:
                return _REFUSED[one.errno]
        error, depth = error.__cause__ or error.__context__, depth + 1
    return ""
