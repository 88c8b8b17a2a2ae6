"""What is to be simulated: how many households, for how long, from which seed; and how they fall into townships."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from fpml.dates import AsOf
from fpml.errors import UsageError
from fpml.simulate.draws import Ints
from fpml.simulate.profile import Profile

HOUSEHOLDS_A_VILLAGE, VILLAGES_A_TOWNSHIP = 400, 20
HOUSEHOLDS_A_COUNTY = 250_000
# Townships that a county has at least, so that a small one has several too.
LEAST = 4
# A serial is the township's number above, and the row within the township below, these bits.
BITS = 17


@dataclass(frozen=True)
class Spot:
    """One township of a plan: its county, its number among all, its place in the county, how many households."""

    county: int
    number: int
    lane: int
    lanes: int
    households: int


@dataclass(frozen=True)
class Plan:
    """A county (or a province of several) to grow: `months` from `first` on are told of."""

    profile: Profile
    households: int = 5_000
    first: AsOf = AsOf(2021 * 12)  # noqa: RUF009 - frozen
    months: int = 36
    seed: int = 1

    def __post_init__(self) -> None:
        for name, value, least in (("households", self.households, 100), ("months", self.months, 1)):
            if value < least:
                raise UsageError(f"simulate: {value} {name}", "too few", f"Give at least {least}.")

    @property
    def counties(self) -> int:
        """How many counties it takes."""
        return -(-self.households // HOUSEHOLDS_A_COUNTY)

    @property
    def own_line(self) -> dict[date, int] | None:
        """The profile's own monitoring line, where it is to stand in the place of the policy's."""
        return self.profile.line if self.profile.own_line else None

    def of(self, spot: Spot) -> Profile:
        """The profile of a township's county."""
        return self.profile.model_copy(update={"county_code": self.profile.county_code + spot.county})

    @property
    def last(self) -> AsOf:
        """The last month told of."""
        return self.first.shift(self.months - 1)

    def townships(self) -> tuple[Spot, ...]:
        """The townships of all counties. Their numbers run on from county to county."""
        full = HOUSEHOLDS_A_VILLAGE * VILLAGES_A_TOWNSHIP
        spots: list[Spot] = []
        for county, n in enumerate(_parted(self.households, self.counties)):
            parts = _parted(n, max(LEAST, round(n / full)))
            spots += [Spot(county, len(spots) + i, i, len(parts), size) for i, size in enumerate(parts)]
        return tuple(spots)


def _parted(whole: int, parts: int) -> tuple[int, ...]:
    return tuple(whole // parts + (i < whole % parts) for i in range(parts))


def serial(township: int, rows: Ints) -> Ints:
    """The serial numbers of a township's rows; nobody stays nobody (-1)."""
    rows = np.asarray(rows, np.int64)
    return np.where(rows < 0, -1, (township << BITS) + rows)
