"""What is watched from month to month: policy/health.yaml."""

from collections.abc import Iterator

from pydantic import Field

from fpml.catalogue.types import Name, Policy, Words
from fpml.errors import Fault

MONITORS = ("missing", "damaged", "level", "precision")


class Monitor(Policy):
    """What an alarm says, with places to be filled in, and what to do."""

    says: Words
    remedy: Words


class Refused(Policy):
    """When a share of refused rows is an alarm."""

    at_least: float = Field(gt=0, lt=1)
    times: float = Field(gt=1)


class Level(Policy):
    """When a median is an alarm: so many times that of earlier years, and so many standard errors away."""

    times: float = Field(gt=1)
    errors: float = Field(gt=0)


class Precision(Policy):
    """From how many confirmed visits the usual share is learnt, and in how many visits one false alarm is allowed."""

    learn: int = Field(ge=50)
    false_alarm_in: int = Field(ge=1000)


class Watching(Policy):
    """All of health.yaml."""

    monitors: dict[Name, Monitor]
    refused: Refused
    level: Level
    precision: Precision

    def faults(self) -> Iterator[Fault]:
        """Monitors that have no words, and words that no monitor has."""
        for name in sorted({*MONITORS} ^ {*self.monitors}):
            problem = "missing" if name in MONITORS else "no such monitor"
            yield Fault(f"health.yaml @ monitors.{name}", problem, f"There are: {', '.join(MONITORS)}.")
