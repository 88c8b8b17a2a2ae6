"""The definitions once more, in plain loops and no cleverness: what the kernel and the labels must equal.

Nothing of fpml's own arithmetic is used here: only the catalogue's types, to know what is asked.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fpml.catalogue import EVER, Feature, Indicator


@dataclass(frozen=True)
class Version:
    """One version of one fact, as it stands in the ledger; value None withdraws it."""

    household: str
    person: str | None
    indicator: str
    record: str | None
    event: date
    known: date
    value: int | None


def month(day: date) -> int:
    return day.year * 12 + day.month - 1


def standing(versions: Sequence[Version], as_of: date) -> list[Version]:
    """The latest version of each record that was known at the as-of, withdrawn records left out."""
    latest: dict[tuple[object, ...], Version] = {}
    for v in sorted(versions, key=lambda v: v.known):
        if v.known > as_of:
            continue
        if v.record is None:
            key: tuple[object, ...] = ("natural", v.household, v.person, v.indicator, v.event)
        else:
            key = ("numbered", v.household, v.indicator, v.record)
        latest[key] = v
    return [v for v in latest.values() if v.value is not None]


def feature(
    versions: Sequence[Version], household: str, as_of: date, f: Feature, indicators: dict[str, Indicator]
) -> float | int | None:
    """One feature of one household at one as-of, or None where it is not known."""
    end = month(as_of) - f.window.ago
    start = end - f.window.length + 1
    inside = [
        v
        for v in standing(versions, as_of)
        if v.household == household and v.indicator == f.indicator and start <= month(v.event) <= end
    ]
    values = [v.value for v in inside if v.value is not None]
    indicator = indicators[f.indicator]
    if f.reduction == "months_since":
        return month(as_of) - max(month(v.event) for v in inside) if inside else None
    if not told(versions, household, as_of, f, indicators, bool(values)):
        return None
    if f.reduction == "count":
        return len(values)
    if not values:
        return 0 if indicator.absent == "zero" else None
    if f.reduction == "sum":
        return sum(values)
    if f.reduction == "mean":
        return sum(values) / len(values)
    if f.reduction == "max":
        return max(values)
    if f.reduction == "min":
        return min(values)
    newest = max(v.event for v in inside)
    on_that_day = sorted(
        (v for v in inside if v.event == newest), key=lambda v: (v.record is not None, v.record or "", v.person or "")
    )
    return on_that_day[-1].value


def told(
    versions: Sequence[Version], household: str, as_of: date, f: Feature, indicators: dict[str, Indicator], some: bool
) -> bool:
    """Whether the absence of records within the window would mean that nothing happened (or there are records)."""
    indicator = indicators[f.indicator]
    if indicator.absent == "unknown":
        return some
    end = month(as_of) - f.window.ago
    start = end - f.window.length + 1
    if indicator.covered_by:
        asked = [
            v
            for v in standing(versions, as_of)
            if v.household == household and v.indicator == indicator.covered_by and start <= month(v.event) <= end
        ]
        return some or bool(asked)
    if f.window.length >= EVER:
        return True
    counts: dict[int, int] = {}
    for v in versions:
        if v.known <= as_of and indicators[v.indicator].department == indicator.department:
            counts[month(v.event)] = counts.get(month(v.event), 0) + 1
    usual = [m for m, n in counts.items() if 10 * n >= statistics.median(counts.values())]
    late = indicator.usual_lag_months  # the test's departments deliver monthly
    covered = bool(usual) and min(usual) <= start and max(end - late, start) <= max(usual)
    return covered or (some and indicator.direction == "raises")


def label(states: dict[int, bool | None], at: int, horizon: int, observed: str, last: int) -> int:
    """A label from a household's states (True: below the line) by month: 1, 0, or -1 where it is not known."""
    if at + horizon > last:
        return -1
    end = states.get(at + horizon)
    if observed == "at":
        return -1 if end is None else int(end)
    if any(states.get(m) for m in range(at + 1, at + horizon + 1)):
        return 1
    return -1 if end is None else int(end)


def village_mean(values: list[float | None], place: list[float | None], row: int) -> float | None:
    """The mean over the other rows of the same place."""
    if place[row] is None:
        return None
    others = [v for i, v in enumerate(values) if i != row and place[i] == place[row] and v is not None]
    return math.fsum(others) / len(others) if others else None
