"""What if: thresholds, rules, capacity, the model's cut or the allocation otherwise, over months that have been.

Only what a proposal changes is worked out anew; histories and scores stay as they are. Both sides are walked over the
same draws of villages, so that the interval is of the difference.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from fpml.catalogue import Proposal, Rule, proposal_faults, rules_as_proposed
from fpml.errors import PolicyError, UsageError
from fpml.measure import Method, Outcome, judged
from fpml.measure.metrics import Bools, Floats
from fpml.review.sides import Hits, Sides, hits_of

GROUPS = ("grouping", "group", "found_now", "found_then", "difference", "difference_low", "difference_high")
FIGURES = ("visits", "found", "missed", "lead", "precision")


@dataclass(frozen=True)
class Answer:
    """What a proposal would have come to: one row a figure, and one row a group of households for what is found.

    visits: a month; found: share of falls; missed: falls; lead: months over all falls; precision: share of visits after
    which the household fell within twelve months, of those of which that is known.
    """

    proposal: Proposal
    figures: pd.DataFrame
    groups: pd.DataFrame

    def as_json(self) -> dict[str, object]:
        """Both tables, for a program; what is not a number is null."""
        return {k: json.loads(getattr(self, k).to_json(orient="records")) for k in ("figures", "groups")}


@dataclass
class WhatIf:
    """The months that have been, ready to be asked. The first answer walks the list in force, further ones reuse it."""

    sides: Sides
    groupings: Mapping[str, Mapping[str, Bools]] = field(default_factory=dict)

    @property
    def visits(self) -> int:
        """The capacity in force, a month."""
        return self.sides.panel.catalogue.county.visits

    @cached_property
    def now(self) -> Outcome:
        """The list in force."""
        return self.sides.in_force(self.visits)

    @cached_property
    def _figures_now(self) -> dict[str, Floats]:
        return figures_of(self.now, self.sides)

    def ask(self, proposal: Proposal) -> Answer:
        """What would have been found under a proposal; raises PolicyError where it names what is not there."""
        catalogue = self.sides.panel.catalogue
        if faults := list(proposal_faults("proposal", proposal, catalogue.rules, catalogue.departments)):
            raise PolicyError(faults)
        features = {c.feature for rule in proposal.adding.values() for _, c in rule.each()}
        if missing := features - set(self.sides.panel.histories.column_names):
            remedy = "Give the proposal when asking for the months: county.what_if(last, proposals=[...])."
            raise UsageError(
                f"proposal {proposal.name.said('en')}", f"{', '.join(sorted(missing))} was not read", remedy
            )
        then = self._then(proposal)
        return Answer(proposal, self._figures(then), self._groups(self.now, then))

    def _then(self, proposal: Proposal) -> Outcome:
        sides = self.sides
        hits = self._hits(rules_as_proposed(sides.panel.catalogue.rules, proposal))
        method = Method(
            sides.always(hits, siblings=True),
            sides.best(proposal.cut or 0.0, proposal.allocation),
            sides.quota(proposal.visits or self.visits, proposal.allocation),
        )
        return judged(method, sides.ground(hits, proposal.allocation), sides.draws, run=sides.run)

    def _hits(self, rules: Mapping[str, Rule]) -> list[Hits]:
        known = {id(h.rule): h for h in self.sides.hits.values()}
        return [known[id(rule)] if id(rule) in known else hits_of(rule, self.sides.panel) for rule in rules.values()]

    def _figures(self, then: Outcome) -> pd.DataFrame:
        rows = []
        before, after = self._figures_now, figures_of(then, self.sides)
        for name in FIGURES:
            told = then.draws.interval(after[name] - before[name])
            rows.append((name, before[name][0], after[name][0], told.estimate, told.low, told.high))
        columns = ["figure", "now", "then", "difference", "difference_low", "difference_high"]
        return pd.DataFrame(rows, columns=columns)

    def _groups(self, now: Outcome, then: Outcome) -> pd.DataFrame:
        rows = []
        named = [(g, k) for g, kinds in self.groupings.items() for k in kinds]
        if not named:
            return pd.DataFrame(columns=list(GROUPS))
        among = np.stack([self.groupings[g][k] for g, k in named]).astype(np.float64)
        falls = now.weight @ among.T
        whole = np.where(falls > 0, falls, np.nan)
        befores, afters = (o.weight_found @ among.T / whole for o in (now, then))
        for (grouping, kind), before, after in zip(named, befores.T, afters.T, strict=True):
            told = now.draws.interval(after - before)
            rows.append((grouping, kind, before[0], after[0], told.estimate, told.low, told.high))
        return pd.DataFrame(rows, columns=list(GROUPS))


def figures_of(o: Outcome, sides: Sides) -> dict[str, Floats]:
    """Each figure of a method, by draw."""
    falls = np.maximum(o.falls(), 1)
    fell, known = sides.fell
    of_known = o.of_listed(known)
    return {
        "visits": o.counted_visits.mean(axis=1),
        "found": np.where(o.falls() > 0, o.found() / falls, np.nan),
        "missed": o.falls() - o.found(),
        "lead": np.where(o.falls() > 0, o.months_ahead() / falls, np.nan),
        "precision": np.where(of_known > 0, o.of_listed(fell) / np.maximum(of_known, 1), np.nan),
    }
