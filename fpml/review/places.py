"""Supervision as the province does it: townships and villages by what was listed, verified in time, and confirmed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from fpml.catalogue import Colouring
from fpml.measure import Interval
from fpml.measure.metrics import Bools
from fpml.review.corners import named, spread
from fpml.review.study import NOTHING, Study


def places(study: Study, kind: str) -> pd.DataFrame:
    """One row a township or village: its households, its list, its verifications; coloured as policy says.

    Counts are of the list in force over these months. `on_time`: verified within the days that policy gives; `overdue`:
    not verified by then, though these days have passed.
    """
    panel = study.sides.panel
    code = panel.township if kind == "township" else panel.village_code
    of_row = code[panel.household]
    listed = np.zeros(of_row.size, bool)
    listed[study.in_force.listed] = True
    last = panel.at == panel.lists - 1
    # A household that came in twice counts once.
    inside = (study.identified.month >= panel.months[panel.first]) & (study.identified.month <= panel.months[-1])
    entered = np.unique(study.identified.household[inside])
    rows = [_place(study, int(c), of_row == c, listed, last, code[entered] == c) for c in np.unique(code)]
    colourings = study.catalogue.review.colours.get(kind, ())  # type: ignore[call-overload]
    return pd.DataFrame([{**row, **_coloured(row, colourings)} for row in rows])


def _place(study: Study, code: int, here: Bools, listed: Bools, last: Bools, entered: Bools) -> dict[str, object]:
    days = study.catalogue.review.on_time_days
    mine = listed & here
    on_time = mine & (study.days_to_visit <= days)
    due = mine & (study.as_of_day + days <= study.told_to)
    verified = mine & study.visited
    words = study.place_name(code)
    return {
        "code": str(code) if code >= 0 else "",
        **named("name", words),
        "households": int((here & last).sum()),
        "monitored": int((here & last & study.sides.panel.monitored).sum()),
        "listed": int(mine.sum()),
        "verified": int(verified.sum()),
        "on_time": int(on_time.sum()),
        "overdue": int((due & ~on_time).sum()),
        "confirmed": int((mine & study.confirmed).sum()),
        **spread("confirmed_share", _share(mine & study.confirmed, verified)),
        "identified": int(entered.sum()),
    }


def _share(part: Bools, whole: Bools) -> Interval:
    """A share with Wilson's interval: within one village there are no villages to draw."""
    n, k = int(whole.sum()), int(part.sum())
    if not n:
        return NOTHING
    between = binomtest(k, n).proportion_ci(method="wilson")
    return Interval(k / n, float(between.low), float(between.high))


def _coloured(row: Mapping[str, object], colourings: tuple[Colouring, ...]) -> dict[str, str]:
    """The gravest colour that applies, with every reason."""
    figures = dict(row)
    on_time, overdue = (int(str(figures[k])) for k in ("on_time", "overdue"))
    # Of those not yet due nothing can be said: they are neither in time nor late.
    figures["on_time_share"] = on_time / (on_time + overdue) if on_time + overdue else np.nan
    apply = [c for c in colourings if all(limit.holds(float(figures[limit.figure])) for limit in c.all)]  # type: ignore[arg-type]
    colour = "red" if any(c.colour == "red" for c in apply) else "yellow" if apply else ""
    return {
        "colour": colour,
        "why_zh": "；".join(c.name.said("zh") for c in apply),
        "why_en": "; ".join(c.name.said("en") for c in apply),
    }
