"""Contributions -> reasons that a person can check at the door. Associated with the estimate, never because."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.features import Over, in_one, matrix
from fpml.lists.standing import Models, Standing
from fpml.lists.telling import Reason, Teller
from fpml.risk import Contributions, RiskModel, contributions

# Of so many more indicators that lower an estimate, the one best told is chosen.
OFFERED = 3


@dataclass(frozen=True)
class Told:
    """What is told of one household: what raises its estimate (strongest first), what lowers it, and likely causes.

    `causes`: by cause the log-odds that its indicators together add, strongest first.
    """

    raising: tuple[Reason, ...] = ()
    lowering: tuple[Reason, ...] = ()
    causes: tuple[tuple[str, float], ...] = ()


def all_told(
    rows: Sequence[int], models: Models, stand: Standing, teller: Teller, over: Over = in_one
) -> dict[int, Told]:
    """What is told of some rows of the teller's histories; of those without a score what policy names for everybody.

    Who is below the line by the records is told so first, with the income that says it. `over` applies a function to
    pieces of the rows: estimates are so taken apart; in words they are put here, among all others' values.
    """
    catalogue, at = teller.catalogue, np.asarray(rows, np.int64)
    out = {int(r): Told(raising=tuple(teller.always(int(r)))) for r in at[stand.outcome[at] == ""]}
    for name, model in models.items():
        mine = at[stand.outcome[at] == name]
        if not mine.size:
            continue
        own = teller.histories.select(model.features).take(pa.array(mine))
        parts = Contributions.joined(over(partial(_apart, model, catalogue.county.ranking(name), catalogue), own))
        out |= {int(r): reasons(parts, model, i, int(r), teller) for i, r in enumerate(mine)}
    for r in at[stand.below[at]]:
        told, poor = out[int(r)], teller.below(int(r))
        others = [one for one in told.raising if not _says_the_same(one.feature, poor.feature, catalogue)]
        first = (poor, *others[: catalogue.listing.reasons.raising - 1])
        out[int(r)] = Told(first, told.lowering, told.causes)
    return out


def _apart(model: RiskModel, horizon: int, catalogue: Catalogue, rows: pa.Table) -> Contributions:
    return contributions(model, matrix(rows, model.features, catalogue), horizon, catalogue)


def reasons(told: Contributions, model: RiskModel, row: int, at: int, teller: Teller) -> Told:
    """What is told of one household: `row` is its row in `told`, `at` its row in the teller's histories.

    Contributions are ranked by policy's steps of log-odds; within a step the catalogue's order decides. Where nothing
    that raises the estimate quotes an observed value, one that policy names is told beside.
    """
    telling = teller.catalogue.listing.reasons
    part = told.grouped[row]
    order = np.argsort(-np.round(part / telling.step), kind="stable")
    raising = [g for g in order if part[g] >= telling.least][: telling.raising]
    lowering = [g for g in order[::-1] if part[g] <= -telling.least][: telling.lowering + OFFERED]
    # Of what lowers it something that a reader can follow, where there is any; no more are looked at than are told.
    followed = (g for g in lowering if teller.best(told, model, row, int(g), at).agrees)
    best = list(islice(followed, telling.lowering))
    chosen = raising, [*best, *(g for g in lowering if g not in best)][: telling.lowering]
    up, down = (tuple(teller.of_group(told, model, row, int(g), at) for g in some) for some in chosen)
    if not any(r.observed for r in up):
        up = (*up[: telling.raising - 1], *teller.always(at))
    return Told(up, down, _causes(told, row, at, teller))


def _says_the_same(one: str, other: str, catalogue: Catalogue) -> bool:
    """Whether more than half of the indicators that two features are made of are the same."""
    made = [{catalogue.features[n].indicator for n in catalogue.needed_for([f])} for f in (one, other)]
    return 2 * len(made[0] & made[1]) > len(made[0] | made[1])


def _causes(told: Contributions, row: int, at: int, teller: Teller) -> tuple[tuple[str, float], ...]:
    """By cause what its indicators together add, strongest first; `other` is none."""
    added: dict[str, float] = {}
    parts = told.grouped[row].tolist()
    for g in teller.pointing(told.groups):
        cause = teller.cause(told.groups[g], parts[g], at)
        if cause:
            added[cause] = added.get(cause, 0.0) + parts[g]
    telling = teller.catalogue.listing.reasons
    strong = [(c, v) for c, v in added.items() if v >= telling.least]
    return tuple(sorted(strong, key=lambda p: -round(p[1] / telling.step)))
