"""Ratios, changes and context: features computed from other features of the same rows."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fpml.catalogue import HEADS, LINE, Catalogue, Derived, heads_feature
from fpml.dates import AsOf
from fpml.errors import InputError

Floats = npt.NDArray[np.float64]
Stored = Callable[[str], Floats]
# More months than there are: so that a place and a month fit one integer.
MONTHS = 100_000


class Lines:
    """What the rows of one table are held against: the monitoring line and the heads, each worked out once."""

    def __init__(self, catalogue: Catalogue, stored: Stored, month: npt.NDArray[np.int64]) -> None:
        self.catalogue, self.month = catalogue, month
        self._stored = stored
        self._found: dict[int, Floats] = {}
        self._heads: dict[str, Floats] = {}

    def heads(self, ago: int) -> tuple[Floats, float]:
        """The heads of each row so many months ago, and by how much they are scaled."""
        name = heads_feature(self.catalogue.county, ago)
        if name not in self._heads:
            self._heads[name] = self._stored(name)
        return self._heads[name], 10.0 ** self.catalogue.decimals(name)

    def in_force(self, ago: int, asked: npt.NDArray[np.bool_]) -> Floats:
        """The line of each row in stored units, so many months ago; unknown where the region is.

        Raises InputError where a region has no line, or none yet in that month, and it is asked for.
        """
        if ago not in self._found:
            name = self.catalogue.county.line.region
            region = self._stored(f"{name}__last__ever") if name else np.zeros(self.month.size)
            key = np.where(np.isnan(region), -1, region).astype(np.int64) * MONTHS + self.month - ago
            at, pairs = pd.factorize(key)
            lines = np.full(pairs.size, np.nan)
            for i, pair in enumerate(pairs):
                place, month = divmod(int(pair), MONTHS)
                if place >= 0 and (asked & (at == i)).any():
                    lines[i] = _line(self.catalogue, place, month)
            if np.isnan(lines[pairs >= 0]).any():
                return lines[at]  # some were not asked for, and may have none: they are not kept
            self._found[ago] = lines[at]
        return self._found[ago]


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


def derive(d: Derived, stored: Stored, lines: Lines) -> Floats:
    """One derived feature for every row: floats, NaN where it is not known. `stored` gives features in stored units."""
    catalogue = lines.catalogue
    if d.kind == "season":
        return (lines.month % 12 + 1).astype(np.float64)
    if d.kind == "ratio":
        return _ratio(d, stored, lines)
    parts = [stored(n) / 10 ** catalogue.decimals(n) for n in (d.of, *d.by)]
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


def _ratio(d: Derived, stored: Stored, lines: Lines) -> Floats:
    """`of` over the product of `by`, in stored integers as long as they are integers: 1 is exactly on the line."""
    catalogue = lines.catalogue
    ago = catalogue.features[d.of].window.ago if d.of in catalogue.features else 0
    of = stored(d.of)
    above, below = 1.0, np.asarray(10.0 ** catalogue.decimals(d.of))
    for name in d.by:
        if name == LINE:
            # The line is asked for only where there is something to hold against it.
            value, scale = lines.in_force(ago, ~np.isnan(of)), 10.0**catalogue.county.line.decimals
        elif name == HEADS:
            value, scale = lines.heads(ago)
        else:
            value, scale = stored(name), 10.0 ** catalogue.decimals(name)
        above, below = above * scale, below * value
    with np.errstate(divide="ignore", invalid="ignore"):
        out = of * above / below
    out[~np.isfinite(out)] = np.nan
    return out


def place_mean(
    mine: tuple[Floats, Floats, npt.NDArray[np.int64]],
    everyone: tuple[Floats, Floats, npt.NDArray[np.int64]],
    digits: int | None,
) -> Floats:
    """For each of my rows the mean of the value over the other rows of everyone's in the same place and month.

    Each triple holds value, place and month; my rows are among everyone's. `digits`: the place is the first so many
    digits of its code. Rows stand in a fixed order, so the sums do not depend on shards or threads.
    """
    value, place, month = everyone
    groups, at = np.unique(_place_and_month(place, month, digits), return_inverse=True)
    known = ~np.isnan(value)
    total = np.bincount(at, weights=np.where(known, value, 0.0))
    number = np.bincount(at, weights=known.astype(float))
    own, my_place, my_month = mine
    found = np.searchsorted(groups, _place_and_month(my_place, my_month, digits))
    here = ~np.isnan(own)
    others = number[found] - here
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (total[found] - np.where(here, own, 0.0)) / others
    return np.where((others > 0) & ~np.isnan(my_place), mean, np.nan)


def _place_and_month(place: Floats, month: npt.NDArray[np.int64], digits: int | None) -> npt.NDArray[np.int64]:
    code = np.where(np.isnan(place), -1, place).astype(np.int64)
    if digits is not None:
        words, at = np.unique(code, return_inverse=True)
        code = np.array([int(str(w)[:digits]) if w >= 0 else -1 for w in words.tolist()], np.int64)[at]
    return code * MONTHS + month


def in_context(name: str, catalogue: Catalogue) -> bool:
    """Whether a derived feature is a context, or is computed from one."""
    d = catalogue.derived.get(name)
    return d is not None and (d.kind == "context" or any(in_context(n, catalogue) for n in catalogue.behind(name)))


def needed_derived(names: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The derived features among these and behind them, in the order of computation."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in catalogue.derived and name not in wanted:
            wanted.add(name)
            waiting.extend(catalogue.behind(name))
    return tuple(n for n in catalogue.derived if n in wanted)
