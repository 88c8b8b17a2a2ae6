"""How far back each department's records go: before that, nothing is not zero."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.dates import months_of

Months = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reach:
    """For each department, months in which something became known, and the earliest event month told by each."""

    since: Mapping[str, tuple[Months, Months]]

    @classmethod
    def of(cls, told: pa.Table) -> "Reach":
        """From `Ledger.reach()`: department, known_date, and the earliest event_date told that day."""
        since = {}
        for department, rows in told.to_pandas().groupby("department", observed=True):
            known = months_of(rows["known_date"].to_numpy("datetime64[D]")).astype(np.int64)
            event = months_of(rows["event_date"].to_numpy("datetime64[D]")).astype(np.int64)
            order = np.argsort(known, kind="stable")
            since[str(department)] = (known[order], np.minimum.accumulate(event[order]))
        return cls(since)

    def covers(self, department: str, start: Months, as_of: Months) -> npt.NDArray[np.bool_]:
        """Whether the department's records, as known at each as-of month, go back to the start month."""
        if department not in self.since:
            return np.zeros(as_of.size, bool)
        known, event = self.since[department]
        at = np.searchsorted(known, as_of, side="right") - 1
        return np.asarray((at >= 0) & (event[np.maximum(at, 0)] <= start), bool)
