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
    one = histories.slice(row, 1)
    return tuple({c.feature: _told(rule, c, one, catalogue) for c in _holding(rule, one, catalogue)}.values())


def _holding(rule: Rule, one: pa.Table, catalogue: Catalogue) -> Iterator[Condition]:
    for condition in rule.all:
        if condition_holds(condition, one, catalogue)[0][0]:
            yield condition
    for either in rule.any:
        if alternative_holds(either, one, catalogue)[0][0]:
            yield from either.all if isinstance(either, Every) else (either,)


def _told(rule: Rule, condition: Condition, one: pa.Table, catalogue: Catalogue) -> Evidence:
    stored = one[condition.feature][0].as_py()
    value = Decimal(str(stored)).scaleb(-catalogue.decimals(condition.feature))
    (against,) = (told for rows, told in in_force(condition, one, catalogue) if rows[0])
    return Evidence(
        condition.feature,
        value,
        condition.comparison,
        condition.inclusive,
        against,
        condition.mark or rule.mark,
        condition.source or rule.source,
    )
