"""`Catalogue`: all that people decided for one place, and what each feature says in words."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fpml.catalogue.conditions import Check, Rule
from fpml.catalogue.county import County
from fpml.catalogue.deliveries import Department
from fpml.catalogue.listing import Listing
from fpml.catalogue.reviewing import Reviewing
from fpml.catalogue.types import (
    EVER,
    Coverage,
    Derived,
    Direction,
    Feature,
    Indicator,
    Language,
    Policy,
    Reduction,
    Window,
)
from fpml.catalogue.visiting import Visiting, WorkingDays
from fpml.catalogue.watching import Watching
from fpml.errors import UsageError, did_you_mean

# Raised when the engine itself comes to mean something else by a feature: older models are then refused.
DEFINITIONS = 2
# Reductions that are not in the indicator's own unit.
UNSCALED = ("count", "months_since", "months_with", "duration", "holding")
LINE, HEADS = "line", "heads"


class Wording(Policy):
    """Every word that fpml itself puts before a reader, in one language."""

    reductions: dict[Reduction, str]
    window: str
    window_ago: str
    # Of a window that ended a month ago, where a language says that otherwise than with a number.
    window_month_ago: str = ""
    ever: str
    ever_ago: str
    feature: str
    event: str
    in_lines: str
    unknown: str
    months: str
    records: str
    share: str
    people: str
    yes: str
    to_date: str
    to_date_ago: str
    coverage: str
    against: str
    words: dict[str, str]

    def span(self, window: Window) -> str:
        """The window in words."""
        if window.length >= EVER:
            return self.ever_ago.format(ago=window.ago) if window.ago else self.ever
        if window.to_date:
            return self.to_date_ago.format(ago=window.ago) if window.ago else self.to_date
        form = self.window if not window.ago else self.window_ago
        if window.ago == 1 and self.window_month_ago:
            form = self.window_month_ago
        return form.format(length=window.length, ago=window.ago)


@dataclass(frozen=True)
class Catalogue:
    """All that people decided for one place. `features` are reduced from records, `derived` from features, in order."""

    departments: Mapping[str, Department]
    indicators: Mapping[str, Indicator]
    features: Mapping[str, Feature]
    derived: Mapping[str, Derived]
    coverage: Mapping[str, Coverage]
    rules: Mapping[str, Rule]
    checks: Mapping[str, Check]
    review: Reviewing
    county: County
    visiting: Visiting
    listing: Listing
    watching: Watching
    calendar: WorkingDays
    wording: Mapping[Language, Wording]
    fingerprint: str
    codes: Mapping[str, int] = field(repr=False)

    def __getstate__(self) -> dict[str, object]:
        """Its parts as plain mappings, so that it can be handed to another process."""
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in vars(self).items()}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Its parts again, which nobody can change."""
        for name, part in state.items():
            object.__setattr__(self, name, MappingProxyType(part) if isinstance(part, dict) else part)

    @property
    def meaning(self) -> str:
        """Sixteen hex digits of all that decides what a feature or a label means: not words, rules or visits."""
        parts = {
            "definitions": DEFINITIONS,
            "cadence": {k: d.cadence_months for k, d in self.departments.items()},
            "indicators": {
                k: i.model_dump_json(exclude={"name", "unit", "features"}) for k, i in self.indicators.items()
            },
            "derived": {k: d.model_dump_json(exclude={"name", "unit"}) for k, d in self.derived.items()},
            "line": self.county.line.model_dump_json(exclude={"unit"}),
            "outcomes": {k: o.model_dump_json(exclude={"name"}) for k, o in self.county.outcomes.items()},
            "watched": self.county.watched.model_dump_json(),
            "membership": self.county.membership or "",
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def following(self) -> tuple[bool, ...]:
        """For each indicator, whether a fact goes with its person from household to household."""
        return tuple(i.follows for i in self.indicators.values())

    @property
    def attested(self) -> tuple[int, ...]:
        """For each indicator, the position of the department whose delivery of a month its records attest, or -1.

        Where a department tells of what happens, month by month, only that attests; else (a bank's balances) all does.
        """
        position = {name: n for n, name in enumerate(self.departments)}
        flows = {i.department for i in self.indicators.values() if i.flows}
        return tuple(
            position[i.department] if i.flows or i.department not in flows else -1 for i in self.indicators.values()
        )

    def model_features(self) -> tuple[str, ...]:
        """The names of the features that a model may read, in the catalogue's order."""
        return (
            *(n for n, f in self.features.items() if f.for_model),
            *(n for n, d in self.derived.items() if d.for_model),
        )

    def needed_for(self, names: Iterable[str]) -> frozenset[str]:
        """The features reduced from records without which these cannot be computed."""
        base: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.derived:
                waiting.extend(self.behind(name))
            elif name in self.features:
                base.add(name)
            elif name not in self.coverage:
                raise UsageError(f"feature `{name}`", "not in the catalogue", did_you_mean(name, self.names()))
        return frozenset(base)

    def names(self) -> tuple[str, ...]:
        """The names of all features."""
        return (*self.features, *self.derived, *self.coverage)

    def known_by_itself(self, name: str) -> bool:
        """Whether a feature can be told from a household's records alone, whatever departments had delivered."""
        if name in self.coverage or (name in self.derived and self.derived[name].kind == "context"):
            return False
        if name in self.derived:
            return all(self.known_by_itself(n) for n in self.behind(name))
        f = self.features[name]
        indicator = self.indicators[f.indicator]
        own = indicator.absent == "unknown" or indicator.covered_by is not None or f.window.length >= EVER
        return own or f.reduction in ("months_since", "duration")

    def behind(self, name: str) -> tuple[str, ...]:
        """The features that a derived one is computed from."""
        return references(self.derived[name], self.features, self.county)

    def group(self, name: str) -> str:
        """The indicator (or named group) whose contribution a feature's is added to."""
        if name in self.features:
            return self.features[name].indicator
        derived = self.derived[name]
        return derived.group or (self.group(derived.of) if derived.of else name)

    def cause(self, group: str) -> str:
        """The cause that the indicator of a group points to; '' where it points to none."""
        cause = self.indicators[group].cause if group in self.indicators else "other"
        return "" if cause == "other" else cause

    @property
    def in_lines(self) -> frozenset[str]:
        """The features that are an amount held against the monitoring line alone: the amount itself tells as much."""
        return frozenset(n for n, d in self.derived.items() if n == f"{d.of}__in_lines")

    def leaning(self, name: str) -> Direction:
        """Whether more of a feature goes, by policy, with more risk or with less."""
        if name not in self.features:
            return self.derived[name].direction if name in self.derived else "unclear"
        reduction, direction = self.features[name].reduction, self.indicators[self.features[name].indicator].direction
        if reduction in ("trend", "sd", "duration"):
            return "unclear"
        if reduction == "months_since" and direction != "unclear":  # long ago is the opposite of much
            return "lowers" if direction == "raises" else "raises"
        return direction

    def told_by(self, name: str) -> tuple[str, ...]:
        """The departments whose records a feature is made from."""
        behind = (self.indicators[self.features[n].indicator].department for n in sorted(self.needed_for([name])))
        return tuple(dict.fromkeys(behind))

    def counted_by(self, name: str) -> tuple[str, ...]:
        """Of these departments those whose records of what it is made from show which months they have told of."""
        attests = dict(zip(self.indicators, self.attested, strict=True))
        used = (self.features[n].indicator for n in sorted(self.needed_for([name])))
        return tuple(dict.fromkeys(self.indicators[i].department for i in used if attests[i] >= 0))

    def usual_lag(self, name: str) -> int:
        """After how many months what a feature is made from is usually known."""
        needed = self.needed_for([name])
        return max((self.indicators[self.features[n].indicator].usual_lag_months for n in needed), default=0)

    def group_name(self, group: str, language: Language) -> str:
        """A group of features in words."""
        if group in self.indicators:
            return self.indicators[group].name.said(language)
        return self.derived[group].name.said(language)

    def describe(self, name: str, language: Language) -> str:
        """What a feature says, in words: `self-paid medical cost (total, the last 12 months)`."""
        words = self.wording[language]
        if name in self.features:
            f = self.features[name]
            of_event = self.indicators[f.indicator].kind == "event" and f.reduction == "count"
            return (words.event if of_event else words.feature).format(
                indicator=self.indicators[f.indicator].name.said(language),
                reduction=words.reductions[f.reduction],
                window=words.span(f.window),
            )
        if name in self.coverage:
            c = self.coverage[name]
            department = self.departments[c.department].name.said(language)
            return words.coverage.format(department=department, window=words.span(c.window))
        return self.derived[name].name.said(language)

    def unit(self, name: str, language: Language) -> str:
        """The unit in which a feature is told to a reader."""
        if name in self.derived:
            return self.derived[name].unit.said(language)
        if name in self.coverage:
            return self.wording[language].share
        f = self.features[name]
        if f.reduction in ("months_since", "duration"):
            return self.wording[language].months
        if f.reduction == "months_with":
            return self.wording[language].share
        if f.reduction == "holding":
            whose = self.indicators[f.indicator].grain
            return self.wording[language].people if whose == "person" else self.wording[language].yes
        if f.reduction == "count" and self.indicators[f.indicator].kind != "event":
            return self.wording[language].records
        return self.indicators[f.indicator].unit.said(language)

    def decimals(self, name: str) -> int:
        """By how many decimal places a stored feature is shifted: 2 where the history holds fen."""
        if name not in self.features or self.features[name].reduction in UNSCALED:
            return 0
        return self.indicators[self.features[name].indicator].decimals


def references(derived: Derived, features: Mapping[str, Feature], county: County) -> tuple[str, ...]:
    """The features that a derived one is computed from, its line and heads spelt out."""
    named = [*([derived.of] if derived.of else []), *(b for b in derived.by if b not in (LINE, HEADS))]
    ago = features[derived.of].window.ago if derived.of in features else 0
    if HEADS in derived.by:
        named.append(heads_feature(county, ago))
    if LINE in derived.by and county.line.region:
        named.append(f"{county.line.region}__last__ever")
    if derived.place:
        named.append(f"{derived.place}__last__ever")
    return tuple(named)


def heads_feature(county: County, ago: int) -> str:
    """The feature that counts heads at the end of a window that ended so many months ago."""
    if not ago or county.line.heads.count("__") != 2:
        return county.line.heads
    base = county.line.heads
    return f"{base}_{ago}m_ago"
