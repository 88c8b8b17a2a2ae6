"""How many falls no list had: an audit in two phases, planned before it starts, drawn from a seed, told with intervals.

Phase one is the village's own walk of all households. Phase two is a yearly sample, stratified by what the walk noticed
and by score, that independent visitors ask: below the line now, or in the last twelve months? Whoever they find, and a
share of whom they do not, is checked again by the county, blind. Source: Neyman 1938 (double sampling), Cochran 1977,
chapters 5 and 12. Intervals: Clopper and Pearson's with an effective number of finds for the recall (Korn, Graubard,
Survey Methodology 1998), Fay and Feuer's (Statistics in Medicine 1997) for weighted counts; `benchmarks/audit.py` holds
them against others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta, chi2, norm

from fpml.measure.metrics import Bools, Floats, Interval, Ints

LEVEL = 0.95
# With fewer expected finds no recall is estimated; a one-sided bound on the missed is.
LEAST_FINDS = 10
# No stratum is asked less: what is thought to hold nobody is what nobody has looked at.
FLOOR = 60
MONTHS = 12
# The county checks again all whom the visitors found, and this share of whom they did not.
CHECKED_AGAIN = 0.05


@dataclass(frozen=True)
class Stratum:
    """Households that are asked alike: how many, which share is thought to have fallen, and of these was listed."""

    name: str
    households: int
    fallen: float
    listed: float

    def spread(self, recall: float) -> float:
        """The standard deviation of what one household adds to listed falls less `recall` times all falls."""
        mean = self.fallen * (self.listed - recall)
        square = self.fallen * (self.listed * (1 - recall) ** 2 + (1 - self.listed) * recall**2)
        return float(np.sqrt(max(square - mean**2, 0.0)))


@dataclass(frozen=True)
class Plan:
    """How many households of each stratum are to be visited, and what that is thought to tell.

    `half_width`: of the 95 % interval of the yearly recall, as a share of 1. `checks`: the county's own, blind.
    """

    strata: tuple[Stratum, ...]
    visits: tuple[int, ...]
    half_width: float

    @property
    def total(self) -> int:
        """Visits in the year."""
        return sum(self.visits)

    @property
    def finds(self) -> float:
        """Falls that the visits are expected to find."""
        return sum(n * s.fallen for n, s in zip(self.visits, self.strata, strict=True))

    @property
    def checks(self) -> int:
        """Households that the county is expected to check again, where visitors err about nobody."""
        return round(self.finds + CHECKED_AGAIN * (self.total - self.finds))

    @property
    def bound_alone(self) -> bool:
        """Whether so few finds are expected that only a bound on the missed can be told."""
        return self.finds < LEAST_FINDS

    def table(self) -> pd.DataFrame:
        """One row a stratum: households, share thought fallen, visits in the year, chance of being drawn."""
        rows = zip(self.strata, self.visits, strict=True)
        return pd.DataFrame(
            [
                {"stratum": s.name, "households": s.households, "fallen": s.fallen, "visits": n,
                 "probability": n / s.households if s.households else 0.0}
                for s, n in rows
            ]
        )  # fmt: skip


def plan(strata: Sequence[Stratum], half_width: float, *, floor: int = FLOOR) -> Plan:
    """The fewest visits after which the yearly recall is thought to be known to `half_width` either way (95 %).

    Neyman's allocation: visits in proportion to households times their spread, with a floor, and nobody twice. How many
    are needed in all is found by drawing audits and telling their intervals as `estimated` does: the formula for large
    samples (`by_formula`) promises too much where most falls rest on few finds. Raises ValueError where no stratum is
    thought to hold a fall, or the width is not between 0 and 1.
    """
    visits = by_formula(strata, half_width, floor=floor)
    size, spread, _ = _spreads(strata)
    few, many = float(visits.sum()) / 2, float(size.sum())
    for _ in range(14):
        middle = (few * many) ** 0.5
        wide = _expected_half_width(strata, _allocated(size, spread, middle, floor))
        few, many = (middle, many) if wide > half_width else (few, middle)
    visits = _allocated(size, spread, many, floor)
    return Plan(tuple(strata), tuple(int(n) for n in visits), _expected_half_width(strata, visits))


def by_formula(strata: Sequence[Stratum], half_width: float, *, floor: int = FLOOR) -> Floats:
    """Visits of each stratum by the formula for large samples, linearised; Cochran 1977, sections 5.5 and 5.9."""
    if not 0 < half_width < 1:
        raise ValueError("the half width is not between 0 and 1")
    size, spread, falls = _spreads(strata)
    if falls <= 0:
        raise ValueError("no stratum is thought to hold a fall")
    few, many = 0.0, float(size.sum())
    for _ in range(60):
        middle = (few + many) / 2
        wide = _half_width(_allocated(size, spread, middle, floor), size, spread, falls)
        few, many = (middle, many) if wide > half_width else (few, middle)
    return _allocated(size, spread, many, floor)


def _spreads(strata: Sequence[Stratum]) -> tuple[Floats, Floats, float]:
    """Households and spread of each stratum, and all falls thought."""
    size = np.array([s.households for s in strata], float)
    falls = np.array([s.households * s.fallen for s in strata])
    listed = np.array([s.listed for s in strata])
    recall = float(np.clip((falls * listed).sum() / max(falls.sum(), 1e-12), 0.05, 0.95))
    return size, np.array([s.spread(recall) for s in strata]), float(falls.sum())


def _expected_half_width(strata: Sequence[Stratum], visits: Floats, *, audits: int = 200) -> float:
    """The mean half width of the recall's interval over audits drawn from what is thought."""
    rng = np.random.default_rng(0)
    widths = []
    for _ in range(audits):
        falls = np.array([rng.binomial(s.households, s.fallen) for s in strata])
        before = rng.binomial(falls, [s.listed for s in strata])
        others = np.array([s.households for s in strata]) - falls
        found = np.array([rng.hypergeometric(f, o, int(n)) for f, o, n in zip(falls, others, visits, strict=True)])
        listed = rng.hypergeometric(before, falls - before, found)
        told = _Finds(_weights(strata, visits), listed.astype(float), (found - listed).astype(float)).recall()
        widths.append((told.high - told.low) / 2)
    return float(np.mean(widths))


def costs(strata: Sequence[Stratum], widths: Iterable[float] = (0.20, 0.15, 0.10, 0.075, 0.05)) -> pd.DataFrame:
    """What narrower costs: one row a half width, with visits in the year and a month, finds expected, checks."""
    plans = [(w, plan(strata, w)) for w in widths]
    rows = [
        {"half_width": w, "visits": p.total, "visits_a_month": -(-p.total // MONTHS), "finds": p.finds,
         "checks": p.checks, "bound_alone": p.bound_alone}
        for w, p in plans
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _allocated(size: Floats, spread: Floats, total: float, floor: int) -> Floats:
    share = size * spread
    wanted = total * share / share.sum() if share.sum() > 0 else np.zeros_like(size)
    return np.minimum(np.ceil(np.maximum(wanted, floor)), size)


def _half_width(visits: Floats, size: Floats, spread: Floats, falls: float) -> float:
    asked = np.maximum(visits, 1e-9)
    variance = np.where(size > 0, size**2 * (1 - visits / np.maximum(size, 1)) * spread**2 / asked, 0.0)
    return float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance.sum()) / falls)


def drawn(households: Sequence[str], stratum: Ints, visits: Sequence[int], *, seed: int) -> pd.DataFrame:
    """The year's sample without replacement: one row a household drawn, with its stratum, probability and month (0-11).

    The same households, strata and seed give the same sample, in whatever order they come. Each month holds a twelfth
    of each stratum, by chance.
    """
    names = np.asarray(households)
    order = np.argsort(names, kind="stable")
    rng = np.random.default_rng(seed)
    parts = []
    for number, wanted in enumerate(visits):
        mine = order[stratum[order] == number]
        chosen = rng.permutation(mine.size)[: min(wanted, mine.size)]
        months = (np.arange(chosen.size) + rng.integers(MONTHS)) % MONTHS
        chance = chosen.size / mine.size if mine.size else 0.0
        told = {"household_id": names[mine[chosen]], "stratum": number, "probability": chance, "month": months}
        parts.append(pd.DataFrame(told))
    told_all = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return told_all.sort_values(["month", "household_id"], ignore_index=True)


@dataclass(frozen=True)
class Answers:
    """What became of a sample, one row a household drawn.

    `answered`: it was met and did not refuse. `found`: the visitor says it fell. `checked`, `confirmed`: the county
    checked it again, and says that it fell. `listed`: it stood on a list before its fall. All false where not known.
    """

    stratum: Ints
    answered: Bools
    found: Bools
    checked: Bools
    confirmed: Bools
    listed: Bools

    def __post_init__(self) -> None:
        if (self.found & ~self.answered).any() or (self.confirmed & ~self.checked).any():
            raise ValueError("a find of somebody not met, or a confirmation of somebody not checked")
        if (self.checked & ~self.answered).any():
            raise ValueError("a check of somebody not met")
        if (self.found & ~self.checked).any():
            raise ValueError("the county has not checked everybody whom visitors found")


@dataclass(frozen=True)
class Estimate:
    """What an audit tells: falls confirmed, the yearly recall, and how many falls no list had.

    `recall`: NaN where fewer than ten were found. `missed`, `falls`: households of the county in the year. `upper`: the
    one-sided 95 % bound on the missed; both of those that visitors notice. `overlooked`: falls among
    those whom visitors did not find, as the second checks
    tell. `naive`: the share of finds that were listed, unweighted. `answered`: the share of the sample that was met.
    """

    finds: int
    recall: Interval
    missed: Interval
    upper: float
    falls: Interval
    overlooked: Interval
    naive: float
    answered: float


def estimated(answers: Answers, strata: Sequence[Stratum]) -> Estimate:
    """The yearly recall and the missed of strata of so many households; what was thought of them plays no part.

    Recall rests on confirmed finds, weighted: visitors are taken to overlook listed and unlisted falls alike
    (`if_they_err` shows what otherwise), and the missed are those that visitors notice. Who was not met is taken to be
    like the others of the stratum.
    """
    n = len(strata)

    def count(rows: Bools) -> Floats:
        return np.bincount(answers.stratum[rows], minlength=n).astype(float)

    met, hit = count(answers.answered), answers.found & answers.confirmed
    weight = _weights(strata, met)
    finds = _Finds(weight, count(hit & answers.listed), count(hit & ~answers.listed))
    everybody = _Finds(weight, np.zeros(n), finds.listed + finds.unlisted)
    few = finds.number < LEAST_FINDS
    negatives = float((weight * (met - count(answers.found))).sum())
    again = answers.checked & ~answers.found
    return Estimate(
        finds.number,
        Interval(np.nan, np.nan, np.nan) if few else finds.recall(),
        finds.missed(),
        finds.upper(1 - LEVEL),
        everybody.missed(),
        _share(int((again & answers.confirmed).sum()), int(again.sum()), times=negatives),
        float(finds.listed.sum() / finds.number) if finds.number else np.nan,
        float(answers.answered.mean()) if answers.answered.size else np.nan,
    )


def if_they_err(recall: float, *, listed: Sequence[float], unlisted: Sequence[float]) -> pd.DataFrame:
    """The recall that an estimate of `recall` would mean, did visitors notice other shares of the two kinds of falls.

    Rows: the share of listed falls that they notice; columns: of unlisted ones. Where both are the same it is `recall`.
    """
    table = {u: [recall / s / (recall / s + (1 - recall) / u) for s in listed] for u in unlisted}
    return pd.DataFrame(table, index=pd.Index(listed, name="listed_noticed")).rename_axis("unlisted_noticed", axis=1)


@dataclass(frozen=True)
class _Finds:
    """Confirmed finds by stratum, listed before and not, and how many households each speaks for."""

    weight: Floats
    listed: Floats
    unlisted: Floats

    @property
    def number(self) -> int:
        """All of them."""
        return int(self.listed.sum() + self.unlisted.sum())

    def recall(self) -> Interval:
        """The weighted share that was listed; the interval is exact in the effective number of finds.

        That is the smaller of Kish's, and of the number of independent finds with the same linearised variance.
        """
        each = self.listed + self.unlisted
        total, square = float((self.weight * each).sum()), float((self.weight**2 * each).sum())
        if not total:
            return Interval(np.nan, 0.0, 1.0)
        share, kish = float((self.weight * self.listed).sum()) / total, total**2 / square
        # Linearised: larger than Kish's where those who are not listed are also those who speak for many.
        spread = float((self.weight**2 * (self.listed * (1 - share) ** 2 + self.unlisted * share**2)).sum()) / total**2
        return _exact(share, min(kish, share * (1 - share) / spread) if spread else kish)

    def missed(self) -> Interval:
        """How many were not listed, in all strata."""
        total, square = self._sums()
        low = square / (2 * total) * float(chi2.ppf((1 - LEVEL) / 2, 2 * total**2 / square)) if total else 0.0
        return Interval(total, low, self.upper((1 - LEVEL) / 2))

    def upper(self, beyond: float) -> float:
        """The bound above which the number of unlisted lies with a chance of `beyond`."""
        total, square = self._sums()
        heaviest = float(self.weight.max())
        total, square = total + heaviest, square + heaviest**2
        return square / (2 * total) * float(chi2.ppf(1 - beyond, 2 * total**2 / square))

    def _sums(self) -> tuple[float, float]:
        return float((self.weight * self.unlisted).sum()), float((self.weight**2 * self.unlisted).sum())


def _weights(strata: Sequence[Stratum], met: Floats) -> Floats:
    """Households that one who was met speaks for; a stratum of whom nobody was met is spoken for as the others are."""
    size = np.array([s.households for s in strata], float)
    return np.where(met > 0, size / np.maximum(met, 1), size.sum() / max(float(met.sum()), 1.0))


def _exact(share: float, number: float) -> Interval:
    """Clopper and Pearson's interval of a share of so many, which need not be whole."""
    cases, beyond = share * number, (1 - LEVEL) / 2
    low = float(beta.ppf(beyond, cases, number - cases + 1)) if cases > 0 else 0.0
    high = float(beta.ppf(1 - beyond, cases + 1, number - cases)) if cases < number else 1.0
    return Interval(share, low, high)


def _share(cases: int, number: int, *, times: float) -> Interval:
    """A share with its exact interval, times so many; NaN of none."""
    if not number:
        return Interval(np.nan, np.nan, np.nan)
    told = _exact(cases / number, number)
    return Interval(told.estimate * times, told.low * times, told.high * times)
