"""Rules and model side by side over one panel: hits, scores, falls, and each method walked through time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fpml.catalogue import DEPARTMENT, Allocation, Rule
from fpml.features import Run, one_by_one
from fpml.measure import Draws, Events, Ground, Method, Outcome, Panel, Queue, judged, judged_at
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.measure.visits import ENDLESS, Rows
from fpml.rules import hit

_GRAVITY = {"high": 2.0, "middle": 1.0, "low": 0.0}


@dataclass(frozen=True)
class Hits:
    """A rule's hits over the panel's rows."""

    rule: Rule
    held: Bools
    panel: Panel

    @cached_property
    def new(self) -> Bools:
        """Which of them are new: the rule did not hit the household at the as-of before."""
        before = self.panel.previous
        return self.held & ~((before >= 0) & self.held[before])


def hits_of(rule: Rule, panel: Panel) -> Hits:
    """A rule's hits over the rows of a panel."""
    return Hits(rule, hit(rule, panel.histories, panel.catalogue), panel)


@dataclass
class Sides:
    """All that is compared: who could be listed, whom rules hit, what the model says, and who fell.

    `score`: for each row the probability by which the model ranks, NaN where it says nothing. `events`: all falls that
    are known, up to the month `known_to`.
    """

    panel: Panel
    score: Floats
    events: Events
    draws: Draws
    known_to: int
    hits: Mapping[str, Hits]
    run: Run = one_by_one

    @classmethod
    def of(
        cls, panel: Panel, score: Floats, events: Events, *, known_to: int, times: int, run: Run = one_by_one
    ) -> "Sides":
        """The sides of a panel, with every rule of its policy; intervals from so many draws of villages."""
        rules = panel.catalogue.rules
        hits = dict(zip(rules, run(lambda rule: hits_of(rule, panel), rules.values()), strict=True))
        draws = Draws.of(panel.villages[0].size, times=times)
        return cls(panel, score, events, draws, known_to, hits, run)

    @cached_property
    def free(self) -> Bools:
        """Which rows can be listed: at an as-of with lists, and not in monitoring already."""
        return (self.panel.at < self.panel.lists) & ~self.panel.monitored

    @cached_property
    def counted(self) -> Bools:
        """Which of them are of an as-of that is counted: those before only say who had been listed by then."""
        return self.free & (self.panel.at >= self.panel.first)

    @cached_property
    def fell(self) -> tuple[Bools, Bools]:
        """For each row whether a fall came within the twelve months after it, where that is known; and if it is."""
        held, known = self.panel.falls_within(self.events, 12, known_to=self.known_to)
        return held & known, known

    @cached_property
    def falls(self) -> Events:
        """Those that are judged: a list could have found them."""
        return self.panel.judged(self.events)

    @property
    def lists(self) -> int:
        """At how many as-ofs lists are made."""
        return self.panel.lists

    def ground(self, hits: Iterable[Hits] | None = None, allocation: Allocation = "county") -> Ground:
        """What methods are walked over. A new fact: what lists by itself hits anew, of these hits or those in force."""
        told = self.hits.values() if hits is None else hits
        chosen = [h for h in told if h.rule.lists(self.panel.catalogue.county.pushed)]
        return Ground(
            household=self.panel.household,
            month=self.panel.month,
            fresh=any_of((h.new for h in chosen), self.score.size),
            months=self.panel.months,
            fell=self.falls.household,
            fell_in=self.falls.month,
            unit=self.unit(allocation),
            village=self.panel.villages[1],
            first=self.panel.first,
        )

    def unit(self, allocation: Allocation) -> Rows:
        """The allocation unit of each household: the county, its township or its village."""
        if allocation == "county":
            return np.zeros(len(self.panel.households), np.int32)
        if allocation == "village":
            return self.panel.villages[1]
        return np.unique(self.panel.township, return_inverse=True)[1].astype(np.int32)

    def quota(self, visits: int, allocation: Allocation = "county") -> Ints:
        """Visits by as-of and allocation unit, shared out by households; the largest remainders get the rest."""
        households = np.bincount(self.unit(allocation))
        exact = visits * households / households.sum()
        share = np.floor(exact).astype(np.int64)
        share[np.argsort(share - exact, kind="stable")[: visits - int(share.sum())]] += 1
        return np.broadcast_to(share, (self.lists, share.size)).copy()

    @cached_property
    def _best(self) -> Queue:
        some = self.free & ~np.isnan(self.score)
        return Queue.of(some, self.panel.at, self.lists, score=self.score)

    def best(self, cut: float = 0.0, allocation: Allocation = "county") -> Queue:
        """The rows that the model would visit, most probable first; those below the cut left out."""
        queue = self._best.where(self.score >= cut) if cut else self._best
        unit = self.unit(allocation)
        return queue.divided(unit[self.panel.household], int(unit.max()) + 1)

    def always(self, hits: Iterable[Hits], *, siblings: bool = False) -> Queue:
        """The rows that rules list: the departments' that push; with the declared and those found on walks, or not."""
        pushed = self.panel.catalogue.county.pushed
        chosen = [h.held for h in hits if h.rule.lists(pushed) and (siblings or h.rule.channel == DEPARTMENT)]
        return Queue.of(self.free & any_of(chosen, self.score.size), self.panel.at, self.lists)

    def rules_alone(self, hits: Iterable[Hits] | None = None) -> Outcome:
        """The departments' rules, or these, at their own visits: a rule that is left out brings no new facts either."""
        told = list(self.hits.values() if hits is None else hits)
        method = Method(self.always(told), Queue.nobody(self.lists), np.full((self.lists, 1), ENDLESS))
        return judged(method, self.ground(told), self.draws, run=self.run)

    def one_rule(self, name: str) -> Outcome:
        """One rule at its own visits, of whatever severity."""
        queue = Queue.of(self.hits[name].held & self.free, self.panel.at, self.lists)
        method = Method(queue, Queue.nobody(self.lists), np.full((self.lists, 1), ENDLESS))
        return judged(method, self.ground(), self.draws, run=self.run)

    def gravest(self, visits: int) -> Outcome:
        """Departments' rules at a capacity: the gravest hits first, then those of most rules, then by row."""
        held = [h for h in self.hits.values() if h.rule.channel == DEPARTMENT]
        gravity, number = np.zeros(self.score.size), np.zeros(self.score.size, np.int64)
        for h in held:
            gravity = np.maximum(gravity, np.where(h.held, 1 + _GRAVITY[h.rule.severity], 0))
            number += h.held
        score = gravity + number / (1 + len(held))
        best = Queue.of(self.free & (number > 0), self.panel.at, self.lists, score=score)
        method = Method(Queue.nobody(self.lists), best, self.quota(visits))
        return judged(method, self.ground(), self.draws, run=self.run)

    def model_alone(self, visits: int | Ints) -> Outcome:
        """The model alone: at so many visits an as-of, or at as many as another method made (draws x as-ofs)."""
        method = Method(Queue.nobody(self.lists), self.best(), np.zeros((self.lists, 1), np.int64))
        if isinstance(visits, np.ndarray):
            return judged_at(method, self.ground(), self.draws, visits=visits, run=self.run)
        return judged(Method(method.always, method.best, self.quota(visits)), self.ground(), self.draws, run=self.run)

    def in_force(self, visits: int) -> Outcome:
        """The list as it is made: every hit and every household that declared or was found, then the model's."""
        method = Method(self.always(self.hits.values(), siblings=True), self.best(), self.quota(visits))
        return judged(method, self.ground(), self.draws, run=self.run)


def any_of(parts: Iterable[Bools], rows: int) -> Bools:
    """Which of so many rows are in at least one of the parts."""
    out = np.zeros(rows, bool)
    for part in parts:
        out |= part
    return out
