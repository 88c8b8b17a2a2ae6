"""What a review is made from: rules and model side by side, what visits found, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from scipy.stats import beta

from fpml.catalogue import Catalogue, Group, Words
from fpml.households import hold_together
from fpml.measure import Events, Interval, Outcome
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.review.sides import Sides, any_of
from fpml.rules import pushed

# A verification within so many days after an as-of is taken for one of its list.
VERIFIED_WITHIN_DAYS = 92
CONFIRMED = 2
# The one-sided bound that is published where finds are few.
ONE_SIDED = 0.95
# Of fewer finds of an audit no recall is estimated.
LEAST_FINDS = 10
# The capacities that are tried, as shares of the one in force.
ALONG = (1 / 3, 1, 2, 10 / 3)
NOTHING = Interval(np.nan, np.nan, np.nan)
ALL = Words(zh="全部", en="all")
UNKNOWN = Words(zh="不详", en="not known")


@dataclass(frozen=True)
class Visits:
    """Verifications on record, by household: the day (since 1970), and whether it was confirmed."""

    household: Ints
    day: Ints
    confirmed: Bools


@dataclass(frozen=True)
class Audited:
    """Households that an audit drew at an as-of: the panel's row, one over its probability, and what was found.

    `fell`: the month in which a confirmed one fell, as the audit found: it is below the line, or was in the last year.
    """

    row: Ints
    weight: Floats
    confirmed: Bools
    fell: Ints


@dataclass(frozen=True)
class Kind:
    """One kind of a grouping, in words, and which rows are of it."""

    key: str
    name: Words
    rows: Bools


@dataclass
class Study:
    """Everything that the tables of a review are counted from.

    `truth`: falls are the simulator's own. `horizon`: months over which the model's probability is meant. `told_to`:
    the last day on which anything was known. `below`: rows of households below the line already and not found yet, in
    truth or as the records tell. `asked`: of so many as-ofs a review was asked; those without a model are not
    counted. `before`: how many as-ofs are walked before those that are counted, and how many of these had a model.
    `causes`: for each fall the code of its main cause, 0 where not known.
    """

    sides: Sides
    verified: Visits
    identified: Events
    causes: Ints
    below: Bools
    truth: bool
    horizon: int
    told_to: int
    asked: int
    before: tuple[int, int]
    audit: "Audited | None" = None

    @property
    def catalogue(self) -> Catalogue:
        """The policy in force."""
        return self.sides.panel.catalogue

    @property
    def capacity(self) -> int:
        """Visits a month in force."""
        return self.catalogue.county.visits

    @property
    def along(self) -> tuple[int, ...]:
        """The capacities that are tried: visits a month."""
        return tuple(max(1, round(self.capacity * share)) for share in ALONG)

    @cached_property
    def rules(self) -> Outcome:
        """The departments' rules at their own visits."""
        return self.sides.rules_alone()

    @cached_property
    def model(self) -> Outcome:
        """The model alone at the rules' own visits."""
        return self.sides.model_alone(self.rules.visits)

    @cached_property
    def in_force(self) -> Outcome:
        """The list as it is made."""
        return self.sides.in_force(self.capacity)

    @cached_property
    def hit(self) -> Bools:
        """Which rows a department's rule that pushes hits, of households that can be listed."""
        return self.sides.free & any_of(
            (self.sides.hits[n].held for n in pushed(self.catalogue)), self.sides.score.size
        )

    def ranks(self, first: int, last: int) -> Bools:
        """Which rows the model puts at the places from `first` up to, not including, `last` of their as-of's list."""
        queue = self.sides.best()
        place = np.arange(queue.rows.size) - np.repeat(queue.edges[:-1], np.diff(queue.edges))
        out = np.zeros(self.sides.score.size, bool)
        out[queue.rows[(place >= first) & (place < last)]] = True
        return out & self.sides.counted

    def same_as_of(self, row: int) -> Floats:
        """The scores of everybody who could be listed at a row's as-of."""
        queue, at = self.sides.best(), int(self.sides.panel.at[row])
        return self.sides.score[queue.rows[queue.edges[at] : queue.edges[at + 1]]]

    @cached_property
    def corner(self) -> "np.typing.NDArray[np.str_]":
        """The corner of each row that could be listed and is counted: both, rule, model or neither; '' of others."""
        return self.corner_at(self.capacity)

    def corner_at(self, visits: int) -> "np.typing.NDArray[np.str_]":
        """The corner of each row where the model's list were so many visits long."""
        names = np.array(["neither", "model", "rule", "both"])
        return np.where(self.sides.counted, names[self.hit * 2 + self.ranks(0, visits)], "")

    @cached_property
    def _next_visit(self) -> Ints:
        """For each row the position of its household's first verification after the as-of; -1 where there is none."""
        order = np.lexsort((self.verified.day, self.verified.household))
        key = self.verified.household[order] * 1_000_000 + self.verified.day[order]
        mine = self.sides.panel.household.astype(np.int64) * 1_000_000
        at = np.searchsorted(key, mine + self.as_of_day, side="right")
        there = at < key.size
        found = order[np.minimum(at, max(key.size - 1, 0))] if key.size else np.zeros(at.size, np.int64)
        same = there & (self.verified.household[found] == self.sides.panel.household) if key.size else there
        return np.where(same, found, -1)

    @cached_property
    def as_of_day(self) -> Ints:
        """The day of each row's as-of, since 1970."""
        return self.sides.panel.histories["as_of"].cast(pa.int32()).to_numpy().astype(np.int64)

    @cached_property
    def days_to_visit(self) -> Floats:
        """Days from each row's as-of to the first verification after it; infinite where there is none."""
        at = self._next_visit
        if not self.verified.day.size:
            return np.full(at.size, np.inf)
        return np.where(at >= 0, self.verified.day[np.maximum(at, 0)] - self.as_of_day, np.inf)

    @cached_property
    def visited(self) -> Bools:
        """Which rows were verified soon enough after to be of their list."""
        return self.days_to_visit <= VERIFIED_WITHIN_DAYS

    @cached_property
    def confirmed(self) -> Bools:
        """Which rows were verified and confirmed."""
        if not self.verified.day.size:
            return np.zeros(self.visited.size, bool)
        return self.visited & self.verified.confirmed[np.maximum(self._next_visit, 0)]

    def share(self, part: "np.typing.NDArray[np.generic]", whole: Bools) -> Interval:
        """The share of some rows that have something, with its interval over draws of villages."""
        panel = self.sides.panel
        village = panel.villages[1][panel.household]
        n = panel.villages[0].size
        times = self.sides.draws.times.astype(np.float64)
        of_part = np.bincount(village[whole], weights=part[whole].astype(np.float64), minlength=n)
        of_whole = np.bincount(village[whole], minlength=n)
        return self.sides.draws.share(times @ of_part, times @ of_whole.astype(np.float64))

    def distinct(self, rows: Bools) -> int:
        """How many households some rows are of. Rows stand household by household: no sorting."""
        household = self.sides.panel.household[rows]
        return int(np.count_nonzero(np.diff(household))) + bool(household.size)

    def kinds_of(self, groups: Mapping[str, Group]) -> list[Kind]:
        """The rows of each kind: those of the first that holds."""
        left = np.ones(self.sides.score.size, bool)
        kinds = []
        for key, group in groups.items():
            here = left & hold_together(group.all, (), self.sides.panel.histories, self.catalogue)[0]
            left &= ~here
            kinds.append(Kind(key, group.name, here))
        return kinds

    def audit_share(self, among: Bools) -> Interval:
        """The share of some rows that the audit would find in trouble, by the probability of having been drawn.

        Of fewer than ten finds only the upper bound is told.
        """
        if self.audit is None:
            return NOTHING
        here = among[self.audit.row]
        if not here.any():
            return NOTHING
        if int((here & self.audit.confirmed).sum()) < LEAST_FINDS:
            return Interval(np.nan, np.nan, self._bound(here & self.audit.confirmed, here))
        return self._weighted(here & self.audit.confirmed, here)

    def audited(self, among: Bools) -> tuple[int, Interval]:
        """How many of some rows the audit found, and the share of them that the list in force had before they fell.

        Those who fell before counting began are left out, as of all falls; who was drawn again is one find.
        Of fewer than ten finds only the lower bound is told: one less the upper bound of the missed.
        """
        if self.audit is None:
            return 0, NOTHING
        here = among[self.audit.row] & self.audit.confirmed & self._once
        finds = int(here.sum())
        if not finds:
            return 0, NOTHING
        if finds < LEAST_FINDS:
            return finds, Interval(np.nan, 1 - self._bound(here & ~self._listed_before, here), np.nan)
        return finds, self._weighted(here & self._listed_before, here)

    def _weighted(self, part: Bools, whole: Bools) -> Interval:
        """The weighted share of some of the audited that are of a part, with its interval over draws of villages."""
        assert self.audit is not None
        panel = self.sides.panel
        village = panel.villages[1][panel.household[self.audit.row]]
        n, times = panel.villages[0].size, self.sides.draws.times.astype(np.float64)
        sums = (np.bincount(village, self.audit.weight * rows, minlength=n) for rows in (part, whole))
        of_part, of_whole = (times @ s for s in sums)
        return self.sides.draws.share(of_part, of_whole, counts=(int(part.sum()), int(whole.sum())))

    def _bound(self, part: Bools, whole: Bools) -> float:
        """The one-sided 95 % upper bound of a share: Clopper-Pearson on Kish's effective number."""
        assert self.audit is not None
        weight = self.audit.weight[whole]
        trials = float(weight.sum() ** 2 / (weight**2).sum())
        cases = trials * float(self.audit.weight[part].sum() / weight.sum())
        return float(beta.ppf(ONE_SIDED, cases + 1, trials - cases)) if cases < trials else 1.0

    @cached_property
    def _once(self) -> Bools:
        """Which of the audited are falls that are counted, each household's once."""
        assert self.audit is not None
        panel = self.sides.panel
        fall = panel.household[self.audit.row].astype(np.int64) * 100_000 + self.audit.fell
        once = np.zeros(fall.size, bool)
        once[np.unique(fall, return_index=True)[1]] = True
        return once & (self.audit.fell > panel.months[panel.first])

    @cached_property
    def _listed_before(self) -> Bools:
        """For each of the audited whether the list in force had it in the twelve months before it fell."""
        assert self.audit is not None
        household = self.sides.panel.household[self.audit.row]
        return np.asarray(self.in_force.against(household, self.audit.fell).lead[0] > 0)

    @cached_property
    def household_types(self) -> list[Kind]:
        """Rows by what their household is watched as."""
        return self.kinds_of(self.catalogue.county.cohort)

    @cached_property
    def townships(self) -> list[Kind]:
        """Rows by township."""
        panel = self.sides.panel
        of_row = panel.township[panel.household]
        return [Kind(str(code), self.place_name(int(code)), of_row == code) for code in np.unique(panel.township)]

    def place_name(self, code: int) -> Words:
        """The name of a village or township where the policy has one, else its code."""
        if code < 0:
            return UNKNOWN
        names = self.catalogue.indicators[self.catalogue.county.village].codes or {}
        return names.get(code) or Words(zh=str(code), en=str(code))

    @cached_property
    def groupings(self) -> dict[str, tuple[Words, list[Kind]]]:
        """Every way of dividing households that fairness is looked at by."""
        told = {
            "township": (Words(zh="乡镇", en="township"), self.townships),
            "household_type": (Words(zh="户类型", en="household type"), self.household_types),
        }
        return told | {k: (g.name, self.kinds_of(g.kinds)) for k, g in self.catalogue.review.groups.items()}
