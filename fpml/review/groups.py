"""Fairness of finding, by group: what is found, what the scores say against what came, and what may be said of it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fpml.measure import Interval, Outcome
from fpml.measure.metrics import Bools, Floats
from fpml.review.corners import named, spread
from fpml.review.study import Kind, Study

# Fewer finds of an audit, or falls, in a group say nothing of it.
LEAST = 10
BANDS = (0.0, 0.5, 0.9, 0.99, 1.0)
LEVEL = 0.05


def among_falls(study: Study, kind: Kind) -> Bools:
    """Which of the judged falls were of a kind, at the last as-of before."""
    return kind.rows[study.sides.panel.row_before(study.sides.falls)]


def groups(study: Study) -> pd.DataFrame:
    """One row a group: what rules and model found of its falls, the share confirmed just above the model's cut.

    `gap` is the model's share found less that of the rest of the grouping; `testable` where both sides have ten falls,
    supported where it differs from nothing after Holm's correction over all that are testable (of a grouping of two
    kinds there is one difference). Recall in a county whose truth nobody knows is estimable only from ten finds of the
    audit or more; of fewer its lower bound is told.
    """
    rows: list[dict[str, object]] = []
    chances: dict[tuple[str, str], float] = {}
    of_row: list[tuple[str, str]] = []
    near = study.ranks(round(0.8 * study.capacity), study.capacity)
    for grouping, (name, kinds) in study.groupings.items():
        for kind in kinds:
            row, chance = _group(study, kind, kinds, near)
            rows.append({**named("grouping", name), **row, "testable": np.isfinite(chance)})
            # Of two kinds, what one has more the other has less.
            of_row.append((grouping, kind.key if len(kinds) > 2 else ""))
            if np.isfinite(chance):
                chances[of_row[-1]] = chance
    held = dict(zip(chances, holm(np.array(list(chances.values()))), strict=True))
    return pd.DataFrame(rows).assign(supported=[bool(held.get(contrast, False)) for contrast in of_row])


def _group(study: Study, kind: Kind, kinds: list[Kind], near: Bools) -> tuple[dict[str, object], float]:
    here = among_falls(study, kind)
    rest = np.logical_or.reduce([among_falls(study, k) for k in kinds]) & ~here
    listed = near & kind.rows
    gap, chance = _gap(study.model, here, rest)
    rules, model = (o.draws.share(o.found(here), o.falls(here)) for o in (study.rules, study.model))
    finds, recall = study.audited(kind.rows)
    return {
        **named("group", kind.name),
        "households": study.distinct(kind.rows & study.sides.counted),
        "falls": int(here.sum()),
        **spread("found_rules", rules),
        **spread("found_model", model),
        "near_cut": int(listed.sum()),
        **spread("near_cut_confirmed_share", study.share(study.confirmed, listed & study.visited)),
        "audit_finds": finds,
        **spread("recall", recall),
        **spread("gap", gap),
    }, chance


def _gap(o: Outcome, here: Bools, rest: Bools) -> tuple[Interval, float]:
    """The difference in the share found, and how likely one as large would be by chance; not a number: too few fell."""
    mine, others = (np.divide(o.found(x), o.falls(x), out=_nothing(o), where=o.falls(x) > 0) for x in (here, rest))
    told = o.draws.interval(mine - others)
    if min(here.sum(), rest.sum()) < LEAST:
        return told, float("nan")
    return told, o.draws.chance(mine - others)


def _nothing(o: Outcome) -> Floats:
    return np.full(len(o.draws), np.nan)


def holm(chances: Floats) -> Bools:
    """Which are below 5 % after Holm's correction for all of them."""
    order = np.argsort(chances, kind="stable")
    held = chances[order] <= LEVEL / (chances.size - np.arange(chances.size))
    out = np.zeros(chances.size, bool)
    out[order] = np.logical_and.accumulate(held)
    return out


def bands(study: Study) -> pd.DataFrame:
    """One row a group and band of score: falls expected within the horizon over those that came."""
    sides = study.sides
    held, known = sides.panel.falls_within(sides.events, study.horizon, known_to=sides.known_to)
    scored = sides.counted & known & ~np.isnan(sides.score)
    edges = np.quantile(sides.score[scored], BANDS) if scored.any() else np.array(BANDS)
    band = np.clip(np.searchsorted(edges, sides.score, side="right") - 1, 0, len(BANDS) - 2)
    return pd.DataFrame(_bands(study, scored, band, held))


def _bands(
    study: Study, scored: Bools, band: "np.typing.NDArray[np.int64]", held: Bools
) -> Iterator[dict[str, object]]:
    panel, times = study.sides.panel, study.sides.draws.times.astype(np.float64)
    village, n = panel.villages[1][panel.household], panel.villages[0].size
    expected = np.nan_to_num(study.sides.score)
    for name, kinds in study.groupings.values():
        for kind in kinds:
            for b in range(len(BANDS) - 1):
                rows = np.flatnonzero(scored & kind.rows & (band == b))
                e, o = (np.bincount(village[rows], v[rows], minlength=n) for v in (expected, held.astype(np.float64)))
                yield {
                    **named("grouping", name),
                    **named("group", kind.name),
                    "band": f"{BANDS[b]:.0%}-{BANDS[b + 1]:.0%}",
                    "rows": rows.size,
                    "expected": float(expected[rows].sum()),
                    "observed": int(held[rows].sum()),
                    **spread("ratio", study.sides.draws.ratio(times @ e, times @ o)),
                }
