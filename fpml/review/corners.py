"""The four corners: both, rule only, model only, neither; how many, how many confirmed, how many later fell."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fpml.catalogue import Words
from fpml.measure import Interval
from fpml.measure.metrics import Bools
from fpml.review.study import ALL, Kind, Study

CORNERS = ("both", "rule", "model", "neither")


def corners(study: Study) -> pd.DataFrame:
    """One row a split, kind and corner: household-months, what visits found of them, and how many fell in a year.

    A household that stands on a list for months counts in each of them; `households` are distinct.
    """
    rows = [
        {"split": split, **named("group", kind.name), **told}
        for split, kind in _splits(study)
        for told in _of(study, kind.rows, study.corner)
    ]
    for visits in study.along:
        words = Words(zh=f"每月{visits}户", en=f"{visits} visits a month")
        told = _of(study, study.sides.free, study.corner_at(visits))
        rows += [{"split": "capacity", **named("group", words), **row} for row in told]
    return pd.DataFrame(rows)


def _splits(study: Study) -> Iterator[tuple[str, Kind]]:
    yield "all", Kind("all", ALL, study.sides.free)
    yield from (("cause", k) for k in _causes(study))
    yield from (("household_type", k) for k in study.household_types)
    yield from (("township", k) for k in study.townships)
    catalogue, hits = study.catalogue, study.sides.hits
    for key, department in catalogue.departments.items():
        held = [h.held for h in hits.values() if h.rule.department == key and h.rule.channel == "department"]
        if held:
            yield "department", Kind(key, department.name, np.logical_or.reduce(held))
    for key, rule in catalogue.rules.items():
        yield "rule", Kind(key, rule.name, hits[key].held)


def _causes(study: Study) -> Iterator[Kind]:
    """Rows by the main cause of the fall that came within a year: what each corner held of each kind of falls."""
    cause = study.sides.panel.code_within(study.sides.events, study.causes, 12)
    known = study.catalogue.indicators.get("risk_cause")
    for code, name in (known.codes or {}).items() if known else ():
        yield Kind(str(code), name, cause == code)


def _of(study: Study, among: Bools, corners_of: "np.typing.NDArray[np.str_]") -> Iterator[dict[str, object]]:
    fell, known = study.sides.fell
    for corner in CORNERS:
        here = among & (corners_of == corner)
        visited, past = here & study.visited, here & known
        yield {
            "corner": corner,
            "household_months": int(here.sum()),
            "households": study.distinct(here),
            "visited": int(visited.sum()),
            "confirmed": int((here & study.confirmed).sum()),
            **spread("confirmed_share", study.share(study.confirmed, visited)),
            "known": int(past.sum()),
            "fell": int((past & fell).sum()),
            **spread("fell_share", study.share(fell, past)),
            **spread("audit_fell_share", study.audit_share(here)),
        }


def spread(name: str, told: Interval) -> dict[str, float]:
    """An interval as three cells."""
    return {name: told.estimate, f"{name}_low": told.low, f"{name}_high": told.high}


def named(prefix: str, words: Words) -> dict[str, str]:
    """A name in both languages, as two cells."""
    return {f"{prefix}_zh": words.said("zh"), f"{prefix}_en": words.said("en")}
