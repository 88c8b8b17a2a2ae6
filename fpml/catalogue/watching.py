"""What is watched from month to month: policy/health.yaml."""

from collections.abc import Iterator
from string import Formatter
from typing import get_args

from pydantic import Field

from fpml.catalogue.types import Language, Name, Policy, Words
from fpml.errors import Fault

MONITORS = (
    "missing", "damaged", "level", "volume", "inputs", "threshold", "policy", "scores", "expected", "precision",
    "overestimates", "underestimates", "recall",
)  # fmt: skip


class Monitor(Policy):
    """What an alarm says, with places to be filled in, and what to do. `also`: what it says besides, where known."""

    says: Words
    remedy: Words
    also: Words | None = None


class Refused(Policy):
    """When a share of refused rows is an alarm."""

    at_least: float = Field(gt=0, lt=1)
    times: float = Field(gt=1)


class Level(Policy):
    """When a median or a count is an alarm: so many times that of before, and so many standard errors away."""

    times: float = Field(gt=1)
    errors: float = Field(gt=0)


class Spread(Policy):
    """When chances are spread otherwise: from which population stability index on."""

    index: float = Field(gt=0)


class Times(Policy):
    """When a share is an alarm: so many times, or one of so many parts."""

    times: float = Field(gt=1)


class Precision(Policy):
    """From how many confirmed visits the usual share is learnt, and in how many visits one false alarm is allowed."""

    learn: int = Field(ge=50)
    false_alarm_in: int = Field(ge=1000)


class Calibration(Policy):
    """How many times as many (or few) as foreseen are to be told, and in how many months one false alarm is allowed.

    `dispersion`: how many times the variance of entries is that of chance alone.
    """

    times: float = Field(gt=1)
    dispersion: float = Field(ge=1)
    false_alarm_in: int = Field(ge=100)


class Least(Policy):
    """Below which share it is an alarm."""

    at_least: float = Field(gt=0, lt=1)


class Watching(Policy):
    """All of health.yaml, with what a county's own file leaves out from the default profile's."""

    monitors: dict[Name, Monitor]
    refused: Refused
    level: Level
    volume: Level
    inputs: Level
    scores: Spread
    expected: Times
    precision: Precision
    calibration: Calibration
    recall: Least

    def faults(self) -> Iterator[Fault]:
        """Monitors that have no words, and words that no monitor has."""
        for name in sorted({*MONITORS} ^ {*self.monitors}):
            problem = "missing" if name in MONITORS else "no such monitor"
            yield Fault(f"health.yaml @ monitors.{name}", problem, f"There are: {', '.join(MONITORS)}.")

    def strange_places(self, default: "Watching") -> Iterator[Fault]:
        """Places in sentences that nothing fills: those that the default profile's sentence does not have."""
        for name in sorted({*self.monitors} & {*default.monitors}):
            own, known = _places(self.monitors[name]), _places(default.monitors[name])
            for place in sorted(own - known):
                remedy = f"There are: {', '.join('{' + p + '}' for p in sorted(known))}."
                yield Fault(f"health.yaml @ monitors.{name}", f"nothing fills `{{{place}}}`", remedy)


def _places(monitor: Monitor) -> set[str]:
    words = (monitor.says, monitor.also) if monitor.also else (monitor.says,)
    texts = [w.said(lang) for w in words for lang in get_args(Language)]
    return {"month", "source", "indicator"} | {f for t in texts for _, f, _, _ in Formatter().parse(t) if f is not None}


class OwnWatching(Policy):
    """A county's own health.yaml: what it does not say is the default profile's."""

    monitors: dict[Name, Monitor] = Field(default_factory=dict)
    refused: Refused | None = None
    level: Level | None = None
    volume: Level | None = None
    inputs: Level | None = None
    scores: Spread | None = None
    expected: Times | None = None
    precision: Precision | None = None
    calibration: Calibration | None = None
    recall: Least | None = None

    def over(self, default: Watching) -> Watching:
        """All of it: its own, and the default profile's where it says nothing."""
        own = {name: told for name in type(self).model_fields if (told := getattr(self, name)) is not None}
        return default.model_copy(update=own | {"monitors": {**default.monitors, **self.monitors}})
