"""The policy folder -> one `Catalogue`: checked against itself, with its fingerprint."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from fpml.catalogue.conditions import Check, Rule
from fpml.catalogue.county import County
from fpml.catalogue.deliveries import Department, layout_faults
from fpml.catalogue.expand import AGAINST, IN_LINES, conditions, coverage, expand
from fpml.catalogue.files import parse
from fpml.catalogue.listing import Listing, with_words
from fpml.catalogue.model import Catalogue, Wording
from fpml.catalogue.reviewing import Proposal, Reviewing, proposal_faults
from fpml.catalogue.thresholds import table_faults
from fpml.catalogue.types import Derived, Indicator, Language, Name, Words
from fpml.catalogue.visiting import Visiting, WorkingDays, with_defaults
from fpml.catalogue.watching import OwnWatching, Watching
from fpml.errors import Fault, PolicyError, did_you_mean

FILES = ("departments.yaml", "indicators.yaml", "features.yaml", "rules.yaml", "county.yaml")
# A policy may come without these.
CHECKS, REVIEW = "quality.yaml", "review.yaml"
# Of these the default profile's hold where a policy has none of its own.
SPARE = VISITS, CALENDAR, LISTS = "visits.yaml", "calendar.yaml", "lists.yaml"
# And of this one, which decides no list: it is no part of the fingerprint.
HEALTH = "health.yaml"
Departments = Mapping[str, Department]
Indicators = Mapping[str, Indicator]


def load(folder: Path, defaults: Path) -> Catalogue:
    """The catalogue of a policy folder; wording that the folder lacks comes from the default profile.

    A folder without quality.yaml has no checks, one without review.yaml no groups and no proposals; visits.yaml,
    calendar.yaml, lists.yaml and health.yaml are then the default profile's.

    Raises PolicyError with every fault of the first kind met: those inside each file, then those between files.
    """
    faults: list[Fault] = []

    def read(file: str, shape: Any) -> Any:
        try:
            return parse(_place(folder, defaults, file), shape) or {}
        except PolicyError as e:
            faults.extend(e.faults)
            return {}

    languages: tuple[Language, ...] = get_args(Language)
    departments: Departments = read("departments.yaml", dict[Name, Department])
    indicators: Indicators = read("indicators.yaml", dict[Name, Indicator])
    derived: Mapping[str, Derived] = read("features.yaml", dict[Name, Derived] | None)
    rules: Mapping[str, Rule] = read("rules.yaml", dict[Name, Rule] | None)
    county: County = read("county.yaml", County)
    spare = [f for f in (CHECKS, REVIEW) if (folder / f).is_file()]
    checks: Mapping[str, Check] = read(CHECKS, dict[Name, Check] | None) if CHECKS in spare else {}
    review: Reviewing = (read(REVIEW, Reviewing) if REVIEW in spare else None) or Reviewing()
    wording: dict[Language, Wording] = {lang: read(f"wording.{lang}.yaml", Wording) for lang in languages}
    visiting: Visiting = read(VISITS, Visiting)
    calendar: WorkingDays = read(CALENDAR, WorkingDays)
    listing: Listing = read(LISTS, Listing)
    own: OwnWatching = read(HEALTH, OwnWatching)
    if faults:
        raise PolicyError(faults)
    visiting = with_defaults(visiting, parse(defaults / VISITS, Visiting))
    usual: Watching = parse(defaults / HEALTH, Watching)
    watching = own.over(usual)
    listing = with_words(listing, parse(defaults / LISTS, Listing))
    if not (folder / LISTS).is_file():
        listing = listing.of(indicators, derived)
    asked = [*conditions(rules, checks, county), *review.conditions(), *listing.conditions()]
    faults.extend(_between_files(departments, indicators, rules, county))
    faults.extend(review.faults(rules, departments))
    faults.extend(visiting.faults(indicators))
    told = {*(i.cause for i in indicators.values()), *(r.cause for r in rules.values())}
    faults.extend(listing.faults(visiting.causes, told, [*indicators, *derived]))
    faults.extend([*watching.faults(), *watching.strange_places(usual)])
    faults.extend(f for where, c in asked for f in table_faults(where, c, county))
    named = [*((where, c.feature) for where, c in asked), *listing.named()]
    features = expand(indicators, derived, county, named)
    ordered = features.ordered(county) if not features.faults else {}
    if faults or features.faults:
        raise PolicyError(sorted({*faults, *features.faults}))
    unnamed = Catalogue(
        departments=MappingProxyType(dict(departments)),
        indicators=MappingProxyType(dict(indicators)),
        features=MappingProxyType(features.features),
        derived=MappingProxyType({}),
        coverage=MappingProxyType(coverage(indicators, features.features.values())),
        rules=MappingProxyType(dict(rules)),
        checks=MappingProxyType(dict(checks)),
        review=review,
        county=county,
        visiting=visiting,
        listing=listing,
        calendar=calendar,
        watching=watching,
        wording=MappingProxyType(wording),
        fingerprint=fingerprint(policy_files(folder, defaults)),
        codes=MappingProxyType({name: i for i, name in enumerate(indicators)}),
    )
    in_words = {
        n: d.model_copy(update={"name": _in_words(d, unnamed)}) if n.endswith(IN_LINES) or AGAINST in n else d
        for n, d in ordered.items()
    }
    whole = Catalogue(**{**vars(unnamed), "derived": MappingProxyType(in_words)})
    if not whole.known_by_itself(county.watched.feature):
        problem = f"`{county.watched.feature}` is unknown where a department is late; nobody would be watched then"
        raise PolicyError(
            [Fault("county.yaml @ watched", problem, "Choose one of the register's, or a window `ever`.")]
        )
    return whole


def policy_files(folder: Path, defaults: Path) -> list[Path]:
    """Every file that a policy folder's catalogue is read from, and whose content its fingerprint is of."""
    spare = [f for f in (CHECKS, REVIEW) if (folder / f).is_file()]
    home = [f"wording.{language}.yaml" for language in get_args(Language)]
    return [_place(folder, defaults, f) for f in (*FILES, *spare, VISITS, CALENDAR, LISTS, *home)]


def read_proposals(path: Path, catalogue: Catalogue) -> dict[str, Proposal]:
    """The proposals of a file, by name, written as in review.yaml; raises PolicyError with every fault."""
    told: dict[str, Proposal] = parse(path, dict[Name, Proposal]) or {}
    faults: list[Fault] = []
    for name, proposal in told.items():
        where = f"{path.name} @ {name}"
        faults += proposal_faults(where, proposal, catalogue.rules, catalogue.departments)
        for key, rule in proposal.adding.items():
            for place, condition in rule.each():
                if condition.feature not in catalogue.names():
                    problem = f"unknown feature `{condition.feature}`"
                    remedy = did_you_mean(condition.feature, catalogue.names())
                    faults.append(Fault(f"{where}.adding.{key}.{place}", problem, remedy))
    if faults:
        raise PolicyError(faults)
    return told


def fingerprint(files: Iterable[Path]) -> str:
    """Sixteen hex digits that change when one of the policy files does, whatever its line ends."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]


def _place(folder: Path, defaults: Path, file: str) -> Path:
    """Where a policy file lies; words and calendar that the folder lacks lie with the default profile."""
    own = folder / file
    spare = file.startswith("wording.") or file in (*SPARE, HEALTH)
    return defaults / file if spare and not own.is_file() else own


def _in_words(derived: Derived, catalogue: Catalogue) -> Words:
    """What a computed ratio (to the line, or to a household's own past) is called, in each language."""
    said = {}
    for lang, wording in catalogue.wording.items():
        past = catalogue.features.get(derived.by[0])
        form = wording.against if past else wording.in_lines
        window = wording.span(past.window) if past else ""
        said[lang] = form.format(feature=catalogue.describe(derived.of, lang), window=window)
    return Words(**said)


def _between_files(
    departments: Departments, indicators: Indicators, rules: Mapping[str, Rule], county: County
) -> Iterator[Fault]:
    """Names that one file uses and another does not have."""
    for key, indicator in indicators.items():
        where = f"indicators.yaml @ {key}"
        if indicator.department not in departments:
            remedy = did_you_mean(indicator.department, departments)
            yield Fault(f"{where}.department", f"unknown department `{indicator.department}`", remedy)
        if indicator.covered_by and indicator.covered_by not in indicators:
            remedy = did_you_mean(indicator.covered_by, indicators)
            yield Fault(f"{where}.covered_by", f"unknown indicator `{indicator.covered_by}`", remedy)
    for key, rule in rules.items():
        if rule.department not in departments:
            remedy = did_you_mean(rule.department, departments)
            yield Fault(f"rules.yaml @ {key}.department", f"unknown department `{rule.department}`", remedy)
    yield from layout_faults(departments, indicators)
    statuses = [k for k, i in indicators.items() if i.kind == "status"]
    membership = indicators.get(county.membership or "")
    if membership and membership.grain != "person":
        yield Fault(
            "county.yaml @ membership", f"`{county.membership}` is not told of persons", "Write `grain: person`."
        )
    named = (("village", county.village), ("line.region", county.line.region), ("membership", county.membership))
    for key, status in named:
        if status and status not in statuses:
            yield Fault(f"county.yaml @ {key}", f"`{status}` is not a status indicator", did_you_mean(status, statuses))
