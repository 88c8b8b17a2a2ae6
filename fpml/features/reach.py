"""Which months each department has told of, as known at an as-of: outside them, no news is not zero."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.dates import months_of

Months = npt.NDArray[np.int64]
# A month with less than a tenth of a department's usual records is not told of: a few stray dates are no delivery.
USUAL_SHARE = 10


@dataclass(frozen=True)
class Reach:
    """For each department, how many records it has told: arrays of event month, known month and number."""

    told: Mapping[str, tuple[Months, Months, Months]]
    # Spans already worked out: every feature of every shard asks for the same few.
    _spans: dict[tuple[str, int], tuple[int, int] | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, counts: pa.Table) -> "Reach":
        """From `Ledger.reach()`: department, event_date, known_date and the number of records."""
        told = {}
        for department, rows in counts.to_pandas().groupby("department", observed=True):
            event, known = (
                months_of(rows[c].to_numpy("datetime64[D]")).astype(np.int64) for c in ("event_date", "known_date")
            )
            told[str(department)] = (event, known, rows["number"].to_numpy(np.int64))
        return cls(told)

    def span(self, department: str, as_of: int) -> tuple[int, int] | None:
        """The first and the last month that the department has told of by an as-of month; None where there is none."""
        if (department, as_of) not in self._spans:
            self._spans[department, as_of] = self._span(department, as_of)
        return self._spans[department, as_of]

    def _span(self, department: str, as_of: int) -> tuple[int, int] | None:
        event, known, number = self.told.get(department, (np.zeros(0, np.int64),) * 3)
        then = known <= as_of
        if not then.any():
            return None
        months, at = np.unique(event[then], return_inverse=True)
        told = np.bincount(at, weights=number[then])
        usual = months[told * USUAL_SHARE >= np.median(told)]
        return int(usual[0]), int(usual[-1])

    def covers(self, department: str, start: Months, end: Months, as_of: Months) -> npt.NDArray[np.bool_]:
        """Whether the department has told of the months from start to end, by each as-of month."""
        out = np.zeros(as_of.size, bool)
        for month in np.unique(as_of):
            span = self.span(department, int(month))
            if span:
                then = as_of == month
                out[then] = (span[0] <= start[then]) & (end[then] <= span[1])
        return out
