"""Counties lived through in memory, with no files: what is counted of each township, and adds up over townships.

Everything here is simulated. People and households are counted apart and never mixed.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from fpml.catalogue import load
from fpml.dates import AsOf
from fpml.simulate import Plan, Profile, township
from fpml.simulate.causes import CAUSES, main_cause
from fpml.simulate.plan import Spot
from fpml.simulate.state import Township
from fpml.simulate.township import Lived
from fpml.workspace import DEFAULT_POLICY

Bools = npt.NDArray[np.bool_]
TYPES = {1: "formerly_poor_unstable", 2: "marginal", 3: "sudden_shock"}
# An alert that is followed by registration within so many months has led to it.
FOLLOWED = 4
NEVER = -1_000


def lines(profile: Profile, first: AsOf, months: int) -> tuple[int, ...]:
    """The monitoring line of each month, fen a head and year: the profile's own where it has one, else the policy's."""
    if profile.own_line:
        steps = sorted(profile.line.items())
    else:
        dated = load(DEFAULT_POLICY, DEFAULT_POLICY).county.line.values["all"]
        steps = [(s.from_, int(s.value)) for s in dated]
    return tuple(100 * next(v for d, v in reversed(steps) if d <= first.shift(m).date) for m in range(months))


def live(plan: Plan, *, processes: int = 2) -> Counter[str]:
    """What all townships of the plan came to over its months."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return added(pool.map(partial(one, plan), plan.townships()))


def added(parts: Iterable[Counter[str]]) -> Counter[str]:
    """Counts of several places as one."""
    whole: Counter[str] = Counter()
    for part in parts:
        whole.update(part)
    return whole


def one(plan: Plan, spot: Spot) -> Counter[str]:
    """What one township came to."""
    path = lines(plan.profile, plan.first, plan.months)
    place = township.settled(spot, plan.first.month, plan.seed, plan.profile, line=path[0])
    tally = Tally(place, plan)
    for line in path:
        monitored = place.homes.monitored.copy(), place.homes.spell.copy()
        lived = township.step(place, plan.seed, plan.profile, line=line)
        tally.note(place, lived, line, *monitored)
    tally.close(place)
    return tally.counts


class Tally:
    """Counts of one township; what is remembered of a household grows with the households."""

    def __init__(self, place: Township, plan: Plan) -> None:
        self.counts: Counter[str] = Counter()
        self.profile, self.first = plan.profile, plan.first
        self.pushed = np.full(0, NEVER)
        self.alerted = np.full(0, NEVER)
        self.entered = np.full(0, NEVER)
        self.kind = np.zeros(0, np.int64)
        self.spent = np.zeros((0, 12))
        self._grow(place)

    def note(
        self, place: Township, lived: Lived, line: int, monitored: npt.NDArray[np.int8], spell: npt.NDArray[np.int64]
    ) -> None:
        """Adds a month that was lived; `monitored` and `spell` as they were before it."""
        homes, found, counts = place.homes, lived.found, self.counts
        self._grow(place)
        n, size = len(homes), place.members()
        was, began = np.zeros(n, bool), np.zeros(n, bool)
        was[: monitored.size], began[: spell.size] = monitored > 0, spell > 0
        falls = homes.active & (homes.spell > 0) & ~began & ~was
        counts["months"] += 1
        counts["household_months"] += int(homes.active.sum())
        counts["person_months"] += int(size[homes.active].sum())
        counts["apart_months"] += int((homes.active & ~was).sum())
        counts["falls"] += int(falls.sum())
        counts["falls_pushed"] += int((falls & (self.pushed >= place.month - 12)).sum())
        counts["falls_below"] += int((falls & homes.below).sum())
        counts["pushes"] += int(found.pushed.sum())
        counts["visits"] += int(found.visited.sum())
        counts["below_months"] += int((homes.active & homes.below).sum())
        for name, cause in zip(CAUSES, np.left_shift(1, np.arange(len(CAUSES))), strict=True):
            counts[f"fall/{name}"] += int((main_cause(homes.strike[falls]) == cause).sum())
        self._register(place, lived, size)
        self._stock(place, size)
        self._alerts(place, lived)
        self.spent[:, place.month % 12] = (lived.money.living + lived.money.medical + lived.money.fees)[:n]
        if place.month % 12 == 11:
            self._year(place, size, line)
        if place.month == self.first.month + 5:
            self._cleared(place, "mid_")

    def _register(self, place: Township, lived: Lived, size: npt.NDArray[np.int64]) -> None:
        homes, now = place.homes, lived.found.registered
        self.counts["registered"] += int(now.sum())
        self.counts["registered_people"] += int(size[now].sum())
        for name, cause in zip(CAUSES, np.left_shift(1, np.arange(len(CAUSES))), strict=True):
            self.counts[f"cause/{name}"] += int((main_cause(homes.causes[now]) == cause).sum())
        self.entered[now], self.kind[now] = place.month, homes.monitored[now]
        out = lived.found.cleared & (self.entered > NEVER) & homes.active
        for kind, name in TYPES.items():
            rows = out & (self.kind == kind)
            self.counts[f"cleared/{name}"] += int(rows.sum())
            self.counts[f"cleared_months/{name}"] += int((place.month - self.entered[rows]).sum())

    def _stock(self, place: Township, size: npt.NDArray[np.int64]) -> None:
        homes = place.homes
        self.counts["monitored_people"] += int(size[homes.monitored > 0].sum())
        for kind, name in TYPES.items():
            rows = homes.active & (homes.monitored == kind)
            self.counts[f"monitored/{name}"] += int(rows.sum())
            self.counts[f"monitored_people/{name}"] += int(size[rows].sum())

    def _alerts(self, place: Township, lived: Lived) -> None:
        """An alert is a push, a declaration or a visit by a walk; again within half a year, the same."""
        found, month = lived.found, place.month
        alert = found.pushed | found.declared | (found.visited & (found.channel > 1))
        new = alert & (self.alerted < month - 6)
        self.counts["alerts"] += int(new.sum())
        self.alerted[new] = month
        led = found.registered & (self.alerted >= month - FOLLOWED)
        self.counts["alerts_registered"] += int(led.sum())
        self.pushed[found.pushed] = month

    def _year(self, place: Township, size: npt.NDArray[np.int64], line: int) -> None:
        """At a year's end: income of the calendar year, and health spending against capacity to pay."""
        homes, counts = place.homes, self.counts
        year = f"{place.month // 12}"
        rows = homes.active & (size > 0)
        counts[f"income/{year}"] += int(homes.income[rows, 1:].sum())
        counts[f"people/{year}"] += int(size[rows].sum())
        years = (place.month - 6 - self.profile.base_month) / 12
        least = 1200 * self.profile.bare * size * np.exp(0.03 * years)
        capacity = np.maximum(self.spent.sum(axis=1) - least, 0)
        hit = homes.medical[:, 1:].sum(axis=1) > 0.4 * capacity
        lived = rows & (homes.began < place.month - 11)
        head = homes.income[:, 1:].sum(axis=1) / np.maximum(size, 1)
        poor = (head < 1.5 * line) | (homes.monitored > 0)
        for name, some in (("poor", lived & poor), ("monitored", lived & (homes.monitored > 0)), ("all", lived)):
            counts[f"catastrophic/{name}"] += int((some & hit).sum())
            counts[f"asked/{name}"] += int(some.sum())

    def _cleared(self, place: Township, when: str) -> None:
        """Of the households ever in monitoring, those that are in it no more."""
        homes = place.homes
        ever = (homes.monitored > 0) | (homes.cleared > 0)
        self.counts[f"{when}ever"] += int(ever.sum())
        self.counts[f"{when}out"] += int((ever & (homes.monitored == 0)).sum())

    def close(self, place: Township) -> None:
        """Adds what is counted at the end."""
        self._cleared(place, "")
        homes, size = place.homes, place.members()
        self.counts["last_households"] += int(homes.active.sum())
        self.counts["last_people"] += int(size.sum())
        # Of those who entered at least a year ago, who was cleared within twelve months.
        for kind, name in TYPES.items():
            rows = (self.kind == kind) & (self.entered > NEVER) & (self.entered <= place.month - 12) & homes.active
            within = rows & (homes.cleared > self.entered) & (homes.cleared <= self.entered + 12)
            self.counts[f"entered_before/{name}"] += int(rows.sum())
            self.counts[f"out_in_a_year/{name}"] += int(within.sum())

    def _grow(self, place: Township) -> None:
        more = len(place.homes) - self.pushed.size
        for name in ("pushed", "alerted", "entered"):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(more, NEVER)]))
        self.kind = np.concatenate([self.kind, np.zeros(more, np.int64)])
        self.spent = np.concatenate([self.spent, np.zeros((more, 12))])
