"""The features that a policy asks for: declared by indicators, referred to by name, derived from others, in order."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import get_args

from fpml.catalogue.model import HEADS, LINE, heads_feature, references
from fpml.catalogue.types import EVER, Condition, County, Derived, Feature, Indicator, Reduction, Rule, Window, Words
from fpml.errors import Fault, did_you_mean

IN_LINES = "__in_lines"


@dataclass
class Expansion:
    """Every feature, reduced and derived, with the faults found on the way; `derived` has no order until `ordered`."""

    indicators: Mapping[str, Indicator]
    features: dict[str, Feature]
    derived: dict[str, Derived]
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, name: str, where: str) -> None:
        """Makes sure that a feature referred to by name is there: any well-formed name of a known indicator is."""
        if name in self.derived or name in self.features:
            return
        found = _reference(name, self.indicators)
        if found:
            self.features[name] = found
        else:
            remedy = did_you_mean(name, [*self.features, *self.derived])
            self.faults.append(Fault(where, f"unknown feature `{name}`", remedy))

    def ordered(self, county: County) -> dict[str, Derived]:
        """The derived features, each after all that it is computed from; a circle is a fault."""
        graph = {
            n: [r for r in references(d, self.features, county) if r in self.derived] for n, d in self.derived.items()
        }
        try:
            return {n: self.derived[n] for n in TopologicalSorter(graph).static_order()}
        except CycleError as e:
            circle = " > ".join(e.args[1])
            self.faults.append(Fault("features.yaml", f"features defined in a circle: {circle}", "Break it."))
            return {}


def expand(
    indicators: Mapping[str, Indicator], derived: Mapping[str, Derived], rules: Mapping[str, Rule], county: County
) -> Expansion:
    """Every feature that indicators, derived features, conditions, places and the line ask for."""
    features, in_lines = _declared(indicators)
    all_of = Expansion(indicators, features, {**in_lines, **derived})
    for name in sorted(set(in_lines) & set(derived)):
        all_of.faults.append(Fault(f"features.yaml @ {name}", "the name of a computed feature", "Choose another."))
    for name, d in derived.items():
        if d.group and d.group not in indicators and d.group not in derived:
            remedy = did_you_mean(d.group, [*indicators, *derived])
            all_of.faults.append(Fault(f"features.yaml @ {name}.group", f"unknown group `{d.group}`", remedy))
    region = [county.line.region] if county.line.region else []
    for place in (county.village, *region, *(d.place for d in derived.values() if d.place)):
        all_of.resolve(f"{place}__last__ever", f"county.yaml or features.yaml @ {place}")
    all_of.resolve(county.line.heads, "county.yaml @ line.heads")
    for where, condition in _conditions(rules, county):
        all_of.resolve(condition.feature, where)
    for name, d in list(all_of.derived.items()):
        for of in (d.of, *(b for b in d.by if b not in (LINE, HEADS))):
            all_of.resolve(of, f"features.yaml @ {name}")
        if LINE in d.by or HEADS in d.by:
            ago = all_of.features[d.of].window.ago if d.of in all_of.features else 0
            all_of.resolve(heads_feature(county, ago), f"features.yaml @ {name}")
    return all_of


def _reference(name: str, indicators: Mapping[str, Indicator]) -> Feature | None:
    """The feature that a well-formed reference names, declared or not."""
    parts = name.split("__")
    if len(parts) != 3 or parts[0] not in indicators or parts[1] not in get_args(Reduction):
        return None
    try:
        window = Window.parse(parts[2])
    except ValueError:
        ever = re.fullmatch(r"ever_([1-9]\d{0,2})m_ago", parts[2])
        if not ever:
            return None
        window = Window(length=EVER, ago=int(ever[1]))
    return Feature(indicator=parts[0], reduction=parts[1], window=window, for_model=False)


def _declared(indicators: Mapping[str, Indicator]) -> tuple[dict[str, Feature], dict[str, Derived]]:
    """Every feature that the indicators' feature sets ask for, and their shares of the line."""
    features: dict[str, Feature] = {}
    in_lines: dict[str, Derived] = {}
    for key, indicator in indicators.items():
        for wanted in indicator.features:
            for window in wanted.windows:
                for reduction in wanted.reductions:
                    # A raw price level is a hidden clock: the model reads money as shares of the line.
                    raw = wanted.for_model and not (
                        indicator.kind == "amount" and reduction not in ("count", "months_since")
                    )
                    f = Feature(indicator=key, reduction=reduction, window=window, for_model=raw)
                    features[f.name] = f
                    if wanted.in_lines and reduction not in ("count", "months_since"):
                        in_lines[f.name + IN_LINES] = Derived(
                            kind="ratio",
                            of=f.name,
                            by=(LINE, HEADS),
                            name=Words(en=f.name),
                            unit=Words(zh="倍监测线", en="x the line"),
                            direction=indicator.direction,
                            for_model=wanted.for_model,
                        )
    return features, in_lines


def _conditions(rules: Mapping[str, Rule], county: County) -> Iterator[tuple[str, Condition]]:
    yield "county.yaml @ watched", county.watched
    for key, outcome in county.outcomes.items():
        for i, condition in enumerate(outcome.at_risk):
            yield f"county.yaml @ outcomes.{key}.at_risk.{i}", condition
        yield f"county.yaml @ outcomes.{key}.fall", outcome.fall
    for key, rule in rules.items():
        for i, condition in enumerate((*rule.all, *rule.any)):
            yield f"rules.yaml @ {key}.conditions.{i}", condition
