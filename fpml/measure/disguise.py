"""A feature that is the outcome in disguise: it tells who will fall more surely than anything known by then could.

Nobody knows six months ahead which household falls. Where nearly all that a feature marks (above a value, below one, or
unknown) fall, and they are no few, it was most likely written after the fall, or is another name of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import gamma

from fpml.measure.metrics import Bools, Floats, Ints

# Named is what marks this share of all falls, and so many, and of whose rows this share falls, at the least.
LEAST_SHARE, LEAST_FALLS, SURE = 0.1, 10, 0.8
# The chance that a sound feature is named, over all cuts of all features.
CHANCE = 0.05


@dataclass(frozen=True)
class Disguise:
    """A feature that tells too much: the share of the falls that it marks, and the least share of its rows that fall.

    `side`: high, low or unknown, the values that mark them.
    """

    feature: str
    side: str
    falls: float
    sure: float

    def __str__(self) -> str:
        return (
            f"{self.feature} ({self.side}): marks {self.falls:.0%} of the falls, and {self.sure:.0%} of its rows fall"
        )


def disguised(
    x: npt.NDArray[np.float32], names: Sequence[str], fell: Bools, *, kept: float = 1.0
) -> tuple[Disguise, ...]:
    """The features that are the outcome in disguise, the surest of each; `x` holds rows by features, NaN unknown.

    `kept`: the share of the rows without a fall that is among them. Disguises that mark fewer than a tenth of the
    falls, or err in more than a fifth, are not told from good features.
    """
    least = max(LEAST_FALLS, LEAST_SHARE * fell.sum())
    if fell.sum() < least:
        return ()
    cuts = max(1, int(fell.sum())) * 2 * max(1, len(names))
    found = []
    for j, name in enumerate(names):
        known = ~np.isnan(x[:, j])
        sides = {"high": _marked(-x[known, j], fell[known]), "low": _marked(x[known, j], fell[known]),
                 "unknown": (np.array([fell[~known].sum()]), np.array([(~fell[~known]).sum()]))}  # fmt: skip
        told = [_surest(name, side, falls, others, kept, least, cuts, int(fell.sum()))
                for side, (falls, others) in sides.items()]  # fmt: skip
        best = max((d for d in told if d), key=lambda d: d.sure, default=None)
        if best and best.sure >= SURE:
            found.append(best)
    return tuple(sorted(found, key=lambda d: -d.sure))


def _marked(value: Floats | npt.NDArray[np.float32], fell: Bools) -> tuple[Ints, Ints]:
    """Of each cut between two values, from the lowest: how many below it fell, and how many did not."""
    order = np.argsort(value, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(value[order]) > 0, True)) if value.size else np.zeros(0, np.int64)
    falls = np.cumsum(fell[order])[ends]
    return falls.astype(np.int64), (ends + 1 - falls).astype(np.int64)


def _surest(
    name: str, side: str, falls: Ints, others: Ints, kept: float, least: float, cuts: int, whole: int
) -> Disguise | None:
    """The cut of which the largest share falls for certain: rows without a fall are as many as they may well be."""
    enough = falls >= least
    if not enough.any():
        return None
    # The upper bound of a Poisson mean (Garwood 1936) after so many were seen.
    most = gamma.ppf(1 - CHANCE / cuts, others[enough] + 1) / kept if kept < 1 else others[enough].astype(np.float64)
    sure = falls[enough] / (falls[enough] + most)
    at = int(np.argmax(sure))
    return Disguise(name, side, float(falls[enough][at] / whole), float(sure[at]))
