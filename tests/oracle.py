"""The definitions once more, in plain loops and no cleverness: what the kernel and the labels must equal.

Nothing of fpml's own arithmetic is used here: only the catalogue's types, to know what is asked.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from fpml.catalogue import EVER, Catalogue, Derived, Feature, Window


@dataclass(frozen=True)
class Version:
    """One version of one fact, as it stands in the ledger; value None withdraws it."""

    household: str
    person: str | None
    indicator: str
    record: str | None
    event: date
    until: date | None
    known: date
    value: int | None

    @property
    def fact(self) -> tuple[object, ...]:
        """What this is a version of."""
        if self.record is not None:
            return ("numbered", self.indicator, self.record)
        if self.person is not None:
            return ("person", self.person, self.indicator, self.event)
        return ("household", self.household, self.indicator, self.event)


@dataclass
class Known:
    """What stood at an as-of, by the household it belonged to then and by indicator, in order of event."""

    catalogue: Catalogue
    as_of: date
    facts: dict[tuple[str, str], list[Version]]
    told: dict[str, dict[int, int]]  # department: event month: how many rows
    delivered: dict[str, set[int]] = field(default_factory=dict)

    def of(self, household: str, indicator: str, first: int, last: int) -> list[Version]:
        """The household's facts of the months from first to last."""
        return [v for v in self.facts.get((household, indicator), []) if first <= month(v.event) <= last]


def month(day: date) -> int:
    return day.year * 12 + day.month - 1


def standing(versions: Iterable[Version], as_of: date) -> list[Version]:
    """The latest version of each fact that was known at the as-of, withdrawn facts left out."""
    latest: dict[tuple[object, ...], Version] = {}
    for v in sorted(versions, key=lambda v: v.known):
        if v.known <= as_of:
            latest[v.fact] = v
    return [v for v in latest.values() if v.value is not None]


def known(versions: Sequence[Version], as_of: date, catalogue: Catalogue, order: Sequence[str]) -> Known:
    """All that stood at an as-of; `order`: the households in their standing order."""
    stood = standing(versions, as_of)
    register: dict[str | None, list[Version]] = {}
    for v in stood:
        if v.indicator == catalogue.county.membership:
            register.setdefault(v.person, []).append(v)
    facts: dict[tuple[str, str], list[Version]] = {}
    for v in stood:
        theirs = register.get(v.person, []) if v.person else []
        household = home(v, theirs, as_of, catalogue.indicators[v.indicator].follows, order)
        if household is not None:
            facts.setdefault((household, v.indicator), []).append(v)
    for of_one in facts.values():
        of_one.sort(key=lambda v: (v.event, v.known, v.value, v.until or date.max))
    told: dict[str, dict[int, int]] = {}
    flowing = {i.department for i in catalogue.indicators.values() if i.flows}
    for v in versions:
        indicator = catalogue.indicators[v.indicator]
        if v.known <= as_of and (indicator.flows or indicator.department not in flowing):
            counts = told.setdefault(indicator.department, {})
            counts[month(v.event)] = counts.get(month(v.event), 0) + 1
    return Known(catalogue, as_of, facts, told)


def home(v: Version, theirs: Sequence[Version], as_of: date, follows: bool, order: Sequence[str]) -> str | None:
    """The household that a fact belongs to at an as-of, by its person's statements of membership (`theirs`).

    None where the person has left, or died, and the fact goes with the person.
    """
    if not theirs:
        return v.household
    day = as_of if follows else v.event
    begun = [s for s in theirs if s.event <= day]
    wanted = max(s.event for s in begun) if begun else min(s.event for s in theirs)
    chosen = max((s for s in theirs if s.event == wanted), key=lambda s: order.index(s.household))
    if follows and chosen.until is not None and chosen.until < as_of:
        return None
    return chosen.household


def span(window: Window, as_of: date) -> tuple[int, int]:
    """The first and the last month of a window."""
    last = month(as_of) - window.ago
    if window.to_date:
        return last - last % 12, last
    return last - window.length + 1, last


def feature(k: Known, household: str, f: Feature) -> float | int | None:
    """One feature of one household at one as-of, or None where it is not known."""
    indicator = k.catalogue.indicators[f.indicator]
    first, last = span(f.window, k.as_of)
    value = reduced(k, household, f, first, last)
    if indicator.absent == "unknown" or f.reduction in ("months_since", "duration"):
        return value
    if indicator.covered_by:
        asked = value is not None or k.of(household, indicator.covered_by, first, last)
    elif f.window.length >= EVER:
        asked = True
    else:
        asked = all(
            is_delivered(k, indicator.department, m)
            for m in range(first, max(last - indicator.usual_lag_months, first) + 1)
        )
        if indicator.direction == "raises" and f.reduction in ("sum", "count", "max", "holding", "months_with"):
            asked = asked or value is not None
    if not asked:
        return None
    return 0 if value is None else value


def reduced(k: Known, household: str, f: Feature, first: int, last: int) -> float | int | None:
    """The reduction of what stands in the window, or None where there is nothing to reduce."""
    points = k.of(household, f.indicator, first, last)
    values = [v.value for v in points if v.value is not None]
    indicator = k.catalogue.indicators[f.indicator]
    if indicator.kind == "status":
        if f.reduction == "months_with":
            return months_held(k, household, f.indicator, first, last)
        if f.reduction in ("last", "duration"):
            return in_force(points, f.reduction, last)
        if f.reduction == "holding" and points:
            stated = k.facts[household, f.indicator]
            return sum(v.value > 0 and held_until(v, stated) > last for v in points if v.value is not None)
    if not points:
        return None
    if f.reduction == "months_since":
        return month(k.as_of) - max(month(v.event) for v in points)
    if f.reduction == "count":
        return len(values)
    if f.reduction == "sum":
        return sum(values)
    if f.reduction == "mean":
        return sum(values) / len(values)
    if f.reduction == "max":
        return max(values)
    if f.reduction == "min":
        return min(values)
    if f.reduction == "last":
        return values[-1]
    if f.reduction == "months_with":
        return len({month(v.event) for v in points}) / (last - first + 1)
    if indicator.absent == "unknown":
        if f.reduction == "sd":
            return spread(values) if len(values) > 1 else None
        return slope([month(v.event) for v in points], values)
    by_month = dict.fromkeys(range(first, last + 1), 0)
    for v, value in zip(points, values, strict=True):
        by_month[month(v.event)] += value
    if f.reduction == "sd":
        return spread(list(by_month.values()))
    assert f.reduction == "trend"
    found = slope(list(by_month), list(by_month.values()))
    return 0.0 if found is None else found


def slope(x: Sequence[int], y: Sequence[int]) -> float | None:
    """The least-squares slope; None where all x are the same. In whole numbers but for the last division."""
    x = [i - x[0] for i in x]
    below = len(x) * sum(i * i for i in x) - sum(x) ** 2
    above = len(x) * sum(i * j for i, j in zip(x, y, strict=True)) - sum(x) * sum(y)
    return above / below if below else None


def spread(y: Sequence[int]) -> float:
    """The population standard deviation."""
    return math.sqrt(len(y) * sum(j * j for j in y) - sum(y) ** 2) / len(y)


def ends(v: Version) -> float:
    """The first month at whose end a statement no longer holds by its own word."""
    return math.inf if v.until is None else month(v.until + timedelta(days=1))


def held_until(v: Version, stated: Sequence[Version]) -> float:
    """The same, or the month of the same person's next statement (the household's own are of nobody in particular)."""
    later = [month(n.event) for n in stated[stated.index(v) + 1 :] if n.person == v.person]
    return min([ends(v), *later[:1]])


def months_held(k: Known, household: str, indicator: str, first: int, last: int) -> float | None:
    """The share of months at whose end a statement above 0 held; None with neither a statement nor such a month."""
    stated = k.facts.get((household, indicator), [])
    held = {
        m
        for v in stated
        if v.value is not None and v.value > 0
        for m in range(first, last + 1)
        if month(v.event) <= m < held_until(v, stated)
    }
    if not held and not k.of(household, indicator, first, last):
        return None
    return len(held) / (last - first + 1)


def in_force(points: Sequence[Version], reduction: str, last: int) -> int | None:
    """The newest statement's value, or for how long that has gone on; None where it is no longer in force."""
    if not points or ends(points[-1]) <= last:
        return None
    if reduction == "last":
        return points[-1].value
    since = month(points[-1].event)
    for v in reversed(points[:-1]):
        if v.value != points[-1].value or ends(v) < since:
            break
        since = month(v.event)
    return last - since


def is_delivered(k: Known, department: str, asked: int) -> bool:
    """Whether a department had told of a month by the as-of."""
    if department not in k.delivered:
        counts = k.told.get(department, {})
        cadence = k.catalogue.departments[department].cadence_months
        found: set[int] = set()
        if counts:
            usual = statistics.median(counts.values())
            full = [m for m, n in counts.items() if 10 * n >= usual]
            found = {m + later for m in full for later in range(cadence)}
            if usual < 5:
                found |= set(range(min(full), max(full) + cadence))
        k.delivered[department] = found
    return asked in k.delivered[department]


def coverage(k: Known, department: str, window: Window) -> float:
    """The share of a window's months that a department had told of."""
    first, last = span(window, k.as_of)
    return sum(is_delivered(k, department, m) for m in range(first, last + 1)) / (last - first + 1)


def ratio(k: Known, household: str, d: Derived) -> float | None:
    """`of` over the line in force at the end of its window (by place) and its heads then, all in natural units."""
    county, of = k.catalogue.county, k.catalogue.features[d.of]
    above = natural(k, household, d.of)
    heads = f"{county.line.heads}_{of.window.ago}m_ago" if of.window.ago else county.line.heads
    below = natural(k, household, heads) if "heads" in d.by else 1
    region = natural(k, household, f"{county.line.region}__last__ever")
    if above is None or below is None or region is None or below == 0:
        return None
    end = month(k.as_of) - of.window.ago
    steps = county.line.values.get(str(int(region))) or county.line.values["all"]
    line = [s.value for s in steps if month(s.from_) <= end][-1]
    return above / (float(line) * below)


def natural(k: Known, household: str, name: str) -> float | None:
    """A feature in its unit: yuan, not fen."""
    f = k.catalogue.features[name]
    value = feature(k, household, f)
    scaled = f.reduction in ("sum", "mean", "max", "min", "last", "trend", "sd")
    return None if value is None else value / 10 ** (k.catalogue.indicators[f.indicator].decimals if scaled else 0)


def neighbours_mean(
    values: Sequence[float | None], places: Sequence[int | None], row: int, digits: int
) -> float | None:
    """The mean over the other rows of the same place, or of the place that the first digits of its code name."""
    if places[row] is None:
        return None
    mine = str(places[row])[:digits]
    others = [
        v
        for i, (v, place) in enumerate(zip(values, places, strict=True))
        if i != row and place is not None and str(place)[:digits] == mine and v is not None
    ]
    return math.fsum(others) / len(others) if others else None


def watched(k: Known, households: Sequence[str]) -> list[str]:
    """The households for which the county's condition holds (`at_least`, of a reduced feature)."""
    condition = k.catalogue.county.watched
    f = k.catalogue.features[condition.feature]
    found = {h: feature(k, h, f) for h in households}
    return [h for h, value in found.items() if value is not None and value >= condition.threshold]


def label(states: Mapping[int, bool | None], at: int, horizon: int, observed: str, last: int) -> int:
    """A label from a household's states (True: below the line) by month: 1, 0, or -1 where it is not known."""
    if at + horizon > last:
        return -1
    gone = at + horizon not in states
    end = states.get(at + horizon)
    if observed == "at":
        return -1 if end is None else int(end)
    if any(states.get(m) for m in range(at + 1, at + horizon + 1)):
        return 1
    return 0 if gone else -1 if end is None else int(end)
