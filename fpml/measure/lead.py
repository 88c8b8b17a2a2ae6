"""Found and lead, by method, with intervals that draw whole villages and the lists' cuts anew.

A fall at T is found by a method if the household was listed in T-12 ... T-1; its lead is T less the first such
listing, 0 if there is none. All methods are walked over the same draws, so that they can be compared in pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm
from scipy.stats import t as student_t

from fpml.features import Run, one_by_one
from fpml.measure.metrics import Interval
from fpml.measure.visits import Bools, Floats, Ground, Ints, Method, Rows, Walked, leads, sum_of, walks

T = TypeVar("T")
# With fewer cases than these, or fewer trials without, a share's interval is exact.
FEW = 10
# From one village nobody can say how villages differ.
LEAST_VILLAGES = 2
_LEAST_SHARE = 1e-9
# Draws are walked in so many parts, on as many processors as there are.
PARTS = 8


@dataclass(frozen=True)
class Draws:
    """How often each village was drawn, one row a draw; the first row is the county as it was."""

    times: Rows

    @classmethod
    def of(cls, villages: int, *, times: int, seed: int = 0) -> "Draws":
        """The county as it was, and `times` draws of as many villages with replacement."""
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(villages, np.full(villages, 1 / villages), size=times)
        return cls(np.concatenate([np.ones((1, villages)), drawn]).astype(np.int32))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def villages(self) -> int:
        """How many villages there are."""
        return self.times.shape[1]

    @property
    def _wider(self) -> float:
        """How much wider a standard error is than the draws': few villages' draws vary less than villages do."""
        return float(np.sqrt(self.villages / (self.villages - 1)))

    @property
    def _reach(self) -> float:
        """Standard errors on either side: Student's t."""
        return float(student_t.ppf(0.975, self.villages - 1)) * self._wider

    def interval(self, values: Floats) -> Interval:
        """The first value as the estimate, with quantiles of the others that are a little wider than 2.5 and 97.5 %.

        The expanded percentile interval: the plain one holds 85 to 93 % where villages are few. What is not a number in
        some draw is left out of it; one village says nothing of how villages vary. Source: Hesterberg, What teachers
        should know about the bootstrap, 2015, section 3.
        """
        drawn = values[1:][np.isfinite(values[1:])]
        if self.villages < LEAST_VILLAGES:
            return Interval(float(values[0]), np.nan, np.nan)
        beyond = float(norm.cdf(-self._reach))
        low, high = np.quantile(drawn, [beyond, 1 - beyond]) if drawn.size else (np.nan, np.nan)
        return Interval(float(values[0]), float(low), float(high))

    def chance(self, values: Floats) -> float:
        """How likely a value as far from nothing would be by chance: Student's t on the standard error of the draws.

        1 where the draws do not differ, or there is one village only.
        """
        drawn = values[1:][np.isfinite(values[1:])]
        if self.villages < LEAST_VILLAGES or drawn.size < 2 or not np.isfinite(values[0]) or not np.ptp(drawn):
            return 1.0
        error = float(np.std(drawn, ddof=1)) * self._wider
        return float(2 * student_t.sf(abs(values[0]) / error, self.villages - 1))

    def ratio(self, part: Floats, whole: Floats) -> Interval:
        """The interval of a ratio of two sums, draw by draw; not a number where there is nothing to divide by."""
        return self.interval(np.divide(part, whole, out=np.full(part.size, np.nan), where=whole > 0))

    def share(self, part: Floats, whole: Floats, *, counts: tuple[int, int] | None = None) -> Interval:
        """The interval of a share: Student's t on its log-odds; of fewer than ten cases (or others) the exact one.

        The exact (Clopper-Pearson) interval knows nothing of villages: it is joined with that of the draws. `counts`:
        cases and trials where the sums are weighted.
        """
        told = self.ratio(part, whole)
        cases, trials = counts or (round(float(part[0])), round(float(whole[0])))
        if not trials:
            return told
        if min(cases, trials - cases) < FEW or self.villages < LEAST_VILLAGES:
            exact = binomtest(cases, trials).proportion_ci()
            low, high = np.fmin(told.low, exact.low), np.fmax(told.high, exact.high)
            return Interval(told.estimate, float(low), float(high))
        share = np.divide(part, whole, out=np.full(part.size, np.nan), where=whole > 0)
        odds = logit(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))
        half = self._reach * float(np.nanstd(odds[1:], ddof=1))
        return Interval(told.estimate, float(expit(odds[0] - half)), float(expit(odds[0] + half)))


@dataclass(frozen=True)
class Outcome:
    """What one method came to, over all draws. Arrays have a row for each draw; the first is the county as it was."""

    ground: Ground
    draws: Draws
    walked: tuple[Walked, ...]
    run: Run = one_by_one

    @cached_property
    def weight(self) -> Floats:
        """How often each fall counts in each draw."""
        return self.draws.times[:, self.ground.village[self.ground.fell]].astype(np.float64)

    @cached_property
    def lead(self) -> Floats:
        """Each fall's lead in each draw, in months."""
        return np.stack([w.lead for w in self.walked]).astype(np.float64)

    @property
    def visits(self) -> Ints:
        """Visits by draw and as-of, those before the counting begins too."""
        return np.stack([w.visits for w in self.walked])

    @property
    def counted_visits(self) -> Ints:
        """Visits by draw and as-of that is counted."""
        return self.visits[:, self.ground.first :]

    def against(self, household: Rows, month: Ints) -> "Outcome":
        """The same lists held against other events: of these households, in these months."""
        ground = replace(self.ground, fell=household, fell_in=month)
        told = tuple(replace(w, lead=leads(w.rows, ground)) for w in self.walked)
        return Outcome(ground, self.draws, told, self.run)

    @property
    def listed(self) -> Rows:
        """The rows listed in the county as it was, of the as-ofs that are counted."""
        rows = self.walked[0].rows
        return rows[self.ground.counted[rows]]

    def falls(self, among: Bools | None = None) -> Floats:
        """How many falls there were in each draw."""
        return np.asarray(self.weight[:, _all(among)].sum(axis=1))

    @cached_property
    def weight_found(self) -> Floats:
        """How often each fall that was found counts in each draw."""
        return self.weight * (self.lead > 0)

    def found(self, among: Bools | None = None) -> Floats:
        """How many of them were found, in each draw."""
        return np.asarray(self.weight_found[:, _all(among)].sum(axis=1))

    def months_ahead(self, among: Bools | None = None) -> Floats:
        """The sum of their leads, in each draw."""
        return np.asarray((self.weight * self.lead)[:, _all(among)].sum(axis=1))

    def of_listed(self, value: Floats | Bools) -> Floats:
        """In each draw the sum, over what was listed at the as-ofs that are counted, of a value that each row has."""
        village, counted = self.ground.row_village, np.where(self.ground.counted, value, value.dtype.type(0))

        def part(chosen: Ints) -> list[float]:
            """The sums of some draws."""
            return [sum_of(self.walked[d].rows, village, self.draws.times[d], counted) for d in chosen]

        return np.array(_together(part, self.draws, self.run))


def _all(among: Bools | None) -> Bools | slice:
    return slice(None) if among is None else among


def judged(method: Method, ground: Ground, draws: Draws, *, run: Run = one_by_one) -> Outcome:
    """A method walked over every draw; `run`: what works on several parts at once."""

    def part(chosen: Ints) -> list[Walked]:
        """Its walks over some draws."""
        return list(walks(method, ground, ((draws.times[d][ground.village], method.quota) for d in chosen)))

    return Outcome(ground, draws, _together(part, draws, run), run)


def judged_at(method: Method, ground: Ground, draws: Draws, *, visits: Ints, run: Run = one_by_one) -> Outcome:
    """A method walked over every draw with as many visits an as-of as another made in that draw (`visits`)."""

    def part(chosen: Ints) -> list[Walked]:
        """Its walks over some draws, each with visits of its own."""
        return list(walks(method, ground, ((draws.times[d][ground.village], visits[d][:, None]) for d in chosen)))

    return Outcome(ground, draws, _together(part, draws, run), run)


def _together(part: Callable[[Ints], list[T]], draws: Draws, run: Run) -> tuple[T, ...]:
    return tuple(chain.from_iterable(run(part, np.array_split(np.arange(len(draws)), PARTS))))
