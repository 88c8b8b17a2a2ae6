"""A month of a township, as each department, bank and the register would tell of it."""

import numpy as np

from fpml.simulate.causes import OTHER, main_cause
from fpml.simulate.demography import HEAD, able, labour_capacity
from fpml.simulate.draws import Ints
from fpml.simulate.finding import Found
from fpml.simulate.health import GRAVE, LASTING, Care
from fpml.simulate.money import Month
from fpml.simulate.office import NOBODY, Office, days_of
from fpml.simulate.state import Township
from fpml.simulate.work import OUT, Earned

_QUARTER = (2, 5, 8, 11)


def report(
    place: Township, office: Office, before: Ints, *, month: Month, care: Care, earned: Earned, aid: Ints
) -> None:
    """Tells the office all of a month but what finding did; `before`, each person's household at its beginning."""
    born = days_of(place.people.born, place.people.born_day)
    _register(place, office, before, born)
    _money(place, office, month)
    _persons(place, office, before, care, earned, aid)
    _statuses(place, office, born)
    _households(place, office, month)


def report_finding(place: Township, office: Office, found: Found) -> None:
    """Tells the office who declared, was come upon on a walk, was visited, entered and was cleared."""
    homes = place.homes
    everyone = np.where(homes.active, np.arange(len(homes)), NOBODY)
    office.follow("monitored", np.where(homes.active, homes.monitored, 0).astype(np.int64), homes=everyone)
    # One bit each: its place is the register's code.
    cause = main_cause(homes.causes)
    office.beside(
        "risk_cause", np.where(cause > 0, np.log2(np.maximum(cause, 1)) + 1, 0).astype(np.int64), of="monitored"
    )
    noted = office.draws.chance("cause noted", np.where(cause == OTHER, 0.9, 0.3), len(homes))
    office.beside("cause_noted", noted.astype(np.int64), of="monitored")
    _events(office, "declared", found.declared)
    _events(office, "walked", found.walked)
    seen = np.flatnonzero(found.visited)
    office.tell("verified", 1 + found.confirmed[seen].astype(np.int64), homes=seen)


def _events(office: Office, indicator: str, happened: np.ndarray) -> None:
    rows = np.flatnonzero(happened)
    office.tell(indicator, np.ones(rows.size, np.int64), homes=rows)


def _register(place: Township, office: Office, before: Ints, born: Ints) -> None:
    people, homes = place.people, place.homes
    n = len(homes)
    everyone = np.where(homes.active, np.arange(n), NOBODY)
    code = place.villages.code[homes.village]
    office.follow("region", np.where(homes.active, code // 1_000_000, 0), homes=everyone)
    office.follow("village", np.where(homes.active, code, 0), homes=everyone)
    office.follow("formerly_poor", np.where(homes.active, 1 + homes.formerly_poor, 0), homes=everyone, shift=1)
    office.follow("head_sex", _sex_of_head(place), homes=everyone)
    office.level("distance", _distance(place), active=homes.active)
    new = np.flatnonzero(people.present) if office.opening else np.arange(before.size, len(people))
    new = new[people.home[new] >= 0]
    office.births(new, homes=people.home[new], born=born[new])
    office.follow("member", np.where(people.present, people.relation, 0).astype(np.int64), homes=people.home, born=born)
    office.level("members", place.members(), active=homes.active)
    if office.opening or place.month % 12 in _QUARTER:
        office.level("labourers", place.count(able(place)), active=homes.active)
        capacity = np.where(people.present, 1 + labour_capacity(place), 0)
        office.follow("labour_capacity", capacity, homes=people.home, born=born, shift=1)


def _sex_of_head(place: Township) -> Ints:
    """The register's code by household: 1 a man, 2 a woman, 0 where there is no household any more."""
    people = place.people
    heads = np.flatnonzero(people.present & (people.relation == HEAD))
    sex = np.zeros(len(place.homes), np.int64)
    sex[people.home[heads]] = np.where(people.male[heads], 1, 2)
    return np.where(place.homes.active, sex, 0)


def _distance(place: Township) -> Ints:
    """Kilometres to the county town by household: assumed to run from 3 to 60, by how remote its village is."""
    return np.rint(3 + 57 * place.villages.remote[place.homes.village]).astype(np.int64)


def _money(place: Township, office: Office, month: Month) -> None:
    amounts = {
        "income_wage": month.told_wages,
        "income_farm": month.told_farm,
        "business_costs": month.told_costs,
        "income_property": month.rents,
        "crop_loss": month.crop_loss,
        "livestock_loss": month.livestock_loss,
        "farm_subsidy": month.farm_subsidy,
        "transfers": month.told_transfers,
        "relief_paid": month.relief,
        "medical_self_paid": month.medical,
        "medical_reimbursed": month.repaid_by_insurance,
        "school_fees": np.maximum(month.fees - month.aid, 0),
        "subsidies_paid": month.subsidies,
        "disaster_loss": np.maximum(place.homes.hurt[:, -1] - month.crop_loss - month.livestock_loss, 0),
    }
    for indicator, amount in amounts.items():
        rows = np.flatnonzero(amount > 0)
        office.tell(indicator, amount[rows], homes=rows)


def _persons(place: Township, office: Office, before: Ints, care: Care, earned: Earned, aid: Ints) -> None:
    people, homes = place.people, place.homes
    home = people.home.copy()
    home[: before.size] = np.where(home[: before.size] < 0, before, home[: before.size])
    share = np.where(people.allowance, homes.relief[np.maximum(people.home, 0)], 0)
    share = share // np.maximum(place.count(people.allowance & people.present), 1)[np.maximum(people.home, 0)]
    amounts = {
        "wages_unpaid": earned.unpaid,
        "pension_paid": people.pension * people.present,
        "allowance_paid": share + np.where(people.hardship > 0, 95_000, 0),
        "disability_allowance": np.where((people.disability > 0) & (people.disability <= 2), 9_000, 0),
        "school_aid": aid,
        "inpatient_self_paid": care.inpatient,
        "outpatient_self_paid": care.outpatient,
        "drugs_self_paid": care.drugs,
    }
    for indicator, amount in amounts.items():
        rows = np.flatnonzero((amount > 0) & people.present)
        office.tell(indicator, amount[rows], homes=people.home[rows], people=rows)
    died = people.dead.copy()
    died[: before.size] &= before >= 0
    died &= home >= 0
    events = {
        "inpatient_stays": care.stay & people.present,
        "traffic_accident": care.traffic & (home >= 0),
        "accident": care.accident & ~care.traffic & (home >= 0),
        "death": died,
    }
    for indicator, happened in events.items():
        rows = np.flatnonzero(happened)
        office.tell(indicator, np.ones(rows.size, np.int64), homes=home[rows], people=rows)
    rows = np.flatnonzero((care.loss > 0) & (home >= 0))
    rows = rows[np.unique(home[rows], return_index=True)[1]]
    office.tell("traffic_loss", care.loss[rows], homes=home[rows])


def _statuses(place: Township, office: Office, born: Ints) -> None:
    people = place.people
    here = people.present
    if "disability_grade" in office.told:
        office.told["disability_grade"].reach(len(people))
        grave = here & (people.disability > 0) & (people.disability <= 2)
        new = np.unique(people.home[grave & (office.told["disability_grade"].code == 0)])
        office.tell("disability_grade_1_2", np.ones(new.size, np.int64), homes=new)
    codes = {
        "works_away": people.away * (people.job == 1),
        "public_post": people.post,
        "low_income_allowance": people.allowance,
        "special_hardship": people.hardship,
        "disability_grade": people.disability,
        "schooling": people.enrolled * ~people.dropped,
        "dropped_out": people.dropped,
        "severe_disease": (people.severity > 0.6) & np.isin(people.health, (GRAVE, LASTING)),
        "chronic_disease": people.chronic,
        "imprisoned": people.prison > 0,
        "missing": people.missing,
    }
    for indicator, code in codes.items():
        office.follow(indicator, np.where(here, code, 0).astype(np.int64), homes=people.home, born=born)


def _households(place: Township, office: Office, month: Month) -> None:
    people, homes = place.people, place.homes
    everyone = np.where(homes.active, np.arange(len(homes)), NOBODY)
    grades = np.where(homes.active, homes.grade, 0).astype(np.int64)
    worse = office.told["house_grade"].code if "house_grade" in office.told else grades
    fell = (grades[: worse.size] >= 3) & (worse < 3) & (worse > 0)
    _events(office, "house_unsafe", fell)
    office.follow("house_grade", grades, homes=everyone)
    response = place.villages.response[homes.village]
    office.follow("disaster_grade", np.where(homes.active, response, 0), homes=everyone)
    office.follow("water_broken", np.where(homes.active, homes.dry > 0, 0).astype(np.int64), homes=everyone)
    # Who had no contract is on no list when out of work.
    idle = people.present & (people.job == OUT) & people.formal
    listed = office.draws.chance("listed idle", 0.9, len(homes))
    _events(office, "out_of_work", (place.count(idle) > 0) & listed)
    office.level("land_area", np.rint(homes.land * 10).astype(np.int64), active=homes.active)
    if place.month % 12 in _QUARTER or office.opening:
        office.level("livestock", np.rint(homes.livestock).astype(np.int64), active=homes.active)
    rows = np.flatnonzero(homes.active)
    day = 20 + (rows % 5)
    office.tell("savings", homes.savings[rows], homes=rows, day=day)
    owing = np.flatnonzero(homes.active & (homes.loan + homes.small_loan > 0))
    office.tell("loan_balance", (homes.loan + homes.small_loan)[owing], homes=owing, day=20)
    office.tell("loan_overdue_days", homes.overdue[owing], homes=owing, day=20)
    small = np.flatnonzero(homes.active & (homes.small_loan > 0))
    office.tell("small_loan", homes.small_loan[small], homes=small, day=20)
