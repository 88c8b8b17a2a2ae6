"""What came of lists: visits that confirm, falls that were foreseen, what an audit found. Told late, and said how late.

CUSUMs of likelihood ratios (Page 1954): with a limit of log n the mean run to a false alarm is n steps at least (Lorden
1971). `delay` and `calibration_delay` say how long a halving stays unseen, on average.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fpml.catalogue import VERIFIED, Calibration, Catalogue, Precision, Words
from fpml.dates import AsOf
from fpml.health.alarm import Alarm
from fpml.health.snapshot import Snapshot
from fpml.ledger import Ledger

Bools = npt.NDArray[np.bool_]
CONFIRMED = 2
VISITS, CHANCES, AUDIT = Words(zh="入户核实", en="visits"), Words(zh="概率", en="chances"), Words(zh="抽查", en="audit")


def precision(ledger: Ledger, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether visits up to the month confirm far fewer risks than the first ones did: by a CUSUM, see `halvings`."""
    if VERIFIED not in catalogue.indicators:
        return
    told = ledger.standing(month.date, VERIFIED).select(["known_date", "event_date", "fact", "value"]).to_pandas()
    told = told.sort_values(["known_date", "event_date", "fact"])
    rule, confirmed = catalogue.watching.precision, (told["value"] == CONFIRMED).to_numpy()
    reached: list[date] = [told["known_date"].iloc[at] for at in halvings(confirmed, rule)]
    if any(AsOf(month.month - 1).date < day <= month.date for day in reached):
        _, usual = _learnt(confirmed, rule)
        yield Alarm(
            "precision", str(month), VISITS, {"expected": f"{usual:.0%}", "delay": f"{delay(usual, rule):,.0f}"}
        )


def halvings(confirmed: Bools, rule: Precision) -> list[int]:
    """The visits, by their place, at which it is clear that the share confirmed has halved; each time begun anew.

    A CUSUM of the log-likelihood ratio of half the share against the share of the first visits, up to the one that
    confirmed the `learn`th risk. The mean run to a false alarm holds where that share is exact.
    """
    begun, usual = _learnt(confirmed, rule)
    if not 0 < usual < 1:
        return []
    hit, miss = math.log(0.5), math.log((1 - usual / 2) / (1 - usual))
    steps = np.where(confirmed[begun:], hit, miss).tolist()
    return [begun + at for _, at in _crossings(steps, math.log(rule.false_alarm_in))]


def _crossings(steps: Sequence[float], limit: float) -> Iterator[tuple[int, int]]:
    """Since which step, and at which, a CUSUM reaches its limit; each time it begins anew."""
    total, since = 0.0, 0
    for at, step in enumerate(steps):
        total += step
        if total >= limit:
            yield since, at
        if total <= 0 or total >= limit:
            total, since = 0.0, at + 1


def _learnt(confirmed: Bools, rule: Precision) -> tuple[int, float]:
    """How many visits were learnt from, and the share of them that confirmed a risk; 0 where there were too few."""
    hits = np.flatnonzero(confirmed)
    if hits.size < rule.learn:
        return confirmed.size, 0.0
    begun = int(hits[rule.learn - 1]) + 1
    return begun, rule.learn / begun


def delay(usual: float, rule: Precision) -> float:
    """How many visits it takes, on average, to be sure that a share confirmed has halved.

    >>> from fpml.catalogue import Precision
    >>> [round(delay(p, Precision(learn=200, false_alarm_in=1_000_000))) for p in (0.04, 0.3)]
    [2178, 226]
    """
    half = usual / 2
    information = half * math.log(0.5) + (1 - half) * math.log((1 - half) / (1 - usual))
    return math.log(rule.false_alarm_in) / information


@dataclass(frozen=True)
class Came:
    """A month's entries into monitoring: how many chances of one month had foreseen, and how many came."""

    month: int
    foreseen: float
    came: int


def foreseen(snapshots: Mapping[int, Snapshot]) -> list[Came]:
    """Each month whose entries are known, of those whose month before was scored, oldest first."""
    found = []
    for month, now in sorted(snapshots.items()):
        before = snapshots.get(month - 1)
        if before and before.foreseen is not None and now.came is not None:
            found.append(Came(month, before.foreseen, now.came))
    return found


def calibration(snapshots: Mapping[int, Snapshot], catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether by the month far fewer, or far more, entered monitoring than chances had foreseen: by CUSUMs."""
    rule = catalogue.watching.calibration
    told = [c for c in foreseen(snapshots) if c.month <= month.month]
    for monitor, times in (("overestimates", 1 / rule.times), ("underestimates", rule.times)):
        for since, until in astray(told, times, rule):
            if told[until].month != month.month:
                continue
            these = told[since : until + 1]
            expected, came = sum(c.foreseen for c in these), sum(c.came for c in these)
            facts = {
                "foreseen": f"{expected:.0f}", "came": f"{came:.0f}", "since": str(AsOf(these[0].month)),
                "delay": f"{calibration_delay(expected / len(these), times, rule):.0f}",
            }  # fmt: skip
            yield Alarm(monitor, str(month), CHANCES, facts)


def astray(told: Sequence[Came], times: float, rule: Calibration) -> list[tuple[int, int]]:
    """The months, by place, since when and at which it is clear that so many times as many came; each time begun anew.

    Entries come in rounds: they are taken to vary `dispersion` times as much as by chance alone (quasi-Poisson).
    """
    steps = [(c.came * math.log(times) - (times - 1) * c.foreseen) / rule.dispersion for c in told]
    return list(_crossings(steps, math.log(rule.false_alarm_in)))


def calibration_delay(foreseen: float, times: float, rule: Calibration) -> float:
    """How many months it takes, on average, to be sure that so many times as many come as are foreseen a month.

    >>> from fpml.catalogue import Calibration
    >>> round(calibration_delay(20, 0.5, Calibration(times=2, dispersion=1.5, false_alarm_in=1000)), 1)
    3.4
    """
    information = foreseen * (times * math.log(times) - (times - 1)) / rule.dispersion
    return math.log(rule.false_alarm_in) / information if information > 0 else math.inf


def recall(reports: Path, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether the last audit says that lists find too few: where its whole interval lies below the limit.

    Its visits take a year, and it stands for a year more.
    """
    told = next((r for m, r in sorted(audited(reports).items(), reverse=True) if 0 <= month.month - m <= 24), None)
    least = catalogue.watching.recall.at_least
    if told and told["high"] < least:
        facts = {k: f"{told[k]:.0%}" for k in ("estimate", "low", "high")}
        yield Alarm("recall", str(month), AUDIT, facts | {"least": f"{least:.0%}"})


def audited(reports: Path) -> dict[int, dict[str, float]]:
    """The yearly recall that each audit estimated, by the month of its as-of; without those that could not tell."""
    found = {}
    for path in reports.glob("audit-????-??.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(path.read_text(encoding="utf-8"))["recall"]
            each = {k: float(told[k]) for k in ("estimate", "low", "high")}
            if not any(math.isnan(v) for v in each.values()):
                found[AsOf.parse(path.stem[-7:]).month] = each
    return found
