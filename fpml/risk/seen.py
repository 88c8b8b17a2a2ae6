"""How many falls an entry in the register stands for: what visits teach is learnt with the chance of a visit.

The register tells of falls that somebody looked at, and lists decide who is looked at. An audit tells how many falls
there were, of households that a list had had and of others; the register how many entries. An entry is weighted by the
falls for which it stands: one over the chance of having been looked at, less what visits mistake for a fall. Source:
Bekker, Robberechts and Davis, "Beyond the selected completely at random assumption for learning from positive and
unlabeled data" (2019); what they take off the negatives is left out, since falls are rare: it is as small as the chance
of a fall itself.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.features import as_of_months

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# With fewer finds nothing is weighted: as many as a recall takes (`fpml.measure.audit`).
LEAST = 10
# No entry counts for more than ten falls, or for less than half of one. Assumed.
FLOOR, CEILING = 0.1, 2.0
# The ratio of all finds counts as so many finds beside a group's own. Assumed.
BESIDE = 5.0
# A household had stood on a list where it did within so many months before: as for `found` (measurement).
MONTHS_LISTED = 12
NOBODY: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Finds:
    """A year's falls that an audit confirmed: how many each speaks for, and whether a list had had the household.

    `entered`: the year's entries in the register, of households that a list had had, and of others.
    """

    weight: Floats
    listed: Bools
    entered: tuple[float, float]


@dataclass(frozen=True)
class Seen:
    """Entries in the register for each fall, of households that a list had before and of the others.

    `lists`: the households of each month's list; `met`: whom an audit met, and in which month: seen from then on.
    """

    listed: float
    unlisted: float
    finds: int
    lists: Mapping[int, pa.Array] = field(default_factory=dict, repr=False)
    met: Mapping[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, finds: Finds, lists: Mapping[int, pa.Array], met: Mapping[str, int] = NOBODY) -> "Seen | None":
        """As finds tell; None where there are too few of them to tell."""
        if finds.weight.size < LEAST:
            return None
        whole = sum(finds.entered) / float(finds.weight.sum())
        pairs = zip((finds.listed, ~finds.listed), finds.entered, strict=True)
        listed, unlisted = (_share(finds.weight[of], entered, whole) for of, entered in pairs)
        return cls(listed, unlisted, finds.weight.size, lists, met)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of everything that decides a chance."""
        told = hashlib.sha256(repr((self.listed, self.unlisted, sorted(self.met.items()))).encode())
        for month, names in sorted(self.lists.items()):
            told.update(f"{month}:{','.join(sorted(names.to_pylist()))}".encode())
        return told.hexdigest()[:16]

    def chance(self, rows: pa.Table, horizon: int) -> Floats:
        """For each row (household_id, as_of) the entries in the register for each fall by the horizon's end."""
        household, end = rows["household_id"].cast(pa.string()), as_of_months(rows) + horizon
        had = np.zeros(rows.num_rows, bool)
        for month, names in self.lists.items():
            when = (month >= end - MONTHS_LISTED) & (month < end)
            if when.any():
                had |= when & _among(household, names)
        visited = household.to_pandas().map(self.met) if self.met else np.full(rows.num_rows, np.nan)
        return np.where(visited <= end, 1.0, np.where(had, self.listed, self.unlisted))


def _share(weight: Floats, entered: float, whole: float) -> float:
    """Entries for each fall of a group, drawn toward that of all, and within the bounds."""
    own = float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0
    told = entered / float(weight.sum()) if weight.size else whole
    return float(np.clip((own * told + BESIDE * whole) / (own + BESIDE), FLOOR, CEILING))


def _among(household: pa.ChunkedArray, names: pa.Array) -> Bools:
    return np.asarray(pc.is_in(household, value_set=names.cast(pa.string())), bool)
