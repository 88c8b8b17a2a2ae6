"""The features that a policy asks for: declared by indicators, referred to by name, derived from others, in order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import get_args

from fpml.catalogue.conditions import Check, Condition, Rule
from fpml.catalogue.county import County
from fpml.catalogue.model import HEADS, LINE, UNSCALED, heads_feature, references
from fpml.catalogue.types import EVER, Coverage, Derived, Feature, Indicator, Reduction, Window, Words
from fpml.errors import Fault, did_you_mean

IN_LINES, AGAINST = "__in_lines", "__against__"


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
        fault = found and self.indicators[found.indicator].refuses(found.reduction, found.window)
        if fault:
            self.faults.append(Fault(where, fault, "Choose another."))
        elif found:
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
            order = {n: self.derived[n] for n in TopologicalSorter(graph).static_order()}
        except CycleError as e:
            circle = " > ".join(e.args[1])
            self.faults.append(Fault("features.yaml", f"features defined in a circle: {circle}", "Break it."))
            return {}
        near: set[str] = set()
        for n, d in order.items():
            if d.kind == "context" and d.of in near:
                self.faults.append(
                    Fault(f"features.yaml @ {n}", f"`{d.of}` is of neighbours already", "Choose another.")
                )
            if d.kind == "context" or near & set(graph[n]):
                near.add(n)
        return order


Asked = Iterable[tuple[str, str]]


def expand(
    indicators: Mapping[str, Indicator], derived: Mapping[str, Derived], county: County, asked: Asked
) -> Expansion:
    """Every feature that indicators, derived features, places, the line and others (`asked`: by place) ask for."""
    features, computed = _declared(indicators)
    all_of = Expansion(indicators, features, {**computed, **derived})
    for name in sorted(set(computed) & set(derived)):
        all_of.faults.append(Fault(f"features.yaml @ {name}", "the name of a computed feature", "Choose another."))
    for name, d in derived.items():
        if d.group and d.group not in indicators and d.group not in derived:
            remedy = did_you_mean(d.group, [*indicators, *derived])
            all_of.faults.append(Fault(f"features.yaml @ {name}.group", f"unknown group `{d.group}`", remedy))
    region = [county.line.region] if county.line.region else []
    for place in (county.village, *region, *(d.place for d in derived.values() if d.place)):
        all_of.resolve(f"{place}__last__ever", f"county.yaml or features.yaml @ {place}")
    all_of.resolve(county.line.heads, "county.yaml @ line.heads")
    for where, name in asked:
        all_of.resolve(name, where)
    for name, d in list(all_of.derived.items()):
        for of in (*([d.of] if d.of else []), *(b for b in d.by if b not in (LINE, HEADS))):
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
        return None
    return Feature(indicator=parts[0], reduction=parts[1], window=window, for_model=False)


def _declared(indicators: Mapping[str, Indicator]) -> tuple[dict[str, Feature], dict[str, Derived]]:
    """Every feature that the indicators' feature sets ask for, and the ratios computed from them."""
    features: dict[str, Feature] = {}
    computed: dict[str, Derived] = {}
    for key, indicator in indicators.items():
        for wanted in indicator.features:
            for window in wanted.windows:
                for reduction in wanted.reductions:
                    money = indicator.kind == "amount" and reduction not in UNSCALED
                    # A raw price level is a hidden clock: the model reads money as shares of the line.
                    raw = wanted.for_model and not money
                    f = Feature(indicator=key, reduction=reduction, window=window, for_model=raw)
                    features[f.name] = f
                    unit, by = Words(zh="倍监测线", en="x the line"), (LINE, HEADS)
                    common = {"direction": indicator.direction, "for_model": wanted.for_model}
                    if wanted.in_lines and money:
                        computed[f.name + IN_LINES] = Derived(
                            kind="ratio", of=f.name, by=by, name=Words(en=f.name), unit=unit, **common
                        )
                    if wanted.against:
                        past = Feature(indicator=key, reduction=reduction, window=wanted.against)
                        computed[f.name + AGAINST + str(wanted.against)] = Derived(
                            kind="ratio", of=f.name, by=(past.name,), name=Words(en=f.name),
                            unit=Words(zh="倍", en="x"), **common,
                        )  # fmt: skip
    return features, computed


def coverage(indicators: Mapping[str, Indicator], features: Iterable[Feature]) -> dict[str, Coverage]:
    """For each department that tells of what happens, each window ending at the as-of that its features look at."""
    found = {}
    for f in features:
        indicator = indicators[f.indicator]
        if indicator.flows and not indicator.covered_by and not f.window.ago and f.window.length < EVER:
            c = Coverage(department=indicator.department, window=f.window)
            found[c.name] = c
    return dict(sorted(found.items(), key=lambda c: (c[1].department, c[1].window.to_date, c[1].window.length)))


def conditions(
    rules: Mapping[str, Rule], checks: Mapping[str, Check], county: County
) -> Iterator[tuple[str, Condition]]:
    """Every condition of the policy, and where it stands."""
    yield "county.yaml @ watched", county.watched
    if county.below:
        yield "county.yaml @ below", county.below
    for key, group in county.cohort.items():
        for i, condition in enumerate(group.all):
            yield f"county.yaml @ cohort.{key}.all.{i}", condition
    for key, outcome in county.outcomes.items():
        for i, condition in enumerate(outcome.at_risk):
            yield f"county.yaml @ outcomes.{key}.at_risk.{i}", condition
        yield f"county.yaml @ outcomes.{key}.fall", outcome.fall
    for key, rule in rules.items():
        for place, condition in rule.each():
            yield f"rules.yaml @ {key}.{place}", condition
    for key, check in checks.items():
        for i, condition in enumerate(check.among):
            yield f"quality.yaml @ {key}.among.{i}", condition
        for place, condition in check.each():
            yield f"quality.yaml @ {key}.{place}", condition
