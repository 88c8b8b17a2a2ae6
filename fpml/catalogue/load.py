"""The policy folder -> one `Catalogue`: checked against itself, with its fingerprint."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from fpml.catalogue.files import parse
from fpml.catalogue.types import (
    Condition,
    County,
    Department,
    Derived,
    Feature,
    Indicator,
    Language,
    Name,
    Policy,
    Reduction,
    Rule,
    Window,
    Words,
)
from fpml.errors import Fault, PolicyError, UsageError, did_you_mean

FILES = ("departments.yaml", "indicators.yaml", "features.yaml", "rules.yaml", "county.yaml")
LINE, HEADS = "line", "heads"
IN_LINES = "__in_lines"


class Wording(Policy):
    """Every word that fpml itself puts before a reader, in one language."""

    reductions: dict[Reduction, str]
    window: str
    window_ago: str
    ever: str
    feature: str
    in_lines: str
    lines: str
    unknown: str
    months: str
    words: dict[str, str]

    def span(self, window: Window) -> str:
        """The window in words."""
        if window.length >= 1200:
            return self.ever
        return (self.window_ago if window.ago else self.window).format(length=window.length, ago=window.ago)


@dataclass(frozen=True)
class Catalogue:
    """All that people decided for one place. `features` are reduced from records, `derived` from features, in order."""

    departments: Mapping[str, Department]
    indicators: Mapping[str, Indicator]
    features: Mapping[str, Feature]
    derived: Mapping[str, Derived]
    rules: Mapping[str, Rule]
    county: County
    wording: Mapping[Language, Wording]
    fingerprint: str
    codes: Mapping[str, int] = field(repr=False)

    def model_features(self) -> tuple[str, ...]:
        """The names of the features that a model may read, in the catalogue's order."""
        return tuple(n for n, f in (*self.features.items(), *self.derived.items()) if f.for_model)

    def needed_for(self, names: Iterable[str]) -> frozenset[str]:
        """The features reduced from records without which these cannot be computed."""
        base: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.derived:
                waiting.extend(references(name, self.derived[name], self.features, self.county))
            elif name in self.features:
                base.add(name)
            else:
                raise UsageError(f"feature `{name}`", "not in the catalogue", did_you_mean(name, self.names()))
        return frozenset(base)

    def names(self) -> tuple[str, ...]:
        """The names of all features."""
        return (*self.features, *self.derived)

    def group(self, name: str) -> str:
        """The indicator (or named group) whose contribution a feature's is added to."""
        if name in self.features:
            return self.features[name].indicator
        derived = self.derived[name]
        return derived.group or self.group(derived.of)

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
            return words.feature.format(
                indicator=self.indicators[f.indicator].name.said(language),
                reduction=words.reductions[f.reduction],
                window=words.span(f.window),
            )
        return self.derived[name].name.said(language)

    def unit(self, name: str, language: Language) -> str:
        """The unit in which a feature is told to a reader."""
        if name in self.derived:
            return self.derived[name].unit.said(language)
        f = self.features[name]
        if f.reduction == "months_since":
            return self.wording[language].months
        return "" if f.reduction == "count" else self.indicators[f.indicator].unit.said(language)

    def decimals(self, name: str) -> int:
        """By how many decimal places a stored feature is shifted: 2 where the history holds fen."""
        if name in self.derived or self.features[name].reduction in ("count", "months_since"):
            return 0
        return self.indicators[self.features[name].indicator].decimals

    def direction(self, name: str) -> str:
        """What more of a feature is expected to do to the risk: raises, lowers, unclear."""
        if name in self.derived:
            return self.derived[name].direction
        f = self.features[name]
        return "unclear" if f.reduction == "months_since" else self.indicators[f.indicator].direction

    def text(self, key: str, language: Language) -> str:
        """One of fpml's own words; an unknown key is a fault of ours."""
        return self.wording[language].words[key]


def load(folder: Path, defaults: Path) -> Catalogue:
    """The catalogue of a policy folder; wording that the folder lacks comes from the default profile.

    Raises PolicyError with every fault of the first kind met: those inside each file, then those between files.
    """
    faults: list[Fault] = []
    loaded = {}
    shapes = (
        dict[Name, Department],
        dict[Name, Indicator],
        dict[Name, Derived] | None,
        dict[Name, Rule] | None,
        County,
    )
    for file, shape in zip(FILES, shapes, strict=True):
        try:
            loaded[file] = parse(folder / file, shape)
        except PolicyError as e:
            faults.extend(e.faults)
    wording: dict[Language, Wording] = {}
    for language in get_args(Language):
        file = f"wording.{language}.yaml"
        try:
            wording[language] = parse((folder if (folder / file).is_file() else defaults) / file, Wording)
        except PolicyError as e:
            faults.extend(e.faults)
    if faults:
        raise PolicyError(faults)
    departments, indicators, derived, rules, county = (loaded[f] or {} for f in FILES)
    catalogue, faults = _assemble(departments, indicators, derived, rules, county, wording, fingerprint(folder))
    if faults or catalogue is None:
        raise PolicyError(faults)
    return catalogue


def fingerprint(folder: Path) -> str:
    """Sixteen hex digits that change when a policy file does, whatever its line ends."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]


def references(name: str, derived: Derived, features: Mapping[str, Feature], county: County) -> tuple[str, ...]:
    """The features that a derived one is computed from, its line and heads spelt out."""
    named = [derived.of, *(b for b in derived.by if b not in (LINE, HEADS))]
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
        window = Window(length=1200, ago=int(ever[1]))
    return Feature(indicator=parts[0], reduction=parts[1], window=window, for_model=False)  # type: ignore[arg-type]


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
                            name=Words(en="", zh="-"),
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


def _named_in_lines(in_lines: Mapping[str, Derived], partial: "Catalogue") -> dict[str, Derived]:
    """The shares of the line, told in words once the wording is known."""
    said = {
        name: Words(
            **{
                lang: partial.wording[lang].in_lines.format(feature=partial.describe(d.of, lang))
                for lang in partial.wording
            }
        )
        for name, d in in_lines.items()
    }
    return {name: d.model_copy(update={"name": said[name]}) for name, d in in_lines.items()}


def _assemble(
    departments: Mapping[str, Department],
    indicators: Mapping[str, Indicator],
    derived: Mapping[str, Derived],
    rules: Mapping[str, Rule],
    county: County,
    wording: Mapping[Language, Wording],
    stamp: str,
) -> tuple[Catalogue | None, list[Fault]]:
    """The catalogue and the faults that only show when its files are read together."""
    faults: list[Fault] = []
    for key, indicator in indicators.items():
        if indicator.department not in departments:
            where = f"indicators.yaml @ {key}.department"
            remedy = did_you_mean(indicator.department, departments)
            faults.append(Fault(where, f"unknown department `{indicator.department}`", remedy))
        if indicator.covered_by and indicator.covered_by not in indicators:
            where = f"indicators.yaml @ {key}.covered_by"
            remedy = did_you_mean(indicator.covered_by, indicators)
            faults.append(Fault(where, f"unknown indicator `{indicator.covered_by}`", remedy))
    for key, rule in rules.items():
        if rule.department not in departments:
            remedy = did_you_mean(rule.department, departments)
            faults.append(Fault(f"rules.yaml @ {key}.department", f"unknown department `{rule.department}`", remedy))
    for file, key, status in (
        ("county.yaml", "village", county.village),
        ("county.yaml", "line.region", county.line.region),
    ):
        if status and (status not in indicators or indicators[status].kind != "status"):
            known = [k for k, i in indicators.items() if i.kind == "status"]
            faults.append(
                Fault(f"{file} @ {key}", f"`{status}` is not a status indicator", did_you_mean(status, known))
            )

    features, in_lines = _declared(indicators)
    both = {**in_lines, **derived}

    def resolve(name: str, where: str) -> None:
        if name in both or name in features:
            return
        found = _reference(name, indicators)
        if found:
            features[name] = found
        else:
            faults.append(Fault(where, f"unknown feature `{name}`", did_you_mean(name, [*features, *both])))

    places = {county.village, *(d.place for d in derived.values() if d.place)} | (
        {county.line.region} if county.line.region else set()
    )
    for place in sorted(p for p in places if p):
        resolve(f"{place}__last__ever", f"features.yaml @ {place}")
    resolve(county.line.heads, "county.yaml @ line.heads")
    for where, condition in _conditions(rules, county):
        resolve(condition.feature, where)
    for name, d in both.items():
        where = f"features.yaml @ {name}"
        for of in (d.of, *(b for b in d.by if b not in (LINE, HEADS))):
            resolve(of, where)
        if LINE in d.by or HEADS in d.by:
            resolve(heads_feature(county, features[d.of].window.ago if d.of in features else 0), where)
    if faults:
        return None, sorted(set(faults))
    try:
        graph = {n: [r for r in references(n, d, features, county) if r in both] for n, d in both.items()}
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as e:
        return None, [Fault("features.yaml", f"features defined in a circle: {' > '.join(e.args[1])}", "Break it.")]
    catalogue = Catalogue(
        departments=MappingProxyType(dict(departments)),
        indicators=MappingProxyType(dict(indicators)),
        features=MappingProxyType(features),
        derived=MappingProxyType({}),
        rules=MappingProxyType(dict(rules)),
        county=county,
        wording=MappingProxyType(dict(wording)),
        fingerprint=stamp,
        codes=MappingProxyType({name: i for i, name in enumerate(indicators)}),
    )
    named = {**_named_in_lines(in_lines, catalogue), **derived}
    ordered = {n: named[n] for n in order}
    return Catalogue(**{**vars(catalogue), "derived": MappingProxyType(ordered)}), []
