"""How a list is told and dealt out: reasons, likely causes, levels, who else calls, floors; `lists.yaml` as types."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from fpml.catalogue.conditions import Condition, Conditions, Severity
from fpml.catalogue.types import Feature, Mark, Name, Policy, Window, WindowText, Words
from fpml.errors import Fault, did_you_mean

Level = Literal["high", "middle", "low"]
LEVELS: tuple[Level, ...] = get_args(Level)
Share = Annotated[float, Field(ge=0, le=1)]


class Telling(Policy):
    """Which contributions are told, and beside how many households.

    `least`: under so much log-odds nothing is told. `step`: contributions are ranked by so many log-odds at a time, and
    equal ones stand in the catalogue's order, so that a hair's breadth does not reorder reasons. `tells`: of one
    indicator's features those that contribute this share of its strongest may be told in its place. `fewest`: no
    yardstick is taken from fewer households. `marked`: above or below this share of them a value counts as high or low.
    `always`: what is told of a household of whom nothing else can be, the first that is known. `shared`: groups that
    tell of all income; what they add is the part of the cause whose kind of income has fallen most (`Likely.fell`).
    """

    least: float = Field(gt=0)
    step: float = Field(gt=0)
    raising: int = Field(ge=1, le=3)
    lowering: int = Field(ge=0, le=2)
    tells: Share
    fewest: int = Field(ge=10)
    marked: Annotated[float, Field(ge=0.5, le=1)]
    always: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


class Fell(Policy):
    """A kind of income, held against the same months of the year before: sums of one amount over a window."""

    indicator: Name
    window: WindowText

    @property
    def now(self) -> str:
        """The feature that is the sum of the window."""
        return Feature(indicator=self.indicator, reduction="sum", window=self.window).name

    @property
    def before(self) -> str:
        """The feature that is the sum of the same months of the year before."""
        then = Window(length=self.window.length, ago=self.window.ago + 12, to_date=self.window.to_date)
        return Feature(indicator=self.indicator, reduction="sum", window=then).name


class WithoutEvent(Policy):
    """Where a cause would be named first and none of its events is on record: `first` comes before it, if all hold."""

    first: Name
    all: tuple[Condition, ...] = ()


class Likely(Policy):
    """A cause as indicators and rules name it: the cause of visits.yaml that it is, and what to ask and look at.

    `recorded`: where one of these holds the event itself is on record, and is named before what may follow from it.
    `fell`: the kind of income that goes down with it.
    """

    cause: Name
    ask: Words
    recorded: tuple[Condition, ...] = ()
    without_event: WithoutEvent | None = None
    fell: Fell | None = None

    def of(self, known: Collection[str]) -> "Likely":
        """Without what asks of indicators that are not known."""

        recorded = tuple(c for c in self.recorded if _of(c) in known)
        fell = self.fell if self.fell and self.fell.indicator in known else None
        without = self.without_event
        if without and not all(_of(c) in known for c in without.all):
            without = None
        return self.model_copy(update={"recorded": recorded, "fell": fell, "without_event": without})


def _of(condition: Condition) -> str:
    """The indicator that a condition asks of, as its feature's name tells it."""
    return condition.feature.split("__")[0]


class Levels(Policy):
    """Which level a household has from a day on: by its chance at the horizon of the ranking, or the gravest rule hit.

    `below`: the level of those whom the records say to be below the line already.
    """

    from_: date = Field(alias="from")
    chance: dict[Level, Share]
    severity: dict[Severity, Level]
    below: Level
    mark: Mark
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if set(self.chance) != {"high", "middle"} or self.chance["high"] < self.chance["middle"]:
            raise ValueError("chance: write `high` and `middle`, the higher one first; what lies under both is low")
        return self


class Tiers(Policy):
    """Who calls beside the village: the township on households of these levels, the county on a share of these."""

    township: tuple[Level, ...]
    county: tuple[Level, ...]
    county_share: Share
    mark: Mark
    source: str = Field(min_length=1)


class Floors(Policy):
    """Villages where nobody would be listed: a household each, out of at most this share of the visits."""

    share: Share
    mark: Mark
    source: str = Field(min_length=1)


class Exploring(Policy):
    """From a day on: this share of the visits is drawn by lot among those next below the list's cut.

    `reach`: of so many times as many as are drawn, each with the same chance. `seed`: another one draws others.
    """

    from_: date = Field(alias="from")
    share: Annotated[float, Field(ge=0, le=0.5)]
    reach: Annotated[int, Field(ge=2, le=20)]
    seed: int
    mark: Mark
    source: str = Field(min_length=1)


class Apart(Conditions):
    """Whom the model does not add to a list; rules, declarations and walks list them all the same, and it is said."""


class Listing(Policy):
    """Everything that a list decides by policy; `words`: its sentences, in every language."""

    reasons: Telling
    causes: dict[Name, Likely]
    levels: tuple[Levels, ...] = Field(min_length=1)
    tiers: Tiers
    floors: Floors
    exploring: tuple[Exploring, ...] = ()
    apart: dict[Name, Apart] = Field(default_factory=dict)
    percent: tuple[str, ...] = ()
    words: dict[Name, Words]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = [one.from_ for one in self.levels]
        if days != sorted(set(days)):
            raise ValueError("levels must stand in order, each day once; put the earliest first")
        days = [one.from_ for one in self.exploring]
        if days != sorted(set(days)):
            raise ValueError("exploring must stand in order, each day once; put the earliest first")
        return self

    def levels_on(self, day: date) -> Levels:
        """The levels in force on a day; before the first they are the first."""
        in_force = [one for one in self.levels if one.from_ <= day]
        return in_force[-1] if in_force else self.levels[0]

    def exploring_on(self, day: date) -> Exploring | None:
        """How visits are drawn by lot on a day; None before the first."""
        return next((one for one in reversed(self.exploring) if one.from_ <= day), None)

    def of(self, indicators: Iterable[str], derived: Iterable[str]) -> "Listing":
        """Without what asks of indicators and groups that a county does not have."""
        known = set(indicators)
        groups = known | set(derived)
        reasons = self.reasons.model_copy(update={"shared": tuple(g for g in self.reasons.shared if g in groups)})

        apart = {n: g for n, g in self.apart.items() if all(_of(c) in known for _, c in g.each())}
        causes = {n: one.of(known) for n, one in self.causes.items()}
        return self.model_copy(update={"apart": apart, "causes": causes, "reasons": reasons})

    def conditions(self) -> Iterator[tuple[str, Condition]]:
        """Every condition, and its place."""
        for name, group in self.apart.items():
            yield from ((f"lists.yaml @ apart.{name}.{place}", c) for place, c in group.each())
        for name, one in self.causes.items():
            yield from ((f"lists.yaml @ causes.{name}.recorded.{i}", c) for i, c in enumerate(one.recorded))
            unrecorded = one.without_event.all if one.without_event else ()
            yield from ((f"lists.yaml @ causes.{name}.without_event.all.{i}", c) for i, c in enumerate(unrecorded))

    def named(self) -> Iterator[tuple[str, str]]:
        """Every feature that is asked for beside conditions, and its place."""
        for name, one in self.causes.items():
            if one.fell:
                yield from ((f"lists.yaml @ causes.{name}.fell", f) for f in (one.fell.now, one.fell.before))

    def faults(self, causes: Iterable[str], told: Iterable[str], groups: Iterable[str]) -> Iterator[Fault]:
        """Causes that visits.yaml does not have, causes of which nothing is said here, shared groups that are none."""
        names = list(groups)
        for group in self.reasons.shared:
            if group not in names:
                remedy = did_you_mean(group, names)
                yield Fault("lists.yaml @ reasons.shared", f"unknown group `{group}`", remedy)
        known = list(causes)
        for name, likely in self.causes.items():
            if likely.cause not in known:
                where = f"lists.yaml @ causes.{name}.cause"
                yield Fault(where, f"`{likely.cause}` is no cause of visits.yaml", did_you_mean(likely.cause, known))
            named = [n for n in self.causes if n not in ("other", name)]
            if (without := likely.without_event) and without.first not in named:
                where = f"lists.yaml @ causes.{name}.without_event.first"
                problem = f"`{without.first}` is no other cause of this file that can be named first"
                yield Fault(where, problem, did_you_mean(without.first, named))
        for name in sorted(set(told) - set(self.causes)):
            remedy = did_you_mean(name, self.causes)
            yield Fault("lists.yaml @ causes", f"nothing is said of the cause `{name}`", remedy)


def with_words(own: Listing, default: Listing) -> Listing:
    """A county's own, with the words that it does not say itself."""
    words: Mapping[str, Words] = {**default.words, **own.words}
    return own.model_copy(update={"words": words, "causes": {**default.causes, **own.causes}})
