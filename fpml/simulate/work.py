"""Work away and nearby: firms that fade before they let people go, seasons, sectors, and what is earned."""

from dataclasses import dataclass

import numpy as np

from fpml.simulate.causes import WORK
from fpml.simulate.demography import able
from fpml.simulate.draws import Draws, Ints
from fpml.simulate.profile import Profile
from fpml.simulate.state import Township

NONE, AT_WORK, FADING, OUT = 0, 1, 2, 3
FACTORY, BUILDING, SERVICES, ODD = 1, 2, 3, 4
# What a sector pays against the usual, and how often it lets people go.
PAY = np.array([0.0, 1.0, 1.12, 0.95, 0.62])
LETS_GO = np.array([0.0, 0.8, 1.5, 0.9, 1.2])
# Around Spring Festival people come home; building rests longest.
SEASON = np.array([0.75, 0.55, 0.97, 1.04, 1.05, 1.05, 1.03, 1.03, 1.05, 1.05, 1.05, 1.03])


@dataclass(frozen=True)
class Earned:
    """One row per person, fen: wages paid, wages owed and not paid, and what the department tells of wages."""

    wages: Ints
    unpaid: Ints
    told: Ints


def work(place: Township, draws: Draws, profile: Profile) -> Earned:
    """One month of work, in place; returns what was earned."""
    people, homes = place.people, place.homes
    n, at = len(people), np.maximum(people.home, 0)
    can = able(place) & ~people.nursing
    stops = (people.job != NONE) & ~can
    people.job[stops], people.away[stops], people.post[stops] = NONE, 0, False
    people.job_months = np.where(people.job == NONE, 0, people.job_months + 1)
    _begin(place, draws, profile, can)
    demand = place.markets.sectors[place.world[at], people.sector]
    luck = draws.uniform("job", n)
    loses = profile.job_loss * LETS_GO[people.sector] * np.exp(-2.5 * demand)
    hit = (people.job == AT_WORK) & (luck < loses) & ~people.post
    wait = profile.dials.months_before(draws.uniform("fading", n), 1, 5)
    people.fade[hit] = (0.45 + 0.45 * draws.uniform("fade", n))[hit]
    fading = hit & (wait > 0)
    people.job[fading] = FADING
    people.job_months[fading] = -wait[fading]
    over = (hit & (wait == 0)) | ((people.job == FADING) & (people.job_months >= 0) & ~fading)
    people.job[over], people.job_months[over], people.away[over] = OUT, 0, 0
    homes.strike[np.unique(people.home[over & people.present])] |= WORK
    age = people.age(place.month)
    found = profile.rehired * np.exp(1.5 * demand - 0.05 * np.maximum(age - 35, 0)) * (1 - 0.3 * place.villages.remote[
        homes.village[at]])  # fmt: skip
    hired = (people.job == OUT) & ~over & draws.chance("hired", found, n)
    people.job[hired], people.job_months[hired] = AT_WORK, 0
    gives_up = (people.job == OUT) & (age >= 55) & (people.job_months > 6) & draws.chance("gives up", 0.1, n)
    people.job[gives_up] = NONE
    return _wages(place, draws, profile)


def _begin(place: Township, draws: Draws, profile: Profile, can: np.ndarray) -> None:
    """Who begins paid work: those who leave school, who are well or free again, and who must since nobody else earns or
    the household comes near the line.

    Who stops for age is supported by children elsewhere where nobody in the household earns any more.
    """
    people = place.people
    age = people.age(place.month)
    young = can & (people.job == NONE) & (age >= 16) & (age < 30) & (people.sector == 0)
    starts = young & draws.chance("first job", 0.25, len(people))
    people.job[starts], people.job_months[starts] = AT_WORK, 0
    take_up(place, draws, profile, starts)
    at = np.maximum(people.home, 0)
    earns = place.count(people.present & np.isin(people.job, (AT_WORK, FADING, OUT))) > 0
    idle = can & (people.job == NONE) & (age < 62) & ~starts
    back = idle & (people.sector > 0) & draws.chance("back to work", 0.4 * profile.rehired, len(people))
    pressed = np.where(place.homes.gap[at] > 0, profile.pressed, 0.04 * ~earns[at])
    must = idle & (people.sector == 0) & draws.chance("must work", pressed, len(people))
    people.job[back | must] = AT_WORK
    take_up(place, draws, profile, must)
    retired = people.present & (people.sector > 0) & (people.job == NONE) & (people.age(place.month) >= 65)
    retired &= ~earns[at] & (place.month - people.born == 65 * 12 + 11)
    np.add.at(place.homes.kin, people.home[retired], 45_000)


def take_up(place: Township, draws: Draws, profile: Profile, who: np.ndarray) -> None:
    """Gives these people a sector and a place of work."""
    people = place.people
    rng, n, age = draws.of("sector"), len(people), people.age(place.month)
    village = place.homes.village[np.maximum(people.home, 0)]
    factory = place.villages.factory[village]
    luck = rng.random(n)
    building = np.where(people.male, 0.25, 0.04)
    odd = np.where(age >= 45, 0.45, 0.08)
    edges = np.stack([factory, factory + building, factory + building + odd])
    edges *= np.minimum(1, 0.97 / edges[2])
    sector = np.select([luck < edges[0], luck < edges[1], luck < edges[2]], [FACTORY, BUILDING, ODD], SERVICES)
    people.sector[who] = sector[who]
    people.formal[who] = (rng.random(n) < np.where(sector == ODD, 0.1, profile.formal))[who]
    people.guess[who] = (profile.guess * rng.standard_normal(n))[who]
    far = rng.random(n)
    goes = (sector != ODD) & (far < np.where(age < 45, profile.away, profile.away * 0.5))
    people.away[who] = np.where(goes, np.where(rng.random(n) < 0.6, 2, 1), 0)[who]


def _wages(place: Township, draws: Draws, profile: Profile) -> Earned:
    people, homes = place.people, place.homes
    n, at = len(people), np.maximum(people.home, 0)
    years = (place.month - profile.base_month) / 12
    base = 100 * profile.wage * np.exp(profile.growth * years)
    demand = place.markets.sectors[place.world[at], people.sector]
    trend = np.where(homes.slide_kind[at] == 1, homes.slump[at], 0.0) + homes.work_help[at]
    noise = np.exp(0.07 * draws.normal("wage", n))
    rate = base * PAY[people.sector] * np.exp(people.skill + demand + trend) * (1 + 0.18 * people.away) * noise
    rate *= SEASON[place.month % 12]
    share = np.select([people.job == AT_WORK, people.job == FADING], [1.0, people.fade], 0.0)
    weak = np.where((people.health == 3) | (people.disability > 2), 0.75, 1.0)
    post = np.where(people.post, 100 * profile.post_wage, 0.0)
    due = np.where(people.post, post, rate * share * weak) * people.present
    owes = (people.job == FADING) & draws.chance("owed", 0.35 * profile.dials.strength, n)
    unpaid = np.where(owes & ~people.post, due * 0.6, 0.0)
    usual = base * PAY[people.sector] * np.exp(people.skill + people.guess) * (1 + 0.18 * people.away) * 0.94
    asked = (place.month % 12 == 0) | (place.month - profile.base_month < 0)
    working = np.isin(people.job, (AT_WORK, FADING)) & ~people.post
    if asked:
        people.estimate = np.where(working, np.rint(usual), 0).astype(np.int64)
    people.estimate[~people.present] = 0
    paid = np.rint(due - unpaid).astype(np.int64)
    told = np.where(people.formal | people.post, paid, people.estimate)
    return Earned(paid, np.rint(unpaid).astype(np.int64) * people.formal, told)
