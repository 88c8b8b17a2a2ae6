"""Whether probabilities mean what they say: expected over observed by cell and on the whole, scores, order of horizons.

A verdict is given on falls in counties without fpml: lists that help make expected exceed observed, and rightly so.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.special import xlog1py, xlogy
from scipy.stats import t as student_t

from fpml.measure.lead import Draws
from fpml.measure.metrics import Bools, Floats, Interval, Ints

# A cell's events, and a verdict's: with fewer, an interval is wider than the band that it is to be held against.
CELL_EVENTS, EVENTS = 250, 500
# Cells that are cut by expected events get so many: 250 and three standard deviations, so that 250 are mostly observed.
CELL_EXPECTED = 300
MOST_CELLS = 10
CELL_BAND, OVERALL_BAND = (0.8, 1.25), (0.9, 1.1)
LEVEL = 0.05
_EPSILON = float(np.finfo(np.float64).eps)

Verdict = Literal["passed", "failed", "too few events"]
Loss = Callable[[Floats, Bools], Floats]


@dataclass(frozen=True)
class Forecast:
    """Probabilities of a fall within one horizon, whether it came, and the village: one row a household and as-of.

    `village`: 0 and on, as the draws count them. Rows of all origins together.
    """

    probability: Floats
    fell: Bools
    village: Ints

    def __post_init__(self) -> None:
        if not self.probability.shape == self.fell.shape == self.village.shape:
            raise ValueError(f"{self.probability.shape} probabilities, {self.fell.shape} outcomes")
        if not ((self.probability >= 0) & (self.probability <= 1)).all():
            raise ValueError("a probability is missing or outside 0 to 1")

    def drawn(self, value: Floats | Bools, cell: Ints, draws: Draws) -> Floats:
        """The sum of a value by cell and draw of villages: one row a cell, the county as it was first."""
        cells, villages = int(cell.max()) + 1, draws.villages
        by_village = np.bincount(cell * villages + self.village, weights=value, minlength=cells * villages)
        return np.asarray(by_village.reshape(cells, villages) @ draws.times.T, np.float64)


@dataclass(frozen=True)
class Cell:
    """Expected and observed falls among rows with a probability above `above` and up to `up_to`.

    `p`: of a ratio within the band, after Holm's correction over the cells.
    """

    above: float
    up_to: float
    rows: int
    expected: float
    events: int
    ratio: Interval
    p: float


@dataclass(frozen=True)
class Calibration:
    """Passed, failed or too few events to judge, and why, for one horizon (in months)."""

    horizon: int
    verdict: Verdict
    reasons: tuple[str, ...]
    expected: float
    events: int
    overall: Interval
    cells: tuple[Cell, ...]

    def as_frame(self) -> pd.DataFrame:
        """One row a cell, lowest risk first."""
        rows = [{"horizon": self.horizon, **asdict(c), **asdict(c.ratio)} for c in self.cells]
        return pd.DataFrame(rows).drop(columns="ratio")


def cell_edges(probability: Floats, events: Floats | Bools | None = None) -> Floats:
    """The upper edges of cells of rising risk, pooled from the lowest upward; the last is 1.

    `events`: what fell, of earlier origins that are not judged. Without them cells are cut by expected events, which
    looks at no outcome either. At most ten cells: where events are many, each has more, and says more. Rows of one
    probability are never parted.
    """
    counted, least = (probability, CELL_EXPECTED) if events is None else (events, CELL_EVENTS)
    values, at = np.unique(probability, return_inverse=True)
    by_value = np.bincount(at, weights=counted).astype(np.float64)
    ends = _pools(by_value, max(least, by_value.sum() / (MOST_CELLS + 0.1)))
    return np.append(values[ends[:-1]], 1.0)


def _pools(events: Floats, least: float) -> list[int]:
    """The last position of each pool, pooled from the first until each has `least`; a rest that has not joins the last.

    A pool's sum may miss `least` by rounding, so a millionth of an event is forgiven.
    """
    reached, ends, done = np.cumsum(events), [], 0.0
    while (i := int(np.searchsorted(reached, done + least - 1e-6))) < events.size:
        if reached[-1] - reached[i] < least - 1e-6:
            break
        ends.append(i)
        done = float(reached[i])
    return [*ends, events.size - 1]


def calibrated(
    forecasts: Mapping[int, Forecast], draws: Draws, *, cut: Mapping[int, Floats] | None = None
) -> dict[int, Calibration]:
    """The verdict for each horizon. `cut`: edges fixed beforehand; without them cells are cut by expected events."""
    return {
        h: judge(f, draws, horizon=h, cut=cut[h] if cut else cell_edges(f.probability)) for h, f in forecasts.items()
    }


def judge(forecast: Forecast, draws: Draws, *, horizon: int, cut: Floats) -> Calibration:
    """Whether expected falls are as many as observed, in each cell and on the whole, by draws of villages.

    Cells in which fewer than 250 events were observed are pooled with the next ones up. The verdict takes the 95 %
    interval of each cell, and Holm's correction beside it: as Holm's levels are 5 % or less, the first is the stricter.
    """
    fine = np.searchsorted(cut, forecast.probability)
    ends = _pools(np.bincount(fine, weights=forecast.fell, minlength=cut.size).astype(np.float64), CELL_EVENTS)
    cell, bounds = np.searchsorted(ends, fine), cut[ends]
    expected, observed = forecast.drawn(forecast.probability, cell, draws), forecast.drawn(forecast.fell, cell, draws)
    overall = draws.ratio(expected.sum(axis=0), observed.sum(axis=0))
    corrected = holm(np.array([_p(e, o, draws) for e, o in zip(expected, observed, strict=True)]))
    rows = np.bincount(cell, minlength=len(ends))
    cells = tuple(
        Cell(float(bounds[i - 1]) if i else 0.0, float(bounds[i]), int(rows[i]), float(expected[i, 0]),
             int(observed[i, 0]), draws.ratio(expected[i], observed[i]), float(corrected[i]))
        for i in range(len(ends))
    )  # fmt: skip
    verdict, reasons = _verdict(overall, cells)
    return Calibration(
        horizon, verdict, reasons, float(expected[:, 0].sum()), int(observed[:, 0].sum()), overall, cells
    )


def _verdict(overall: Interval, cells: tuple[Cell, ...]) -> tuple[Verdict, tuple[str, ...]]:
    events = sum(c.events for c in cells)
    if events < EVENTS:
        return "too few events", (f"{events} events; a verdict takes {EVENTS}",)
    reasons = []
    if not OVERALL_BAND[0] <= overall.estimate <= OVERALL_BAND[1]:
        reasons.append(f"expected over observed is {overall.estimate:.2f} on the whole, outside 0.9 to 1.1")
    for c in cells:
        where = f"probabilities from {c.above:.4f} to {c.up_to:.4f}: {c.ratio.low:.2f} to {c.ratio.high:.2f}"
        if not (c.ratio.low <= CELL_BAND[1] and c.ratio.high >= CELL_BAND[0]):
            reasons.append(f"{where}, outside 0.8 to 1.25")
        if c.p < LEVEL:
            reasons.append(f"{where}, outside after Holm (p = {c.p:.4f})")
    return ("failed" if reasons else "passed"), tuple(reasons)


def _p(expected: Floats, observed: Floats, draws: Draws) -> float:
    """Two-sided p of a ratio within the band: Student's t on its logarithm; 1 where the estimate lies within.

    Quantiles of some hundred draws cannot tell the small p that Holm asks for.
    """
    if not (expected[0] > 0 and observed[0] > 0):
        return 1.0
    ratio = np.log(np.divide(expected, observed, out=np.ones_like(expected), where=(expected > 0) & (observed > 0)))
    beyond = max(np.log(CELL_BAND[0]) - ratio[0], ratio[0] - np.log(CELL_BAND[1]))
    if beyond <= 0:
        return 1.0
    n = max(draws.villages, 2)
    error = float(np.std(ratio[1:], ddof=1)) * np.sqrt(n / (n - 1))
    return float(min(1.0, 2 * student_t.sf(beyond / error, n - 1))) if error > 0 else 0.0


def holm(p: Floats) -> Floats:
    """Holm's p-values: below 5 % wherever the step-down test at 5 % rejects. Source: Holm 1979."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    out = np.empty(p.size)
    out[order] = np.minimum(stepped, 1)
    return out


def squared(probability: Floats, fell: Bools) -> Floats:
    """Each row's Brier score: the squared error of its probability."""
    return (probability - fell) ** 2


def logarithmic(probability: Floats, fell: Bools) -> Floats:
    """Each row's log loss in nats; 0 and 1 count as one rounding error away from them, as scikit-learn has it."""
    safe = np.clip(probability, _EPSILON, 1 - _EPSILON)
    return -(xlogy(fell, safe) + xlog1py(~fell, -safe))


@dataclass(frozen=True)
class Decomposition:
    """A mean score = miscalibration (reliability) - discrimination (resolution) + uncertainty, without remainder."""

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def decomposition(forecast: Forecast, loss: Loss = squared) -> Decomposition:
    """The CORP decomposition of a mean score: against the forecast recalibrated by isotonic regression, and the rate.

    Bins leave terms within them and change with their number; isotonic regression needs neither, holds for any proper
    score and never makes a part negative. Source: Dimitriadis, Gneiting and Jordan, PNAS 2021.
    """
    _, at, rows = np.unique(forecast.probability, return_inverse=True, return_counts=True)
    rate = np.bincount(at, weights=forecast.fell) / rows
    better = np.clip(isotonic_regression(rate, weights=rows).x, 0, 1)[at]
    base = np.full(at.size, forecast.fell.mean())
    score, best, plain = (float(loss(p, forecast.fell).mean()) for p in (forecast.probability, better, base))
    return Decomposition(score, score - best, plain - best, plain)


def difference(one: Forecast, other: Forecast, draws: Draws, *, loss: Loss = squared) -> Interval:
    """The mean score of one method less that of another on the same rows, by draws of villages; below 0 is better."""
    if not (np.array_equal(one.fell, other.fell) and np.array_equal(one.village, other.village)):
        raise ValueError("two methods are compared on the same rows")
    gap = loss(one.probability, one.fell) - loss(other.probability, other.fell)
    everyone = np.zeros(gap.size, np.int64)
    return draws.ratio(one.drawn(gap, everyone, draws)[0], one.drawn(np.ones(gap.size), everyone, draws)[0])


def incoherent(probabilities: Floats) -> Bools:
    """Which rows say that a longer horizon is less probable; a column a horizon, shortest first."""
    return np.asarray((np.diff(probabilities, axis=1) < 0).any(axis=1))
