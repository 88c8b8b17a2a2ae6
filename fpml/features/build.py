"""Records -> histories: one row per watched household and as-of.

A shard's histories are one pure function of its records. Context (the village's own averages as known then) needs all
shards, and is added between them by `with_context`.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import EVER, Catalogue, Feature
from fpml.dates import AsOf
from fpml.features.derive import Floats, derive, in_context, needed_derived, village_mean
from fpml.features.reach import Reach
from fpml.features.records import Records
from fpml.features.windows import Reduced, Rows, reduce_records
from fpml.households import holds

KEY = ("household_id", "as_of")


def shard_histories(
    records: Records, catalogue: Catalogue, as_ofs: Sequence[AsOf], reach: Reach, *, names: Sequence[str] | None = None
) -> pa.Table:
    """The histories of one shard, without context: household_id, as_of (date32), then the features by name.

    A window that begins before its department's records do is unknown: no news is not zero. Integers stay in stored
    units (fen), null where unknown; derived features are floats in their unit. Rows are sorted by
    as-of, then household. `names`: the features wanted (default: all of the catalogue).
    """
    months = np.array(sorted({a.month for a in as_ofs}), np.int64)
    wanted = tuple(names) if names is not None else catalogue.names()
    rows = _watched(records, catalogue, months, reach)
    cells = _Cells(records, catalogue, rows, (*wanted, *_behind(wanted, catalogue)), reach)
    h, a = np.nonzero(rows.of >= 0)
    order = np.argsort(rows.of[h, a])
    month = months[a[order]]
    for name in needed_derived(wanted, catalogue):
        if not in_context(name, catalogue):
            cells.derived[name] = derive(catalogue.derived[name], cells.natural, catalogue, month)
    ends = {int(m): AsOf(int(m)).date for m in months}
    columns: dict[str, pa.Array] = {
        "household_id": pa.array(records.households[h[order]], pa.string()),
        "as_of": pa.array([ends[int(m)] for m in month], pa.date32()),
    }
    for name in dict.fromkeys((*wanted, *_behind(wanted, catalogue))):
        if name in catalogue.features:
            columns[name] = cells.column(name)
        elif name in cells.derived:
            columns[name] = pa.array(cells.derived[name], pa.float64(), from_pandas=True)
    return pa.table(columns)


def with_context(histories: pa.Table, catalogue: Catalogue, *, names: Sequence[str] | None = None) -> pa.Table:
    """The histories of all shards together, sorted by as-of and household, with the features that need neighbours."""
    histories = histories.sort_by([("as_of", "ascending"), ("household_id", "ascending")])
    wanted = tuple(names) if names is not None else catalogue.names()
    month = as_of_months(histories)
    for name in needed_derived(wanted, catalogue):
        if not in_context(name, catalogue):
            continue
        d = catalogue.derived[name]
        if d.kind == "context":
            place = natural(histories, f"{d.place}__last__ever", catalogue)
            values = village_mean(natural(histories, d.of, catalogue), place, month)
        else:
            values = derive(d, partial(natural, histories, catalogue=catalogue), catalogue, month)
        histories = histories.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    if names is None:
        return histories
    return histories.select([*KEY, *dict.fromkeys(wanted)])


def natural(histories: pa.Table, name: str, catalogue: Catalogue) -> Floats:
    """A feature of every row as floats in its unit (yuan, not fen), NaN where unknown."""
    values: Floats = histories[name].cast(pa.float64()).to_numpy()
    decimals = catalogue.decimals(name)
    return values / 10**decimals if decimals else values


def matrix(
    histories: pa.Table, names: Sequence[str], catalogue: Catalogue, *, rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float32]:
    """The model's matrix: rows x features, in units, NaN where unknown; `rows`: which history rows, in which order."""
    out = np.empty((histories.num_rows if rows is None else rows.size, len(names)), np.float32)
    for j, name in enumerate(names):
        values = natural(histories, name, catalogue)
        out[:, j] = values if rows is None else values[rows]
    return out


def as_of_months(histories: pa.Table) -> npt.NDArray[np.int64]:
    """The month of each row's as-of, as an integer."""
    days = histories["as_of"].cast(pa.int32()).to_numpy().astype("datetime64[D]")
    return days.astype("datetime64[M]").astype(np.int64) + 1970 * 12


def _behind(wanted: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """What context features will need of each shard, and was not asked for by name."""
    contexts = [n for n in needed_derived(wanted, catalogue) if in_context(n, catalogue)]
    behind: list[str] = []
    for name in contexts:
        d = catalogue.derived[name]
        behind.extend(n for n in (d.of, *d.by) if n in catalogue.features or n in catalogue.derived)
        if d.place:
            behind.append(f"{d.place}__last__ever")
    return tuple(n for n in dict.fromkeys(behind) if n not in wanted)


def _watched(records: Records, catalogue: Catalogue, months: npt.NDArray[np.int64], reach: Reach) -> Rows:
    """The rows of the cohort: households for which the county's `watched` condition holds at the as-of."""
    every = Rows.every(records.households.size, months)
    condition = catalogue.county.watched
    cells = _Cells(records, catalogue, every, (condition.feature,), reach)
    if condition.feature in catalogue.derived:
        month = np.repeat(months, records.households.size)
        for name in needed_derived((condition.feature,), catalogue):
            cells.derived[name] = derive(catalogue.derived[name], cells.natural, catalogue, month)
    values, known = cells.stored(condition.feature)
    held = holds(condition, values, known, catalogue.decimals(condition.feature))
    return Rows.where(held.reshape(months.size, records.households.size), months)


class _Cells:
    """The reduced features of some rows, with what the absence of records means."""

    def __init__(self, records: Records, catalogue: Catalogue, rows: Rows, names: Sequence[str], reach: Reach) -> None:
        self.catalogue, self.reach = catalogue, reach
        self.derived: dict[str, Floats] = {}
        base = {n: catalogue.features[n] for n in sorted(catalogue.needed_for(names))}
        for f in list(base.values()):
            cover = _cover(f, catalogue)
            if cover:
                base[cover.name] = cover
        reduced = reduce_records(records, list(base.values()), catalogue, rows)
        self._reduced: Reduced = reduced
        self._at = {n: i for i, n in enumerate(reduced.names)}
        self._features = base
        h, a = np.nonzero(rows.of >= 0)
        self._month = np.empty(rows.size, np.int64)
        self._month[rows.of[h, a]] = rows.months[a]

    def stored(self, name: str) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """A feature's values (integers in stored units, floats for means and derived), and where they are known."""
        if name in self.derived:
            return self.derived[name], ~np.isnan(self.derived[name])
        f = self._features[name]
        i = self._at[name]
        total, number = self._reduced.total[i], self._reduced.number[i]
        some = number > 0
        if f.reduction == "months_since":
            return np.where(some, self._month - total, 0), some
        if f.reduction == "mean":
            values: npt.NDArray[np.generic] = np.where(some, total / np.maximum(number, 1), 0.0)
        elif f.reduction == "count":
            values = number.astype(np.int64)
        else:
            values = total
        return values, self._told(f, some)

    def natural(self, name: str) -> Floats:
        """A feature as floats in its unit, NaN where unknown."""
        values, known = self.stored(name)
        return np.where(known, values.astype(np.float64) / 10 ** self.catalogue.decimals(name), np.nan)

    def column(self, name: str) -> pa.Array:
        """A feature as an Arrow column, null where unknown."""
        values, known = self.stored(name)
        return pa.array(values, mask=~known)

    def _told(self, f: Feature, some: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Where a reduction is known: there are records, or their absence means that nothing happened."""
        indicator = self.catalogue.indicators[f.indicator]
        if indicator.absent == "unknown":
            return some
        cover = _cover(f, self.catalogue)
        if cover is not None:
            return some | (self._reduced.number[self._at[cover.name]] > 0)
        if f.window.length >= EVER:
            return np.ones(some.size, bool)
        end = self._month - f.window.ago
        start = end - f.window.length + 1
        # A delivery may be as late as it usually is, and as old as the department's turn allows.
        late = indicator.usual_lag_months + self.catalogue.departments[indicator.department].cadence_months - 1
        told = self.reach.covers(indicator.department, start, np.maximum(end - late, start), self._month)
        # What raises the risk is at least what was told: a cost above a threshold is above it whatever else is missing.
        return told | some if indicator.direction == "raises" else told


def _cover(f: Feature, catalogue: Catalogue) -> Feature | None:
    """The feature that says whether anybody asked within the window."""
    by = catalogue.indicators[f.indicator].covered_by
    return Feature(indicator=by, reduction="count", window=f.window, for_model=False) if by else None
