"""How many falls are missed at the visits at hand: a bound for the next origin, and whether it is kept.

The bound is the one that a capacity reaches. Nothing here finds the capacity that a wished-for bound would take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import betaincc, betaln
from scipy.stats import beta, betabinom, binomtest, norm
from scipy.stats import t as student_t

from fpml.measure.metrics import Bools, Floats, Interval, Ints

# A bound may be exceeded in so many of the counties; the share missed stays below it in the others.
LEVEL = 0.05
# With fewer effective falls, or origins, none is issued.
LEAST_FALLS, LEAST_ORIGINS = 20, 3
# Design effects are means over these places in the ranking of the falls: at one place alone they are mostly noise.
_TENTHS = np.arange(1, 10) / 10
# A watch is over after so many origins (two years of months), and a new one begins.
WATCH = 24


@dataclass(frozen=True)
class Falls:
    """The falls of past origins, one row a fall and origin: its place in the ranking, what it counts for, and where.

    `place`: rank over households ranked (above 0, up to 1): visits of that share of the households reach it. `weight`:
    one over the chance of having been seen by the audit; 1 where all falls are known. `village`, `origin`: any numbers.
    """

    place: Floats
    weight: Floats
    village: Ints
    origin: Ints

    def __post_init__(self) -> None:
        if not ((self.place > 0) & (self.place <= 1)).all():
            raise ValueError("a place is missing, or not above 0 and up to 1")
        if not (np.isfinite(self.weight) & (self.weight > 0)).all():
            raise ValueError("a weight is missing or not above 0")

    def missed(self, reach: float) -> float:
        """The weighted share of falls that visits of this share of the households do not reach."""
        return float(self.weight[self.place > reach].sum() / self.weight.sum())

    @cached_property
    def origins(self) -> int:
        """Origins with a fall."""
        return np.unique(self.origin).size

    @cached_property
    def each_origin(self) -> float:
        """Kish's effective number of falls of one origin: the harmonic mean, as variances are what is averaged."""
        return float(1 / np.mean([1 / kish(self.weight[self.origin == o]) for o in np.unique(self.origin)]))

    def design_effect(self, *keys: Ints) -> float:
        """How many times the variance is that of independent falls of the same weights, clusters being told by keys.

        The linearised variance of a weighted share, summed over nine places of the ranking. Source: Kish 1965; Rao and
        Scott, Biometrics 1992.
        """
        rank = np.unique(np.stack(keys), axis=1, return_inverse=True)[1].ravel()
        clusters = int(rank.max()) + 1
        if clusters < 2:
            return 1.0
        within = between = 0.0
        for reach in np.quantile(self.place, _TENTHS):
            share = self.missed(float(reach))
            part = self.weight * ((self.place > reach) - share)
            between += float((np.bincount(rank, weights=part) ** 2).sum()) * clusters / (clusters - 1)
            within += float((self.weight**2).sum()) * share * (1 - share)
        return between / within if within > 0 else 1.0

    @cached_property
    def effective(self) -> float:
        """The effective number of falls of all origins: Kish's, over the design effect of villages."""
        return kish(self.weight) / max(1.0, self.design_effect(self.village))

    @cached_property
    def effective_next(self) -> float:
        """The effective number of falls of one origin, over the greater design effect: of its villages, of origins.

        That of origins is widened as Student's t is wider than the normal, because few origins tell it badly.
        """
        wider = (student_t.ppf(1 - LEVEL, max(self.origins - 1, 1)) / norm.ppf(1 - LEVEL)) ** 2
        between = self.design_effect(self.origin) * wider
        return self.each_origin / max(1.0, self.design_effect(self.village, self.origin), between)


def kish(weight: Floats) -> float:
    """Kish's effective sample size of weighted cases."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0


@dataclass(frozen=True)
class Bound:
    """The share of falls missed with so many visits, and what the next origin stays below in 95 % of counties."""

    visits: int
    missed: float
    upper: float


@dataclass(frozen=True)
class NoBound:
    """No bound is issued, and why."""

    reason: str


@dataclass(frozen=True)
class Curve:
    """The bounds that some capacities reach, fewest visits first."""

    bounds: tuple[Bound, ...]
    effective: float
    origins: int

    def as_frame(self) -> pd.DataFrame:
        """One row a capacity: visits, share missed, upper bound."""
        return pd.DataFrame(self.bounds)


def curve(falls: Falls, visits: Sequence[int], *, ranked: int) -> Curve | NoBound:
    """What the next origin, with so many households ranked, is to miss at these capacities; or why nothing is promised.

    `visits`: at one origin. Falls of origins whose horizons overlap may be told, each fall once an origin.
    """
    if falls.origins < LEAST_ORIGINS:
        return NoBound(f"{falls.origins} origins with falls; a bound takes {LEAST_ORIGINS}")
    if falls.effective < LEAST_FALLS:
        told = f"{falls.place.size} falls are worth {falls.effective:.1f} independent ones"
        return NoBound(f"{told}; a bound takes {LEAST_FALLS}")
    shares = [falls.missed(n / ranked) for n in sorted(visits)]
    bounds = [Bound(n, s, _upper(s, falls)) for n, s in zip(sorted(visits), shares, strict=True)]
    return Curve(tuple(bounds), falls.effective, falls.origins)


def _upper(share: float, falls: Falls) -> float:
    """The 95 % quantile of the next origin's share missed: beta-binomial, with effective numbers of falls.

    As Thatcher's exact prediction bound (JRSS B 1964) for one binomial sample from another, a miss more being counted
    in the first. Never below the exact (Clopper-Pearson) confidence bound of the share itself, which matters where the
    next origin's falls are so few that none missed is the likeliest. As one design effect serves all capacities, more
    visits never give a greater bound. Simpler ones (Student's t of the origins' shares) are exceeded too often where
    falls are few, scores good or origins alike in turn; the comparison is in benchmarks/bounds.py.
    """
    n = min(falls.effective, falls.origins * falls.effective_next)
    cases = share * n
    if cases >= n:
        return 1.0
    coming = max(1, int(falls.effective_next))
    predicted = float(betabinom.ppf(1 - LEVEL, coming, cases + 1, n - cases)) / coming
    return max(predicted, float(beta.ppf(1 - LEVEL, cases + 1, n - cases)))


@dataclass(frozen=True)
class Kept:
    """Promised bounds beside what came: one row a promise, and how often they were exceeded (exact 95 % interval)."""

    rows: pd.DataFrame
    exceeded: int
    rate: Interval


def kept(promised: Sequence[Bound], achieved: Sequence[float]) -> Kept:
    """Promised against achieved. `achieved`: each promise's share missed, of the origin that it was made for.

    The interval takes promises as independent: those of one county are nearly so where its origins do not overlap.
    """
    rows = pd.DataFrame(promised).assign(achieved=np.asarray(achieved, np.float64))
    rows["exceeded"] = rows["achieved"] > rows["upper"]
    cases, trials = int(rows["exceeded"].sum()), len(rows)
    told = binomtest(cases, trials).proportion_ci()
    return Kept(rows, cases, Interval(cases / trials, float(told.low), float(told.high)))


@dataclass(frozen=True)
class Watch:
    """The evidence against the promises after each origin, and the position of the origin at which it was enough."""

    evidence: Floats
    enough: float
    alarm: int | None


def watched(exceeded: Bools, *, level: float = LEVEL, false_alarms: float = 0.05) -> Watch:
    """Whether promises have come to be exceeded oftener than their level, told as early as may be; one a past origin.

    A bet at each origin that the promise is exceeded, begun anew at every origin, the stake divided over the 24 of a
    watch. Quiet counties alarm in a whole watch with a chance of at most `false_alarms` (Ville's inequality), as
    long as each promise is exceeded with a chance of at most `level` whatever came before. Promises made once for the
    whole watch see a shift soonest, but share their history's luck, so that this holds only nearly: simulated, 2 to 4 %
    of quiet watches alarmed, and 15 % where an origin's luck stays for the next (benchmarks/bounds.py). Sources:
    Ramdas, Grunwald, Vovk and Shafer, Statistical Science 2023; Shin, Ramdas and Rinaldo, E-detectors, 2023.
    """
    if exceeded.size > WATCH:
        raise ValueError(f"{exceeded.size} origins; a watch is over after {WATCH}")
    origins = exceeded.size
    before = np.concatenate([[0], np.cumsum(exceeded)])
    evidence = np.empty(origins)
    for now in range(1, origins + 1):
        begun = np.arange(now)
        stakes = _wealth(before[now] - before[begun], now - begun, level)
        evidence[now - 1] = (stakes.sum() + WATCH - now) / WATCH
    enough = 1 / false_alarms
    reached = np.flatnonzero(evidence >= enough)
    return Watch(evidence, enough, int(reached[0]) if reached.size else None)


def _wealth(cases: Ints, trials: Ints, level: float) -> Floats:
    """What one stake has become: the likelihood ratio of rates spread evenly from `level` to 1, against `level`."""
    a, b = cases + 1.0, trials - cases + 1.0
    over = betaln(a, b) + np.log(betaincc(a, b, level)) - np.log1p(-level)
    return np.asarray(np.exp(over - cases * np.log(level) - (trials - cases) * np.log1p(-level)))
