"""Values and rule hits in words."""

import pyarrow as pa

from fpml.catalogue import Catalogue, Language
from fpml.rules import evidence


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
    definition = catalogue.rules[rule]
    words = catalogue.listing.words
    rests_on = evidence(definition, histories, at, catalogue)
    parts = [
        (f"{catalogue.describe(e.feature, language)}: " if len(rests_on) > 1 else "")
        + f"{value_in_words(e.feature, histories, at, catalogue, language)} "
        f"{SIGNS[e.comparison]} {number_in_words(float(e.threshold))}"
        for e in rests_on
    ]
    notice = definition.notice.said(language) if definition.notice else words["assumed"].said(language)
    told = {"rule": definition.name.said(language), "evidence": "; ".join(parts), "notice": notice}
    return words["rule"].said(language).format(**told)
