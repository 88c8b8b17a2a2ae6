"""Who belongs where, case by case: moves, splits, deaths, corrected and late registration, in any number of shards."""

from dataclasses import replace
from datetime import date

import pytest
from oracle import Version
from property.test_histories import load_policy, worked_out

from fpml.catalogue import Catalogue
from fpml.dates import AsOf

START = date(2020, 1, 1)
HOUSEHOLDS = ("a", "b", "c")
ASKED = [Version(h, None, "asked", None, START, None, START, 1) for h in HOUSEHOLDS]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_policy(tmp_path_factory.mktemp("policy"))


def lives(person: str, household: str, since: date, known: date | None = None, until: date | None = None) -> Version:
    return Version(household, person, "member", None, since, until, known or since, 1)


def fact(indicator: str, person: str, household: str, event: date, value: int = 1) -> Version:
    """Something told of a person, with the household that was written on it."""
    return Version(household, person, indicator, None, event, None, event, value)


def by_household(name: str, as_of: str, facts: list[Version], catalogue: Catalogue) -> list[object]:
    """A feature of households a, b and c; the same in any number of shards."""
    found = []
    for shards in (1, 2, 5, 16):
        table = worked_out([*ASKED, *facts], catalogue, [AsOf.parse(as_of)], names=(name,), shards=shards)
        of = dict(zip(table["household_id"].to_pylist(), table[name].to_pylist(), strict=True))
        found.append([of[h] for h in HOUSEHOLDS])
    assert all(f == found[0] for f in found)
    return found[0]


IN_A = lives("p", "a", START)
TO_B = lives("p", "b", date(2020, 6, 15), known=date(2020, 7, 20))
COST, WORK = "cost__count__ever", "work__last__ever"


def test_what_happened_stays_and_what_somebody_is_goes_along_once_the_move_is_known(catalogue: Catalogue) -> None:
    facts = [IN_A, TO_B, fact("work", "p", "a", date(2020, 3, 2), value=2)]
    facts += [fact("cost", "p", "a", date(2020, 6, 14)), fact("cost", "p", "a", date(2020, 6, 15))]
    assert by_household(COST, "2020-06", facts, catalogue) == [2, 0, 0]
    assert by_household(WORK, "2020-06", facts, catalogue) == [2, None, None]
    assert by_household(COST, "2020-07", facts, catalogue) == [1, 1, 0]
    assert by_household(WORK, "2020-07", facts, catalogue) == [None, 2, None]


def test_a_move_that_never_was_is_undone(catalogue: Catalogue) -> None:
    undone = replace(TO_B, known=date(2020, 9, 10), value=None)
    facts = [IN_A, TO_B, undone, fact("cost", "p", "b", date(2020, 8, 1)), fact("work", "p", "b", date(2020, 8, 1))]
    assert by_household(COST, "2020-08", facts, catalogue) == [0, 1, 0]
    assert by_household(COST, "2020-09", facts, catalogue) == [1, 0, 0]
    assert by_household(WORK, "2020-09", facts, catalogue) == [1, None, None]


def test_a_move_corrected_to_another_household_takes_all_along(catalogue: Catalogue) -> None:
    facts = [
        IN_A,
        TO_B,
        replace(TO_B, household="c", known=date(2020, 9, 10)),
        fact("cost", "p", "b", date(2020, 8, 1)),
    ]
    assert by_household(COST, "2020-08", facts, catalogue) == [0, 1, 0]
    assert by_household(COST, "2020-09", facts, catalogue) == [0, 0, 1]
    assert by_household("member__holding__ever", "2020-09", facts, catalogue) == [None, None, 1]


def test_what_the_dead_had_ends_and_what_was_spent_on_them_stays(catalogue: Catalogue) -> None:
    died = replace(IN_A, until=date(2020, 8, 31), known=date(2020, 9, 3))
    facts = [IN_A, died, fact("ill", "p", "a", date(2020, 2, 1)), fact("cost", "p", "a", date(2020, 8, 20))]
    assert by_household("ill__holding__ever", "2020-08", facts, catalogue) == [1, 0, 0]
    assert by_household("ill__holding__ever", "2020-09", facts, catalogue) == [0, 0, 0]
    assert by_household("member__holding__ever", "2020-09", facts, catalogue) == [None, None, None]
    assert by_household(COST, "2020-09", facts, catalogue) == [1, 0, 0]


def test_on_the_last_day_a_person_is_still_there(catalogue: Catalogue) -> None:
    left = lives("p", "a", START, until=date(2020, 8, 31))
    facts = [left, fact("ill", "p", "a", date(2020, 2, 1))]
    assert by_household("ill__last__ever", "2020-08", facts, catalogue) == [1, 0, 0]
    assert by_household("ill__last__ever", "2020-09", facts, catalogue) == [0, 0, 0]


def test_a_household_splits_in_two(catalogue: Catalogue) -> None:
    facts = [lives(p, "a", START) for p in ("p", "q", "r")]
    facts += [lives(p, "c", date(2020, 5, 1)) for p in ("q", "r")]
    facts += [fact("skill", p, "a", date(2020, 2, 1), value=7) for p in ("p", "q", "r")]
    assert by_household("skill__count__ever", "2020-04", facts, catalogue) == [3, None, None]
    assert by_household("skill__count__ever", "2020-05", facts, catalogue) == [1, None, 2]
    assert by_household("member__holding__ever", "2020-05", facts, catalogue) == [1, None, 2]


def test_before_the_first_membership_the_first_one_stands_as_soon_as_it_is_known(catalogue: Catalogue) -> None:
    facts = [lives("p", "b", date(2020, 5, 1), known=date(2020, 9, 9)), fact("cost", "p", "a", date(2020, 2, 1))]
    assert by_household(COST, "2020-08", facts, catalogue) == [1, 0, 0]
    assert by_household(COST, "2020-09", facts, catalogue) == [0, 1, 0]


def test_whom_the_register_does_not_know_is_where_each_fact_says(catalogue: Catalogue) -> None:
    facts = [fact("cost", "p", "a", date(2020, 2, 1)), fact("cost", "p", "b", date(2020, 3, 1))]
    assert by_household(COST, "2020-04", facts, catalogue) == [1, 1, 0]
    facts.append(replace(facts[0], household="c", known=date(2020, 5, 5)))
    assert by_household(COST, "2020-05", facts, catalogue) == [0, 1, 1]


def test_a_birth_goes_with_the_child(catalogue: Catalogue) -> None:
    facts = [fact("born", "p", "a", date(2020, 3, 3)), lives("p", "a", date(2020, 3, 3)), TO_B]
    assert by_household("born__count__ever", "2020-06", facts, catalogue) == [1, 0, 0]
    assert by_household("born__count__ever", "2020-07", facts, catalogue) == [0, 1, 0]


def test_two_households_from_one_day_are_told_apart_by_their_order(catalogue: Catalogue) -> None:
    facts = [IN_A, replace(IN_A, household="b", record="other"), fact("cost", "p", "c", date(2020, 3, 1))]
    found = by_household(COST, "2020-04", facts, catalogue)
    assert found == by_household(COST, "2020-04", facts[::-1], catalogue)
    assert sorted(found) == [0, 0, 1]
    assert found[2] == 0
