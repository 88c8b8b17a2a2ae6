"""Random numbers by purpose: what one part of the county draws never shifts what another draws.

Each purpose of each month of each township has a stream of its own, seeded by all of them. So two runs that differ in
one thing (a county with help and its twin without) meet the same weather, illnesses and births, and a township is the
same whoever works it out, and in whatever order.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """The streams of one place in one month."""

    seed: int
    place: int
    month: int

    def of(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose; asked for twice, it begins anew."""
        key = (self.seed, self.place, self.month, zlib.crc32(purpose.encode()))
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))

    def chance(self, purpose: str, probability: Floats | float, size: int) -> Bools:
        """Which of `size` happen, each with its probability."""
        return np.asarray(self.of(purpose).random(size) < probability, bool)

    def uniform(self, purpose: str, size: int) -> Floats:
        """`size` numbers in [0, 1)."""
        return self.of(purpose).random(size)

    def normal(self, purpose: str, size: int) -> Floats:
        """`size` standard normal numbers."""
        return self.of(purpose).standard_normal(size)
