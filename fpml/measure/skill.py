"""How well probabilities tell who falls: skill by outcome and horizon, each method beside ours on the same draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fpml.measure.calibration import Calibration, Forecast, cell_edges, decomposition, difference, judge, logarithmic
from fpml.measure.lead import Draws
from fpml.measure.metrics import Bools, Floats, Interval, Ints, auc, brier, expected_over_observed

OURS = "fpml"


@dataclass(frozen=True)
class Judged:
    """What methods said of the same rows, one outcome and horizon, all origins together, and who fell.

    `score`: of every method; `probable`: the methods whose scores are probabilities. `village`: 0 and on, as the draws
    count them. Rows whose label is not known are left out before.
    """

    outcome: str
    horizon: int
    score: Mapping[str, Floats]
    probable: frozenset[str]
    fell: Bools
    village: Ints
    origins: int

    @cached_property
    def label(self) -> Ints:
        """1 where a household fell."""
        return self.fell.astype(np.int64)

    def forecast(self, method: str) -> Forecast:
        """A method's probabilities, to be judged."""
        return Forecast(np.clip(self.score[method], 0, 1), self.fell, self.village)

    def skill(self, draws: Draws) -> pd.DataFrame:
        """One row a method. `gain`: ours less its average precision, with a 95 % interval paired on draws of villages;
        `brier_gain`, `log_gain`: its mean score less ours (above 0: ours is better)."""
        precise = {m: precisions(self.label, s, self.village, draws) for m, s in self.score.items()}
        about = {"outcome": self.outcome, "horizon": self.horizon, "origins": self.origins,
                 "rows": self.fell.size, "events": int(self.fell.sum())}  # fmt: skip
        rows = []
        for method, score in self.score.items():
            gain = draws.interval(precise[OURS] - precise[method])
            row = about | {
                "method": method,
                "auc": auc(self.label, score),
                **told("average_precision", draws.interval(precise[method])),
                **told("gain", gain),
            }
            rows.append(row | self._probable(method, draws) if method in self.probable else row)
        return pd.DataFrame(rows)

    def _probable(self, method: str, draws: Draws) -> dict[str, float]:
        forecast, ours = self.forecast(method), self.forecast(OURS)
        parts = decomposition(forecast)
        return {
            "brier": brier(self.label, forecast.probability),
            "miscalibration": parts.miscalibration,
            "discrimination": parts.discrimination,
            "log_loss": float(logarithmic(forecast.probability, self.fell).mean()),
            "expected_over_observed": expected_over_observed(self.label, forecast.probability),
            **told("brier_gain", difference(forecast, ours, draws)),
            **told("log_gain", difference(forecast, ours, draws, loss=logarithmic)),
        }

    def calibration(self, method: str, draws: Draws) -> Calibration:
        """The verdict on a method's probabilities; cells are cut by expected events, which look at no outcome."""
        forecast = self.forecast(method)
        return judge(forecast, draws, horizon=self.horizon, cut=cell_edges(forecast.probability))


def told(name: str, interval: Interval) -> dict[str, float]:
    """An interval as three columns: the estimate, and its ends."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def precisions(label: Ints, score: Floats, village: Ints, draws: Draws) -> Floats:
    """The average precision in each draw of villages, the county as it was first; rows of one score stand together.

    Precision changes its weight only where somebody fell: rows are counted by village between one such score and the
    next, and all draws are one product of matrices. Not a number in a draw in which nobody fell.
    """
    order = np.argsort(-score, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(score[order]) != 0)])
    fell = label[order] > 0
    marked = np.unique(group[fell])
    # The rows up to and with each score at which somebody fell, and after the one before.
    part = np.searchsorted(marked, group)
    home = village[order]
    inside = part < marked.size
    villages = draws.villages
    rows = np.bincount(part[inside] * villages + home[inside], minlength=marked.size * villages)
    events = np.bincount(part[fell] * villages + home[fell], minlength=marked.size * villages)
    times = draws.times.T.astype(np.float64)
    reached = np.cumsum(rows.reshape(-1, villages) @ times, axis=0)
    falls = events.reshape(-1, villages) @ times
    right = np.divide(np.cumsum(falls, axis=0), reached, out=np.zeros_like(reached), where=reached > 0)
    whole = falls.sum(axis=0)
    return np.divide((falls * right).sum(axis=0), whole, out=np.full(whole.size, np.nan), where=whole > 0)
