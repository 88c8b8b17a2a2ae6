"""Where a household's value stands among others: of its village, or of its township or county where that is small."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue

Side = Literal["above", "under", "usual"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stands:
    """On which side of the others a value stands, whole percent of them, and who the others are."""

    side: Side
    share: int
    place: str


@dataclass
class Yardstick:
    """The households of one as-of that values are held against; each feature is read once, and only when asked for."""

    histories: pa.Table
    catalogue: Catalogue
    _places: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]] = field(
        default_factory=dict, repr=False
    )
    _columns: dict[str, Floats] = field(default_factory=dict, repr=False)
    _known: dict[tuple[str, str, int], tuple[int, Floats]] = field(default_factory=dict, repr=False)

    def stands(self, name: str, at: int) -> Stands | None:
        """Where the value of a row stands among those known; None where it is unknown or too few others are known.

        Those with the same value, and those of whom it is not known, count as neither above nor under. What never was
        is longer ago than anything.
        """
        value, telling = self._column(name)[at], self.catalogue.listing.reasons
        if not np.isfinite(value):
            return None
        for place in ("village", "township", "county"):
            households, known = self._others(name, place, at)
            if known.size >= telling.fewest:
                above = int(np.searchsorted(known, value, "left"))
                under = known.size - int(np.searchsorted(known, value, "right"))
                if above >= telling.marked * households:
                    return Stands("above", 100 * above // households, place)
                if under >= telling.marked * households:
                    return Stands("under", 100 * under // households, place)
                return Stands("usual", 0, place)
        return None

    def _others(self, name: str, place: str, at: int) -> tuple[int, Floats]:
        """How many households a row's place has, and the values known of them, ascending; kept for the next."""
        rows = self._around(place, at)
        first = int(rows[0]) if isinstance(rows, np.ndarray) and rows.size else -1
        key = name, place, first
        if key not in self._known:
            values = self._column(name)[rows]
            self._known[key] = values.size, np.sort(values[~np.isnan(values)])
        return self._known[key]

    def _column(self, name: str) -> Floats:
        if name not in self._columns:
            column = self.histories[name].cast(pa.float64())
            told = column.to_numpy(zero_copy_only=False)
            self._columns[name] = np.where(np.isnan(told), np.inf, told) if self._may_never_be(name) else told
        return self._columns[name]

    def _may_never_be(self, name: str) -> bool:
        """Whether an unknown value means that it never happened."""
        feature = self.catalogue.features.get(name)
        if feature is None or feature.reduction != "months_since":
            return False
        return self.catalogue.indicators[feature.indicator].absent == "zero"

    def _around(self, place: str, at: int) -> npt.NDArray[np.int64] | slice:
        """The rows of a row's village or township, its own among them; none where its village is not known."""
        if place == "county":
            return slice(None)
        if place not in self._places:
            village = self.histories[f"{self.catalogue.county.village}__last__ever"].cast(pa.int64())
            code = village.fill_null(-1).to_numpy()
            code = code // (1 if place == "village" else self.catalogue.review.townships)
            order = np.argsort(code, kind="stable")
            self._places[place] = code, order, code[order]
        code, order, sorted_codes = self._places[place]
        if code[at] < 0:
            return np.zeros(0, np.int64)
        first, last = np.searchsorted(sorted_codes, [code[at], code[at] + 1])
        return order[first:last]
