"""What kind of county is grown: a profile (YAML, each figure assumed unless it says otherwise) and the dials on it."""

from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from fpml.catalogue import Words
from fpml.catalogue.files import parse
from fpml.catalogue.types import Policy
from fpml.errors import UsageError, did_you_mean
from fpml.simulate.draws import Floats, Ints

PROFILES = Path(__file__).parent / "profiles"
STRENGTH = {"absent": 0.0, "weak": 0.4, "strong": 1.0}


class Dials(Policy):
    """What an experiment turns, so that no claim rests on one taste.

    `base_rate`: falls wanted, per cent of households a year (None: as the profile has it); `precursors`: how much is
    felt before a blow falls; `rules_find`: per cent of falls that a push is to come before (None: as the profile has
    it);
    `looking`: who is visited; `help`: whether the county helps those it finds.
    """

    base_rate: float | None = Field(default=None, gt=0, le=5)
    precursors: Literal["absent", "weak", "strong"] = "strong"
    rules_find: float | None = Field(default=None, gt=0, le=100)
    looking: Literal["selective", "random"] = "selective"
    help: bool = True

    @property
    def strength(self) -> float:
        """How strongly a coming blow is felt, 0 to 1."""
        return STRENGTH[self.precursors]

    def months_before(self, luck: Floats, least: int, most: int) -> Ints:
        """For how many months it is felt: none where precursors are absent."""
        return np.where(self.strength > 0, least + np.floor(luck * (most - least + 1)), 0).astype(np.int64)

    def vary(self, factor: Floats) -> Floats:
        """A person's own factor on a hazard; without precursors, everybody's is the same."""
        return factor if self.strength > 0 else np.ones_like(factor)


# The chances that the dials turn.
BLOWS = (
    "illness",
    "accidents",
    "job_loss",
    "slumps",
    "slides",
    "bankruptcies",
    "floods",
    "animal_disease",
    "decay",
    "dry",
)


class Turns(Policy):
    """What a dial's setting multiplies, found by simulation: settings between two are read off between them.

    `base_rate`: per cent of households a year -> factor on every blow; `rules_find`: per cent -> factors by name.
    """

    base_rate: dict[float, float] = Field(default_factory=dict)
    rules_find: dict[float, dict[str, float]] = Field(default_factory=dict)


class Target(Policy):
    """A published figure that the profile is held against."""

    figure: str
    low: float
    high: float
    mark: Literal["stated", "found", "derived", "assumed"]
    source: str
    reason: str = ""  # why the simulated figure lies outside, where it does


class Profile(Policy):
    """One kind of county. Chances are per month, money in yuan, growth per year."""

    name: Words
    county_code: int = Field(ge=100_000, le=999_999)
    base_month: int  # in which wages and prices are as written here
    members: float = 3.4
    formerly_poor: float
    mountain: float  # share of mountain villages
    wage: float
    wage_workers: float  # share of those able to work who have paid work
    away: float
    growth: float
    skill: float  # spread of the log of wages
    frailty: float
    poor_skill: float = 0.18  # by how much the log of wages of the formerly poor is lower
    farm: float  # gross a mu and year
    land: float
    livestock: float
    shops: float
    kin: float
    bare: float  # subsistence a head and month
    provincial_income: float
    births: float = 0.006
    marriages: float = 0.006
    splits: float = 0.0015
    merges: float = 0.002
    moves: float = 0.00015
    senior_school: float
    college: float = 0.6
    private_school: float = 0.1
    drop_out: float
    illness: float
    grave_death: float = 0.012
    disables: float = 0.03  # monthly chance of a certificate in a lasting illness
    outpatient: float = 200  # of a month with visits, before insurance
    small_stay: float = 4400  # bill of an ordinary stay
    drugs: float = 180  # a month with a chronic illness, on nobody's bill
    feasts: float = 0.015  # a lumpy outlay out of savings
    in_cash: float = 0.4  # share of households that keep what they save in cash
    kept: float = 6000  # kept where no bank sees it: its median
    backing: float = 6000  # what relatives would lend in all: its median
    bill: float  # of a month of grave illness with a stay, before insurance
    doctor: float
    stays: float
    nursing: float
    accidents: float
    job_loss: float
    rehired: float
    pressed: float = 0.08  # chance that an idle adult begins paid work where income comes near the line
    kin_helps: float = 0.1  # chance that relatives give more there
    formal: float = 0.55  # share of wage earners whose wages are reported as paid
    guess: float = 0.25  # spread of the log error where they are estimated
    casual: float = 0.35  # share of households with cash work that nobody records
    post_wage: float = 850
    slumps: float
    plagues: float
    animal_disease: float
    floods: float
    decay: float
    dry: float
    slides: float
    bankruptcies: float
    margin: float  # the poorest at the start stand so far above the line, by the allowance
    rules: dict[str, float]  # weight of each rule's hit in the combined judgement
    push_at: float
    declares: float
    idle_declares: float
    walks: float
    idle_walks: float
    visits: float  # per thousand households and month
    sensitivity: float
    specificity: float
    clears: float
    help_works: float
    help_to: float = 1.3  # income support fills up to so many lines, before its cap
    allowance_review: float
    line: dict[date, int]  # yuan a head and year: before the policy's own values, or (`own_line`) in their place
    own_line: bool = False
    targets: tuple[Target, ...] = ()
    turns: Turns = Turns()
    dials: Dials = Dials()

    def turned(self, dials: Dials) -> "Profile":
        """The profile with the dials turned.

        Without precursors nothing of the world's gradual ways is left: blows fall at once (`shocks.bolt`), and what
        announces them is a rule's own event.
        """
        if dials.precursors == "absent":
            still = dict.fromkeys((*BLOWS, "drop_out", "plagues"), 0.0)
            return self.model_copy(update={**still, "dials": dials})
        factors = dict.fromkeys(BLOWS, 1.0)
        if dials.base_rate is not None:
            whole = _between(self.turns.base_rate, dials.base_rate, "base_rate")
            # Who looks for more poverty has more feet to look with.
            factors = dict.fromkeys(BLOWS, whole) | {"visits": max(whole, 1.0)}
        if dials.rules_find is not None:
            named = {n for f in self.turns.rules_find.values() for n in f}
            for name in named:
                steps = {k: f.get(name, 1.0) for k, f in self.turns.rules_find.items()}
                factors[name] = factors.get(name, 1.0) * _between(steps, dials.rules_find, "rules_find")
        changed = {name: getattr(self, name) * factor for name, factor in factors.items()}
        return self.model_copy(update={**changed, "dials": dials})


def _between(steps: dict[float, float], wanted: float, dial: str) -> float:
    """The factor for a setting, on a straight line between the logarithms of its neighbours; not beyond the ends."""
    known = sorted(steps)
    if not known or not known[0] <= wanted <= known[-1]:
        reach = f"it reaches {known[0]} to {known[-1]}" if known else "the profile has none"
        raise UsageError(f"dial {dial}={wanted:g}", reach, "Choose another setting, or another profile.")
    return float(np.exp(np.interp(np.log(wanted), np.log(known), np.log([steps[k] for k in known]))))


def load_profile(name: str, dials: Dials | None = None) -> Profile:
    """A profile by name, with the dials turned; raises UsageError for one that is not there."""
    path = PROFILES / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            f"profile `{name}`", "not there", did_you_mean(name, (p.stem for p in PROFILES.glob("*.yaml")))
        )
    profile: Profile = parse(path, Profile)
    return profile.turned(dials) if dials else profile
