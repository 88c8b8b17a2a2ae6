"""Why a household falls: the register's eleven causes, and each one's bit."""

import numpy as np
import numpy.typing as npt

CAUSES = ("illness", "schooling", "disability", "natural_disaster", "accident", "business_failure", "unstable_work",
          "lack_of_labour", "unsafe_housing", "unsafe_water", "other")  # fmt: skip
(ILLNESS, SCHOOLING, DISABILITY, DISASTER, ACCIDENT, BUSINESS, WORK, LABOUR, HOUSING, WATER, OTHER) = (
    1 << i for i in range(len(CAUSES))
)
# Which is written down first where several apply.
_ORDER = (HOUSING, WATER, SCHOOLING, DISABILITY, ACCIDENT, DISASTER, LABOUR, ILLNESS, BUSINESS, WORK, OTHER)


def main_cause(bits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The one bit of each that is its main cause; 0 where there is none."""
    return np.select([(bits & cause) > 0 for cause in _ORDER], _ORDER, 0)
