"""Work in named stages: how far it is and how long it will take, for a person; what each took, for a program."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fpml.progress import Timed, silent


@dataclass(frozen=True)
class StageDone:
    """A stage that has ended: its seconds and its counts."""

    stage: str
    seconds: float
    counts: Mapping[str, int | str | bool]

    def as_json(self) -> dict[str, object]:
        """The same for a program."""
        return {"stage": self.stage, "seconds": round(self.seconds, 3), **self.counts}


@dataclass
class Stages:
    """The stages of one run, in order.

    `show` is told how far all of it is, `ended` of each stage when it has ended. `usual`: where the seconds that each
    took the last time are kept, by which time left is told; the first time nobody knows.
    """

    show: Timed = silent
    ended: Callable[[StageDone], None] = lambda _: None
    usual: Path | None = None
    names: Sequence[str] = ()
    done: list[StageDone] = field(default_factory=list)
    _now: str = ""
    _began: float = 0.0
    _last: Mapping[str, float] = field(default_factory=dict)

    def plan(self, names: Sequence[str], usual: Path) -> None:
        """Says which stages there will be."""
        self.names, self.usual, self.done, self._last, self._now = names, usual, [], {}, names[0]
        with suppress(OSError, ValueError, AttributeError):
            told = json.loads(usual.read_text(encoding="utf-8"))
            self._last = {n: float(told[n]) for n in names if n in told}

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, int | str | bool]]:
        """Times what is done within; the counts put into what it gives are told with it."""
        counts: dict[str, int | str | bool] = {}
        self._now, self._began = name, time.monotonic()
        self.within()
        yield counts
        self.done.append(StageDone(name, time.monotonic() - self._began, counts))
        self.ended(self.done[-1])

    def within(self, what: str = "", share: float | None = None) -> None:
        """Shows where the stage under way is: usable as the `progress` of what runs in it."""
        at = self._at
        name = self.names[at]
        text = f"{at + 1}/{len(self.names)} {name}" + (f": {what}" if what and what != name else "")
        self.show(text, *self._how_far(name, share))

    @property
    def _at(self) -> int:
        """The number of the stage under way, from 0: those that had nothing to do are passed over."""
        return self.names.index(self._now) if self._now in self.names else len(self.names) - 1

    def _how_far(self, name: str, share: float | None) -> tuple[float | None, float | None]:
        """The share of the whole that is done, and the seconds left; None each where the last time is not known."""
        if set(self._last) != set(self.names):
            return share, None
        usual, spent = self._last[name], time.monotonic() - self._began
        here = max(usual - spent, 0.0) if share is None else usual * (1 - share)
        left = here + sum(self._last[n] for n in self.names[self._at + 1 :])
        whole = sum(self._last.values())
        return (1 - left / whole if whole else None), left

    def keep(self) -> None:
        """Keeps how long each stage took, for the next time; a disk that will not take it is no reason to stop."""
        if self.usual is None:
            return
        with suppress(OSError):
            half = self.usual.with_suffix(".part")
            half.write_text(json.dumps({d.stage: round(d.seconds, 3) for d in self.done}), encoding="utf-8")
            half.replace(self.usual)
