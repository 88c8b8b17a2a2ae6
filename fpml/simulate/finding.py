"""How a county finds households without fpml: rules, declarations, walks, few visits; and what it does for them.

The rules here are those of the simulated county's own office, worked out from the state and not from files. What fpml
makes of the same policy is fpml's own business, and is measured against this.
"""

from dataclasses import dataclass

import numpy as np

from fpml.simulate.causes import (  # fmt: skip
    BUSINESS,
    CAUSES,
    DISABILITY,
    DISASTER,
    HOUSING,
    ILLNESS,
    LABOUR,
    OTHER,
    SCHOOLING,
    WATER,
    WORK,
)
from fpml.simulate.demography import COLLEGE, SENIOR, VOCATIONAL, able
from fpml.simulate.draws import Bools, Draws, Ints
from fpml.simulate.profile import Profile
from fpml.simulate.state import Township

RULES = ("medical_year", "medical_share", "inpatient_stay", "school_fees", "severe_disease", "water", "disability",
         "house", "out_of_work", "wages_unpaid", "labourer_lost", "disaster", "overdue", "savings_halved")  # fmt: skip
RULE, DECLARED, WALKED, LISTED, DRAWN = 1, 2, 3, 4, 5
FAILS_HOUSE, FAILS_WATER, FAILS_SCHOOL, FAILS_CARE = 1, 2, 4, 8


@dataclass(frozen=True)
class Signs:
    """What happened this month that a rule looks at. One row per household."""

    longest_bill: Ints  # self-paid for one stay, fen
    fees: Ints
    diagnosed: Bools
    certified: Bools
    graded: Bools
    owed: Bools
    labourer_lost: Bools


@dataclass(frozen=True)
class Found:
    """What a month of looking came to. One row per household."""

    pushed: Bools
    hits: Bools  # households x RULES
    declared: Bools
    walked: Bools  # came upon by a cadre on a walk
    visited: Bools
    channel: Ints
    confirmed: Bools
    registered: Bools
    cleared: Bools


def judge(place: Township, line: int) -> None:
    """Brings the true state up to date: below the line (fen a head and year), and guarantees that fail."""
    homes, people = place.homes, place.people
    size = np.maximum(place.members(), 1)
    income = homes.income[:, :12].sum(axis=1)
    schooling = homes.taught[:, 1:].sum(axis=1)
    costs = homes.medical[:, 1:].sum(axis=1) + homes.hurt[:, 1:].sum(axis=1) + schooling
    homes.below = homes.active & (income < line * size)
    homes.gap = np.where(homes.active, np.maximum(1.5 * line * size - income, 0), 0).astype(np.int64)
    dropped = place.count(people.dropped & people.present) > 0
    # What must be paid crushes a household where it leaves less than the line, and there is nothing to fall back on:
    # no savings, and relatives have lent what they can.
    spent = (homes.savings + homes.kept < line * size // 4) & (homes.debt >= homes.backing)
    care = (income - costs < line * size) & ~homes.below & (costs > income // 4) & spent
    dry = (homes.dry > 0) & (place.month - homes.dry_since >= 1)
    failing = FAILS_HOUSE * (homes.grade >= 3) + FAILS_WATER * dry + FAILS_SCHOOL * dropped + FAILS_CARE * care
    homes.failing = np.where(homes.active, failing, 0)
    homes.strike[care & homes.active & (homes.strike == 0) & (schooling * 2 <= costs)] |= ILLNESS
    homes.strike[care & homes.active & (schooling * 2 > costs)] |= SCHOOLING
    homes.strike[homes.active & dropped] |= SCHOOLING
    trouble = homes.below | (homes.failing > 0)
    homes.struck = np.where(homes.strike > 0, np.where(homes.struck == 0, place.month, homes.struck), 0)
    forgotten = ~trouble & (homes.monitored == 0) & (place.month - homes.struck > 18)
    homes.strike[forgotten], homes.struck[forgotten] = 0, 0
    homes.spell = np.where(trouble, np.where(homes.spell == 0, place.month, homes.spell), 0)


def look(
    place: Township,
    draws: Draws,
    profile: Profile,
    *,
    signs: Signs,
    line: int,
    listed: Bools | None = None,
    apart: bool = False,
) -> Found:
    """One month of the county's own finding, in place; `listed`, households that a list from outside asks to visit."""
    homes, n = place.homes, len(place.homes)
    hits = _hits(place, profile, signs)
    pushed = _high_grade(place, draws, profile, hits, line)
    trouble = homes.below | (homes.failing > 0)
    free = homes.active & (homes.monitored == 0) & (homes.pending == 0)
    declared = free & _declares(place, draws, profile, trouble)
    strict = place.villages.strict[homes.village]
    walked = free & trouble & draws.chance("walk", profile.walks * strict, n)
    walked |= free & draws.chance("idle walk", profile.idle_walks, n)
    rng = draws.of("visits")
    luck = rng.random(n)
    order = np.select([declared, walked, pushed], [3.0, 2.0, 1.0 + 0.01 * hits.sum(axis=1)], 0.0)
    if listed is not None:
        # Households that split off this month were on nobody's list.
        listed = np.concatenate([listed, np.zeros(n - listed.size, bool)])
        order = np.maximum(order, np.where(listed & free, 4.0, 0.0))
    if profile.dials.looking == "random":
        lot = draws.chance("drawn by lot", profile.visits / 1000, n) if apart else np.ones(n, bool)
        order = np.where(free & lot, 1.0, 0.0)
    # In roll-outs there are more in need than in the county, and nobody waits.
    visits = n if apart else round(profile.visits * int(homes.active.sum()) / 1000)
    ranked = np.lexsort((luck, -order))[: max(visits, 1)]
    visited = np.zeros(n, bool)
    visited[ranked] = True
    visited &= free & (order > 0)
    channel = np.select(
        [(listed if listed is not None else np.zeros(n, bool)), declared, walked, pushed],
        [LISTED, DECLARED, WALKED, RULE], DRAWN,
    )  # fmt: skip
    confirmed = visited & _verified(place, draws, profile, trouble, line)
    homes.visited[visited] = place.month
    wait = np.where(draws.uniform("paperwork", n) < 0.6, 0, 1)
    homes.pending = np.where(confirmed, place.month + wait, homes.pending)
    registered = _register(place, draws, profile, line)
    cleared = _clear(place, draws, profile, line)
    _help(place, draws, profile, registered, line)
    by = np.where(visited, channel, 0)
    return Found(pushed, hits, declared, walked, visited, by, confirmed, registered, cleared)


def _hits(place: Township, profile: Profile, signs: Signs) -> Bools:
    """Every rule's hits, from what is known with the usual month's delay. Columns in the order of RULES."""
    homes, people, month = place.homes, place.people, place.month
    year = homes.medical[:, :12]
    to_date = homes.medical[:, 12 - month % 12 : 12].sum(axis=1) if month % 12 else np.zeros(len(homes), np.int64)
    share = np.where(homes.formerly_poor, 0.5, 1.0) * profile.provincial_income * 100
    stay = np.where(homes.formerly_poor, 500_000, 2_000_000)
    idle = place.count((people.job == 3) & (people.job_months == 3) & people.present & people.formal) > 0
    response = place.villages.response[homes.village]
    columns = (
        year.sum(axis=1) >= 1_500_000, to_date > share, signs.longest_bill >= stay, signs.fees > 1_000_000,
        signs.diagnosed, (homes.dry > 0) & (month - homes.dry_since == 1), signs.certified, signs.graded, idle,
        signs.owed, signs.labourer_lost, (response > 0) & (homes.hurt[:, -1] >= 1_000_000),
        np.isin(homes.overdue, (30, 90)),
        (homes.saved[:, -1] * 2 <= homes.saved[:, 0]) & (homes.saved[:, 0] >= 500_000),
    )  # fmt: skip
    return np.stack(columns, axis=1) & homes.active[:, None]


def _high_grade(place: Township, draws: Draws, profile: Profile, hits: Bools, line: int) -> Bools:
    """Only what the county's combined judgement takes for grave is pushed, and not again within half a year."""
    homes = place.homes
    weights = np.array([profile.rules.get(name, 0.0) for name in RULES])
    told = (homes.income - homes.unseen)[:, :12].sum(axis=1)
    poorer = np.clip(1.6 - told / (np.maximum(place.members(), 1) * line * 2.0), 0, 1.6)
    grade = (hits * weights).max(axis=1) * poorer
    pushed = (grade >= profile.push_at) & (homes.refuse_until <= place.month) & (homes.monitored == 0)
    homes.refuse_until[pushed] = place.month + 6
    return pushed


def _declares(place: Township, draws: Draws, profile: Profile, trouble: Bools) -> Bools:
    """Who asks for help: fewer of the old and the remote."""
    homes, people = place.homes, place.people
    young = place.count(people.present & (people.age(place.month) < 60) & (people.age(place.month) >= 18)) > 0
    shy = np.where(young, 1.0, 0.4) * (1 - 0.5 * place.villages.remote[homes.village])
    chance = np.where(trouble, profile.declares * shy, profile.idle_declares * shy)
    return draws.chance("declares", chance, len(homes))


def _verified(place: Township, draws: Draws, profile: Profile, trouble: Bools, line: int) -> Bools:
    """What a visit concludes. It errs both ways; who is about to fall is often seen to be."""
    homes = place.homes
    lately = homes.income[:, -3:].sum(axis=1) * 4 / np.maximum(place.members(), 1)
    about = (lately < line) & (homes.strike > 0) & ~trouble
    chance = np.select([trouble, about], [profile.sensitivity, profile.sensitivity * 0.6], 1 - profile.specificity)
    return draws.chance("verified", chance, len(homes))


def _register(place: Township, draws: Draws, profile: Profile, line: int) -> Bools:
    homes = place.homes
    now = homes.active & (homes.pending > 0) & (homes.pending <= place.month) & (homes.monitored == 0)
    near = homes.income[:, :12].sum(axis=1) < 1.15 * line * np.maximum(place.members(), 1)
    kind = np.where(~near, 3, np.where(homes.formerly_poor, 1, 2))
    homes.monitored[now] = kind[now]
    homes.monitored_since[now], homes.steady[now] = place.month, 0
    homes.pending[now] = 0
    # Few registers get every cause right: another is written down, or none is known.
    causes = np.where((homes.strike & ~OTHER) > 0, homes.strike, _standing(place))
    handless = (place.count(able(place)) == 0) & ((causes & ILLNESS) == 0)
    causes = np.where(handless, (causes & ~OTHER) | LABOUR, causes)
    wrong = draws.chance("wrong cause", 0.06, len(homes))
    other = 1 << draws.of("which cause").integers(0, len(CAUSES), len(homes))
    homes.causes[now] = np.where(wrong, other, causes)[now]
    return now


def _standing(place: Township) -> Ints:
    """The causes that a household's make-up shows where nothing has struck it.

    Few hands (a quarter of its members at the most), somebody disabled, ill or at school; else, where somebody is out
    of work, unstable work.
    """
    people = place.people
    here, homes = people.present, place.homes
    hands = place.count(able(place))
    none = hands * 4 <= place.members()
    idle = place.count(here & (people.job == 3)) > 0
    disabled = place.count(here & (people.disability > 0) & (people.disability <= 2)) > 0
    ill = (place.count(here & (people.health >= 2)) > 0) | (homes.medical[:, :12].sum(axis=1) > 1_000_000)
    learns = place.count(here & np.isin(people.enrolled, (SENIOR, VOCATIONAL, COLLEGE))) > 0
    causes = LABOUR * none + DISABILITY * disabled + ILLNESS * ill + SCHOOLING * (learns & ~ill & ~disabled)
    return np.where(causes > 0, causes, np.where(idle, WORK, OTHER))


def _clear(place: Township, draws: Draws, profile: Profile, line: int) -> Bools:
    """The risk is cleared after half a year above the line with nothing failing; not where nobody can work."""
    homes = place.homes
    size = np.maximum(place.members(), 1)
    well = (homes.income[:, :12].sum(axis=1) > line * size) & (homes.failing == 0)
    homes.steady = np.where(well & (homes.monitored > 0), np.minimum(homes.steady + 1, 100), 0).astype(np.int8)
    chance = profile.clears * np.where(homes.monitored == 3, 0.8, 1.0)
    can = (homes.steady >= 6) & (place.month - homes.monitored_since >= 6) & (place.count(able(place)) > 0)
    now = (can & draws.chance("clears", chance, len(homes))) | ((homes.monitored > 0) & ~homes.active)
    homes.monitored[now], homes.steady[now], homes.causes[now] = 0, 0, 0
    homes.cleared[now] = place.month
    homes.relief[now] = homes.relief[now] * 2 // 3
    return now


def _help(place: Township, draws: Draws, profile: Profile, new: Bools, line: int) -> None:
    """What is lacking is what is given; it works in part."""
    homes, people, n = place.homes, place.people, len(place.homes)
    if not profile.dials.help:
        return
    size = place.members()
    works = new & draws.chance("help works", profile.help_works, n)
    lately = homes.income[:, -6:].sum(axis=1) * 2
    gap = np.maximum(profile.help_to * line * size - lately, 0)
    gives = works & ((homes.causes & (ILLNESS | DISABILITY | LABOUR | OTHER)) > 0) & (gap > 0)
    homes.relief[gives] += np.minimum(gap / 12, 65_000 * size)[gives].astype(np.int64)
    homes.grant[new] = np.minimum(300_000 + homes.medical[new].sum(axis=1) // 4, 1_200_000)
    at = np.maximum(people.home, 0)
    wants = works & ((homes.causes & (WORK | BUSINESS | OTHER | DISASTER)) > 0)
    candidate = np.flatnonzero(able(place) & (people.job != 1) & wants[at])
    first = candidate[np.unique(people.home[candidate], return_index=True)[1]]
    people.post[first], people.job[first], people.job_months[first], people.sector[first] = True, 1, 0, 4
    people.away[first] = 0
    homes.work_help[works] = np.maximum(homes.work_help[works], 0.15)
    under = homes.monitored > 0
    rebuilt = under & (homes.grade >= 3) & draws.chance("rebuilt", 0.2 * profile.help_works, n)
    homes.grade[rebuilt] = 1
    homes.dry[under & ((homes.causes & WATER) > 0)] = 0
    back = people.dropped & under[at] & draws.chance("fetched back", 0.4, len(people))
    people.dropped[back] = False
    homes.strike[rebuilt] &= ~HOUSING


def review_allowances(place: Township, draws: Draws, profile: Profile, line: int) -> None:
    """Civil affairs: the allowance for those who stay poor and can hardly work, raised once a year; not for all."""
    homes, people = place.homes, place.people
    size = np.maximum(place.members(), 1)
    yearly = homes.income[:, :12].sum(axis=1)
    weak = place.count(able(place) & (people.age(place.month) < 60)) == 0
    eligible = homes.active & (yearly < 1.2 * line * size) & (weak | (homes.monitored > 0)) & profile.dials.help
    granted = eligible & draws.chance("allowance", profile.allowance_review, len(homes))
    homes.relief[granted] += (np.maximum(1.4 * line * size - yearly, 0) / 12).astype(np.int64)[granted]
    people.allowance |= granted[np.maximum(people.home, 0)] & people.present
    if place.month % 12 == 0:  # the allowance is raised as the line is
        homes.relief = homes.relief * 109 // 100
    people.allowance &= people.present & (homes.relief > 0)[np.maximum(people.home, 0)]
