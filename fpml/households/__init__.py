"""Households: who belongs to which, who is watched at an as-of and as what, and whether a condition of policy holds."""

from fpml.households.conditions import (
    MONITORED,
    InForce,
    alternative_holds,
    cohort,
    condition_holds,
    hold_together,
    holds,
    in_force,
    in_monitoring,
    threshold_on,
)
from fpml.households.membership import LINKED_FORMAT, Facts, Linked, linked, resolved

__all__ = [
    "LINKED_FORMAT",
    "MONITORED",
    "Facts",
    "InForce",
    "Linked",
    "alternative_holds",
    "cohort",
    "condition_holds",
    "hold_together",
    "holds",
    "in_force",
    "in_monitoring",
    "linked",
    "resolved",
    "threshold_on",
]
