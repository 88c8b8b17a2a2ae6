"""A household's month in money: what it earns, what it must pay, and how it copes when that does not meet.

Everything is integer fen, and balances: what a household has at the end is what it had, plus what came in, less
what went out.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from fpml.simulate.causes import BUSINESS
from fpml.simulate.demography import COLLEGE, SENIOR, VOCATIONAL, able
from fpml.simulate.draws import Draws, Floats, Ints
from fpml.simulate.health import Care
from fpml.simulate.profile import Profile
from fpml.simulate.shocks import FARM, KIN, SHOP
from fpml.simulate.state import Township
from fpml.simulate.work import Earned

JULY, OCTOBER, SEPTEMBER, MARCH, DECEMBER = 6, 9, 8, 2, 11
COSTS = np.array([0.02, 0.05, 0.2, 0.25, 0.1, 0.03, 0.15, 0.1, 0.04, 0.02, 0.02, 0.02])
HARVEST = np.array([0.01, 0.01, 0.01, 0.02, 0.04, 0.05, 0.33, 0.04, 0.08, 0.35, 0.04, 0.02])


@dataclass(frozen=True)
class Month:
    """What passed through each household's purse in a month. One row per household; fen."""

    wages: Ints
    farm: Ints  # gross, with animals sold in the ordinary way and what a small business takes
    costs: Ints
    rents: Ints
    kin: Ints
    pensions: Ints
    subsidies: Ints
    farm_subsidy: Ints
    allowances: Ints
    disability: Ints
    relief: Ints
    aid: Ints
    hidden: Ints
    medical: Ints
    repaid_by_insurance: Ints
    fees: Ints
    college: Ints
    living: Ints
    animals_sold: Ints  # in need, on top of the ordinary
    borrowed: Ints
    lent_by_kin: Ints
    paid_back: Ints
    given_back: Ints  # to relatives
    gifts: Ints  # to what is kept out of sight, where relatives keep everybody from falling
    put_away: Ints  # from the banks that report to where nobody sees it; negative when it comes back
    crop_loss: Ints
    livestock_loss: Ints
    told_wages: Ints
    told_farm: Ints  # by norms of area, herd and trade, not by what a household's year was
    told_costs: Ints
    told_kin: Ints

    @property
    def transfers(self) -> Ints:
        """All transfer income."""
        return (self.kin + self.pensions + self.subsidies + self.farm_subsidy + self.allowances + self.disability
                + self.relief + self.aid)  # fmt: skip

    @property
    def told_transfers(self) -> Ints:
        """All transfer income, with support by kin as it is estimated."""
        return self.transfers - self.kin + self.told_kin

    @property
    def income(self) -> Ints:
        """Wages, business, property and transfers, less business costs, with what nobody records."""
        return self.wages + self.farm + self.rents + self.transfers + self.hidden - self.costs

    @property
    def saved(self) -> Ints:
        """By how much savings change; what nobody records is spent as it comes."""
        came = self.income - self.hidden + self.animals_sold + self.borrowed + self.lent_by_kin
        return (
            came
            - self.medical
            - self.fees
            - self.college
            - self.living
            - self.paid_back
            - self.given_back
            - self.put_away
        )


def live_on(place: Township, draws: Draws, profile: Profile, *, earned: Earned, care: Care, line: int) -> Month:
    """One month of money, in place."""
    homes = place.homes
    homes.medical[:, -1] = medical = place.total(care.self_paid)
    farm = _farm(place, draws, profile)
    _casual(place, draws)
    given = _transfers(place, draws, profile)
    fees, college = _school(place, draws, profile)
    slump = np.where(homes.slide_kind == SHOP, homes.slump, 0.0) + homes.work_help
    trade = homes.shop * np.exp(slump + 0.2 * draws.normal("trade", len(homes))) * homes.active
    failing = (homes.shop > 0) & draws.chance("bankrupt", profile.bankruptcies * np.exp(-2 * homes.slump), len(homes))
    homes.loan[failing] += homes.shop[failing] * 6
    homes.shop[failing] = 0
    homes.strike[failing] |= BUSINESS
    flows = {
        "wages": place.total(earned.wages),
        "told_wages": place.total(earned.told),
        "farm": farm["farm"] + _whole(3 * trade),
        "costs": farm["costs"] + _whole(2 * trade),
        "told_farm": farm["told_farm"] + 3 * homes.shop * homes.active,
        "told_costs": farm["told_costs"] + 2 * homes.shop * homes.active,
        "crop_loss": farm["crop_loss"],
        "livestock_loss": farm["livestock_loss"],
        "rents": homes.rent * (place.month % 12 == DECEMBER) * homes.active,
        "hidden": homes.hidden * homes.active,
        "medical": medical,
        "repaid_by_insurance": place.total(care.repaid),
        "fees": fees,
        "college": college,
        **given,
    }
    homes.grant[:] = 0
    nothing = np.zeros(len(homes), np.int64)
    empty = {f.name: nothing for f in fields(Month) if f.name not in flows}
    month = Month(**flows, **empty)
    if not profile.dials.strength:  # relatives keep everybody above the line: only bolts make a household fall
        lacking = np.maximum(place.members() * line // 8 - month.income, 0) * homes.active
        month = replace(month, kin=month.kin + lacking, told_kin=month.told_kin + lacking)
        gifts = np.maximum(place.members() * line - homes.kept, 0) * homes.active  # ... and pay what would crush them
        homes.kept += gifts
        month = replace(month, gifts=gifts)
    month = _cope(place, draws, profile, month)
    homes.savings += month.saved
    homes.saved[:, -1] = homes.savings
    homes.income[:, -1], homes.unseen[:, -1] = month.income, month.hidden
    homes.hurt[:, -1] += month.crop_loss + month.livestock_loss
    homes.taught[:, -1] = month.fees - month.aid + month.college
    return month


def _casual(place: Township, draws: Draws) -> None:
    """Cash work comes and goes, and is on no record."""
    homes = place.homes
    luck = draws.uniform("casual", len(homes))
    there = np.where(homes.hidden > 0, luck >= 0.04, luck < 0.06)
    homes.hidden = np.where(there & homes.active, homes.casual, 0)


def _farm(place: Township, draws: Draws, profile: Profile) -> dict[str, Ints]:
    """Gross farm income, its costs, what weather and disease took, and what norms make of it.

    Two harvests; pigs sold as they grow.
    """
    homes, people, season = place.homes, place.people, place.month % 12
    age = people.age(place.month)
    hands = place.count((able(place) | (people.present & (age >= 66) & (age < 78))) & (people.away == 0))
    tended = np.where(hands > 0, 1.0, 0.3) * homes.active
    market = np.exp(place.markets.crops[place.world] + np.where(homes.slide_kind == FARM, homes.slump, 0.0))
    usual = 100 * profile.farm * homes.land * np.exp(homes.farm) * market * tended * HARVEST[season]
    usual *= np.exp(homes.work_help + profile.growth * 0.6 * (place.month - profile.base_month) / 12)
    yields = place.villages.yields[homes.village] if season in (JULY, OCTOBER) else np.ones(len(homes))
    crops = usual * yields * np.exp(0.1 * draws.normal("harvest", len(homes)))
    price = 100 * 1_900 * np.exp(place.markets.pork[place.world])
    sick = (place.markets.plague[place.world] > 0) & (homes.livestock > 0)
    sick &= draws.chance("animals", profile.animal_disease, len(homes))
    lost = np.where(sick, homes.livestock * (0.4 + 0.6 * draws.uniform("dead", len(homes))), 0.0)
    homes.livestock -= lost
    hard = sick & (lost > 8)
    homes.strike[hard] |= BUSINESS
    sold = homes.livestock / 8
    herd = sold * price
    raised = 100 * 1_350 * sold
    seed = 0.35 * 100 * profile.farm * homes.land * np.exp(homes.farm) * tended * COSTS[season]
    short = np.maximum(usual - crops, 0) * (yields < 0.9)
    norm = 100 * profile.farm * homes.land * np.exp(place.markets.crops[place.world] + homes.guess) * homes.active
    return {
        "farm": _whole(crops + herd),
        "costs": _whole(seed + raised),
        "crop_loss": _whole(short),
        "livestock_loss": _whole(lost * price),
        "told_farm": _whole(norm * HARVEST[season] * yields + herd),
        "told_costs": _whole(0.35 * norm * COSTS[season] + raised),
    }


def school_aid(place: Township, profile: Profile) -> Ints:
    """Fen for each person this month: aid for those of poor households at upper-secondary schools, twice a year."""
    people, homes = place.people, place.homes
    if place.month % 12 not in (SEPTEMBER, MARCH):
        return np.zeros(len(people), np.int64)
    found = (homes.monitored > 0) & profile.dials.help
    needy = (homes.formerly_poor | found | (homes.relief > 0))[np.maximum(people.home, 0)]
    return np.where(people.present & needy & np.isin(people.enrolled, (SENIOR, VOCATIONAL)), 150_000, 0)


def _transfers(place: Township, draws: Draws, profile: Profile) -> dict[str, Ints]:
    homes, people, season = place.homes, place.people, place.month % 12
    age, n = people.age(place.month), len(people)
    years = (place.month - profile.base_month) / 12
    newly = people.present & (age >= 60) & (people.pension == 0)
    luck = draws.uniform("pension", n)
    amount = np.where(luck < 0.05, 190_000, 13_500 + 100 * np.floor(60 * draws.uniform("contribution", n)))
    people.pension[newly] = amount[newly]
    slump = np.where(homes.slide_kind == KIN, homes.slump, 0.0)
    # Children who live apart give more where nobody can work and it comes near the line.
    asked = (homes.gap > 0) & (place.count(able(place)) == 0) & draws.chance("asked", profile.kin_helps, len(homes))
    homes.kin += np.where(asked, homes.gap // 16, 0)
    festive = 2.5 if season in (0, 1) else 0.72
    kin = homes.kin * festive * np.exp(slump + 0.25 * draws.normal("kin", len(homes)) + 0.08 * years) * homes.active
    pensions = _whole(people.pension * np.exp(0.05 * years))
    hardship = np.where(people.hardship > 0, 95_000, 0)
    disabled = np.where((people.disability > 0) & (people.disability <= 2), 9_000, 0)
    return {
        "kin": _whole(kin),
        "told_kin": _whole(homes.kin * festive * np.exp(homes.guess + 0.08 * years) * homes.active),
        "pensions": place.total(pensions),
        "subsidies": 100 * np.rint(18 * homes.land).astype(np.int64) * (season in (2, 5, 8, 11)) * homes.active,
        "farm_subsidy": 100 * np.rint(105 * homes.land).astype(np.int64) * (season == 3) * homes.active,
        "allowances": homes.relief * homes.active + place.total(hardship),
        "disability": place.total(disabled),
        "relief": homes.grant * homes.active,
        "aid": place.total(school_aid(place, profile)),
    }


def _school(place: Township, draws: Draws, profile: Profile) -> tuple[Ints, Ints]:
    """Upper-secondary fees, and what college takes beyond the student loan, at the beginning of the school year."""
    people, nothing = place.people, np.zeros(len(place.homes), np.int64)
    if place.month % 12 != SEPTEMBER:
        return nothing, nothing
    n = len(people)
    usual = 100 * np.rint(draws.of("fees").gamma(4, 800, n))
    private = 100 * np.rint(8_000 + draws.of("private").gamma(2, 2_500, n))
    fee = np.where(draws.uniform("kind of school", n) < profile.private_school, private, usual)
    fee = np.select([people.enrolled == SENIOR, people.enrolled == VOCATIONAL], [fee, usual // 2], 0)
    college = np.where(people.enrolled == COLLEGE, 750_000, 0)
    return place.total(fee), place.total(college)


def _cope(place: Township, draws: Draws, profile: Profile, month: Month) -> Month:
    """Living costs by what a household is used to; short of that: animals, then the bank, then less, then relatives."""
    homes = place.homes
    size = place.members()
    years = (place.month - profile.base_month) / 12
    bare = np.rint(100 * profile.bare * size * np.exp(0.03 * years)).astype(np.int64) * homes.active
    usual = np.maximum(homes.income[:, :-1].sum(axis=1) // 12, 0)
    wants = bare + np.maximum(usual - bare, 0) * 80 // 100
    paid_back = np.minimum((homes.loan + homes.small_loan) // 36, np.maximum(homes.savings, 0))
    due = (homes.loan + homes.small_loan) // 36
    must = month.medical + month.fees + month.college + paid_back
    have = homes.savings + month.income - month.hidden
    put_away, feast = _aside(place, draws, profile, np.maximum(have - must - wants, 0))
    have -= put_away
    wants += feast
    short = np.maximum(must + wants - have, 0)
    price = 100 * 1_500 * np.exp(place.markets.pork[place.world])
    sells = np.where(short > 200_000, np.minimum(homes.livestock * 0.7, short / price), 0.0)
    animals = _whole(sells * price)
    homes.livestock -= sells
    homes.livestock += np.where(short == 0, 0.02 * np.maximum(homes.land * 0.3 - homes.livestock, 0), 0.0)
    short = np.maximum(short - animals, 0)
    drawn = np.minimum(short, homes.kept + put_away)
    short -= drawn
    homes.kept += put_away - drawn
    room = np.maximum(5_000_000 - homes.small_loan - homes.loan, 0)
    earner = place.count(place.people.present & (place.people.job > 0)) > 0
    borrowed = np.where((short > 500_000) & earner & (homes.overdue == 0), np.minimum(short, room), 0)
    homes.small_loan += borrowed
    short -= borrowed
    cut = np.minimum(short, np.maximum(wants - bare * 6 // 10, 0))
    lent = short - cut
    given_back = np.where(short == 0, np.clip(month.income // 50, 0, np.minimum(homes.debt, wants)), 0)
    homes.debt += lent - given_back
    from_small = np.minimum(homes.small_loan - borrowed, paid_back)
    homes.small_loan -= from_small
    homes.loan -= paid_back - from_small
    homes.overdue = np.where((due > 0) & (paid_back < due), homes.overdue + 30, 0)
    return replace(
        month,
        living=wants - cut - given_back,  # what goes back to relatives comes out of the daily round
        given_back=given_back,
        put_away=put_away - drawn,
        animals_sold=animals,
        borrowed=borrowed,
        lent_by_kin=lent,
        paid_back=paid_back,
    )


def _aside(place: Township, draws: Draws, profile: Profile, spare: Ints) -> tuple[Ints, Ints]:
    """What is moved out of the sight of banks this month (negative when it comes back), and what is spent at once.

    A wedding, a roof, a loan to a brother: now and then a good part of what was saved is gone for no ill reason. Who
    keeps money in cash has next to none in a bank.
    """
    homes, n = place.homes, len(place.homes)
    grand = draws.chance("feast", profile.feasts, n) * (0.2 + 0.7 * draws.uniform("how grand", n))
    parted = np.rint(np.maximum(homes.savings, 0) * grand * ~homes.in_cash).astype(np.int64)
    kept = draws.chance("aside", 0.6, n)
    back = draws.chance("brought back", profile.feasts, n) * (homes.kept // 2)
    return np.where(homes.in_cash, spare, np.where(kept, parted, 0)) - back, np.where(kept, 0, parted)


def _whole(amounts: Floats) -> Ints:
    return np.rint(amounts).astype(np.int64)
