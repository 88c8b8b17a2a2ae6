"""Thresholds that a person sets, as frozen types: dated values, conditions, rules with their deadlines, checks."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Discriminator, Field, RootModel, Tag, model_validator

from fpml.catalogue.types import Mark, Policy, Words


class DatedValue(Policy):
    """A value that holds from a day on."""

    from_: date = Field(alias="from")
    value: Decimal


Steps = tuple[DatedValue, ...]
OTHERS = "others"


def _shape(threshold: Any) -> str:
    """How a threshold is written: one number, dated values, or a table of either."""
    if isinstance(threshold, dict | Table):
        return "table"
    return "dated" if isinstance(threshold, list | tuple) else "number"


class Table(RootModel[dict[str, "Threshold"]]):
    """A threshold for each household type (`county.yaml: cohort`) or each region (its code), and for the `others`.

    The first household type of the table that fits a household decides; a table by region may hold tables by type.
    """

    model_config = ConfigDict(frozen=True)

    def leaves(self) -> Iterator["Decimal | Steps"]:
        """Every threshold that the table holds, its tables within spelt out."""
        for part in self.root.values():
            yield from part.leaves() if isinstance(part, Table) else (part,)


Threshold = Annotated[
    Annotated[Decimal, Tag("number")] | Annotated[Steps, Tag("dated")] | Annotated[Table, Tag("table")],
    Discriminator(_shape),
]
Table.model_rebuild()


class Condition(Policy):
    """A feature held against a threshold, which is a number, dated, or a table: at_least and at_most include it.

    `mark` and `source` are its own where they differ from those of the rule: a figure that nobody gave is assumed.
    """

    feature: str
    at_least: Threshold | None = None
    above: Threshold | None = None
    at_most: Threshold | None = None
    below: Threshold | None = None
    mark: Mark | None = None
    source: str = ""

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        tests = [getattr(self, k) for k in ("at_least", "above", "at_most", "below")]
        given = [t for t in tests if t is not None]
        if len(given) != 1:
            raise ValueError("exactly one of at_least, above, at_most, below; write one, and the other as a condition")
        for dated in given[0].leaves() if isinstance(given[0], Table) else given:
            if isinstance(dated, tuple):
                days = [v.from_ for v in dated]
                if not days or days != sorted(set(days)):
                    raise ValueError("dated thresholds must stand in order, each day once; put the earliest first")
        return self

    @property
    def comparison(self) -> Literal["at_least", "above", "at_most", "below"]:
        """Which of the four tests this condition makes."""
        for key in ("at_least", "above", "at_most"):
            if getattr(self, key) is not None:
                return key
        return "below"

    @property
    def inclusive(self) -> bool:
        """Whether a value exactly on the threshold holds."""
        return self.comparison in ("at_least", "at_most")

    @property
    def threshold(self) -> Decimal | Steps | Table:
        """The threshold, in the feature's unit."""
        return getattr(self, self.comparison)


class Every(Policy):
    """One alternative made of several conditions: all of them hold."""

    all: tuple[Condition, ...] = Field(min_length=2)


def _alternative(given: Any) -> str:
    return "every" if isinstance(given, Every) or (isinstance(given, dict) and "all" in given) else "one"


Alternative = Annotated[Annotated[Condition, Tag("one")] | Annotated[Every, Tag("every")], Discriminator(_alternative)]


class Conditions(Policy):
    """Conditions under a name, with their source: they hold when all of `all` do and, where given, one of `any`.

    One of `any` may itself be a list: `{all: [...]}`. Deeper they cannot lie.
    """

    name: Words
    source: str = Field(min_length=1)
    mark: Mark
    all: tuple[Condition, ...] = ()
    any: tuple[Alternative, ...] = ()

    @model_validator(mode="after")
    def _has_conditions(self) -> Self:
        if not self.all and not self.any:
            raise ValueError(f"a {type(self).__name__.lower()} without conditions; write `all:` or `any:`")
        return self

    def each(self) -> Iterator[tuple[str, Condition]]:
        """Every condition, and its place within."""
        for i, condition in enumerate(self.all):
            yield f"all.{i}", condition
        for i, either in enumerate(self.any):
            if isinstance(either, Condition):
                yield f"any.{i}", either
            else:
                yield from ((f"any.{i}.all.{j}", c) for j, c in enumerate(either.all))


class Deadline(Policy):
    """By when a department pushes what a rule finds: exactly one of these.

    What day that is depends on the calendar of holidays, which is not known here.
    """

    at_once: bool | None = None
    automatic: bool | None = None
    monthly: bool | None = None
    working_days: int | None = Field(default=None, ge=1, le=250)
    last_working_days: int | None = Field(default=None, ge=1, le=20)
    day_of_month: int | None = Field(default=None, ge=1, le=28)
    by: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = {k: v for k, v in self if v is not None}
        if len(given) != 1:
            raise ValueError(f"a deadline is exactly one of {', '.join(type(self).model_fields)}; write one of them")
        if False in given.values():
            raise ValueError("a deadline that does not apply; leave `deadline` out")
        try:
            # A leap year, so that the 29th of February is a day.
            date.fromisoformat(f"2024-{self.by or '01-01'}")
        except ValueError:
            raise ValueError(f"`{self.by}` is no day of the year; write month and day, as '04-30'") from None
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(k for k, v in self if v is not None)

    @property
    def value(self) -> int | str | bool:
        """The number, the day, or true."""
        return next(v for _, v in self if v is not None)


Severity = Literal["high", "middle", "low"]
Channel = Literal["department", "declared", "walked"]
DEPARTMENT: Channel = "department"
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class Rule(Conditions):
    """A threshold in force: hits where its conditions hold.

    `notice`: whose rule it is, in the words of its source; `note`: where records do not say what the rule asks, how it
    is held against them. `severity` is ours. `from` and `until` (its last day): when the rule itself was in force.
    `channel`: by which of the three lines the household comes into the list: a department's data, its own declaration,
    a cadre's walk.
    """

    department: str
    channel: Channel = DEPARTMENT
    cause: str = "other"
    severity: Severity = "middle"
    deadline: Deadline | None = None
    notice: Words | None = None
    note: Words | None = None
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.mark in ("stated", "found") and not self.notice:
            raise ValueError(f"a rule marked {self.mark} without a notice; write whose it is, or `mark: assumed`")
        if self.from_ and self.until and self.until < self.from_:
            raise ValueError("`until` before `from`; mend one of the two")
        return self

    def lists(self, pushed: tuple[Severity, ...]) -> bool:
        """Whether a hit lists its household: always what was declared or found, a department's where it is pushed."""
        return self.channel != DEPARTMENT or self.severity in pushed


class Check(Conditions):
    """Where what is on record does not fit together: finds a household of those `among` where its conditions hold.

    `among`: whom it concerns, where all of these hold; without any, every watched household. `remedy`: what to look at.
    """

    remedy: Words
    among: tuple[Condition, ...] = ()
