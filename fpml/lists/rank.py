"""Rule hits and scores -> one ranked row for each household to visit. A rule hit always lists; the model adds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """Positions of the listed rows, in rank order, and by whom each was listed (rule, model or both)."""

    rows: npt.NDArray[np.int64]
    listed_by: tuple[str, ...]
    excess: int


def rank(score: Floats, already: Bools, hit: Bools, *, visits: int) -> Ranked:
    """The list of one as-of: every rule hit, and the highest scores (NaN: not at risk) as far as visits reach.

    Those already below the line come first, then falling score; among equals the order of the rows (households
    ascending) decides. `excess` says how many rule hits there are beyond the visits at hand.
    """
    number_of_hits = int(hit.sum())
    scored = np.flatnonzero(~np.isnan(score))
    best = scored[np.argsort(-score[scored], kind="stable")]
    # The model's own list, as if it stood alone, says who is listed by both; what rule hits leave over is added to.
    own = np.zeros(score.size, bool)
    own[best[:visits]] = True
    added = best[~hit[best]][: max(0, visits - number_of_hits)]
    listed = hit.copy()
    listed[added] = True
    rows = np.flatnonzero(listed)
    order = np.lexsort((rows, -np.nan_to_num(score[rows], nan=-1.0), ~already[rows]))
    rows = rows[order]
    by = tuple(("both" if own[r] else "rule") if hit[r] else "model" for r in rows)
    return Ranked(rows, by, max(0, number_of_hits - visits))


def hit_names(hits: Mapping[str, Bools], row: int) -> tuple[str, ...]:
    """The rules that hit a row, in the policy's order."""
    return tuple(name for name, held in hits.items() if held[row])
