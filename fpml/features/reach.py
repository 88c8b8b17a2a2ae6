"""Which months each department has told of, as known at an as-of: outside them, no news is not zero."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue
from fpml.features.records import Told

Months = npt.NDArray[np.int64]
# A month with less than a tenth of a department's usual records is not told of: a few stray dates are no delivery.
USUAL_SHARE = 10
# Where a month usually has fewer records than this, chance leaves months empty too often (exp(-5) = 0.7 %) to be told
# from a delivery that never came: within the time told of, such a month counts as told.
FEW = 5


@dataclass(frozen=True)
class Reach:
    """For each department (by name), how many records it has told: event months, known months, numbers."""

    told: dict[str, tuple[Months, Months, Months]]
    cadence: dict[str, int]
    _months: dict[tuple[str, int], npt.NDArray[np.bool_]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, parts: Sequence[Told], catalogue: Catalogue) -> "Reach":
        """From what was counted in each shard."""
        told = {}
        for i, department in enumerate(catalogue.departments):
            event, known, number = [], [], []
            for part in parts:
                e, k = np.nonzero(part.number[i])
                event.append(e + part.first_event)
                known.append(k + part.first_known)
                number.append(part.number[i][e, k])
            if sum(n.size for n in number):
                pair = np.concatenate(event) * 2**16 + np.concatenate(known)
                pairs, at = np.unique(pair, return_inverse=True)
                total = np.bincount(at, weights=np.concatenate(number)).astype(np.int64)
                told[department] = (pairs // 2**16, pairs % 2**16, total)
        return cls(told, {name: d.cadence_months for name, d in catalogue.departments.items()})

    def delivered(self, department: str, as_of: int) -> npt.NDArray[np.bool_]:
        """For every month up to the as-of (by its number), whether the department had told of it by then."""
        if (department, as_of) not in self._months:
            self._months[department, as_of] = self._delivered(department, as_of)
        return self._months[department, as_of]

    def _delivered(self, department: str, as_of: int) -> npt.NDArray[np.bool_]:
        out = np.zeros(as_of + 1, bool)
        event, known, number = self.told.get(department, (np.zeros(0, np.int64),) * 3)
        then = known <= as_of
        if not then.any():
            return out
        months, at = np.unique(event[then], return_inverse=True)
        counted = np.bincount(at, weights=number[then])
        usual = np.median(counted)
        full = months[counted * USUAL_SHARE >= usual]
        for month in full:
            out[month : month + self.cadence[department]] = True
        if usual < FEW:
            out[full[0] : full[-1] + self.cadence[department]] = True
        return out[: as_of + 1]

    def share(self, department: str, start: Months, end: Months, as_of: Months) -> npt.NDArray[np.float64]:
        """How much of the months from start to end, both included, the department had told of by each as-of."""
        return np.array(
            [
                self.delivered(department, int(t))[max(int(s), 0) : int(e) + 1].mean()
                for s, e, t in zip(start, end, as_of, strict=True)
            ]
        )
