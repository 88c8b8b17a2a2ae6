"""Rules, model and the list in force beside each other: along capacity, month by month, lead, and each rule alone."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from fpml.catalogue import DEPARTMENT, Rule
from fpml.measure import Events, Interval, Outcome
from fpml.measure.metrics import Floats
from fpml.measure.visits import leads
from fpml.review.charts import ALL_RULES
from fpml.review.corners import named, spread
from fpml.review.sides import any_of
from fpml.review.study import Study
from fpml.rules import pushed

METHODS = ("rules", "model", "in_force")


def shares(study: Study, o: Outcome) -> dict[str, float]:
    """What a method found, how early, and the share of its visits after which a fall came within a year."""
    fell, known = study.sides.fell
    return {
        **spread("found", o.draws.share(o.found(), o.falls())),
        **spread("lead", o.draws.ratio(o.months_ahead(), o.falls())),
        **spread("precision", o.draws.share(o.of_listed(fell), o.of_listed(known))),
        **spread("detected", detected(study, o)),
    }


def detected(study: Study, o: Outcome) -> Interval:
    """The share of a method's visits to households that were below the line already, and not found yet: no lead."""
    return o.draws.share(o.of_listed(study.below), o.counted_visits.sum(axis=1).astype(np.float64))


def capacity(study: Study) -> pd.DataFrame:
    """One row a capacity and method: all departments' rules gravest first, the model alone, the list in force."""
    rows = []
    for visits in study.along:
        told = {
            ALL_RULES: study.sides.gravest(visits),
            "model": study.sides.model_alone(visits),
            "in_force": study.sides.in_force(visits),
        }
        rows += [{"visits": visits, "method": method, **shares(study, o)} for method, o in told.items()]
    return pd.DataFrame(rows)


def months(study: Study) -> pd.DataFrame:
    """One row an as-of: visits of rules and model and of both, of the list in force; falls until the as-of after it."""
    panel, lists = study.sides.panel, study.sides.lists
    falls = study.sides.falls
    when = np.searchsorted(panel.months, falls.month) - 1
    both = np.intersect1d(study.rules.listed, study.model.listed)
    told = {"rules": study.rules.listed, "model": study.model.listed, "both": both, "in_force": study.in_force.listed}
    columns = {name: np.bincount(panel.at[rows], minlength=lists) for name, rows in told.items()}
    for name, o in {"falls": None, "found_rules": study.rules, "found_in_force": study.in_force}.items():
        some = when if o is None else when[o.lead[0] > 0]
        columns[name] = np.bincount(np.clip(some, 0, lists - 1), minlength=lists)
    counted = {name: of[panel.first : lists] for name, of in columns.items()}
    return pd.DataFrame({"as_of": [str(a) for a in panel.counted], **counted})


def lead(study: Study) -> pd.DataFrame:
    """One row a method and kind of event: how many of them it had listed before, and how many months."""
    rows = []
    for event, happened in _events(study).items():
        for method in METHODS:
            if event == "first_rule_hit" and method != "model":
                continue
            o = _against(study, method, happened)
            found = o.lead[0] > 0
            rows.append(
                {
                    "method": method,
                    "event": event,
                    "events": int(o.falls()[0]),
                    **spread("found", o.draws.share(o.found(), o.falls())),
                    **spread("lead", o.draws.ratio(o.months_ahead(), o.falls())),
                    "median_lead": float(np.median(o.lead[0][found])) if found.any() else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _events(study: Study) -> Mapping[str, Events]:
    """Falls, identifications, and first hits: of households that no rule that pushes hit before in these months."""
    panel = study.sides.panel
    rows = np.flatnonzero(study.hit)
    _, first = np.unique(panel.household[rows], return_index=True)
    rows = rows[first]
    rows = rows[panel.at[rows] > panel.first]
    hits = Events(panel.household[rows], panel.months[panel.at[rows]])
    return {
        "fall": study.sides.falls,
        "identified": panel.judged(study.identified),
        "first_rule_hit": panel.judged(hits),
    }


def _against(study: Study, method: str, events: Events) -> Outcome:
    """A method held against another kind of event: the same lists."""
    done: Outcome = {"rules": study.rules, "model": study.model, "in_force": study.in_force}[method]
    return done.against(events.household, events.month)


def each_rule(study: Study) -> pd.DataFrame:
    """One row a rule alone, at its own visits; `only_this`: falls that no other department's rule that pushes found."""
    rules = study.catalogue.rules
    others = {n: _without(study, n) for n in pushed(study.catalogue)}
    return pd.DataFrame(_rows_of_rules(study, rules, others))


def _without(study: Study, name: str) -> Outcome:
    kept = [h for n, h in study.sides.hits.items() if n != name]
    return study.sides.rules_alone(kept)


def _rows_of_rules(
    study: Study, rules: Mapping[str, Rule], others: Mapping[str, Outcome]
) -> Iterator[dict[str, object]]:
    pushing = set(pushed(study.catalogue))
    for name, rule in rules.items():
        held = study.sides.hits[name].held & study.sides.counted
        o = study.sides.one_rule(name)
        found = int(o.found()[0])
        visits = int(o.counted_visits[0].sum())
        told = shares(study, o)
        yield {
            "rule": name,
            **named("rule", rule.name),
            **named("department", study.catalogue.departments[rule.department].name),
            "channel": rule.channel,
            "severity": rule.severity,
            "pushes": name in pushing or rule.channel != DEPARTMENT,
            "hits": int(held.sum()),
            "households": study.distinct(held),
            "visits": visits,
            "found": found,
            **{k: v for k, v in told.items() if k.startswith(("precision", "detected"))},
            **{k.replace("found", "recall"): v for k, v in told.items() if k.startswith("found")},
            "only_this": int(study.rules.found()[0] - others[name].found()[0]) if name in pushing else 0,
            "visits_per_found": visits / found if found else np.nan,
            "fires": bool(held.any()),
        }


def duplicates(study: Study) -> pd.DataFrame:
    """One row a rule and another that hits most of what it hits: both share at least the share that policy names."""
    rules = study.catalogue.rules
    rows = np.flatnonzero(
        any_of((h.held for h in study.sides.hits.values()), study.sides.score.size) & study.sides.counted
    )
    held: Floats = np.array([study.sides.hits[n].held[rows] for n in rules], np.float64).reshape(len(rules), rows.size)
    shared = held @ held.T
    hits = np.diag(shared)
    columns = ["rule_zh", "rule_en", "other_zh", "other_en", "shared", "share_of_rule", "share_of_other"]
    found = [
        {
            **named("rule", rules[one].name),
            **named("other", rules[other].name),
            "shared": int(shared[i, j]),
            "share_of_rule": shared[i, j] / hits[i],
            "share_of_other": shared[i, j] / hits[j],
        }
        for i, one in enumerate(rules)
        for j, other in enumerate(rules)
        if i != j and hits[i] and shared[i, j] / hits[i] >= study.catalogue.review.duplicate_share
    ]
    return pd.DataFrame(found, columns=columns)


def never_seen(study: Study) -> Interval:
    """The share of falls before which, for twelve months, no rule of a department of whatever severity hit."""
    sides, rules = study.sides, study.rules
    told = [h.held for h in sides.hits.values() if h.rule.channel == DEPARTMENT]
    hit = np.flatnonzero((sides.panel.at < sides.lists) & any_of(told, sides.score.size)).astype(np.int32)
    never = leads(hit, rules.ground) == 0
    return rules.draws.share(rules.falls(never), rules.falls())
