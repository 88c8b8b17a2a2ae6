"""Whether the county that is scored is still the one that was learnt from: base rate, expected over observed, an alarm.

A model cannot know of a crisis that began after it learnt. That cannot be helped by scoring; it can be said.
"""

from dataclasses import dataclass

import numpy as np

from fpml.measure.calibration import OVERALL_BAND, Forecast
from fpml.measure.lead import Draws
from fpml.measure.metrics import Bools, Floats, Interval, Ints


@dataclass(frozen=True)
class Seen:
    """What came of the households that were learnt from, and their villages (numbered as the draws count them)."""

    fell: Bools
    village: Ints


@dataclass(frozen=True)
class Shift:
    """Base rates then and now, their ratio (now over then), expected over observed now, and what is out of its band.

    Intervals draw villages with all their rows of both sides. `alarms`: one sentence each; none where nothing is told
    from chance. A quiet county is not told from a small shift: see the intervals.
    """

    rate_learnt: float
    rate_now: float
    rates: Interval
    ratio: Interval
    alarms: tuple[str, ...]

    @property
    def raised(self) -> bool:
        """Whether there is an alarm."""
        return bool(self.alarms)

    def __str__(self) -> str:
        said = (
            f"base rate {self.rate_now:.4f}, learnt from {self.rate_learnt:.4f} ({self.rates} times); "
            f"expected over observed {self.ratio}"
        )
        return f"{said}. {'SHIFT: ' + '; '.join(self.alarms) if self.alarms else 'No shift told'}."


def shifted(learnt: Seen, now: Forecast, draws: Draws, *, band: tuple[float, float] = OVERALL_BAND) -> Shift:
    """The alarm: raised where a ratio's whole 95 % interval lies outside the band (0.9 to 1.1).

    So an alarm needs both a shift that matters and one that is no chance; with few villages or no falls there is none,
    and the interval (not a number) says why.
    """
    fell, rows = _by_draw(learnt.fell, learnt.village, draws)
    fell_now, rows_now = _by_draw(now.fell, now.village, draws)
    expected, _ = _by_draw(now.probability, now.village, draws)
    rates = draws.ratio(fell_now * rows, fell * rows_now)
    ratio = draws.ratio(expected, fell_now)
    told = (("the base rate is", rates, "times what was learnt"), ("expected over observed is", ratio, ""))
    alarms = tuple(
        f"{what} {of.low:.2f} to {of.high:.2f} {then}".strip() + f", outside {band[0]:g} to {band[1]:g}"
        for what, of, then in told
        if of.high < band[0] or of.low > band[1]
    )
    return Shift(_rate(fell, rows), _rate(fell_now, rows_now), rates, ratio, alarms)


def _by_draw(value: Floats | Bools, village: Ints, draws: Draws) -> tuple[Floats, Floats]:
    """The sum of a value, and the rows, in each draw of villages; the county as it was first."""
    sums = np.bincount(village, weights=value, minlength=draws.villages)
    rows = np.bincount(village, minlength=draws.villages)
    return np.asarray(draws.times @ sums, np.float64), np.asarray(draws.times @ rows, np.float64)


def _rate(fell: Floats, rows: Floats) -> float:
    return float(fell[0] / rows[0]) if rows[0] else float("nan")
