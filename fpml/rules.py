"""Dated thresholds -> hits with their evidence. Rules read the same histories as the model, and know nothing of it."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue, Rule
from fpml.households import condition_holds, hold_together, threshold_on

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """What a hit rests on: a feature, and the threshold in force that its value was held against."""

    feature: str
    comparison: str
    threshold: Decimal


def hits(histories: pa.Table, catalogue: Catalogue) -> dict[str, Bools]:
    """For each rule, which history rows it hits. The threshold is the one in force at the row's as-of."""
    return {n: hold_together(r.all, r.any, histories, catalogue)[0] for n, r in catalogue.rules.items()}


def any_hit(hit: dict[str, Bools], rows: int) -> Bools:
    """Which rows at least one rule hits."""
    out = np.zeros(rows, bool)
    for held in hit.values():
        out |= held
    return out


def evidence(rule: Rule, histories: pa.Table, row: int, catalogue: Catalogue) -> tuple[Evidence, ...]:
    """What a hit on one row rests on: the last condition that holds there on each feature."""
    one = histories.slice(row, 1)
    day = one["as_of"][0].as_py()
    held = {}
    for c in (*rule.all, *rule.any):
        if condition_holds(c, one, catalogue.decimals(c.feature))[0][0]:
            held[c.feature] = Evidence(c.feature, c.comparison, threshold_on(c, day))
    return tuple(held.values())
