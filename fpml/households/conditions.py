"""Who is watched at an as-of, and whether conditions of policy hold for them."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Condition
from fpml.errors import InputError

Bools = npt.NDArray[np.bool_]


def threshold_on(condition: Condition, day: date | None) -> Decimal:
    """The threshold in force on a day, in the feature's unit; raises InputError where none is."""
    if isinstance(condition.threshold, Decimal):
        return condition.threshold
    if day is None:
        raise InputError(
            f"condition on {condition.feature}", "dated, where no day applies", "Write a single threshold."
        )
    held = [v.value for v in condition.threshold if v.from_ <= day]
    if not held:
        raise InputError(
            f"condition on {condition.feature}",
            f"no value in force on {day} (earliest {condition.threshold[0].from_})",
            "Add an earlier dated value.",
        )
    return held[-1]


def holds(
    condition: Condition, values: npt.NDArray[Any], known: Bools, decimals: int, *, day: date | None = None
) -> Bools:
    """Where the condition holds: stored integers against the exact threshold; what is unknown never holds."""
    threshold = threshold_on(condition, day) * 10**decimals
    if np.issubdtype(values.dtype, np.integer):
        return known & _compare_integers(condition.comparison, values, threshold)
    compare = {"at_least": np.greater_equal, "above": np.greater, "at_most": np.less_equal, "below": np.less}
    held: Bools = compare[condition.comparison](values, float(threshold))
    return known & held


def condition_holds(condition: Condition, histories: pa.Table, decimals: int) -> tuple[Bools, Bools]:
    """For each history row: whether the condition holds (with the threshold of its own as-of), and if that is known."""
    column = histories[condition.feature].combine_chunks()
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
    values = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
    if isinstance(condition.threshold, Decimal):
        return holds(condition, values, known, decimals), known
    as_of = histories["as_of"].cast(pa.int32()).to_numpy()
    out = np.zeros(as_of.size, bool)
    for day in np.unique(as_of):
        then = as_of == day
        when = pa.scalar(int(day), pa.int32()).cast(pa.date32()).as_py()
        out[then] = holds(condition, values[then], known[then], decimals, day=when)
    return out, known


def hold_together(
    every: Iterable[Condition], either: Iterable[Condition], histories: pa.Table, catalogue: Any
) -> tuple[Bools, Bools]:
    """For each history row: whether all of `every` hold and, where there is any, one of `either`; and if that is known.

    It is known not to hold as soon as one part is known not to, whatever is unknown of the others.
    """
    held, refuted = np.ones(histories.num_rows, bool), np.zeros(histories.num_rows, bool)
    for condition in every:
        here, known = condition_holds(condition, histories, catalogue.decimals(condition.feature))
        held &= here
        refuted |= known & ~here
    tried = [condition_holds(c, histories, catalogue.decimals(c.feature)) for c in either]
    if tried:
        held &= np.logical_or.reduce([here for here, _ in tried])
        refuted |= np.logical_and.reduce([known & ~here for here, known in tried])
    return held, held | refuted


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


def cohort(histories: pa.Table, catalogue: Any) -> npt.NDArray[np.int8]:
    """As what each row's household is watched: the position of the first group of `county.yaml: cohort` that holds."""
    out = np.full(histories.num_rows, -1, np.int8)
    for i, group in enumerate(catalogue.county.cohort.values()):
        held, _ = hold_together(group.all, (), histories, catalogue)
        out[held & (out < 0)] = i
    return out
