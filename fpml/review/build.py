"""A study -> one review: the figures first, then every table."""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from fpml.measure import Interval, Outcome
from fpml.review.cases import Reasons, cases
from fpml.review.context import Review
from fpml.review.corners import corners, named
from fpml.review.groups import among_falls, bands, groups
from fpml.review.methods import capacity, detected, duplicates, each_rule, lead, months, never_seen
from fpml.review.places import places
from fpml.review.study import Study
from fpml.review.what_if import WhatIf


def review(study: Study, reasons: Reasons, stamps: Mapping[str, object]) -> Review:
    """Everything that a review of these months says; `stamps`: what the months were reckoned from."""
    proposals = what_if(study)
    return Review(
        about={**_about(study), **stamps},
        figures=_figures(study),
        tables={
            "corners": corners(study),
            "capacity": capacity(study),
            "months": months(study),
            "lead": lead(study),
            "rules": each_rule(study),
            "duplicates": duplicates(study),
            "what_if": proposals[0],
            "what_if_groups": proposals[1],
            "groups": groups(study),
            "bands": bands(study),
            "townships": places(study, "township"),
            "villages": places(study, "village"),
        },
        cases=cases(study, reasons),
    )


def asking(study: Study) -> WhatIf:
    """What-if over a study's months, told by every grouping as well."""
    told = {g: {k.key: among_falls(study, k) for k in kinds} for g, (_, kinds) in study.groupings.items()}
    return WhatIf(study.sides, told)


def what_if(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The proposals of policy: one row a figure, and one row a group of households."""
    asked = asking(study)
    figures, found = [], []
    for name, proposal in study.catalogue.review.what_if.items():
        answer = asked.ask(proposal)
        told = {"proposal": name, **named("proposal", proposal.name)}
        figures.append(answer.figures.assign(**told))
        for row in answer.groups.to_dict("records"):
            words, kinds = study.groupings[row["grouping"]]
            group = next(k for k in kinds if k.key == row["group"])
            found.append({**told, **named("grouping", words), **named("group", group.name), **_figures_of(row)})
    whole = pd.concat(figures, ignore_index=True) if figures else pd.DataFrame()
    return whole, pd.DataFrame(found)


def _figures_of(row: Mapping[Hashable, object]) -> dict[str, object]:
    return {str(k): v for k, v in row.items() if k not in ("grouping", "group")}


def _about(study: Study) -> dict[str, object]:
    panel, county = study.sides.panel, study.catalogue.county
    lists = panel.counted
    return {
        "county_zh": county.name.said("zh"),
        "county_en": county.name.said("en"),
        "simulated": county.simulated,
        "truth": study.truth,
        "as_of": str(lists[-1]),
        "first": str(lists[0]),
        "last": str(lists[-1]),
        "as_ofs": len(lists),
        "households": len(panel.households),
        "villages": int(panel.villages[0].size),
        "falls": len(study.sides.falls),
        "visits": study.capacity,
        "horizon": study.horizon,
        "draws": len(study.sides.draws) - 1,
        "asked": study.asked,
        "before": study.before[0],
        "before_with_model": study.before[1],
        "audited": int(study.audit.row.size) if study.audit else 0,
        "policy": study.catalogue.fingerprint,
    }


def _figures(study: Study) -> pd.DataFrame:
    """One row a figure: the estimate, its interval where it has one, what kind of number it is, whose cases it is."""
    rules, model, force = study.rules, study.model, study.in_force
    fell, known = study.sides.fell
    both = (rules.lead > 0) & (model.lead > 0)
    corner = {
        "both": both,
        "rule_only": (rules.lead > 0) & (model.lead == 0),
        "model_only": (rules.lead == 0) & (model.lead > 0),
    }
    whole = np.where(rules.falls() > 0, rules.falls(), np.nan)
    told: dict[str, tuple[Interval, str, str]] = {
        "watched": (_count(float(study.sides.counted.sum() / len(study.sides.panel.counted))), "count", ""),
        "visits_rules": (_a_month(rules), "count", ""),
        "visits_in_force": (_a_month(force), "count", ""),
        "falls": (_count(len(study.sides.falls)), "count", ""),
        "found_rules": (rules.draws.share(rules.found(), rules.falls()), "share", ""),
        "found_model": (model.draws.share(model.found(), model.falls()), "share", ""),
        "found_in_force": (force.draws.share(force.found(), force.falls()), "share", ""),
        "found_ratio": (model.draws.ratio(model.found(), rules.found()), "ratio", ""),
        "lead_rules": (rules.draws.ratio(rules.months_ahead(), rules.falls()), "months", ""),
        "lead_model": (model.draws.ratio(model.months_ahead(), model.falls()), "months", ""),
        "lead_gain": (model.draws.interval((model.months_ahead() - rules.months_ahead()) / whole), "months", ""),
        "precision_rules": (rules.draws.share(rules.of_listed(fell), rules.of_listed(known)), "share", ""),
        "precision_model": (model.draws.share(model.of_listed(fell), model.of_listed(known)), "share", ""),
        "detected_rules": (detected(study, rules), "share", ""),
        "detected_model": (detected(study, model), "share", ""),
        "never_seen_by_rules": (never_seen(study), "share", ""),
    }
    for name, held in corner.items():
        told[name] = (
            rules.draws.share((rules.weight * held).sum(axis=1), rules.falls()),
            "share",
            name.removesuffix("_only"),
        )
    columns = ["estimate", "low", "high", "kind", "cases"]
    rows = [(i.estimate, i.low, i.high, kind, of) for i, kind, of in told.values()]
    return pd.DataFrame(rows, columns=columns, index=list(told))


def _count(n: float) -> Interval:
    return Interval(n, np.nan, np.nan)


def _a_month(o: Outcome) -> Interval:
    return o.draws.interval(o.counted_visits.mean(axis=1))
