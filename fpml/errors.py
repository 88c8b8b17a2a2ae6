"""What can go wrong, and what to do about it.

    FpmlError             where: problem. Remedy.                 exit status
    ├── UsageError        the call's words are off                 2
    ├── InputError        a file that a person can put right       3
    │   ├── PolicyError   a policy or model definition; lists every fault of the file
    │   ├── DeliveryError a delivery refused whole; the ledger is as it was
    │   └── LedgerError   the ledger cannot be read as it stands
    │       └── LedgerChangedError   another run added to it meanwhile
    └── NotYetError       nothing to do yet: something must come first   4

Anything else that escapes is a fault of ours (exit status 5). No message holds a household, a person or a name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

EXIT_DONE, EXIT_OURS = 0, 5


class FpmlError(Exception):
    """An error for a person: `where: problem. Remedy.` and an exit status."""

    exit_code = EXIT_OURS

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}. {remedy}")


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


class NotYetError(FpmlError):
    """Nothing to do yet: something else must come first."""

    exit_code = 4


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
