"""A township before anything happens: villages, households by their kinds, and what each lives on."""

import numpy as np

from fpml.simulate.demography import CHILD, GRANDCHILD, HEAD, IN_LAW, PARENT, SPOUSE, able
from fpml.simulate.draws import Draws, Ints
from fpml.simulate.plan import HOUSEHOLDS_A_VILLAGE, VILLAGES_A_TOWNSHIP, Spot
from fpml.simulate.profile import Profile
from fpml.simulate.state import Homes, Markets, People, Township, Villages
from fpml.simulate.work import take_up

# Kinds of household: share, then for each member relation and age (low, high); ages of others hang on the first's.
KINDS: tuple[tuple[float, tuple[tuple[int, int, int], ...]], ...] = (
    (0.07, ((HEAD, 62, 86),)),
    (0.13, ((HEAD, 58, 80), (SPOUSE, 56, 78))),
    (0.08, ((HEAD, 36, 58), (SPOUSE, 34, 56))),
    (0.12, ((HEAD, 26, 50), (SPOUSE, 24, 48), (CHILD, 1, 20))),
    (0.16, ((HEAD, 30, 50), (SPOUSE, 28, 48), (CHILD, 6, 22), (CHILD, 1, 16))),
    (0.06, ((HEAD, 45, 62), (SPOUSE, 43, 60), (CHILD, 20, 34))),
    (0.14, ((HEAD, 52, 68), (SPOUSE, 50, 66), (CHILD, 27, 42), (IN_LAW, 25, 40), (GRANDCHILD, 1, 16))),
    (0.12, ((HEAD, 54, 68), (SPOUSE, 52, 66), (CHILD, 29, 42), (IN_LAW, 27, 40), (GRANDCHILD, 4, 16),
            (GRANDCHILD, 0, 9))),
    (0.05, ((HEAD, 32, 50), (SPOUSE, 30, 48), (CHILD, 3, 22), (PARENT, 62, 84))),
    (0.04, ((HEAD, 32, 56), (CHILD, 3, 20))),
    (0.03, ((HEAD, 58, 72), (SPOUSE, 56, 70), (GRANDCHILD, 4, 16))),
)  # fmt: skip


def begin(spot: Spot, month: int, draws: Draws, profile: Profile) -> Township:
    """A township at the beginning of a month."""
    place = Township(spot.number, month, People.none(), Homes.none(), Villages.none(), Markets.none())
    place.markets.append(1)
    rng = draws.of("begin")
    _villages(place, spot, rng, profile)
    _homes(place, spot.households, rng, profile)
    _people(place, rng, profile)
    _lives(place, draws, rng, profile)
    return place


def _villages(place: Township, spot: Spot, rng: np.random.Generator, profile: Profile) -> None:
    n = int(np.clip(round(spot.households / HOUSEHOLDS_A_VILLAGE), 4, VILLAGES_A_TOWNSHIP))
    hills = np.clip(profile.mountain + rng.normal(0, 0.25), 0, 1)
    mountain = (rng.random(n) < hills).astype(float)
    place.villages.append(
        n,
        code=(profile.county_code * 1000 + 100 + spot.lane) * 1000 + 200 + np.arange(n),
        mountain=mountain,
        remote=np.clip(rng.beta(2, 3, n) + 0.25 * mountain, 0, 1),
        flood_risk=np.where(mountain > 0, 0.05, rng.beta(1, 3, n)),
        factory=np.clip(rng.normal(0.3, 0.12, n), 0.05, 0.7),
        strict=np.exp(0.5 * rng.normal(0, 1, n)),
        yields=1.0,
    )


def _homes(place: Township, n: int, rng: np.random.Generator, profile: Profile) -> None:
    village = np.sort(rng.integers(0, len(place.villages), n))
    hilly = place.villages.mountain[village]
    poor = rng.random(n) < profile.formerly_poor * (0.7 + 0.6 * hilly)
    has_animals = rng.random(n) < 0.35
    shop = np.where((rng.random(n) < profile.shops) & ~poor, 100 * rng.lognormal(7.9, 0.7, n), 0)
    place.homes.append(
        n,
        village=village,
        active=True,
        formerly_poor=poor,
        land=np.round(rng.gamma(3, profile.land / 3, n) * (1 - 0.25 * hilly), 1),
        farm=0.35 * rng.standard_normal(n) - 0.2 * hilly,
        livestock=np.where(has_animals, rng.gamma(1.3, profile.livestock, n), 0),
        shop=shop,
        rent=np.where(rng.random(n) < 0.4, 100 * np.rint(rng.gamma(1.2, 900, n)), 0),
        casual=np.where(rng.random(n) < profile.casual, 100 * np.rint(rng.gamma(1.5, 500, n)), 0),
        guess=profile.guess * rng.standard_normal(n),
        savings=100 * np.rint(rng.lognormal(9.3, 1.1, n) * np.where(poor, 0.5, 1)),
        in_cash=rng.random(n) < profile.in_cash,
        kept=100 * np.rint(profile.kept * rng.lognormal(0, 1.3, n) * np.where(poor, 0.5, 1)),
        loan=np.where(rng.random(n) < 0.12, 100 * np.rint(rng.gamma(2, 12_000, n)), 0),
        backing=100 * np.rint(profile.backing * rng.lognormal(0, 1.2, n) * np.where(poor, 0.6, 1)),
        small_loan=np.where(poor & (rng.random(n) < 0.2), 100 * np.rint(rng.uniform(5_000, 50_000, n)), 0),
        grade=np.where(rng.random(n) < 0.35, 2, 1),
    )
    place.homes.saved[:] = place.homes.savings[:, None]


def _people(place: Township, rng: np.random.Generator, profile: Profile) -> None:
    n = len(place.homes)
    shares = np.cumsum([k[0] for k in KINDS])
    kind = np.searchsorted(shares / shares[-1], rng.random(n))
    homes: list[Ints] = []
    relations: list[Ints] = []
    ages: list[Ints] = []
    for i, (_, members) in enumerate(KINDS):
        rows = np.flatnonzero(kind == i)
        luck = rng.random(rows.size)  # old heads have old wives, and grown children
        for is_to_head, low, high in members:
            own = np.clip(luck + 0.15 * rng.standard_normal(rows.size), 0, 0.999)
            homes.append(rows)
            relations.append(np.full(rows.size, is_to_head))
            ages.append((12 * low + own * 12 * (high - low)).astype(np.int64))
    home, relation, age = (np.concatenate(c) for c in (homes, relations, ages))
    order = np.argsort(home, kind="stable")
    home, relation, age = home[order], relation[order], age[order]
    size = home.size
    male = np.where(relation == HEAD, rng.random(size) < 0.9, rng.random(size) < 0.52)
    male = np.where(np.isin(relation, (SPOUSE, IN_LAW)), False, male)
    has_in_law = np.bincount(home[relation == IN_LAW], minlength=n) > 0
    male |= (relation == CHILD) & has_in_law[home]
    years = age // 12
    married = np.isin(relation, (SPOUSE, IN_LAW)) | ((relation == HEAD) & (years >= 26))
    married |= (relation == CHILD) & has_in_law[home]
    attained = np.select([years < 6, years < 12, years < 15], [0, 2, 3], 3 + (rng.random(size) < 0.25))
    poor = place.homes.formerly_poor[home]
    household = 0.6 * profile.skill * rng.standard_normal(n)  # what the members of a household share
    enrolled = np.select([years < 3, years < 6, years < 12, years < 15, years < 18], [0, 1, 2, 3, 4], 0)
    place.people.append(
        size,
        home=home,
        first_home=home,
        born=place.month - age,
        born_day=rng.integers(1, 29, size),
        male=male,
        married=married,
        married_in=np.isin(relation, (SPOUSE, IN_LAW)),
        relation=relation,
        attained=np.where((years > 60) & (rng.random(size) < 0.6), 2, attained),
        enrolled=np.where((enrolled == 4) & (rng.random(size) > 0.75), 0, enrolled),
        skill=household[home] + 0.8 * profile.skill * rng.standard_normal(size) - profile.poor_skill * poor,
        frailty=np.exp(profile.frailty * rng.standard_normal(size) + 0.2 * poor),
        chronic=rng.random(size) < np.clip(0.008 * (years - 35), 0, 0.4),
        disability=np.where(rng.random(size) < 0.012 + 0.0005 * np.maximum(years - 30, 0) + 0.02 * poor,
                            rng.integers(1, 5, size), 0),
    )  # fmt: skip


def _lives(place: Township, draws: Draws, rng: np.random.Generator, profile: Profile) -> None:
    """Who works at what, who is supported by whom, and who has the allowance."""
    people, homes = place.people, place.homes
    n, age = len(people), people.age(place.month)
    willing = np.where(people.male, 1.0, 0.75) * np.where(age < 45, 1.2, np.where(age < 58, 0.85, 0.35))
    works = able(place) & (rng.random(n) < profile.wage_workers * willing)
    people.job[works] = 1
    people.job_months[works] = 24
    take_up(place, draws, profile, works)
    earner = place.count(works) > 0
    old = place.count(people.present & (age >= 60)) > 0
    gets = rng.random(len(homes)) < np.where(old, 0.75, 0.15) * np.where(earner, 0.6, 1.0)
    size = np.maximum(place.members(), 1)
    support = profile.kin * rng.gamma(1.6, 0.62, len(homes)) * np.minimum(size, 3)
    homes.kin[:] = np.where(gets, 100 * np.rint(support), 0)
    alone = (size == 1) & ~gets & (homes.land < profile.land)
    lone = np.isin(people.home, np.flatnonzero(alone & (rng.random(len(homes)) < 0.35))) & (age >= 60)
    people.hardship[lone] = 1
