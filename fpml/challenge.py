"""Champion and challenger: whether another definition of a model is to take the place of the one in force.

Both are backtested on the same origins and draws of villages, other models being as they are. The challenger is
promoted where, over six origins or more whose horizons do not overlap and have passed, the paired lower 95 % bound of
its gain in the share of falls found at capacity is above nothing, and its calibration passes at every horizon: too few
events to judge by is no pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fpml.backtests import IDENTIFIED, Tested, shares_of
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.measure import Interval
from fpml.measure.skill import OURS, told

# With fewer origins nothing is decided.
LEAST_ORIGINS = 6
PASSED = "passed"


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger is promoted, and why not; with what that rests on.

    `gain`: the share of falls found at capacity, the challenger's less the champion's; `calibration`: of the
    challenger, one row a horizon.
    """

    model: str
    origins: tuple[AsOf, ...]
    falls: int
    champion: Interval
    challenger: Interval
    gain: Interval
    calibration: pd.DataFrame
    reasons: tuple[str, ...]

    @property
    def promoted(self) -> bool:
        """It takes the champion's place."""
        return not self.reasons

    def as_json(self) -> dict[str, object]:
        """The verdict, for a program."""
        intervals = {n: vars(getattr(self, n)) for n in ("champion", "challenger", "gain")}
        return {
            "model": self.model, "promoted": self.promoted, "reasons": list(self.reasons), "falls": self.falls,
            "origins": [str(o) for o in self.origins], **intervals,
            "calibration": self.calibration.to_dict("records"),
        }  # fmt: skip


def apart(as_ofs: Sequence[AsOf], months: int) -> tuple[AsOf, ...]:
    """The latest as-ofs that lie so many months apart or more, the last one among them, in order."""
    chosen: list[AsOf] = []
    for as_of in reversed(as_ofs):
        if not chosen or as_of.month + months <= chosen[-1].month:
            chosen.append(as_of)
    return tuple(reversed(chosen))


def mature(as_ofs: Sequence[AsOf], horizon: int, lag: int) -> tuple[AsOf, ...]:
    """The as-ofs so far apart that horizons do not overlap, of those whose labels are known by the last of all.

    Raises NotYetError where they are fewer than six.
    """
    found = apart([a for a in as_ofs if a.month + horizon + lag <= as_ofs[-1].month], horizon)
    if len(found) < LEAST_ORIGINS:
        problem = f"{len(found)} mature origins {horizon} months apart; a verdict takes {LEAST_ORIGINS}"
        raise NotYetError(f"challenge up to {as_ofs[-1]}", problem, "Take in more months.")
    return found


def decided(model: str, outcome: str, champion: Tested, challenger: Tested) -> Verdict:
    """The verdict on two backtests over the same origins; raises NotYetError where six could not be learnt at."""
    origins = tuple(o for o in champion.panel.as_ofs[: champion.panel.lists])
    if len(origins) < LEAST_ORIGINS or origins != challenger.panel.as_ofs[: challenger.panel.lists]:
        problem = f"both could be learnt at {len(origins)} origins or fewer; a verdict takes {LEAST_ORIGINS}"
        raise NotYetError(f"challenge {model}", problem, "Take in more months.")
    visits, draws = champion.catalogue.county.visits, champion.draws
    one, other = (t.sides.model_alone(visits) for t in (champion, challenger))
    gain = draws.interval(shares_of(other.found(), other.falls()) - shares_of(one.found(), one.falls()))
    rows = []
    for judged in challenger.judged(IDENTIFIED):
        if judged.outcome == outcome:
            found = judged.calibration(OURS, draws)
            rows.append({"horizon": judged.horizon, "verdict": found.verdict, "events": found.events,
                         **told("ratio", found.overall)})  # fmt: skip
    calibration = pd.DataFrame(rows, columns=["horizon", "verdict", "events", "ratio", "ratio_low", "ratio_high"])
    falls = int(one.falls()[0])
    of_one, of_other = (draws.share(o.found(), o.falls()) for o in (one, other))
    return Verdict(model, origins, falls, of_one, of_other, gain, calibration, tuple(_against(gain, calibration)))


def _against(gain: Interval, calibration: pd.DataFrame) -> list[str]:
    """What speaks against a promotion."""
    out = []
    if not (np.isfinite(gain.low) and gain.low > 0):
        out.append(f"the gain in falls found is {gain}: its lower bound is not above nothing")
    out += [
        f"calibration at {row['horizon']} months: {row['verdict']}"
        for row in calibration.to_dict("records")
        if row["verdict"] != PASSED
    ]
    if not len(calibration):
        out.append("calibration: no label is known yet")
    return out
