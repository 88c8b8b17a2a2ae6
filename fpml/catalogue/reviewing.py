"""What a review holds side by side: groups of households, proposals to weigh, and the colours of supervision."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from fpml.catalogue.conditions import Condition, Rule
from fpml.catalogue.county import Group
from fpml.catalogue.types import Name, Policy, Words
from fpml.errors import Fault, did_you_mean

Allocation = Literal["county", "township", "village"]
Figure = Literal["households", "monitored", "listed", "verified", "confirmed_share", "on_time_share", "overdue"]
Colour = Literal["yellow", "red"]


class Grouping(Policy):
    """One way of dividing households: each is of the first of its kinds that holds, or of none."""

    name: Words
    kinds: dict[Name, Group] = Field(min_length=2)


class Proposal(Policy):
    """A change to weigh over history; what is not named stays as it is.

    `thresholds`: for a rule its new threshold, at all as-ofs and for all households: a number where the rule has one
    alone, else by feature. `without`: rules dropped; `adding`: rules added; `visits`: capacity a month; `cut`:
    the least probability at which the model lists; `allocation`: whether visits are shared out among townships or
    villages by their households, or go wherever the county's list says.
    """

    name: Words
    thresholds: dict[Name, Decimal | dict[str, Decimal]] = Field(default_factory=dict)
    without: tuple[Name, ...] = ()
    adding: dict[Name, Rule] = Field(default_factory=dict)
    visits: int | None = Field(default=None, ge=1)
    cut: float | None = Field(default=None, ge=0, le=1)
    allocation: Allocation = "county"


class Limit(Policy):
    """A figure of a township or village held against a limit; the first includes it, the second does not."""

    figure: Figure
    at_least: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Whether it does; what is not a number never does."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.below is None or value < self.below) and value == value


class Colouring(Policy):
    """When a township or a village is shown in a colour: all of its limits hold. It asks for a look, no more."""

    name: Words
    colour: Colour
    all: tuple[Limit, ...] = Field(min_length=1)


class Reviewing(Policy):
    """Everything that a review takes from policy. `townships`: a village's code divided by this is its township's.

    `on_time_days`: days from the list to a verification in time; a colouring of places stands by its kind.
    """

    townships: Annotated[int, Field(ge=1)] = 1000
    on_time_days: int = Field(default=15, ge=1)
    duplicate_share: float = Field(default=0.8, gt=0, le=1)
    groups: dict[Name, Grouping] = Field(default_factory=dict)
    what_if: dict[Name, Proposal] = Field(default_factory=dict)
    colours: dict[Literal["township", "village"], tuple[Colouring, ...]] = Field(default_factory=dict)

    def conditions(self) -> Iterator[tuple[str, Condition]]:
        """Every condition, and where it stands."""
        for key, grouping in self.groups.items():
            for kind, group in grouping.kinds.items():
                for i, condition in enumerate(group.all):
                    yield f"review.yaml @ groups.{key}.kinds.{kind}.all.{i}", condition
        for key, proposal in self.what_if.items():
            for name, rule in proposal.adding.items():
                for place, condition in rule.each():
                    yield f"review.yaml @ what_if.{key}.adding.{name}.{place}", condition

    def faults(self, rules: Mapping[str, Rule], departments: Iterable[str]) -> Iterator[Fault]:
        """What names rules that the policy does not have, or thresholds that a rule does not."""
        for key, proposal in self.what_if.items():
            yield from proposal_faults(f"review.yaml @ what_if.{key}", proposal, rules, departments)


def proposal_faults(
    where: str, proposal: Proposal, rules: Mapping[str, Rule], departments: Iterable[str]
) -> Iterator[Fault]:
    """What a proposal names that is not there."""
    for name in (*proposal.thresholds, *proposal.without):
        if name not in rules:
            yield Fault(f"{where}.{name}", f"unknown rule `{name}`", did_you_mean(name, rules))
    for name, told in proposal.thresholds.items():
        features = {c.feature for _, c in rules[name].each()} if name in rules else set()
        if features and not isinstance(told, dict) and len(features) > 1:
            remedy = f"Write the threshold by feature: {', '.join(sorted(features))}."
            yield Fault(f"{where}.thresholds.{name}", "a rule with several thresholds", remedy)
        for feature in told if isinstance(told, dict) and features else ():
            if feature not in features:
                problem = f"the rule does not read `{feature}`"
                yield Fault(f"{where}.thresholds.{name}", problem, did_you_mean(feature, features))
    for name, rule in proposal.adding.items():
        if name in rules:
            yield Fault(f"{where}.adding.{name}", "a rule of that name is in force", "Give it another name.")
        if rule.department not in set(departments):
            problem = f"unknown department `{rule.department}`"
            yield Fault(f"{where}.adding.{name}", problem, did_you_mean(rule.department, departments))


def rules_as_proposed(rules: Mapping[str, Rule], proposal: Proposal) -> dict[str, Rule]:
    """The rules as they would stand under a proposal; those that stay as they are, are the same objects."""
    kept = {name: rule for name, rule in rules.items() if name not in proposal.without}
    changed = {n: _with_threshold(kept[n], told) for n, told in proposal.thresholds.items() if n in kept}
    return {**kept, **changed, **proposal.adding}


def _with_threshold(rule: Rule, told: Decimal | dict[str, Decimal]) -> Rule:
    def mended(condition: Condition) -> Condition:
        new = told.get(condition.feature) if isinstance(told, dict) else told
        return condition if new is None else condition.model_copy(update={condition.comparison: new})

    either = tuple(
        mended(e) if isinstance(e, Condition) else e.model_copy(update={"all": tuple(map(mended, e.all))})
        for e in rule.any
    )
    return rule.model_copy(update={"all": tuple(map(mended, rule.all)), "any": either})
