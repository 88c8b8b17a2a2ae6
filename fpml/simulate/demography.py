"""Births, deaths, marriages, splits, merges and moves, and who goes to school."""

import numpy as np
import numpy.typing as npt

from fpml.simulate.draws import Bools, Draws, Ints
from fpml.simulate.profile import Profile
from fpml.simulate.state import Township

HEAD, SPOUSE, CHILD, IN_LAW, GRANDCHILD, PARENT = 1, 2, 3, 4, 5, 6
PRESCHOOL, PRIMARY, JUNIOR, SENIOR, VOCATIONAL, COLLEGE = 1, 2, 3, 4, 5, 6
SEPTEMBER = 8


def live(place: Township, draws: Draws, profile: Profile) -> None:
    """One month of births, deaths and changes of household, in place."""
    _die(place, draws, profile)
    _bear(place, draws, profile)
    _marry(place, draws, profile)
    _split(place, draws, profile)
    _merge(place, draws, profile)
    _move(place, draws, profile)
    _settle(place)


def leave(place: Township, who: Bools, *, dead: bool = False) -> None:
    """These people belong to no household of the township any more."""
    people = place.people
    people.home[who] = -1
    people.dead[who] |= dead
    for state in ("enrolled", "job", "health", "nursing", "prison", "allowance", "hardship", "post", "pension"):
        getattr(people, state)[who] = 0


def study(place: Township, draws: Draws, profile: Profile) -> None:
    """In September the school year begins; in any month a child of a poor household may stop coming."""
    people, month = place.people, place.month
    age, luck = people.age(month), draws.uniform("school", len(people))
    if month % 12 == SEPTEMBER:
        stage = np.select(
            [age < 3, age < 6, age < 12, age < 15, age == 15],
            [0, np.where(luck < 0.8, PRESCHOOL, 0), PRIMARY, JUNIOR,
             np.select([luck < profile.senior_school, luck < 0.9], [SENIOR, VOCATIONAL], 0)],
            people.enrolled,
        )  # fmt: skip
        ends = ((age == 18) & np.isin(stage, (SENIOR, VOCATIONAL))) | ((age == 22) & (stage == COLLEGE)) | (age > 22)
        goes_on = ends & (age == 18) & (stage == SENIOR) & (luck < profile.college)
        stage = np.where(goes_on, COLLEGE, np.where(ends, 0, stage))
        people.attained = np.maximum(people.attained, np.where(age >= 6, stage, 0)).astype(np.int8)
        people.enrolled = np.where(people.present, stage, 0).astype(np.int8)
        people.dropped &= age < 15
    home = np.maximum(people.home, 0)
    stops = draws.chance("drops out", profile.drop_out * (1 + 4 * place.homes.below[home]), len(people))
    stops &= people.present & (people.enrolled == JUNIOR) & (age >= 13)
    people.dropped |= stops
    people.dropped &= ~draws.chance("back to school", 0.15, len(people)) | stops
    people.dropped &= people.present


def _die(place: Township, draws: Draws, profile: Profile) -> None:
    people = place.people
    age = people.age(place.month)
    hazard = 2.2e-5 * np.exp(0.086 * np.maximum(age - 20, 0)) + 4e-4 * (age < 1)
    hazard = hazard + profile.grave_death * (people.health == 2) * people.severity
    leave(place, draws.chance("death", hazard, len(people)) & people.present, dead=True)


def _bear(place: Township, draws: Draws, profile: Profile) -> None:
    people, age = place.people, place.people.age(place.month)
    mothers = people.present & ~people.male & people.married & (age >= 20) & (age < 45)
    chance = profile.births * np.where(age < 35, 1.0, 0.2)
    mothers &= draws.chance("birth", chance, len(people))
    who = np.flatnonzero(mothers)
    rng = draws.of("newborn")
    relation = np.where(np.isin(people.relation[who], (HEAD, SPOUSE)), CHILD, GRANDCHILD)
    people.append(
        who.size,
        home=people.home[who],
        first_home=people.home[who],
        born=place.month,
        born_day=rng.integers(1, 29, who.size),
        male=rng.random(who.size) < 0.52,
        relation=relation,
        frailty=np.exp(profile.frailty * rng.standard_normal(who.size)),
        skill=profile.skill * rng.standard_normal(who.size),
    )


def _marry(place: Township, draws: Draws, profile: Profile) -> None:
    """Sons bring a wife home: half from the township, half from elsewhere; as many daughters leave."""
    people, age = place.people, place.people.age(place.month)
    single = people.present & ~people.married & (people.relation == CHILD) & (people.enrolled == 0)
    ready = draws.chance("marriage", profile.marriages, len(people)) & single & (age >= 21) & (age < 40)
    grooms, brides = np.flatnonzero(ready & people.male), np.flatnonzero(ready & ~people.male)
    rng = draws.of("bride")
    brides = rng.permutation(brides)
    pairs = min(grooms.size // 2, brides.size)
    local, chosen, world = brides[:pairs], grooms[:pairs], place.world
    fits = (people.home[local] != people.home[chosen]) & (world[people.home[local]] == world[people.home[chosen]])
    local, chosen = local[fits], chosen[fits]
    leaving = np.zeros(len(people), bool)
    leaving[np.setdiff1d(brides, local)] = True
    people.home[local] = people.home[chosen]
    people.relation[local] = IN_LAW
    people.married[local] = True
    # Daughters who marry away send something home.
    place.homes.kin[people.home[leaving & people.present]] += 12_000
    leave(place, leaving)
    rest = np.setdiff1d(grooms, chosen)
    people.married[grooms] = True
    people.append(
        rest.size,
        home=people.home[rest],
        first_home=people.home[rest],
        born=place.month - rng.integers(20 * 12, 32 * 12, rest.size),
        born_day=rng.integers(1, 29, rest.size),
        married=True,
        married_in=True,
        relation=IN_LAW,
        attained=JUNIOR,
        frailty=np.exp(profile.frailty * rng.standard_normal(rest.size)),
        skill=profile.skill * rng.standard_normal(rest.size),
    )


def _split(place: Township, draws: Draws, profile: Profile) -> None:
    """A married son with his wife and their children becomes a household of his own, with a share of what there is."""
    people, homes = place.people, place.homes
    sons = people.present & people.married & people.male & (people.relation == CHILD)
    sons &= draws.chance("split", profile.splits, len(people))
    heads = np.flatnonzero(sons & (place.members() >= 5)[np.maximum(people.home, 0)])
    heads = heads[np.unique(people.home[heads], return_index=True)[1]]
    old = people.home[heads].copy()
    rest = people.present & np.isin(people.relation, (IN_LAW, GRANDCHILD))
    leaves_some = np.isin(old, people.home[people.present & np.isin(people.relation, (HEAD, SPOUSE, PARENT))])
    heads, old = heads[leaves_some], old[leaves_some]
    share = {n: getattr(homes, n)[old] * 0.35 for n in ("land", "livestock")}
    savings = homes.savings[old] * 3 // 10
    new = homes.append(
        old.size,
        village=homes.village[old],
        active=True,
        began=place.month,
        formerly_poor=homes.formerly_poor[old],
        farm=homes.farm[old],
        savings=savings,
        saved=savings[:, None],
        grade=np.minimum(homes.grade[old], 2),
        kin=homes.kin[old] // 4,
        casual=homes.casual[old] // 2,
        guess=homes.guess[old],
        backing=homes.backing[old],
        in_cash=homes.in_cash[old],
        # What it earned as part of the old household is a matter of estimate: as much for each head as there.
        income=homes.income[old] // 2,
        unseen=homes.unseen[old] // 2,
        **share,
    )
    homes.savings[old] -= savings
    homes.kin[old] += 18_000  # what a son goes on giving his parents
    for kept in (homes.income, homes.unseen):
        kept[old] -= kept[old] // 2
    for name, part in share.items():
        getattr(homes, name)[old] -= part
    target = np.full(len(homes), -1)
    target[old] = np.arange(new.start, new.stop)
    moving = rest & (target[np.maximum(people.home, 0)] >= 0)
    moving[heads] = True
    people.home[moving] = target[people.home[moving]]
    people.relation[moving] = np.select(
        [people.relation[moving] == IN_LAW, people.relation[moving] == GRANDCHILD], [SPOUSE, CHILD], HEAD
    )


def _merge(place: Township, draws: Draws, profile: Profile) -> None:
    """Somebody old who lives alone moves to relatives in the village."""
    people, homes = place.people, place.homes
    size = place.members()
    alone = people.present & (size == 1)[np.maximum(people.home, 0)] & (people.age(place.month) >= 72)
    who = np.flatnonzero(alone & draws.chance("merge", profile.merges, len(people)))
    rng = draws.of("relatives")
    for person in who:  # a handful a year
        near = np.flatnonzero((homes.village == homes.village[people.home[person]]) & (size >= 3) & homes.active)
        if near.size:
            old, new = people.home[person], near[rng.integers(near.size)]
            people.home[person], people.relation[person] = new, PARENT
            homes.savings[new] += homes.savings[old]
            homes.kept[new] += homes.kept[old]
            homes.loan[new] += homes.loan[old]
            homes.small_loan[new] += homes.small_loan[old]
            homes.savings[old] = homes.kept[old] = homes.loan[old] = homes.small_loan[old] = 0
    # Everything else of a household that nobody belongs to any more goes with it (`_settle`).


def _move(place: Township, draws: Draws, profile: Profile) -> None:
    """Few households move to another village of their township and world."""
    homes = place.homes
    goes = np.flatnonzero(draws.chance("move", profile.moves, len(homes)) & homes.active)
    world = place.villages.world
    per_world = len(place.villages) // (int(world[-1]) + 1)
    first = world[homes.village[goes]] * per_world
    homes.village[goes] = first + draws.of("where to").integers(0, per_world, goes.size)


def _settle(place: Township) -> None:
    """Each household has a head; one without people is no more."""
    people, homes = place.people, place.homes
    homes.active &= place.members() > 0
    headed = place.count(people.present & (people.relation == HEAD)) > 0
    lacking = homes.active & ~headed
    if lacking.any():
        candidates = np.flatnonzero(people.present & lacking[np.maximum(people.home, 0)])
        eldest = candidates[np.lexsort((candidates, people.born[candidates], people.home[candidates]))]
        first = eldest[np.unique(people.home[eldest], return_index=True)[1]]
        people.relation[first] = HEAD


def able(place: Township) -> npt.NDArray[np.bool_]:
    """Who could work: of working age, not at school, not gravely ill or disabled, not in prison."""
    people = place.people
    age = people.age(place.month)
    hale = (people.health != 2) & ~((people.disability > 0) & (people.disability <= 2))
    free = (people.enrolled == 0) & (people.prison == 0) & ~people.missing
    return np.asarray(people.present & (age >= 16) & (age < 66) & hale & free, bool)


def labour_capacity(place: Township) -> Ints:
    """The register's code of each person: 0 none, 1 ordinary, 2 skilled, 3 weak."""
    people = place.people
    age = people.age(place.month)
    weak = (age >= 60) | (people.disability > 2) | (people.health == 3)
    return np.select([~able(place), weak, people.attained >= SENIOR], [0, 3, 2], 1)
