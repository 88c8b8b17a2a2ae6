"""What a person decides for a county as a whole, as frozen types: line, outcomes, whom it watches, its calendar."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fpml.catalogue.conditions import Condition, DatedValue, Severity
from fpml.catalogue.types import Language, Mark, Name, Policy, Words


class MonitoringLine(Policy):
    """What a household of one head needs over `months` months, by region and date, in the unit of `income`.

    `heads` is the feature that counts heads (or adult equivalents); `region` the status that says which line applies.
    """

    unit: Words
    decimals: int = Field(default=2, ge=0, le=4)
    months: int = Field(ge=1, le=12)
    heads: str
    region: str | None = None
    source: str
    mark: Mark
    values: dict[str, Annotated[tuple[DatedValue, ...], Field(min_length=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for region, steps in self.values.items():
            days = [s.from_ for s in steps]
            if days != sorted(set(days)):
                raise ValueError(f"the dated values of region {region} must stand in order, each day once")
        return self


class OutcomeDefinition(Policy):
    """What is predicted: who is at risk at the as-of, and what counts as a fall, `horizons` months later.

    observed `at`: the state h months later; `within`: any state after the as-of up to h months later.
    """

    name: Words
    at_risk: tuple[Condition, ...] = Field(min_length=1)
    fall: Condition
    horizons: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(min_length=1)
    observed: Literal["at", "within"] = "within"
    known_after_months: int = Field(default=0, ge=0, le=36)

    @model_validator(mode="after")
    def _nearest_first(self) -> Self:
        if list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError("horizons must stand in order, each once")
        return self


class Group(Policy):
    """Households that are watched as one kind, such as those in monitoring: every condition holds."""

    name: Words
    all: tuple[Condition, ...] = ()


class County(Policy):
    """The calendar, the cohort, the capacity and the words of one place.

    `membership` names the status that says which household a person belongs to. `cohort`: as what a watched household
    is watched, the first group that holds; those in monitoring are a group of their own. `pushed`:
    departments' rules of these severities list a household by themselves; hits of the others are told beside.
    `ranked_by`: the horizon of every outcome by which lists are ranked and explained; each one's first, if left out.
    `below`: whom the records say to be below the line already; the first outcome's fall, if left out. `names_kept`:
    whether heads' names, addresses and telephone numbers are kept (in the vault) for the villages' own lists.
    """

    name: Words
    language: Language = "zh"
    simulated: bool = False
    as_of_months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = Field(default=tuple(range(1, 13)), min_length=1)
    watched: Condition
    membership: Name | None = None
    cohort: dict[Name, Group] = Field(default_factory=dict)
    village: str
    visits: int = Field(ge=1)
    pushed: tuple[Severity, ...] = ("high", "middle", "low")
    line: MonitoringLine
    outcomes: dict[Name, OutcomeDefinition] = Field(min_length=1)
    ranked_by: int | None = None
    below: Condition | None = None
    names_kept: bool = True

    @model_validator(mode="after")
    def _ranked_by_one_of_each(self) -> Self:
        without = [n for n, o in self.outcomes.items() if self.ranked_by not in (None, *o.horizons)]
        if without:
            raise ValueError(f"ranked_by: {self.ranked_by} months is no horizon of {without[0]}; name one that it has")
        return self

    @property
    def below_already(self) -> Condition:
        """What the records say of a household that is below the line already."""
        return self.below or next(iter(self.outcomes.values())).fall

    def ranking(self, outcome: str) -> int:
        """The horizon in months by which households at risk of an outcome are ranked, and their reasons told."""
        return self.ranked_by or self.outcomes[outcome].horizons[0]
