"""A rule hit in full, for who doubts it: values, thresholds in force and why these, records, whose rule, by when."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from fpml.catalogue import Catalogue, Language, Rule
from fpml.features import Behind
from fpml.lists.values import number_in_words, value_in_words
from fpml.rules import Evidence, evidence

Sought = Callable[[str], tuple[Behind, ...]]


def deadline_in_words(rule: Rule, catalogue: Catalogue, language: Language) -> str:
    """By when the department pushes what a rule finds; empty where its source does not say."""
    if rule.deadline is None:
        return ""
    return catalogue.wording[language].words[f"deadline_{rule.deadline.kind}"].format(value=rule.deadline.value)


def hit_in_full(
    name: str, histories: pa.Table, at: int, records: Sought, *, catalogue: Catalogue, language: Language
) -> dict[str, Any]:
    """All that a hit on one history row rests on, as a program reads it; `records` gives those behind a feature."""
    rule = catalogue.rules[name]
    words = catalogue.wording[language].words
    return {
        "rule": name,
        "sentence": rule.name.said(language),
        "department": catalogue.departments[rule.department].name.said(language),
        "channel": words[f"channel_{rule.channel}"],
        "cause": rule.cause,
        "severity": words[f"severity_{rule.severity}"],
        "deadline": deadline_in_words(rule, catalogue, language),
        "notice": rule.notice.said(language) if rule.notice else "",
        "mark": words[f"mark_{rule.mark}"],
        "source": rule.source,
        "note": rule.note.said(language) if rule.note else "",
        "tests": [
            _test(e, histories, at, records, catalogue, language) for e in evidence(rule, histories, at, catalogue)
        ],
    }


def _test(
    e: Evidence, histories: pa.Table, at: int, records: Sought, catalogue: Catalogue, language: Language
) -> dict[str, Any]:
    group = catalogue.county.cohort.get(e.in_force.household_type or "")
    return {
        "feature": e.feature,
        "says": catalogue.describe(e.feature, language),
        "value": value_in_words(e.feature, histories, at, catalogue, language),
        "comparison": e.comparison,
        "inclusive": e.inclusive,
        "threshold": number_in_words(float(e.threshold)),
        "unit": catalogue.unit(e.feature, language),
        "in_force_from": str(e.in_force.since) if e.in_force.since else None,
        "household_type": group.name.said(language) if group else e.in_force.household_type,
        "region": e.in_force.region,
        "mark": catalogue.wording[language].words[f"mark_{e.mark}"],
        "source": e.source,
        "records": [_record(b, catalogue, language) for b in records(e.feature)],
    }


def _record(b: Behind, catalogue: Catalogue, language: Language) -> dict[str, str]:
    indicator = catalogue.indicators[b.indicator]
    code = (indicator.codes or {}).get(int(b.value))
    told = code.said(language) if code else f"{number_in_words(float(b.value))} {indicator.unit.said(language)}"
    until = {"until_date": str(b.until_date)} if b.until_date else {}
    return {
        "indicator": indicator.name.said(language),
        "event_date": str(b.event_date),
        **until,
        "known_date": str(b.known_date),
        "value": told,
    }
