"""Who is watched at an as-of, and whether conditions of policy hold for them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import OTHERS, Condition, Every, Steps, Table, by_region
from fpml.errors import InputError

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class InForce:
    """A threshold in force: its value in the feature's unit, since when, and for whom where a table chose it."""

    value: Decimal
    since: date | None = None
    household_type: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class _Part:
    """One threshold of a table, and the rows that it is for."""

    threshold: Decimal | Steps
    rows: Bools
    household_type: str | None = None
    region: str | None = None


def threshold_on(feature: str, threshold: Decimal | Steps | Table, day: date | None) -> InForce:
    """The threshold in force on a day, in the feature's unit; raises InputError where none is."""
    if isinstance(threshold, Decimal):
        return InForce(threshold)
    where = f"condition on {feature}"
    if day is None or isinstance(threshold, Table):
        raise InputError(where, "dated or a table, where no day and no household applies", "Write a single threshold.")
    held = [v for v in threshold if v.from_ <= day]
    if not held:
        problem = f"no value in force on {day} (earliest {threshold[0].from_})"
        raise InputError(where, problem, "Add an earlier dated value, or say from when the rule is in force.")
    return InForce(held[-1].value, held[-1].from_)


def holds(
    condition: Condition, values: npt.NDArray[Any], known: Bools, decimals: int, *, against: InForce | None = None
) -> Bools:
    """Where the condition holds: stored integers against the exact threshold; what is unknown never holds.

    `against`: the threshold in force, where the condition has more than one.
    """
    told = against or threshold_on(condition.feature, condition.threshold, None)
    threshold = told.value * 10**decimals
    if np.issubdtype(values.dtype, np.integer):
        return known & _compare_integers(condition.comparison, values, threshold)
    compare = {"at_least": np.greater_equal, "above": np.greater, "at_most": np.less_equal, "below": np.less}
    held: Bools = compare[condition.comparison](values, float(threshold))
    return known & held


def condition_holds(condition: Condition, histories: pa.Table, catalogue: Any) -> tuple[Bools, Bools]:
    """For each history row: whether the condition holds (with the threshold of its own as-of), and if that is known."""
    column = histories[condition.feature].combine_chunks()
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
    values = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
    decimals = catalogue.decimals(condition.feature)
    if isinstance(condition.threshold, Decimal):
        return holds(condition, values, known, decimals), known
    out = np.zeros(histories.num_rows, bool)
    for rows, against in in_force(condition, histories, catalogue):
        out[rows] = holds(condition, values[rows], known[rows], decimals, against=against)
    return out, known


def in_force(condition: Condition, histories: pa.Table, catalogue: Any) -> Iterator[tuple[Bools, InForce]]:
    """Each threshold that is in force for some rows, with these rows: by as-of, household type and region.

    Raises InputError where a row's as-of lies before the earliest dated value.
    """
    as_of = histories["as_of"].cast(pa.int32()).to_numpy()
    every = np.ones(as_of.size, bool)
    for part in _parts(condition.threshold, every, histories, catalogue):
        if isinstance(part.threshold, Decimal):
            yield part.rows, InForce(part.threshold, None, part.household_type, part.region)
            continue
        steps = part.threshold
        if part.rows.any():
            earliest = pa.scalar(int(as_of[part.rows].min()), pa.int32()).cast(pa.date32()).as_py()
            threshold_on(condition.feature, steps, earliest)
        begins = np.array([(v.from_ - date(1970, 1, 1)).days for v in steps])
        step = np.searchsorted(begins, as_of, side="right") - 1
        for n, dated in enumerate(steps):
            rows = part.rows & (step == n)
            if rows.any():
                yield rows, InForce(dated.value, dated.from_, part.household_type, part.region)


def _parts(threshold: Decimal | Steps | Table, rows: Bools, histories: pa.Table, catalogue: Any) -> Iterator[_Part]:
    """A table's thresholds, each with its rows: the first that fits a row, and `others` for those that none fits.

    Of whom the type or region is not known belongs to the others.
    """
    if not isinstance(threshold, Table):
        yield _Part(threshold, rows)
        return
    regional = by_region(threshold)
    left = rows.copy()
    for key, of_key in sorted(threshold.root.items(), key=lambda item: item[0] == OTHERS):
        here = left & _fits(key, histories, catalogue)
        left &= ~here
        for part in _parts(of_key, here, histories, catalogue):
            yield replace(part, region=key) if regional else replace(part, household_type=key)


def _fits(key: str, histories: pa.Table, catalogue: Any) -> Bools:
    if key == OTHERS:
        return np.ones(histories.num_rows, bool)
    if key.isdigit():
        found = pc.equal(histories[f"{catalogue.county.line.region}__last__ever"], int(key))
        return np.asarray(pc.fill_null(found, False).to_numpy(), bool)
    held, _ = hold_together(catalogue.county.cohort[key].all, (), histories, catalogue)
    return held


def hold_together(
    every: Iterable[Condition], either: Iterable[Condition | Every], histories: pa.Table, catalogue: Any
) -> tuple[Bools, Bools]:
    """For each history row: whether all of `every` hold and, where there is any, one of `either`; and if that is known.

    It is known not to hold as soon as one part is known not to, whatever is unknown of the others.
    """
    held, refuted = np.ones(histories.num_rows, bool), np.zeros(histories.num_rows, bool)
    for condition in every:
        here, known = condition_holds(condition, histories, catalogue)
        held &= here
        refuted |= known & ~here
    tried = [alternative_holds(e, histories, catalogue) for e in either]
    if tried:
        held &= np.logical_or.reduce([here for here, _ in tried])
        refuted |= np.logical_and.reduce([known & ~here for here, known in tried])
    return held, held | refuted


def alternative_holds(either: Condition | Every, histories: pa.Table, catalogue: Any) -> tuple[Bools, Bools]:
    """For each history row: whether one alternative holds, be it a condition or several; and if that is known."""
    if isinstance(either, Every):
        return hold_together(either.all, (), histories, catalogue)
    return condition_holds(either, histories, catalogue)


def _compare_integers(comparison: str, values: npt.NDArray[Any], threshold: Decimal) -> Bools:
    """An integer against a decimal, without passing through floats: x >= 2.5 is x >= 3."""
    floor = int(threshold.to_integral_value(rounding="ROUND_FLOOR"))
    ceiling = int(threshold.to_integral_value(rounding="ROUND_CEILING"))
    tests = {
        "at_least": lambda: values >= ceiling,
        "above": lambda: values > floor,
        "at_most": lambda: values <= floor,
        "below": lambda: values < ceiling,
    }
    held: Bools = tests[comparison]()
    return held


# The feature that says whether a household is in monitoring; where nobody tells of monitoring, nobody is in it.
MONITORED = "monitored__holding__ever"


def in_monitoring(histories: pa.Table) -> Bools:
    """Which history rows are of households in monitoring: found already, and not listed."""
    if MONITORED not in histories.column_names:
        return np.zeros(histories.num_rows, bool)
    told = histories[MONITORED].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray(told > 0, bool)


def cohort(histories: pa.Table, catalogue: Any) -> npt.NDArray[np.int8]:
    """As what each row's household is watched: the position of the first group of `county.yaml: cohort` that holds."""
    out = np.full(histories.num_rows, -1, np.int8)
    for i, group in enumerate(catalogue.county.cohort.values()):
        held, _ = hold_together(group.all, (), histories, catalogue)
        out[held & (out < 0)] = i
    return out
