"""Illness with what comes before it and after it, accidents, disability, prison; what it costs and who repays."""

from dataclasses import dataclass

import numpy as np

from fpml.simulate.causes import ACCIDENT, DISABILITY, ILLNESS, LABOUR
from fpml.simulate.demography import able, leave
from fpml.simulate.draws import Bools, Draws, Floats, Ints
from fpml.simulate.profile import Profile
from fpml.simulate.state import Township

WELL, COMING, GRAVE, LASTING = 0, 1, 2, 3


@dataclass(frozen=True)
class Care:
    """What befell people this month. One row per person; money in fen."""

    inpatient: Ints
    outpatient: Ints
    drugs: Ints
    repaid: Ints
    stay: Bools
    diagnosed: Bools
    accident: Bools
    traffic: Bools
    died_by_accident: Bools
    loss: Ints

    @property
    def self_paid(self) -> Ints:
        """All that people paid themselves."""
        return self.inpatient + self.outpatient + self.drugs


def befall(place: Township, draws: Draws, profile: Profile) -> Care:
    """One month of health, in place; returns what it cost and what happened."""
    accident, traffic, killed, loss = _accidents(place, draws, profile)
    diagnosed = _illness(place, draws, profile)
    _certificates(place, draws, profile, accident)
    _nurses(place, draws, profile)
    _prison(place, draws)
    return _costs(place, draws, profile, accident, diagnosed, traffic, killed, loss)


def _accidents(place: Township, draws: Draws, profile: Profile) -> tuple[Bools, Bools, Bools, Ints]:
    people = place.people
    grown = people.present & (people.age(place.month) >= 14)
    traffic = draws.chance("traffic", profile.accidents * 0.4, len(people)) & grown
    risk = profile.accidents * np.where((people.sector == 2) & (people.job == 1), 2.0, 0.6)
    accident = (draws.chance("accident", risk, len(people)) & grown) | traffic
    luck = draws.uniform("injury", len(people))
    killed = accident & (luck < 0.04)
    hurt = accident & ~killed & (luck < 0.6)
    people.health[hurt] = GRAVE
    people.health_left[hurt] = 2 + (draws.uniform("healing", len(people))[hurt] * 7).astype(np.int64)
    people.severity[hurt] = 0.4 + luck[hurt]
    loss = np.where(traffic, 100 * np.rint(12_000 * draws.of("damage").gamma(1, 1, len(people))), 0).astype(np.int64)
    home = people.home.copy()
    leave(place, killed, dead=True)
    place.homes.strike[np.unique(home[hurt | killed])] |= ACCIDENT
    return accident, traffic, killed, loss


def _illness(place: Township, draws: Draws, profile: Profile) -> Bools:
    """Grave illness comes with an age, a frailty and (where precursors are) months in which something is felt."""
    people = place.people
    age = people.age(place.month)
    people.health_left = np.maximum(people.health_left - 1, 0)
    done, luck = people.health_left == 0, draws.uniform("course", len(people))
    breaks_out = people.present & (people.health == COMING) & done
    ends = (people.health == GRAVE) & done
    recovered = (people.health == LASTING) & done
    people.health[recovered] = WELL
    people.chronic |= recovered & (luck < 0.7)
    stays = ends & (luck < 0.55)
    people.health[ends] = np.where(stays[ends], LASTING, WELL)
    people.health_left[stays] = 6 + (luck[stays] * 50).astype(np.int64)
    chance = hazard(place, profile) * profile.dials.vary(people.frailty)
    falls_ill = draws.chance("illness", chance, len(people)) & people.present & (people.health == WELL)
    wait = profile.dials.months_before(draws.uniform("prodrome", len(people)), *FELT)
    people.health[falls_ill] = COMING
    people.health_left[falls_ill] = wait[falls_ill]
    breaks_out |= falls_ill & (wait == 0)
    how = draws.of("severity").gamma(2.5, 0.4, len(people))
    people.severity[breaks_out] = how[breaks_out]
    people.health[breaks_out] = GRAVE
    people.health_left[breaks_out] = (3 + 6 * how[breaks_out] * (0.5 + luck[breaks_out])).astype(np.int64)
    place.homes.strike[np.unique(people.home[breaks_out])] |= ILLNESS
    slow = 0.0006 * np.exp(0.05 * (np.clip(age, 30, 80) - 55))
    people.chronic |= draws.chance("chronic", slow, len(people)) & people.present & (age >= 30)
    return breaks_out


def _certificates(place: Township, draws: Draws, profile: Profile, accident: Bools) -> None:
    people = place.people
    luck = draws.uniform("certificate", len(people))
    ill = 1.0 * (people.health == LASTING) + 0.6 * (people.health == GRAVE)
    chance = 0.00002 + profile.disables * ill * np.minimum(people.severity, 2) + 0.15 * accident
    new = people.present & (people.disability == 0) & (luck < chance)
    grade = 1 + np.searchsorted([0.12, 0.4, 0.72], draws.uniform("grade", len(people)))
    people.disability[new] = grade[new]
    grave = new & (people.disability <= 2)
    place.homes.strike[np.unique(people.home[grave])] |= DISABILITY


def _nurses(place: Township, draws: Draws, profile: Profile) -> None:
    """Where somebody is gravely ill, one who works at home or nearby may stay in to nurse."""
    people = place.people
    sick = place.count(people.present & (people.health == GRAVE)) > 0
    at = np.maximum(people.home, 0)
    people.nursing &= people.present & sick[at]
    has_nurse = place.count(people.nursing) > 0
    can = able(place) & sick[at] & ~has_nurse[at] & draws.chance("nursing", profile.nursing, len(people))
    who = np.flatnonzero(can)
    first = who[np.unique(people.home[who], return_index=True)[1]]
    people.nursing[first] = True


def _prison(place: Township, draws: Draws) -> None:
    people = place.people
    age = people.age(place.month)
    people.prison = np.maximum(people.prison - 1, 0)
    grown = people.present & people.male & (age >= 18) & (age < 60) & (people.prison == 0)
    new = draws.chance("prison", 1.2e-5, len(people)) & grown
    people.prison[new] = 6 + (draws.uniform("sentence", len(people))[new] * 40).astype(np.int64)
    lost = draws.chance("missing", 1.5e-6, len(people)) & people.present & (age >= 16)
    people.missing |= lost
    place.homes.strike[np.unique(people.home[new | lost])] |= LABOUR


def _costs(
    place: Township, draws: Draws, profile: Profile, accident: Bools, diagnosed: Bools, traffic: Bools,
    killed: Bools, loss: Ints,
) -> Care:  # fmt: skip
    """Bills by tier: what insurance repays of a stay, more for the formerly poor and those with the allowance."""
    people, homes = place.people, place.homes
    n, rng = len(people), draws.of("bills")
    age, here = people.age(place.month), people.present
    grave = here & (people.health == GRAVE)
    felt = np.where(people.health == COMING, 1 + 4 * profile.dials.strength, 1.0)
    old = np.exp(0.018 * (np.clip(age, 20, 80) - 40)) * (1 + 0.8 * people.chronic)
    visits = here & (rng.random(n) < np.minimum(profile.doctor * old * felt, 0.9))
    outpatient = np.where(visits, rng.gamma(1.1, profile.outpatient / 1.1, n) * np.sqrt(felt), 0.0)
    _suspect(place, profile, np.minimum(profile.doctor * old, 0.9), visits, outpatient)
    treated = here & (people.chronic | (people.health == LASTING)) & (rng.random(n) < 0.8)
    drugs = np.where(treated, rng.gamma(2.0, profile.drugs / 2, n) * (1 + 1.5 * (people.health == LASTING)), 0.0)
    drugs += np.where(grave, rng.gamma(1.5, 250, n), 0.0)
    small = here & ~grave & (rng.random(n) < profile.stays * old)
    stay = (grave & (rng.random(n) < 0.4)) | small | diagnosed | (accident & ~killed)
    bill = (
        np.where(
            grave,
            rng.gamma(1.6, 100 * profile.bill / 160, n) * people.severity * np.where(diagnosed, FIRST, LATER),
            rng.gamma(2.0, profile.small_stay / 2, n),
        )
        * stay
    )
    poor = homes.formerly_poor[np.maximum(people.home, 0)] | people.allowance | (people.hardship > 0)
    rate = np.where(poor, 0.8, 0.7)
    repaid_stay = np.maximum(bill - 500, 0) * rate
    left = bill - repaid_stay
    repaid_stay += np.maximum(left - 7_000, 0) * np.where(poor, 0.7, 0.5)
    repaid_visit = outpatient * np.where(poor, 0.5, 0.35)
    paid = _fen(bill - repaid_stay), _fen(outpatient - repaid_visit), _fen(drugs)
    return Care(*paid, _fen(repaid_stay + repaid_visit), stay, diagnosed, accident, traffic, killed, loss)


# What the stay of the diagnosis and operation costs against the mean of a grave illness, and what later ones do.
FIRST, LATER = 3.2, 0.15
# How long something is felt before it breaks out, in months: evenly between these, where precursors are.
FELT = (2, 9)


def hazard(place: Township, profile: Profile) -> Floats:
    """The monthly chance of a grave illness by age, before what is a person's own."""
    age = place.people.age(place.month)
    return profile.illness * np.exp(0.035 * (np.clip(age, 5, 80) - 45))


def _suspect(place: Township, profile: Profile, usual: Floats, visits: Bools, spent: Floats) -> None:
    """What perfect records of visits and bills say of whether something is coming: one step of the exact filter of a
    two-state chain, with the time that it is felt taken as without memory."""
    people, strength = place.people, profile.dials.strength
    if not strength:
        return
    factor = 1 + 4 * strength
    prior = people.suspect + (1 - people.suspect) * hazard(place, profile)
    often = np.minimum(usual * factor, 0.9)
    odds = np.where(visits, often / usual, (1 - often) / (1 - usual))
    scale = np.sqrt(factor)
    odds *= np.where(
        visits, np.exp(np.minimum(spent / (profile.outpatient / 1.1) * (1 - 1 / scale), 50)) / scale**1.1, 1.0
    )
    posterior = prior * odds / (prior * odds + 1 - prior)
    leaves = 2 / (FELT[0] + FELT[1])
    still = people.present & np.isin(people.health, (WELL, COMING))
    people.suspect = np.where(still, posterior * (1 - leaves), 0.0)


def _fen(yuan: Floats) -> Ints:
    return np.rint(100 * yuan).astype(np.int64)
