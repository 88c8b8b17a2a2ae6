"""Values and rule hits in words."""

from collections.abc import Sequence

import pyarrow as pa

from fpml.catalogue import Catalogue, Language
from fpml.rules import evidences


def value_in_words(name: str, histories: pa.Table, at: int, catalogue: Catalogue, language: Language) -> str:
    """A household's observed value of a feature with its unit, or that it is not known."""
    value = histories[name][at].as_py()
    words = catalogue.listing.words
    if name in catalogue.features:
        indicator = catalogue.indicators[catalogue.features[name].indicator]
        reduction = catalogue.features[name].reduction
        if value is None and reduction == "months_since" and indicator.absent == "zero":
            return words["no_record"].said(language)
    if value is None:
        return catalogue.wording[language].unknown
    if name in catalogue.features:
        if reduction == "holding" and indicator.grain == "household":
            return words["holds" if value else "holds_not"].said(language)
        if indicator.codes and reduction in ("last", "max", "min") and int(value) in indicator.codes:
            return indicator.codes[int(value)].said(language)
    unit = catalogue.unit(name, language)
    if unit in catalogue.listing.percent:
        return f"{value:.0%}"
    shown = number_in_words(value / 10 ** catalogue.decimals(name))
    return f"{shown} {unit}" if unit else shown


def number_in_words(value: float) -> str:
    """A number as a reader wants it: whole when whole, else two decimals (three significant when small)."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


SIGNS = {"at_least": "≥", "above": ">", "at_most": "≤", "below": "<"}


def rule_in_words(rule: str, histories: pa.Table, at: int, *, catalogue: Catalogue, language: Language) -> str:
    """A rule hit with its evidence: the rule, the observed value, the threshold in force, whose notice it is.

    Of several tests each is told by its feature; those whose value is unknown decided nothing and are left out.
    """
    return rules_in_words(rule, histories, [at], catalogue=catalogue, language=language)[0]


def rules_in_words(
    rule: str, histories: pa.Table, rows: Sequence[int], *, catalogue: Catalogue, language: Language
) -> list[str]:
    """The same of one rule's hits on some rows, in their order."""
    definition, some = catalogue.rules[rule], histories.take(pa.array(rows, pa.int64()))
    words = catalogue.listing.words
    notice = definition.notice.said(language) if definition.notice else words["assumed"].said(language)
    name, out = definition.name.said(language), []
    for at, rests_on in enumerate(evidences(definition, some, catalogue)):
        parts = [
            (f"{catalogue.describe(e.feature, language)}: " if len(rests_on) > 1 else "")
            + f"{value_in_words(e.feature, some, at, catalogue, language)} "
            f"{SIGNS[e.comparison]} {number_in_words(float(e.threshold))}"
            for e in rests_on
        ]
        out.append(words["rule"].said(language).format(rule=name, evidence="; ".join(parts), notice=notice))
    return out
