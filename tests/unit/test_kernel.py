"""Small cases of histories worked out by hand: what each reduction, window and version comes to."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import oracle
import pytest
from oracle import Version
from property.test_histories import POLICY, in_order, load_policy, same, worked_out

from fpml.catalogue import Catalogue
from fpml.dates import AsOf

START = date(2020, 1, 1)
ASKED = Version("a", None, "asked", None, START, None, START, 1)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_policy(tmp_path_factory.mktemp("policy"))


def of_a(name: str, as_of: str, facts: list[Version], catalogue: Catalogue) -> object:
    """A feature of household a."""
    table = worked_out([ASKED, *facts], catalogue, [AsOf.parse(as_of)], names=(name,))
    return table[name].to_pylist()[table["household_id"].to_pylist().index("a")]


def state(indicator: str, person: str | None, event: date, until: date | None = None, value: int = 1) -> Version:
    return Version("a", person, indicator, None, event, until, event, value)


def cost(event: date, value: int, record: str | None = None, known: date | None = None) -> Version:
    return Version("a", "p", "cost", record, event, None, known or event, value)


def test_a_correction_replaces_from_the_month_in_which_it_became_known(catalogue: Catalogue) -> None:
    told = cost(date(2020, 3, 5), 10)
    facts = [told, replace(told, known=date(2020, 5, 31), value=4), replace(told, known=date(2020, 6, 1), value=None)]
    assert [of_a("cost__sum__ever", f"2020-0{m}", facts, catalogue) for m in (2, 3, 4, 5, 6)] == [0, 10, 10, 4, 0]


def test_a_numbered_record_may_be_corrected_to_another_day(catalogue: Catalogue) -> None:
    told = cost(date(2020, 3, 5), 10, record="r")
    facts = [told, replace(told, event=date(2020, 1, 9), known=date(2020, 4, 2))]
    assert [of_a("cost__count__1m", f"2020-0{m}", facts, catalogue) for m in (3, 4)] == [1, None]
    assert of_a("cost__months_since__ever", "2020-04", facts, catalogue) == 3


def test_many_records_in_any_order_equal_the_plain_loops(catalogue: Catalogue) -> None:
    facts = [ASKED]
    for i in range(60):
        told = cost(date(2020 + i % 2, 1 + i * 7 % 12, 1 + i % 3), i, record=f"r{i}" if i % 4 else None)
        facts += [told, replace(told, known=date(2022, 1 + i % 6, 9), value=None if i % 5 == 0 else 1000 - i)]
    facts = list({(v.fact, v.known): v for v in facts}.values())
    Random(0).shuffle(facts)
    names = tuple(n for n, f in catalogue.features.items() if f.indicator == "cost")
    for as_of in (AsOf.parse("2021-12"), AsOf.parse("2022-03"), AsOf.parse("2022-06")):
        (row,) = worked_out(facts, catalogue, [as_of], names=names).to_pylist()
        k = oracle.known(facts, as_of.date, catalogue, in_order(facts))
        for name in names:
            assert same(row[name], oracle.feature(k, "a", catalogue.features[name]), 1000), name


def test_many_versions_on_one_day_equal_the_plain_loops(catalogue: Catalogue) -> None:
    facts = [ASKED]
    for i in range(24):
        told = replace(cost(date(2020, 3, 5 + i % 2), i), person=f"p{i // 2}")
        facts += [
            replace(told, known=date(2020, 4 + j, 1 + i), value=None if i == j else 100 * j + i) for j in range(4)
        ]
    Random(0).shuffle(facts)
    for as_of in (AsOf.parse("2020-04"), AsOf.parse("2020-06"), AsOf.parse("2020-07")):
        k = oracle.known(facts, as_of.date, catalogue, in_order(facts))
        for name in ("cost__sum__3m", "cost__count__ever", "cost__last__ever", "cost__max__12m", "cost__min__ever"):
            table = worked_out(facts, catalogue, [as_of], names=(name,))
            assert table[name].to_pylist() == [oracle.feature(k, "a", catalogue.features[name])]


def test_a_status_holds_until_its_last_day_and_not_in_the_month_after(catalogue: Catalogue) -> None:
    facts = [state("poor", None, date(2020, 2, 10), date(2020, 4, 30))]
    assert [of_a("poor__holding__ever", f"2020-0{m}", facts, catalogue) for m in (1, 2, 4, 5)] == [0, 1, 1, 0]
    assert [of_a("poor__duration__ever", f"2020-0{m}", facts, catalogue) for m in (1, 2, 4, 5)] == [None, 0, 2, None]
    assert of_a("place__months_with__3m", "2020-05", [replace(facts[0], indicator="place")], catalogue) == 2 / 3


def test_a_feature_may_be_computed_from_a_context(tmp_path: Path) -> None:
    near = "  near: {"
    apart = "  apart: {kind: change, of: level__last__ever, by: [near], name: {en: apart}, unit: {en: x}}\n"
    assert POLICY.count(near) == 1
    catalogue = load_policy(tmp_path, POLICY.replace(near, apart + near))
    facts = [ASKED, replace(ASKED, household="b")]
    for household, level in (("a", 5), ("b", 2)):
        facts.append(Version(household, None, "place", None, START, None, START, 1101))
        facts.append(Version(household, None, "level", None, START, None, START, level))
    assert of_a("apart", "2020-01", facts, catalogue) == 3


def test_a_context_leaves_the_household_itself_out(catalogue: Catalogue) -> None:
    facts = []
    for household, level in (("a", 5), ("b", 2), ("c", 3)):
        facts.append(replace(ASKED, household=household))
        facts.append(Version(household, None, "place", None, START, None, START, 1101))
        facts.append(Version(household, None, "level", None, START, None, START, level))
    assert of_a("near", "2020-01", facts[1:], catalogue) == 2.5


def test_sums_counts_and_highest_alone_are_what_they_are_among_all(catalogue: Catalogue) -> None:
    """Asked for alone, and at many as-ofs, they are worked out along ranges of as-ofs."""
    facts = [ASKED]
    for i in range(80):
        told = cost(date(2018 + i % 4, 1 + i * 5 % 12, 1 + i % 3), i - 40, record=f"r{i}" if i % 4 else None)
        facts += [told, replace(told, known=date(2020, 1 + i % 12, 9), value=None if i % 5 == 0 else 1000 - i)]
    facts = list({(v.fact, v.known): v for v in facts}.values())
    names = tuple(
        n
        for n, f in catalogue.features.items()
        if f.indicator in ("cost", "paid") and f.reduction in ("sum", "count", "max")
    )
    as_ofs = [AsOf.parse("2019-01").shift(i) for i in (0, 1, 2, 3, 7, 12, 13, 24, 40)]
    alone = worked_out(facts, catalogue, as_ofs, names=names)
    assert alone.equals(worked_out(facts, catalogue, as_ofs).select(alone.column_names).combine_chunks())
    for as_of, row in zip(sorted(as_ofs)[-alone.num_rows :], alone.to_pylist(), strict=True):
        k = oracle.known(facts, as_of.date, catalogue, in_order(facts))
        assert all(same(row[n], oracle.feature(k, "a", catalogue.features[n]), 1000) for n in names)


def test_many_statements_in_one_household_equal_the_plain_loops(catalogue: Catalogue) -> None:
    facts = [ASKED]
    for i in range(150):
        told = replace(state("ill", f"p{i % 40}", date(2020, 1 + i % 9, 1 + i % 7), value=i % 3), record=f"r{i}")
        facts += [told, replace(told, known=date(2020, 10, 9), value=None)] if i % 7 == 0 else [told]
    names = ("ill__holding__ever", "ill__months_with__12m", "ill__last__ever", "ill__holding__12m")
    for as_of in (AsOf.parse("2020-05"), AsOf.parse("2020-09"), AsOf.parse("2020-11")):
        (row,) = worked_out(facts, catalogue, [as_of], names=names).to_pylist()
        k = oracle.known(facts, as_of.date, catalogue, in_order(facts))
        assert [row[n] for n in names] == [oracle.feature(k, "a", catalogue.features[n]) for n in names]


# Spells and ties


@pytest.mark.parametrize("indicator", ["work", "ill", "home"])
def test_a_spell_that_ended_before_the_window_says_nothing_of_it(indicator: str, catalogue: Catalogue) -> None:
    person = None if indicator == "home" else "p"
    facts = [state(indicator, person, date(2020, 1, 10), date(2020, 2, 29))]
    assert of_a(f"{indicator}__months_with__3m", "2021-12", facts, catalogue) is None


@pytest.mark.parametrize("name", ["work__last__ever", "work__last__12m"])
def test_two_people_told_alike_but_for_the_end_stand_in_one_order(name: str, catalogue: Catalogue) -> None:
    facts = [state("work", "p", START), state("work", "q", START, date(2020, 2, 29))]
    assert of_a(name, "2020-06", facts, catalogue) == of_a(name, "2020-06", facts[::-1], catalogue)


def test_two_numbered_statements_alike_but_for_the_end_stand_in_one_order(catalogue: Catalogue) -> None:
    facts = [replace(state("work", "p", START), record="1"), replace(state("work", "p", START), record="2")]
    facts[1] = replace(facts[1], until=date(2020, 2, 29))
    name = "work__holding__ever"
    assert of_a(name, "2020-06", facts, catalogue) == of_a(name, "2020-06", facts[::-1], catalogue)


def test_a_later_move_does_not_change_which_of_two_statements_was_the_last(catalogue: Catalogue) -> None:
    facts = [state("work", "p", START), state("work", "q", START, date(2020, 2, 29))]
    moved = replace(state("work", "p", date(2021, 1, 1)), household="b")
    before = of_a("work__last__ever", "2020-06", facts, catalogue)
    assert of_a("work__last__ever", "2020-06", [*facts, moved], catalogue) == before
