"""Households: who belongs to which, who is watched at an as-of and as what, and whether a condition of policy holds."""

from fpml.households.conditions import (
    InForce,
    alternative_holds,
    cohort,
    condition_holds,
    hold_together,
    holds,
    in_force,
    threshold_on,
)
from fpml.households.membership import LINKED_FORMAT, Facts, Linked, linked, resolved

__all__ = [
    "LINKED_FORMAT",
    "Facts",
    "InForce",
    "Linked",
    "alternative_holds",
    "cohort",
    "condition_holds",
    "hold_together",
    "holds",
    "in_force",
    "linked",
    "resolved",
    "threshold_on",
]
