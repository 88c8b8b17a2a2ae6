"""Households: who belongs to which, who is watched at an as-of and as what, and whether a condition of policy holds."""

from fpml.households.conditions import cohort, condition_holds, hold_together, holds, threshold_on
from fpml.households.membership import LINKED_FORMAT, Facts, Linked, linked, resolved

__all__ = [
    "LINKED_FORMAT",
    "Facts",
    "Linked",
    "cohort",
    "condition_holds",
    "hold_together",
    "holds",
    "linked",
    "resolved",
    "threshold_on",
]
