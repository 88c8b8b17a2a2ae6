"""Rule hits and scores -> one ranked row for each household to visit. A hit of a line always lists; the model adds."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
# The line of the departments' rules; the other lines bear the names of their channels.
RULE = "rule"
# By lot, among those next below the cut.
EXPLORING = "exploring"


@dataclass(frozen=True)
class Ranked:
    """Positions of the listed rows, in rank order, and by whom each was listed.

    By rule (a department's), model or both; by declared or walked where neither of these points at the household;
    exploring where it was drawn: `drawn` is the chance of each of these, by position, and `among` of how many.
    `excess`: households of the lines beyond the visits at hand; `spared`: those of the lines that are not listed now.
    `floors`: households listed so that their village has one.
    """

    rows: npt.NDArray[np.int64]
    listed_by: tuple[str, ...]
    excess: int
    spared: int
    floors: int = 0
    drawn: Mapping[int, float] = field(default_factory=dict)
    among: int = 0


@dataclass(frozen=True)
class Lots:
    """So many visits at most are drawn by lot, among `reach` times as many. `lot`: of a row; the lowest are drawn."""

    most: int
    reach: int
    lot: Callable[[int], bytes]


@dataclass(frozen=True)
class Places:
    """The village of each row (negative: not known), and how many visits may serve that no village is without one."""

    village: npt.NDArray[np.int64]
    most: int


def rank(
    score: Floats,
    already: Bools,
    lines: Mapping[str, Bools],
    *,
    visits: int,
    apart: Bools,
    spare: Bools | None = None,
    places: Places | None = None,
    lots: Lots | None = None,
) -> Ranked:
    """The list of one as-of: whom a line lists, and the highest scores (NaN: not at risk) as far as visits reach.

    `apart`: who is not listed now whatever is known of them (in monitoring, or left in peace); they take no visit.
    `spare`: whom the model does not add, and lines list all the same. `lots`: how many of the visits that the lines
    leave over (half of them at most) go by lot to those next below the cut, and not to the highest scores.

    `lines`: who is listed whatever the score, by line: `rule` (departments' rules), declared, walked. Those already
    below the line come first, then falling score; among equals the order of the rows (households ascending) decides.
    """
    of_lines = np.logical_or.reduce([np.zeros(score.size, bool), *lines.values()])
    hit = of_lines & ~apart
    number_of_hits = int(hit.sum())
    free = ~apart if spare is None else ~apart & ~(spare & ~hit)
    scored = np.flatnonzero(~np.isnan(score) & free)
    best = scored[np.argsort(-score[scored], kind="stable")]
    # The model's own list, as if it stood alone, says who is listed by both; what the lines leave over is added to.
    own = np.zeros(score.size, bool)
    own[best[:visits]] = True
    others, room = best[~hit[best]], max(0, visits - number_of_hits)
    # The highest scores keep half of what the lines leave over, at the least.
    cut = room - min(lots.most, room // 2) if lots else room
    drawn, among = _by_lot(others[cut:], room - cut, lots)
    # A village's floor takes nobody who was in the draw: the chance of these stays what it is said to be.
    added, floors = _added(np.delete(others, np.s_[cut : cut + among]), hit, cut, places)
    listed = hit.copy()
    listed[[*added, *drawn]] = True
    rows = np.flatnonzero(listed)
    order = np.lexsort((rows, -np.nan_to_num(score[rows], nan=-1.0), ~already[rows]))
    rows = rows[order]
    return Ranked(
        rows,
        tuple(EXPLORING if int(r) in drawn else _by(int(r), own, lines) for r in rows),
        max(0, number_of_hits - visits),
        int((of_lines & apart).sum()),
        floors,
        drawn,
        among,
    )


def _by_lot(others: npt.NDArray[np.int64], most: int, lots: Lots | None) -> tuple[dict[int, float], int]:
    """Who is drawn, with what chance, out of how many of `others`, who follow the certain part of the list.

    A simple random sample. Those whom the draw may cost their place are in it; all have the same chance, which is never
    small, and so no later weight is large.
    """
    window = others[: lots.reach * most].tolist() if lots else []
    drawn = sorted(window, key=lots.lot)[:most] if lots else []
    return dict.fromkeys(drawn, len(drawn) / len(window) if window else 0.0), len(window)


def _added(
    best: npt.NDArray[np.int64], hit: Bools, room: int, places: Places | None
) -> tuple[npt.NDArray[np.int64], int]:
    """Whom the model adds out of `best` (highest first), and how many of them for their village's sake.

    A village that would have nobody gives its best; each takes the place of the lowest of a village that has others.
    """
    added = best[:room]
    if places is None or not added.size:
        return added, 0
    has = Counter(places.village[np.concatenate([np.flatnonzero(hit), added])].tolist())
    others = best[room:]
    village, first = np.unique(places.village[others], return_index=True)
    wanted = np.sort(first[[v >= 0 and not has[v] for v in village.tolist()]])[: places.most]
    dropped: list[int] = []
    for n in range(added.size - 1, -1, -1):
        v = int(places.village[added[n]])
        if len(dropped) < wanted.size and has[v] > 1:
            has[v] -= 1
            dropped.append(n)
    kept = np.delete(added, np.array(dropped, np.int64))
    return np.concatenate([kept, others[wanted[: len(dropped)]]]), len(dropped)


def _by(row: int, own: Bools, lines: Mapping[str, Bools]) -> str:
    """By whom a row is listed. All its hits are told beside: what was declared is not lost where a rule hits too."""
    hit = [line for line, held in lines.items() if held[row]]
    if RULE in hit:
        return "both" if own[row] else RULE
    return hit[0] if hit and not own[row] else "model"


def hit_names(hits: Mapping[str, Bools], row: int) -> tuple[str, ...]:
    """The rules that hit a row, in the policy's order."""
    return tuple(name for name, held in hits.items() if held[row])
