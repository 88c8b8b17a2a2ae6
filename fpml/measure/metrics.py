"""What a list is worth: skill, what is found at the visits at hand, and intervals that draw whole villages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Statistic = Callable[[Ints], float]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, given these months: villages are drawn with all their rows."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.4f} [{self.low:.4f}, {self.high:.4f}]"


def auc(y: Ints, score: Floats) -> float:
    """Area under the ROC curve; not a number where one class is missing."""
    return float(roc_auc_score(y, score)) if 0 < y.sum() < y.size else float("nan")


def average_precision(y: Ints, score: Floats) -> float:
    """Average precision (the step-wise area under precision and recall); not a number without events."""
    return float(average_precision_score(y, score)) if y.sum() else float("nan")


def brier(y: Ints, probability: Floats) -> float:
    """The mean squared error of the probabilities."""
    return float(brier_score_loss(y, probability))


def expected_over_observed(y: Ints, probability: Floats) -> float:
    """The sum of the probabilities over the number of events: 1 is right on the whole."""
    return float(probability.sum() / y.sum()) if y.sum() else float("nan")


def visited(score: Floats, occasion: Ints, visits: int) -> Bools:
    """Which rows a method visits: the highest `visits` scores of each occasion; earlier rows first among equals."""
    out = np.zeros(score.size, bool)
    for when in np.unique(occasion):
        rows = np.flatnonzero(occasion == when)
        out[rows[np.argsort(-score[rows], kind="stable")[:visits]]] = True
    return out


def precision(y: Ints, chosen: Bools) -> float:
    """The share of visits that met a household that fell."""
    return float(y[chosen].mean()) if chosen.any() else float("nan")


def found(y: Ints, chosen: Bools) -> float:
    """The share of the falls that were visited."""
    return float(y[chosen].sum() / y.sum()) if y.sum() else float("nan")


def draws(cluster: Ints, *, times: int, seed: int) -> Iterator[Ints]:
    """Row numbers of `times` bootstrap samples that draw whole clusters with replacement."""
    rng = np.random.default_rng(seed)
    names, at = np.unique(cluster, return_inverse=True)
    order = np.argsort(at, kind="stable")
    edges = np.searchsorted(at[order], np.arange(names.size + 1))
    members = [order[edges[i] : edges[i + 1]] for i in range(names.size)]
    for _ in range(times):
        yield np.concatenate([members[j] for j in rng.integers(0, names.size, names.size)])


def interval(statistic: Statistic, cluster: Ints, *, times: int = 500, seed: int = 0) -> Interval:
    """The statistic of all rows with its percentile interval over draws of villages.

    `statistic` takes row numbers; a paired comparison is a statistic that computes both methods on the same rows.
    """
    values = np.array([statistic(rows) for rows in draws(cluster, times=times, seed=seed)])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.025, 0.975]) if values.size else (np.nan, np.nan)
    return Interval(statistic(np.arange(cluster.size)), float(low), float(high))


def calibration_table(y: Ints, probability: Floats, *, least_events: int = 50) -> list[dict[str, float]]:
    """Expected and observed in cells of rising risk, pooled from the lowest upward until each has enough events."""
    order = np.argsort(probability, kind="stable")
    total = int(y.sum())
    cells: list[dict[str, float]] = []
    start = events = 0
    for i, row in enumerate(order, start=1):
        events += int(y[row])
        rest = total - sum(int(c["events"]) for c in cells) - events
        if i == order.size or (events >= least_events and rest >= least_events):
            rows = order[start:i]
            expected = float(probability[rows].sum())
            cells.append(
                {"rows": rows.size, "events": events, "expected": expected, "highest": float(probability[row])}
            )
            start, events = i, 0
    return cells
