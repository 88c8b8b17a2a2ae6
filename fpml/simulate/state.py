"""The state of a township at the end of a month: its people, its households, its villages and the markets.

Columns of equal length, appended to and never shortened, so that a person or a household keeps its number. Money is
in fen, as integers; months count from year 0 (`fpml.dates`).
"""

import copy
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
YEAR = 13  # months kept of income and costs: twelve, and the one before them that the office learns last


class Columns:
    """Columns of one length. What is appended and not told begins at zero."""

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))  # type: ignore[attr-defined]

    def append(self, size: int, **told: Array | int | float | bool) -> range:
        """Adds so many rows, and returns their numbers."""
        first = len(self)
        for f in fields(self):  # type: ignore[arg-type]
            old = getattr(self, f.name)
            new = np.zeros((size, *old.shape[1:]), old.dtype)
            if f.name in told:
                new[:] = told[f.name]
            setattr(self, f.name, np.concatenate([old, new]))
        return range(first, first + size)

    def take(self, rows: Array) -> Self:
        """The rows of these numbers, as a copy."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})  # type: ignore[arg-type]


def _column(dtype: type, *shape: int) -> Array:
    return np.zeros((0, *shape), dtype)


@dataclass
class People(Columns):
    """One row per person who ever belonged to a household of the township."""

    home: Array  # household number; -1 once dead or gone
    first_home: Array  # the household first belonged to
    born: Array  # month
    born_day: Array  # of the month
    dead: Array
    male: Array
    married: Array
    married_in: Array  # came from elsewhere to marry: bears a name of her own
    relation: Array  # the register's codes: 1 head, 2 spouse, 3 child ...
    attained: Array  # school stage reached: 0 none ... 6 college
    enrolled: Array  # school stage attended now, 0 none
    dropped: Array  # out of compulsory school
    skill: Array  # log of the wage factor
    frailty: Array  # factor on the chance of grave illness
    sector: Array  # 0 none, 1 factory, 2 building, 3 services, 4 odd jobs nearby
    away: Array  # 0 here, 1 elsewhere in the province, 2 in another province
    job: Array  # 0 none, 1 at work, 2 at work in a failing firm, 3 out of work
    job_months: Array  # in this state
    fade: Array  # share of the wage that a failing firm still pays
    health: Array  # 0 well, 1 something is coming, 2 gravely ill, 3 lasting illness after
    health_left: Array  # months left in this state
    suspect: Array  # the chance that something is coming, as bills alone would tell
    severity: Array  # factor on costs and lost work of a grave illness
    chronic: Array
    disability: Array  # grade of the certificate, 0 none, 1 gravest
    nursing: Array  # stays at home to nurse
    prison: Array  # months left
    missing: Array
    allowance: Array  # low-income allowance
    hardship: Array  # special hardship support: 1 at home, 2 in a home
    formal: Array  # whose wages are reported as they are paid; others' are estimated once a year
    guess: Array  # log of the error in such an estimate
    estimate: Array  # fen a month told of those not formal
    post: Array  # public-post job
    pension: Array  # fen a month

    @classmethod
    def none(cls) -> Self:
        """No people yet."""
        small = ("born_day", "relation", "attained", "enrolled", "sector", "away", "job", "health", "disability",
                 "hardship")  # fmt: skip
        flags = (
            "formal",
            "dead",
            "male",
            "married",
            "married_in",
            "dropped",
            "chronic",
            "nursing",
            "missing",
            "allowance",
            "post",
        )
        real = ("skill", "guess", "suspect", "frailty", "fade", "severity")
        kinds = dict.fromkeys(small, np.int8) | dict.fromkeys(flags, np.bool_) | dict.fromkeys(real, np.float64)
        return cls(**{f.name: _column(kinds.get(f.name, np.int64)) for f in fields(cls)})

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Who belongs to a household now."""
        return self.home >= 0

    def age(self, month: int) -> npt.NDArray[np.int64]:
        """Years of life completed in a month."""
        return (month - self.born) // 12


@dataclass
class Homes(Columns):
    """One row per household that ever was."""

    village: Array  # number of the village within the township (in roll-outs, within its world)
    active: Array
    began: Array  # month in which it entered the register; 0 for those there at the start
    formerly_poor: Array
    land: Array  # mu
    farm: Array  # log of yield and price against the usual
    livestock: Array  # animals, in pigs
    shop: Array  # usual net fen a month of a small business, 0 none
    rent: Array  # fen a year from land and dividends
    kin: Array  # fen a month from children who live apart
    casual: Array  # fen a month of cash work that nobody records, while there is any
    hidden: Array  # fen of it this month
    guess: Array  # log of the error in what is told of support by kin and of farming
    slide: Array  # monthly change of the log of what the household earns; 0 when steady
    slide_kind: Array  # what runs down: 0 farm, 1 wages, 2 support from kin, 3 the business
    slide_left: Array
    slump: Array  # log of what it earns against its usual
    savings: Array  # in the banks that report
    in_cash: Array  # what is left of a month goes to no bank
    kept: Array  # fen kept where nobody sees it: cash, other banks, lent to a brother
    loan: Array
    small_loan: Array
    overdue: Array  # days
    grade: Array  # of the house: 1 A ... 4 D
    decay: Array  # the house is giving way, seen by nobody yet: months left until it is graded
    omen: Array  # months left until an announced blow, where blows fall at once
    announced: Array  # month of the last sign of one, 0 never
    dry: Array  # months left without water, 0 supplied
    dry_since: Array
    struck: Array  # month of the last blow
    strike: Array  # causes at work, one bit each (causes.CAUSES)
    income: Array  # (YEAR) fen, newest last
    unseen: Array  # (YEAR) the part of income that nobody records
    medical: Array  # (YEAR) self-paid
    saved: Array  # (4) savings at the ends of the last months, newest last
    hurt: Array  # (YEAR) other losses: of crops, animals, things
    taught: Array  # (YEAR) paid for upper-secondary school and college
    gap: Array  # fen a year short of some way above the line: what idle hands and relatives try to fill
    below: Array  # twelve months' income per head under the line, as it truly is
    failing: Array  # guarantees that fail, one bit each
    spell: Array  # month in which the present time below began, 0 none
    refuse_until: Array  # month until which a rule's push is not repeated
    monitored: Array  # type of the household in monitoring, 0 not
    monitored_since: Array
    pending: Array  # month in which registration will be done, 0 none
    cleared: Array  # month of the last clearing, 0 never
    steady: Array  # months in a row above the line while in monitoring
    visited: Array  # month of the last visit
    causes: Array  # registered, one bit each
    relief: Array  # fen a month of income support in force
    grant: Array  # fen of temporary relief granted, paid next month
    debt: Array  # fen owed to relatives, on no record
    backing: Array  # fen that relatives would lend in all, known to nobody outside
    work_help: Array  # log of what business and work help adds to earnings

    @classmethod
    def none(cls) -> Self:
        """No households yet."""
        flags = ("active", "formerly_poor", "below", "in_cash")
        real = ("land", "farm", "livestock", "slide", "slump", "work_help", "guess")
        small = ("grade", "monitored", "steady")
        wide = {"income": YEAR, "unseen": YEAR, "medical": YEAR, "saved": 4, "hurt": YEAR, "taught": YEAR}
        kinds = dict.fromkeys(flags, np.bool_) | dict.fromkeys(real, np.float64) | dict.fromkeys(small, np.int8)
        return cls(
            **{
                f.name: _column(kinds.get(f.name, np.int64), *([wide[f.name]] if f.name in wide else []))
                for f in fields(cls)
            }
        )


@dataclass
class Villages(Columns):
    """One row per village (in roll-outs, per village and world)."""

    world: Array
    code: Array  # twelve digits
    mountain: Array
    remote: Array  # 0 near the county town ... 1 far
    flood_risk: Array
    factory: Array  # share of wage earners in factories; the rest by habit of the place
    strict: Array  # how closely its cadres look: factor on what they notice
    yields: Array  # this season's crops against the usual
    response: Array  # grade of the disaster response in force, 0 none

    @classmethod
    def none(cls) -> Self:
        """No villages yet."""
        ints = ("world", "code", "response")
        return cls(**{f.name: _column(np.int64 if f.name in ints else np.float64) for f in fields(cls)})


@dataclass
class Markets(Columns):
    """One row per world: what the whole county meets at once."""

    pork: Array  # log of the price of pigs against the usual
    crops: Array
    sectors: Array  # (5) log of demand for work
    plague: Array  # animal disease about: months left

    @classmethod
    def none(cls) -> Self:
        """No world yet."""
        return cls(_column(np.float64), _column(np.float64), _column(np.float64, 5), _column(np.int64))


@dataclass
class Township:
    """All of a township at the end of `month`."""

    number: int
    month: int
    people: People
    homes: Homes
    villages: Villages
    markets: Markets

    def copy(self) -> "Township":
        """A township that goes its own way from here on."""
        return copy.deepcopy(self)

    @property
    def world(self) -> npt.NDArray[np.int64]:
        """The world of each household."""
        return self.villages.world[self.homes.village]

    def members(self) -> npt.NDArray[np.int64]:
        """How many people each household has."""
        return self.count(self.people.present)

    def count(self, who: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """How many of these people each household has."""
        return np.bincount(self.people.home[who], minlength=len(self.homes))

    def total(self, amounts: Array) -> npt.NDArray[np.int64]:
        """Sums of people's amounts (fen) by household; exact, since sums stay far below 2^53."""
        here = self.people.present
        return np.rint(np.bincount(self.people.home[here], amounts[here], len(self.homes))).astype(np.int64)
