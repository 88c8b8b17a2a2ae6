"""featuretools: deep feature synthesis with cutoff times, a training window for each window, `where` on the indicator.

It has one time index and is not bitemporal: the known date is taken, so its windows are of what became known in these
months, whenever it happened, and its cells are not those of the others. With month ends as cutoffs (the first instant
of the next month, itself left out) the windows are whole months.

pandas 3.1 makes a new accessor at every `frame.ww`, and woodwork, which featuretools keeps its types with, loses what
it noted there: `_Kept` puts back what pandas did before, one accessor a frame.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import featuretools as ft
import pandas as pd
import woodwork

from peers import INDICATORS, REDUCTIONS, WINDOWS, column


class _Kept:
    """An accessor that is made once for each frame or series."""

    def __init__(self, accessor: type) -> None:
        self.accessor = accessor

    def __get__(self, frame: Any, of: type) -> Any:
        if frame is None:
            return self.accessor
        made = self.accessor(frame)
        object.__setattr__(frame, "ww", made)
        return made


_FRAME = pd.DataFrame()
if _FRAME.ww is not _FRAME.ww:
    pd.DataFrame.ww = _Kept(woodwork.table_accessor.WoodworkTableAccessor)
    pd.Series.ww = _Kept(woodwork.column_accessor.WoodworkColumnAccessor)


def tables(path: str, as_ofs: Sequence[int]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Each as-of with its table; all of them are computed at once, a window at a time."""
    warnings.filterwarnings("ignore")
    entities = _entities(path)
    homes = entities["households"]["household_id"].to_numpy()
    ends = {t: pd.Timestamp(t // 12, t % 12 + 1, 1) + pd.offsets.MonthBegin() for t in as_ofs}
    cutoffs = pd.concat([pd.DataFrame({"household_id": homes, "time": end}) for end in ends.values()])
    features = _features(entities)
    parts = []
    for w in WINDOWS:
        matrix = ft.calculate_feature_matrix(
            list(features.values()),
            entities,
            cutoff_time=cutoffs,
            training_window=f"{w} months",
            cutoff_time_in_index=True,
            include_cutoff_time=False,
        )
        parts.append(matrix.set_axis([column(i, r, w) for i, r in features], axis=1))
    whole = pd.concat(parts, axis=1)
    for t, end in ends.items():
        yield t, whole.xs(end, level="time").reset_index()


def _entities(path: str) -> ft.EntitySet:
    events = pd.read_parquet(path)
    events["household_id"] = events["household_id"].astype(str)
    events["known_date"] = pd.to_datetime(events["known_date"])
    events["event_id"] = range(len(events))
    events["value"] = events["value"].astype("float64")
    entities = ft.EntitySet("county")
    entities.add_dataframe(
        events.drop(columns="event_date"), "events", index="event_id", time_index="known_date",
        logical_types={"household_id": "Unknown", "indicator": "Categorical", "value": "Double"},
    )  # fmt: skip
    homes = pd.DataFrame({"household_id": events["household_id"].unique()})
    entities.add_dataframe(homes, "households", index="household_id", logical_types={"household_id": "Unknown"})
    entities.add_relationship("households", "household_id", "events", "household_id")
    return entities


def _features(entities: ft.EntitySet) -> dict[tuple[str, str], ft.Feature]:
    """Each indicator's sum, count and max, as conditional aggregations over a household's events."""
    events = entities["events"].ww
    of = {
        "sum": (ft.Feature(events["value"]), ft.primitives.Sum),
        "count": (ft.Feature(events["event_id"]), ft.primitives.Count),
        "max": (ft.Feature(events["value"]), ft.primitives.Max),
    }
    chosen = {i: ft.Feature(events["indicator"]) == i for i in INDICATORS}
    return {
        (i, r): ft.Feature(of[r][0], parent_dataframe_name="households", primitive=of[r][1], where=chosen[i])
        for i in INDICATORS
        for r in REDUCTIONS
    }
