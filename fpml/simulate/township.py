"""One month of one township: everything that happens, in the order in which it happens."""

from dataclasses import dataclass

import numpy as np

from fpml.simulate import demography, finding, health, money, shocks, start, work
from fpml.simulate.causes import LABOUR
from fpml.simulate.draws import Bools, Draws, Ints
from fpml.simulate.finding import Found, Signs
from fpml.simulate.health import Care
from fpml.simulate.money import Month
from fpml.simulate.office import Office
from fpml.simulate.plan import Spot
from fpml.simulate.profile import Profile
from fpml.simulate.report import report, report_finding
from fpml.simulate.state import Township
from fpml.simulate.work import Earned

# Its draws belong to the whole county.
COUNTY = 0
# Months lived before the first that is told of: incomes of a year, and who was poor then is found or helped.
BEFORE = 24
# In these of them the structurally poor are provided for; from the first of them on the register is kept.
PROVIDED = (13, 17, 21)


@dataclass(frozen=True)
class Lived:
    """What a month came to."""

    money: Month
    found: Found


def step(
    place: Township, seed: int, profile: Profile, *, line: int, office: Office | None = None,
    listed: Bools | None = None, apart: int = COUNTY,
) -> Lived:  # fmt: skip
    """Lives the month after `place.month`, in place; tells the office, where there is one.

    `line` in fen a head and year; `listed`: households that a list from outside asks to visit; `apart`: draws of a
    future of its own (a roll-out) instead of the county's.
    """
    place.month += 1
    people, homes = place.people, place.homes
    draws = Draws(seed, 1_000_000 * apart + 1 + place.number, place.month)
    common = Draws(seed, 1_000_000 * apart, place.month)
    for rolling in (homes.income, homes.unseen, homes.medical, homes.hurt, homes.saved, homes.taught):
        rolling[:, :-1] = rolling[:, 1:]
        rolling[:, -1] = 0
    before, could = people.home.copy(), demography.able(place)
    graded, disabled = homes.grade.copy(), people.disability.copy()
    shocks.turn(place, common, profile)
    shocks.weather(place, common, draws, profile)
    demography.live(place, draws, profile)
    demography.study(place, draws, profile)
    care = health.befall(place, draws, profile)
    lost = _labourer_lost(place, before, could, care)
    earned = work.work(place, draws, profile)
    shocks.strike(place, draws, profile)
    if not profile.dials.strength:
        shocks.bolt(place, draws, profile)
    month = money.live_on(place, draws, profile, earned=earned, care=care, line=line)
    finding.judge(place, line)
    signs = _signs(place, care, earned, month, lost=lost, graded=graded, disabled=disabled)
    if office:
        aid = money.school_aid(place, profile)
        report(place, office, before, month=month, care=care, earned=earned, aid=aid)
    found = finding.look(place, draws, profile, signs=signs, line=line, listed=listed, apart=apart != COUNTY)
    finding.review_allowances(place, draws, profile, line)
    if office:
        report_finding(place, office, found)
        office.opening = False
    return Lived(month, found)


def settled(spot: Spot, first: int, seed: int, profile: Profile, *, line: int) -> Township:
    """A township that has lived for two years, at the end of the month before `first`."""
    place = start.begin(spot, first - BEFORE - 1, Draws(seed, 1 + spot.number, 0), profile)
    unwatched = profile.model_copy(update={"visits": 0.0})
    for month in range(BEFORE):
        step(place, seed, profile if month >= PROVIDED[0] else unwatched, line=line)
        if month in PROVIDED:
            _provide(place, profile, line)
    return place


def _provide(place: Township, profile: Profile, line: int) -> None:
    """Before the county is watched, the structurally poor have been given the allowance or some support of kin.

    Its figures are set so, not published: else everybody who was ever poor would be found in the first months.
    """
    homes, people = place.homes, place.people
    size = np.maximum(place.members(), 1)
    yearly = homes.income[:, 1:].sum(axis=1)
    wanted = profile.margin * (1 + 0.3 * (np.arange(len(homes)) * 2654435761 % 1000) / 1000)
    gap = np.maximum(wanted * line * size - yearly, 0) * homes.active
    poorest = yearly < 0.8 * line * size
    homes.relief += np.where(poorest, gap // 12, 0).astype(np.int64)
    homes.kin += np.where(poorest, 0, gap / 11).astype(np.int64)
    people.allowance |= (poorest & (homes.relief > 0))[np.maximum(people.home, 0)] & people.present
    homes.grade[homes.grade > 2] = 2


def _labourer_lost(place: Township, before: Ints, could: Bools, care: Care) -> Bools:
    """Which households lost somebody who could work: dead, missing or in prison."""
    people, homes = place.people, place.homes
    old = np.arange(before.size)
    gone = could & (before >= 0) & (people.dead[old] | people.missing[old] | (people.prison[old] > 0))
    lost = np.zeros(len(homes), bool)
    lost[before[gone]] = True
    homes.strike[lost] |= LABOUR
    return lost & homes.active


def _signs(
    place: Township, care: Care, earned: Earned, month: Month, *, lost: Bools, graded: Ints, disabled: Ints
) -> Signs:
    people, homes = place.people, place.homes
    here = people.present
    longest = np.zeros(len(homes), np.int64)
    np.maximum.at(longest, people.home[here], care.inpatient[here])
    was = np.zeros(len(people), np.int64)
    was[: disabled.size] = disabled
    certified = here & (was == 0) & (people.disability > 0) & (people.disability <= 2)
    grade = homes.grade.copy()
    grade[: graded.size] = graded
    return Signs(
        longest_bill=longest,
        fees=np.maximum(month.fees - month.aid, 0),
        diagnosed=place.count(here & care.diagnosed & (people.severity > 0.6)) > 0,
        certified=place.count(certified) > 0,
        graded=(homes.grade >= 3) & (grade < 3),
        owed=place.count(here & (earned.unpaid > 0)) > 0,
        labourer_lost=lost,
    )
