"""What policy makes of a listed household: its level, its likely causes and what to ask, and who else calls on it."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from fpml.catalogue import LEVELS, Catalogue, Language, Level
from fpml.households import condition_holds
from fpml.lists.rank import Floats
from fpml.lists.reasons import Told

NOTHING: Mapping[str, str] = MappingProxyType({})


def levels(
    chance: Floats, below: Sequence[bool], hit: Sequence[Sequence[str]], catalogue: Catalogue, day: date
) -> list[Level]:
    """Each household's level on a day: the gravest of what its chance (NaN: none), its rule hits and its income say."""
    policy = catalogue.listing.levels_on(day)
    out: list[Level] = []
    for p, poor, rules in zip(chance, below, hit, strict=True):
        said: list[Level] = [
            "high" if p >= policy.chance["high"] else "middle" if p >= policy.chance["middle"] else "low"
        ]
        said += [policy.severity[catalogue.rules[r].severity] for r in rules]
        said += [policy.below] if poor else []
        out.append(min(said, key=LEVELS.index))
    return out


def also_by(level: Sequence[Level], households: Sequence[str], catalogue: Catalogue, day: date) -> list[str]:
    """Who calls on each household beside the village: '', `township`, `county` or `township_county`.

    The county's sample is drawn by a hash of household and day: nobody picks it, and the same list has the same sample.
    """
    tiers = catalogue.listing.tiers
    lots = [n for n, one in enumerate(level) if one in tiers.county]
    lots.sort(key=lambda n: hashlib.sha256(f"{day}:{households[n]}".encode()).digest())
    drawn = set(lots[: math.ceil(tiers.county_share * len(lots))])
    told = []
    for n, one in enumerate(level):
        parts = [*(["township"] if one in tiers.township else []), *(["county"] if n in drawn else [])]
        told.append("_".join(parts))
    return told


def recorded_causes(histories: pa.Table, catalogue: Catalogue) -> list[tuple[str, ...]]:
    """For each row the causes whose own event is on record, in policy's order: an accident, not the bills after it."""
    held = {
        name: [condition_holds(c, histories, catalogue)[0] for c in likely.recorded]
        for name, likely in catalogue.listing.causes.items()
    }
    some = {name: np.logical_or.reduce(each) for name, each in held.items() if each}
    return [tuple(n for n, rows in some.items() if rows[i]) for i in range(histories.num_rows)]


def without_events(
    histories: pa.Table, recorded: Sequence[Sequence[str]], catalogue: Catalogue
) -> Sequence[Mapping[str, str]]:
    """For each row what policy names before a cause of which no event is on record: {cause: what comes before it}.

    `recorded`: each row's causes whose events are (`recorded_causes`).
    """
    before: list[dict[str, str]] = [{} for _ in recorded]
    for name, likely in catalogue.listing.causes.items():
        if likely.without_event:
            held = np.ones(histories.num_rows, bool)
            for condition in likely.without_event.all:
                held &= condition_holds(condition, histories, catalogue)[0]
            for i in np.flatnonzero(held).tolist():
                if name not in recorded[i]:
                    before[i][name] = likely.without_event.first
    return before


def likely_causes(
    told: Told,
    hit: Sequence[str],
    recorded: Sequence[str],
    catalogue: Catalogue,
    *,
    before: Mapping[str, str] = NOTHING,
) -> tuple[str, ...]:
    """The causes (as visits.yaml names them) that records, rule hits and reasons point to, likeliest first.

    Events on record come first, then rules of the high grade, then reasons, then other rules; at most as many as policy
    tells reasons. What policy names `before` the first of them comes before it (`without_events`: never before one of
    which an event is on record). Suggestions to check: which measures may suit, and what to ask.
    """
    rules = sorted((catalogue.rules[r] for r in hit), key=lambda r: LEVELS.index(r.severity))
    grave, others = ([r.cause for r in rules if (r.severity == "high") == high] for high in (True, False))
    known = catalogue.listing.causes
    named = [c for c in (*recorded, *grave, *(c for c, _ in told.causes), *others) if c in known and c != "other"]
    if named and named[0] in before:
        named.insert(0, before[named[0]])
    mapped = [known[c].cause for c in named]
    return tuple(dict.fromkeys(mapped))[: catalogue.listing.reasons.raising]


def advice(causes: Sequence[str], catalogue: Catalogue, language: Language) -> Mapping[str, str]:
    """In words: the causes, the measures to consider for them, and what to ask and look at during the visit."""
    visiting, listing = catalogue.visiting, catalogue.listing
    stop = "、" if language == "zh" else ", "
    measures = [m.name.said(language) for m in visiting.measures.values() if set(m.causes) & set(causes)]
    asked = {likely.cause: likely.ask.said(language) for likely in listing.causes.values()}
    ask = [asked[c] for c in (causes or ("other",)) if c in asked]
    return {
        "cause": stop.join(visiting.causes[c].said(language) for c in causes),
        "consider": stop.join(measures),
        "ask": "\n".join(ask),
    }
