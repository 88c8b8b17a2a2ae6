"""Records -> histories: one row per watched household and as-of.

Three passes, so that memory is bounded by the shard: what all departments had told of is counted and put together
(`Reach`); each shard is reduced (`fill`), learns which of its cells are known and derives from them (`finish`); context
(a village's own averages as known then) is worked out over all of them (`with_context`). The first two are pure
functions of a shard and of little else: whoever runs them may do so on another machine.

Rows stand household by household (in `household_order`), each with its as-ofs in order, for any number of shards.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import EVER, Catalogue, Feature
from fpml.dates import AsOf
from fpml.features.derive import Floats, Lines, derive, in_context, needed_derived, place_mean
from fpml.features.reach import Reach
from fpml.features.records import COLUMNS, TOLD_COLUMNS, Records, Told, from_ledger
from fpml.features.windows import Plan, Reduced, Rows, plan_for, reduce_records
from fpml.households import Linked, holds

KEY = ("household_id", "as_of")
Bools = npt.NDArray[np.bool_]
Months = npt.NDArray[np.int64]
Part = TypeVar("Part")
Result = TypeVar("Result")
Run = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]
# Applies a function that works row by row to pieces of a table's rows.
Over = Callable[[Callable[[pa.Table], Any], pa.Table], list[Any]]
# A shard's rows of the ledger, some columns of them.
Read = Callable[[int, Sequence[str]], pa.Table]


def one_by_one(function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Runs the parts in this thread."""
    return [function(p) for p in parts]


def in_one(function: Callable[[pa.Table], Result], rows: pa.Table) -> list[Result]:
    """Works on all rows as one piece."""
    return [function(rows)]


@dataclass(frozen=True)
class Asked:
    """What is asked for: as-ofs, features by name (None: all of the catalogue), and rows.

    `rows`: a table of household_id and as_of (None: everybody watched); those who are not watched get no row.
    """

    as_ofs: tuple[AsOf, ...]
    names: tuple[str, ...] | None = None
    rows: pa.Table | None = None

    def features(self, catalogue: Catalogue) -> tuple[str, ...]:
        """The names asked for, without repetition."""
        return tuple(dict.fromkeys(self.names if self.names is not None else catalogue.names()))


def histories(
    read: Read, shards: int, catalogue: Catalogue, asked: Asked, *, run: Run = one_by_one, linked: Linked | None = None
) -> pa.Table:
    """household_id, as_of (date32), then the features: integers in stored units (fen), null where unknown.

    `read` gives a shard's ledger rows; `run` applies a function to parts, on threads, other machines or one by one.
    `linked` holds what shards must know of each other (`fpml.households.linked`). None is right only of one shard, or
    where nobody is told of in two of them: what happened to a person who moved to another shard would stay behind.
    """
    way = _Way.of(asked, catalogue)
    reach = Reach.of(run(partial(_told, read, catalogue), range(shards)), catalogue)
    each = ((shard, linked.incoming(shard) if linked else None) for shard in range(shards))
    parts = run(partial(_of_shard, read, way, reach), each)
    # Shards are ranges of the households' order: one after the other, the rows stand in order.
    rows = pa.concat_tables([p for p, _ in parts])
    everyone = rows if asked.rows is None else pa.concat_tables([e for _, e in parts])
    return with_context(rows, everyone, way)


def _told(read: Read, catalogue: Catalogue, shard: int) -> Told:
    return Told.of(read(shard, TOLD_COLUMNS), catalogue)


def _of_shard(read: Read, way: "_Way", reach: Reach, part: tuple[int, pa.Table | None]) -> tuple[pa.Table, pa.Table]:
    """What `finish` gives of one shard; `part`: its number, and what others hold of its people."""
    shard, incoming = part
    return finish(fill(from_ledger(read(shard, COLUMNS), way.catalogue, incoming=incoming), way), way, reach)


@dataclass(frozen=True)
class _Way:
    """What is asked for, worked out once: names, what context needs of everybody (`behind`), how each is reduced."""

    catalogue: Catalogue
    months: Months
    wanted: tuple[str, ...]
    behind: tuple[str, ...]
    rows: pa.Table | None
    plan: Plan
    plan_behind: Plan
    plan_watched: Plan
    derived: tuple[str, ...]
    in_context: tuple[str, ...]

    @classmethod
    def of(cls, asked: Asked, catalogue: Catalogue) -> "_Way":
        wanted = asked.features(catalogue)
        behind = _behind(wanted, catalogue)
        derived = needed_derived((*wanted, *behind), catalogue)
        context = tuple(n for n in derived if in_context(n, catalogue))
        return cls(
            catalogue,
            np.array(sorted({a.month for a in asked.as_ofs}), np.int64),
            wanted,
            behind,
            asked.rows,
            plan_for(_base((*wanted, *behind), catalogue), catalogue),
            plan_for(_base(behind, catalogue), catalogue),
            plan_for(_base((catalogue.county.watched.feature,), catalogue), catalogue),
            tuple(n for n in derived if n not in context),
            context,
        )


@dataclass(frozen=True)
class _Filled:
    """A shard's reduced features: of the rows asked for, and (`behind`) of all that context needs."""

    households: pa.Array
    rows: Rows
    reduced: Reduced
    all_rows: Rows
    behind: Reduced


def fill(records: Records, way: _Way) -> _Filled:
    """One shard reduced: which rows there are, and what the kernel saw of each."""
    everybody = _watched(records, way)
    if way.rows is None:
        reduced = reduce_records(records, way.plan, everybody)
        return _Filled(records.households, everybody, reduced, everybody, Reduced({}, {}))
    rows = _chosen(everybody, records.households, way.months, way.rows)
    of_all = reduce_records(records, way.plan_behind, everybody)
    return _Filled(records.households, rows, reduce_records(records, way.plan, rows), everybody, of_all)


def finish(filled: _Filled, way: _Way, reach: Reach) -> tuple[pa.Table, pa.Table]:
    """A shard's histories without context, and what context needs of every household there."""
    cells = _Cells(filled.households, filled.rows, filled.reduced, way.catalogue, reach)
    table = cells.table((*way.wanted, *way.behind), way.derived)
    if way.rows is None:
        return table, table.select([])
    of_all = _Cells(filled.households, filled.all_rows, filled.behind, way.catalogue, reach)
    return table, of_all.table(way.behind, needed_derived(way.behind, way.catalogue))


def with_context(rows: pa.Table, everyone: pa.Table, way: _Way) -> pa.Table:
    """The rows with the features that need neighbours: everyone watched in the same place at the same as-of."""
    catalogue = way.catalogue
    added: dict[str, Floats] = {}

    def mine(name: str) -> Floats:
        return added[name] if name in added else _stored(rows, name)

    month = as_of_months(rows) if way.behind else np.zeros(0, np.int64)
    lines = Lines(catalogue, mine, month)
    for name in way.in_context:
        d = catalogue.derived[name]
        if d.kind == "context":
            place = f"{d.place}__last__ever"
            theirs = _stored(everyone, d.of), _stored(everyone, place), as_of_months(everyone)
            added[name] = place_mean((mine(d.of), mine(place), month), theirs, d.place_digits)
            added[name] /= 10 ** catalogue.decimals(d.of)
        else:
            added[name] = derive(d, mine, lines)
    for name in added:
        rows = rows.append_column(name, pa.array(added[name], pa.float64(), from_pandas=True))
    return rows.select([*KEY, *way.wanted])


def natural(histories: pa.Table, name: str, catalogue: Catalogue) -> Floats:
    """A feature of every row as floats in its unit (yuan, not fen), NaN where unknown."""
    values: Floats = histories[name].cast(pa.float64()).to_numpy()
    decimals = catalogue.decimals(name)
    return values / 10**decimals if decimals else values


def _stored(histories: pa.Table, name: str) -> Floats:
    """A feature of every row as floats in stored units, NaN where unknown."""
    values: Floats = histories[name].cast(pa.float64()).to_numpy()
    return values


def matrix(
    histories: pa.Table,
    names: Sequence[str],
    catalogue: Catalogue,
    *,
    rows: npt.NDArray[np.int64] | None = None,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """The model's matrix: rows x features, in units, NaN where unknown.

    `rows`: which history rows, in which order; `out`: where it is written (None: in a new array).
    """
    if out is None:
        out = np.empty((histories.num_rows if rows is None else rows.size, len(names)), np.float32)
    for j, name in enumerate(names):
        values = natural(histories, name, catalogue)
        out[:, j] = values if rows is None else values[rows]
    return out


def as_of_months(histories: pa.Table) -> npt.NDArray[np.int64]:
    """The month of each row's as-of, as an integer."""
    # Few days, many rows.
    coded = histories["as_of"].combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    days = coded.dictionary.cast(pa.int32()).to_numpy().astype("datetime64[D]")
    months: npt.NDArray[np.int64] = days.astype("datetime64[M]").astype(np.int64) + 1970 * 12
    return months[coded.indices.to_numpy()]


def _base(names: Sequence[str], catalogue: Catalogue) -> list[Feature]:
    """The reduced features behind these names, with those that say whether anybody asked."""
    base = {n: catalogue.features[n] for n in sorted(catalogue.needed_for(names))}
    for f in list(base.values()):
        cover = _cover(f, catalogue)
        if cover:
            base[cover.name] = cover
    return list(base.values())


def _behind(wanted: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """What features in context are computed from, as far as it is of each household's own."""
    behind: list[str] = []
    for name in needed_derived(wanted, catalogue):
        if in_context(name, catalogue):
            own = catalogue.behind(name)
            behind.extend(n for n in own if not in_context(n, catalogue))
    return tuple(dict.fromkeys(behind))


def _watched(records: Records, way: _Way) -> Rows:
    """The rows of the cohort: households for which the county's `watched` condition holds at the as-of."""
    every = Rows.every(len(records.households), way.months)
    condition, catalogue = way.catalogue.county.watched, way.catalogue
    cells = _Cells(
        records.households, every, reduce_records(records, way.plan_watched, every), catalogue, Reach({}, {})
    )
    values, known = cells.stored_and_known(condition.feature)
    held = holds(condition, values, known, catalogue.decimals(condition.feature))
    return every if held.all() else Rows.where(held.reshape(every.of.shape), way.months)


def _chosen(everybody: Rows, households: pa.Array, months: Months, rows: pa.Table) -> Rows:
    """Of everybody's rows those asked for."""
    at = pc.index_in(rows["household_id"].cast(pa.string()), value_set=households)
    when = np.searchsorted(months, as_of_months(rows))
    here = np.asarray(at.is_valid()) & (when < months.size)
    wanted = np.zeros(everybody.of.shape, bool)
    month = np.minimum(when, months.size - 1)
    here &= months[month] == as_of_months(rows)
    wanted[pc.fill_null(at, 0).to_numpy()[here], month[here]] = True
    return Rows.where(wanted & (everybody.of >= 0), months)


@dataclass
class _Cells:
    """The features of some rows: reduced ones, with what the absence of records means, and those derived from them."""

    households: pa.Array
    rows: Rows
    reduced: Reduced
    catalogue: Catalogue
    reach: Reach
    derived: dict[str, Floats] = field(default_factory=dict)
    _covered: dict[tuple[object, ...], Bools | None] = field(default_factory=dict)

    def table(self, names: Sequence[str], derived: Sequence[str]) -> pa.Table:
        """The rows with the features named, of which `derived` are derived, in the order of computation."""
        household, at = self.rows.each()
        self._derive(derived)
        ends = np.array([AsOf(int(m)).date for m in self.rows.months], "datetime64[D]")
        columns: dict[str, pa.Array] = {
            "household_id": self.households.take(pa.array(household)),
            "as_of": pa.array(ends[at], pa.date32()),
        }
        for name in dict.fromkeys(names):
            if name in self.derived:
                columns[name] = pa.array(self.derived[name], pa.float64(), from_pandas=True)
            elif name in self.catalogue.coverage:
                columns[name] = pa.array(self._share(name), pa.float64())
            elif name in self.catalogue.features:
                known = self._known(self.catalogue.features[name])
                columns[name] = pa.array(self.reduced.values[name], mask=None if known is None else ~known)
        return pa.table(columns)

    def _derive(self, names: Sequence[str]) -> None:
        lines = Lines(self.catalogue, self.stored, self.rows.months[self._at])
        for name in names:
            self.derived[name] = derive(self.catalogue.derived[name], self.stored, lines)

    @cached_property
    def _at(self) -> Months:
        return self.rows.each()[1]

    def stored(self, name: str) -> Floats:
        """A feature as floats in stored units, NaN where unknown."""
        if name in self.derived:
            return self.derived[name]
        if name in self.catalogue.coverage:
            return self._share(name)
        known = self._known(self.catalogue.features[name])
        values = self.reduced.values[name].astype(np.float64)
        if known is not None:
            values[~known] = np.nan
        return values

    def stored_and_known(self, name: str) -> tuple[npt.NDArray[np.generic], Bools]:
        """A feature's values (integers in stored units, floats where it is one), and where they are known."""
        if name in self.catalogue.features:
            known = self._known(self.catalogue.features[name])
            return self.reduced.values[name], np.ones(self.rows.size, bool) if known is None else known
        self._derive(needed_derived((name,), self.catalogue))
        return self.derived[name], ~np.isnan(self.derived[name])

    def _known(self, f: Feature) -> Bools | None:
        """Where a reduction is known: there are records, or their absence means that nothing happened. None: all."""
        indicator = self.catalogue.indicators[f.indicator]
        some = self.reduced.some.get(f.name)
        if indicator.absent == "unknown" or f.reduction in ("months_since", "duration"):
            return some
        cover = _cover(f, self.catalogue)
        if cover is not None:
            asked: Bools = self.reduced.values[cover.name].astype(bool)  # a count
            return asked if some is None else asked | some
        if f.window.length >= EVER:
            return None
        told = self._told(f)
        if told is None or some is None or indicator.direction != "raises" or f.reduction not in AT_LEAST:
            return told
        # What raises the risk is at least what was told: a cost above a threshold is above it whatever else is missing.
        return told | some

    def _told(self, f: Feature) -> Bools | None:
        """Where the department had told of the whole window, but for what is usually later still. None: everywhere."""
        indicator = self.catalogue.indicators[f.indicator]
        w = f.window
        key = (indicator.department, indicator.usual_lag_months, w.length, w.ago, w.to_date)
        if key not in self._covered:
            covered = self._shares(indicator.department, f.window, indicator.usual_lag_months) == 1
            self._covered[key] = None if covered.all() else self._repeat(covered)
        return self._covered[key]

    def _share(self, name: str) -> Floats:
        """The share of a window that a department had told of by each row's as-of."""
        coverage = self.catalogue.coverage[name]
        return self._repeat(self._shares(coverage.department, coverage.window, 0))

    def _shares(self, department: str, window: Any, late: int) -> Floats:
        months = self.rows.months
        end = months - window.ago
        start = end - (end % 12 if window.to_date else window.length - 1)
        return self.reach.share(department, start, np.maximum(end - late, start), months)

    def _repeat(self, of_as_of: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return of_as_of[self._at]


# Reductions that more records can only raise.
AT_LEAST = ("sum", "count", "max", "holding", "months_with")


def _cover(f: Feature, catalogue: Catalogue) -> Feature | None:
    """The feature that says whether anybody asked within the window."""
    by = catalogue.indicators[f.indicator].covered_by
    return Feature(indicator=by, reduction="count", window=f.window, for_model=False) if by else None
