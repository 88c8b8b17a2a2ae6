"""How long work tells how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Is told the stage under way and, where that is known, how much of it is done."""

    def __call__(self, what: str, share: float | None = None) -> None:
        """Shows it."""


class Timed(Protocol):
    """Is told the same of work in several stages, and how many seconds are left of all, where that can be said."""

    def __call__(self, what: str, share: float | None = None, left: float | None = None) -> None:
        """Shows it."""


def silent(what: str, share: float | None = None, left: float | None = None) -> None:
    """Shows nothing."""
