"""Dated thresholds -> hits with their evidence. Rules read the same histories as the model, and know nothing of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import DEPARTMENT, Catalogue, Channel, Condition, Every, Rule
from fpml.households import InForce, alternative_holds, condition_holds, hold_together, in_force

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """What a hit rests on: a feature's value (in its unit) and the threshold in force that it was held against.

    `mark` and `source` are the condition's own, or the rule's: stated in reports, found in a public source, assumed.
    """

    feature: str
    value: Decimal
    comparison: str
    inclusive: bool
    in_force: InForce
    mark: str
    source: str

    @property
    def threshold(self) -> Decimal:
        """The threshold, in the feature's unit."""
        return self.in_force.value


def hits(histories: pa.Table, catalogue: Catalogue) -> dict[str, Bools]:
    """For each rule, which history rows it hits. The threshold is the one in force at the row's as-of."""
    return {name: hit(rule, histories, catalogue) for name, rule in catalogue.rules.items()}


def hit(rule: Rule, histories: pa.Table, catalogue: Catalogue) -> Bools:
    """Which history rows a rule hits; none of an as-of at which it was not in force."""
    as_of = histories["as_of"].cast(pa.int32()).to_numpy()
    now = (as_of >= _day(rule.from_ or date.min)) & (as_of <= _day(rule.until or date.max))
    if now.all():
        return hold_together(rule.all, rule.any, histories, catalogue)[0]
    out = np.zeros(as_of.size, bool)
    out[now] = hold_together(rule.all, rule.any, histories.filter(pa.array(now)), catalogue)[0]
    return out


def _day(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def pushed(catalogue: Catalogue) -> tuple[str, ...]:
    """The departments' rules whose hits list a household by themselves."""
    return of_channel(catalogue, DEPARTMENT)


def of_channel(catalogue: Catalogue, channel: Channel) -> tuple[str, ...]:
    """The rules of one line into the list whose hits list a household by themselves."""
    push = catalogue.county.pushed
    return tuple(n for n, r in catalogue.rules.items() if r.channel == channel and r.lists(push))


def any_hit(hit: dict[str, Bools], rows: int) -> Bools:
    """Which rows at least one rule hits."""
    out = np.zeros(rows, bool)
    for held in hit.values():
        out |= held
    return out


def evidence(rule: Rule, histories: pa.Table, row: int, catalogue: Catalogue) -> tuple[Evidence, ...]:
    """What a hit on one row rests on: the last condition that holds there on each feature.

    Of an alternative of several conditions all are told, and only where all hold.
    """
    return evidences(rule, histories.slice(row, 1), catalogue)[0]


def evidences(rule: Rule, histories: pa.Table, catalogue: Catalogue) -> list[tuple[Evidence, ...]]:
    """What a hit on each row rests on; nothing where no condition holds. See `evidence`."""
    out: list[dict[str, Evidence]] = [{} for _ in range(histories.num_rows)]
    for held, condition in _holding(rule, histories, catalogue):
        stored = histories[condition.feature].to_pylist()
        for rows, against in in_force(condition, histories, catalogue) if held.any() else ():
            for row in np.flatnonzero(rows & held).tolist():
                value = Decimal(str(stored[row])).scaleb(-catalogue.decimals(condition.feature))
                out[row][condition.feature] = _told(rule, condition, value, against)
    return [tuple(of.values()) for of in out]


def _holding(rule: Rule, histories: pa.Table, catalogue: Catalogue) -> Iterator[tuple[Bools, Condition]]:
    """Each condition, in the rule's order, with the rows on which it counts."""
    for condition in rule.all:
        yield condition_holds(condition, histories, catalogue)[0], condition
    for either in rule.any:
        held = alternative_holds(either, histories, catalogue)[0]
        for condition in either.all if isinstance(either, Every) else (either,):
            yield held, condition


def _told(rule: Rule, condition: Condition, value: Decimal, against: InForce) -> Evidence:
    return Evidence(
        condition.feature,
        value,
        condition.comparison,
        condition.inclusive,
        against,
        condition.mark or rule.mark,
        condition.source or rule.source,
    )
