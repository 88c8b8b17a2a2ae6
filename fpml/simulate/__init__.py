"""A county that could be real, with known truth: households that live month by month, and what is told of them."""

from fpml.simulate.county import Places, begin, simulate
from fpml.simulate.files import Style
from fpml.simulate.foresee import Foresight, foresee
from fpml.simulate.live import Live
from fpml.simulate.plan import Plan
from fpml.simulate.profile import Dials, Profile, load_profile

__all__ = [
    "Dials",
    "Foresight",
    "Live",
    "Places",
    "Plan",
    "Profile",
    "Style",
    "begin",
    "foresee",
    "load_profile",
    "simulate",
]
