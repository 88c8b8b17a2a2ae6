"""Ratios, changes and context: features computed from other features of the same rows."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fpml.catalogue import HEADS, LINE, Catalogue, Derived, heads_feature
from fpml.dates import AsOf
from fpml.errors import InputError

Floats = npt.NDArray[np.float64]
Natural = Callable[[str], Floats]
# More months than there are: so that a place and a month fit one integer.
MONTHS = 100_000


def line_in_force(catalogue: Catalogue, region: Floats, month: npt.NDArray[np.int64]) -> Floats:
    """The monitoring line of each row in stored units (unknown where the region is), at the end of each row's month.

    Raises InputError where a region has no line, or none yet in that month.
    """
    known = ~np.isnan(region)
    out = np.full(region.size, np.nan)
    place, when = region[known].astype(np.int64), month[known]
    where, pairs = pd.factorize(place * MONTHS + when)
    out[known] = np.array([_line(catalogue, *divmod(int(pair), MONTHS)) for pair in pairs], np.float64)[where]
    return out


def _line(catalogue: Catalogue, region: int, month: int) -> float:
    """The line of a region at a month's end, in stored units."""
    line = catalogue.county.line
    steps = line.values.get(str(region)) or line.values.get("all")
    if steps is None:
        raise InputError(
            "county.yaml @ line.values", f"no line for region {region}", "Add it, or an `all` for the rest."
        )
    day = AsOf(month).date
    held = [s.value for s in steps if s.from_ <= day]
    if not held:
        raise InputError(
            "county.yaml @ line.values",
            f"no value in force on {day} for region {region} (earliest {steps[0].from_})",
            "Add an earlier dated value.",
        )
    return round(held[-1] * 10**line.decimals)


def derive(d: Derived, natural: Natural, catalogue: Catalogue, month: npt.NDArray[np.int64]) -> Floats:
    """One derived feature for every row: floats, NaN where it is not known. `natural` gives features in their units."""
    if d.kind == "ratio":
        return _ratio(d, natural, catalogue, month)
    parts = [natural(n) for n in (d.of, *d.by)]
    if d.kind == "change":
        return parts[0] - parts[1]
    if d.kind == "first":
        out = parts[0].copy()
        for p in parts[1:]:
            out = np.where(np.isnan(out), p, out)
        return out
    stacked = np.stack(parts)
    known = ~np.isnan(stacked)
    if d.kind == "log_mean":
        logs = np.log1p(np.where(known, np.maximum(stacked, 0), 0))
        with np.errstate(invalid="ignore"):
            return np.expm1(logs.sum(axis=0) / known.sum(axis=0))
    if d.kind == "sum":
        return np.asarray(stacked.sum(axis=0))  # a part that is not known leaves the whole unknown
    if d.kind == "min":
        out = np.where(known, stacked, np.inf).min(axis=0)
    else:
        out = np.where(known, stacked, -np.inf).max(axis=0)
    return np.where(known.any(axis=0), out, np.nan)


def _ratio(d: Derived, natural: Natural, catalogue: Catalogue, month: npt.NDArray[np.int64]) -> Floats:
    """`of` over the product of `by`, in stored integers as long as they are integers: 1 is exactly on the line."""
    ago = catalogue.features[d.of].window.ago if d.of in catalogue.features else 0
    above, below = np.ones(1), np.ones(1)
    for i, name in enumerate((d.of, *d.by)):
        if name == LINE:
            region = catalogue.county.line.region
            where = natural(f"{region}__last__ever") if region else np.zeros(month.size)
            # The line is asked for only where there is something to hold against it.
            value = line_in_force(catalogue, np.where(np.isnan(above), np.nan, where), month - ago)
            scale = 10**catalogue.county.line.decimals
        else:
            named = heads_feature(catalogue.county, ago) if name == HEADS else name
            scale = 10 ** (catalogue.decimals(named) if named in catalogue.features else 0)
            # natural = stored / scale; rounding back gives the stored integer exactly.
            value = natural(named)
            value = np.round(value * scale) if scale > 1 and _integral(named, catalogue) else value * scale
        if i == 0:
            above, below = above * value, below * scale
        else:
            above, below = above * scale, below * value
    with np.errstate(divide="ignore", invalid="ignore"):
        out = above / below
    return np.where(np.isfinite(out), out, np.nan)


def _integral(name: str, catalogue: Catalogue) -> bool:
    return name in catalogue.features and catalogue.features[name].reduction != "mean"


def village_mean(value: Floats, place: Floats, month: npt.NDArray[np.int64]) -> Floats:
    """For each row the mean of `value` over the other rows of the same place and as-of; unknown where there is none.

    Rows must stand in a fixed order (households ascending): then the sums do not depend on shards or threads.
    """
    known = ~np.isnan(value) & ~np.isnan(place)
    group, _ = pd.factorize(np.nan_to_num(place, nan=-1.0).astype(np.int64) * MONTHS + month)
    total = np.bincount(group, weights=np.where(known, value, 0.0))[group]
    number = np.bincount(group, weights=known.astype(float))[group]
    others = number - known
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (total - np.where(known, value, 0.0)) / others
    return np.where((others > 0) & ~np.isnan(place), mean, np.nan)


def in_context(name: str, catalogue: Catalogue) -> bool:
    """Whether a derived feature is a context, or is computed from one."""
    d = catalogue.derived.get(name)
    return d is not None and (d.kind == "context" or any(in_context(n, catalogue) for n in (d.of, *d.by)))


def needed_derived(names: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The derived features among these and behind them, in the order of computation."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in catalogue.derived and name not in wanted:
            wanted.add(name)
            d = catalogue.derived[name]
            waiting.extend((d.of, *d.by))
    return tuple(n for n in catalogue.derived if n in wanted)
