"""Contributions -> reasons that a person can check: indicator, observed value, unit. Associated, never because."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fpml.catalogue import Catalogue, Language
from fpml.risk import Contributions, RiskModel
from fpml.rules import evidence

LEAST = 0.05
MOST_RAISING, MOST_LOWERING = 3, 1


@dataclass(frozen=True)
class Reason:
    """One indicator's part of an estimate: its feature that is told, the words, and its log-odds contribution."""

    feature: str
    text: str
    contribution: float


def reasons(
    told: Contributions,
    model: RiskModel,
    histories: pa.Table,
    row: int,
    at: int,
    *,
    catalogue: Catalogue,
    language: Language,
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """What raises one household's estimate (strongest first), and what lowers it.

    `row` is the household's row in `told`, `at` its row in `histories`. Contributions under 0.05 are not told.
    """
    part = told.grouped[row]
    order = np.argsort(-part, kind="stable")
    raising = [g for g in order[:MOST_RAISING] if part[g] >= LEAST]
    lowering = [g for g in order[::-1][:MOST_LOWERING] if part[g] <= -LEAST]

    def tell(group: int) -> Reason:
        name = model.features[told.leading[row, group]]
        text = f"{catalogue.describe(name, language)}: {value_in_words(name, histories, at, catalogue, language)}"
        return Reason(name, text, float(part[group]))

    return tuple(tell(g) for g in raising), tuple(tell(g) for g in lowering)


def value_in_words(name: str, histories: pa.Table, at: int, catalogue: Catalogue, language: Language) -> str:
    """A household's observed value of a feature with its unit, or that it is not known."""
    value = histories[name][at].as_py()
    if value is None:
        return catalogue.wording[language].unknown
    if name in catalogue.features:
        indicator = catalogue.indicators[catalogue.features[name].indicator]
        reduction = catalogue.features[name].reduction
        if indicator.codes and reduction in ("last", "max", "min") and int(value) in indicator.codes:
            return indicator.codes[int(value)].said(language)
    shown = number_in_words(value / 10 ** catalogue.decimals(name))
    unit = catalogue.unit(name, language)
    return f"{shown} {unit}" if unit else shown


def number_in_words(value: float) -> str:
    """A number as a reader wants it: whole when whole, else two decimals (three significant when small)."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def rule_in_words(rule: str, histories: pa.Table, at: int, *, catalogue: Catalogue, language: Language) -> str:
    """A rule hit with its evidence: the rule, the observed value, the threshold in force; of several, what each is."""
    definition = catalogue.rules[rule]
    sign = {"at_least": "≥", "above": ">", "at_most": "≤", "below": "<"}
    rests_on = evidence(definition, histories, at, catalogue)
    parts = [
        (f"{catalogue.describe(e.feature, language)}: " if len(rests_on) > 1 else "")
        + f"{value_in_words(e.feature, histories, at, catalogue, language)} "
        f"{sign[e.comparison]} {number_in_words(float(e.threshold))}"
        for e in rests_on
    ]
    return f"{definition.name.said(language)} ({'; '.join(parts)})"
