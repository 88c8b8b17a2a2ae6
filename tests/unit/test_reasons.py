"""Reasons: quoted for every household, true by the ledger read directly, on the side that they claim, steady."""

import re
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import oracle
import pyarrow as pa
import pytest
from oracle import Version

from fpml import County, lists
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.lists.placing import also_by, levels, likely_causes, recorded_causes, without_events
from fpml.lists.reasons import Told
from fpml.lists.telling import agree
from fpml.lists.yardstick import Stands, Yardstick

AS_OF = AsOf.parse("2023-06")
CHECKED = 100
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def all_reasons(trained: County) -> list[tuple[str, lists.Reason]]:
    """Every reason of every listed household, with the household."""
    table, models = trained.at(AS_OF), trained.models(AS_OF)
    households = trained.warning_list(AS_OF).rows["household"].tolist()
    rows = [table["household_id"].to_pylist().index(h) for h in households]
    stand = lists.standing(table, models, trained.catalogue)
    known = trained.past.known(households, AS_OF)
    teller = lists.Teller(table, trained.catalogue, "zh", known, Yardstick(table, trained.catalogue))
    told = lists.all_told(rows, models, stand, teller)
    return [(h, r) for h, row in zip(households, rows, strict=True) for r in (*told[row].raising, *told[row].lowering)]


@pytest.fixture(scope="module")
def ledger(trained: County) -> oracle.Known:
    """What the ledger's own rows say stood at the as-of, in plain loops."""
    table = trained.ledger.everything()
    names = ("household_id", "person_id", "indicator", "event_date", "until_date", "known_date", "value", "fact")
    columns = [table[n].cast(pa.string()).to_pylist() if n.endswith("_id") else table[n].to_pylist() for n in names]
    versions = [
        Version(h, p, str(i), str(fact), event, until, known, value)
        for h, p, i, event, until, known, value, fact in zip(*columns, strict=True)
    ]
    order = [str(h) for h in trained.at(AS_OF)["household_id"].to_pylist()]
    return oracle.known(versions, AS_OF.date, trained.catalogue, order)


def test_a_hundred_random_reasons_are_what_the_ledger_says(
    all_reasons: list[tuple[str, lists.Reason]], ledger: oracle.Known, trained: County
) -> None:
    catalogue = trained.catalogue
    able = [(h, r) for h, r in all_reasons if r.feature in catalogue.features and r.observed]
    assert len(able) >= CHECKED
    order = trained.at(AS_OF)["household_id"].to_pylist()
    dated = compared = 0
    for n in np.random.default_rng(1).choice(len(able), CHECKED, replace=False):
        household, reason = able[int(n)]
        value = oracle.natural(ledger, household, reason.feature)
        assert value is not None, reason.text
        _says(reason, value, catalogue)
        dated += _is_of_that_day(reason, household, ledger, catalogue)
        compared += _stands_there(reason, household, value, ledger, order, catalogue)
    assert dated >= 10
    assert compared >= 30


def _says(reason: lists.Reason, value: float, catalogue: Catalogue) -> None:
    feature = catalogue.features[reason.feature]
    indicator = catalogue.indicators[feature.indicator]
    quoted = reason.text.split("；")[0].split("，高于")[0].split("，低于")[0].split("，与全")[0]
    codes = indicator.codes or {}
    if feature.reduction in ("last", "max", "min") and int(value) in codes:
        assert codes[int(value)].zh in quoted, reason.text
    elif feature.reduction == "holding" and indicator.grain == "household":
        assert quoted.endswith("是" if value else "否"), reason.text
    else:
        last = NUMBER.findall(quoted)[-1].replace(",", "")
        said = float(last) / (100 if quoted.endswith("%") else 1)
        assert said == pytest.approx(value, rel=0.005, abs=0.005), reason.text


def _is_of_that_day(reason: lists.Reason, household: str, ledger: oracle.Known, catalogue: Catalogue) -> bool:
    told = re.search(r"最近一笔(\d{4}-\d{2}-\d{2})", reason.text)
    if not told:
        return False
    feature = catalogue.features[reason.feature]
    first, last = oracle.span(feature.window, ledger.as_of)
    events = [v.event for v in ledger.of(household, feature.indicator, first, last)]
    assert date.fromisoformat(told[1]) == max(events), reason.text
    return True


def _stands_there(
    reason: lists.Reason, household: str, value: float, ledger: oracle.Known, order: list[str], catalogue: Catalogue
) -> bool:
    told = re.search(r"(高于|低于)全(村|乡镇|县)(\d+)%", reason.text)
    if not told:
        return False
    digits = {"村": 1, "乡镇": catalogue.review.townships, "县": 10**12}[told[2]]
    place = f"{catalogue.county.village}__last__ever"
    mine = int(oracle.natural(ledger, household, place) or 0) // digits
    others = [h for h in order if int(oracle.natural(ledger, h, place) or 0) // digits == mine]
    feature = catalogue.features[reason.feature]
    never = feature.reduction == "months_since" and catalogue.indicators[feature.indicator].absent == "zero"
    values = [oracle.natural(ledger, h, reason.feature) for h in others]
    filled = [(np.inf if never else np.nan) if v is None else v for v in values]
    beyond = sum(v < value for v in filled) if told[1] == "高于" else sum(v > value for v in filled)
    assert int(told[3]) == 100 * beyond // len(others), reason.text
    assert len(others) >= catalogue.listing.reasons.fewest
    return True


def test_every_listed_household_has_a_reason_that_quotes_an_observed_value(trained: County) -> None:
    for as_of in ("2022-06", "2023-06"):  # without a model, and with one
        listed = trained.warning_list(as_of)
        table = trained.at(as_of)
        assert len(listed.rows) > 10
        assert all(listed.asked)
        for row, text in zip(listed.rows.itertuples(), listed.rows["reasons"], strict=True):
            first = text.split("\n")[0]
            assert re.match(r"1\. .*\d.*；.+(截至\d{4}-\d{2}-\d{2}|从未报送)", first), (row.household, first)
            assert "未知" not in first or any("未知" not in line for line in text.split("\n")), text
        assert table.num_rows


def test_what_is_claimed_agrees_with_the_contribution_or_is_told_neutrally(
    all_reasons: list[tuple[str, lists.Reason]], trained: County
) -> None:
    neutral = trained.catalogue.listing.words["neutral"].zh
    told = [r for _, r in all_reasons if r.contribution]
    assert sum(r.agrees for r in told) > len(told) / 4
    for reason in told:
        assert reason.agrees or not reason.observed or neutral in reason.text, reason.text
        if reason.agrees:
            high = "高于" in reason.text
            assert high != ("低于" in reason.text)
            raises = trained.catalogue.leaning(reason.feature) == "raises"
            assert (high == raises) == (reason.contribution > 0), reason.text


@pytest.mark.parametrize(
    ("leaning", "part", "side", "wanted"),
    [
        ("raises", 0.3, "above", True), ("raises", 0.3, "under", False), ("raises", -0.3, "under", True),
        ("lowers", 0.3, "under", True), ("lowers", 0.3, "above", False), ("lowers", -0.3, "above", True),
        ("unclear", 0.3, "above", False), ("raises", 0.3, "usual", False), ("raises", 0.0, "above", False),
    ],
)  # fmt: skip
def test_high_and_low_go_with_the_sign(leaning: Any, part: float, side: Any, wanted: bool) -> None:
    assert agree(leaning, part, Stands(side, 90, "village")) is wanted


def a_county(values: list[int | None], villages: list[int]) -> pa.Table:
    return pa.table({
        "village__last__ever": pa.array(villages, pa.int64()),
        "medical_self_paid__sum__12m": pa.array(values, pa.int64()),
        "severe_disease__months_since__ever": pa.array(values, pa.int64()),
    })  # fmt: skip


def test_a_yardstick_is_never_taken_from_few_households_and_says_whose_it_is(catalogue: Catalogue) -> None:
    name = "medical_self_paid__sum__12m"
    fewest = catalogue.listing.reasons.fewest
    large = a_county(list(range(fewest)), [360121001001] * fewest)
    assert Yardstick(large, catalogue).stands(name, fewest - 1) == Stands(
        "above", 100 * (fewest - 1) // fewest, "village"
    )
    # One household fewer: the township is asked, and then the county.
    town = a_county(list(range(fewest)), [360121001001] * (fewest - 1) + [360121001002])
    assert Yardstick(town, catalogue).stands(name, 0) == Stands("under", 100 * (fewest - 1) // fewest, "township")
    far = a_county(list(range(fewest)), [360121001001] * (fewest - 1) + [360121002001])
    assert Yardstick(far, catalogue).stands(name, 0) == Stands("under", 100 * (fewest - 1) // fewest, "county")
    few = a_county(list(range(fewest - 1)), [360121001001] * (fewest - 1))
    assert Yardstick(few, catalogue).stands(name, 0) is None


def test_of_whom_nothing_is_known_counts_on_neither_side_and_never_is_longest_ago(catalogue: Catalogue) -> None:
    values = [*range(60), *[None] * 40]
    table = a_county(values, [360121001001] * 100)
    yard = Yardstick(table, catalogue)
    assert yard.stands("medical_self_paid__sum__12m", 59) == Stands("usual", 0, "village")
    assert yard.stands("severe_disease__months_since__ever", 0) == Stands("under", 99, "village")
    assert yard.stands("medical_self_paid__sum__12m", 99) is None


def test_levels_follow_chance_rules_and_income_as_policy_says(catalogue: Catalogue) -> None:
    policy = catalogue.listing.levels_on(date(2024, 5, 31))
    high, middle = policy.chance["high"], policy.chance["middle"]
    chance = np.array([high, middle, middle / 2, float("nan"), 0.0, 0.0])
    hit = [(), (), (), ("medical_15000",), ("outpatient_500",), ()]
    below = [False, False, False, False, False, True]
    told = levels(chance, below, hit, catalogue, date(2024, 5, 31))
    assert told == ["high", "middle", "low", "high", "low", policy.below]


def test_the_county_s_sample_is_drawn_of_the_high_alone_and_is_the_same_again(catalogue: Catalogue) -> None:
    level: list[Any] = ["high"] * 95 + ["low"] * 5
    names = [f"H{n}" for n in range(100)]
    also = also_by(level, names, catalogue, date(2024, 5, 31))
    assert also == also_by(level, names, catalogue, date(2024, 5, 31))
    assert also != also_by(level, names, catalogue, date(2024, 6, 30))
    assert also.count("township_county") == 10
    assert also[95:] == [""] * 5


def test_an_event_on_record_is_named_before_what_follows_from_it(catalogue: Catalogue) -> None:
    told = Told(causes=(("illness", 1.5), ("unstable_work", 0.2)))
    assert likely_causes(told, (), (), catalogue) == ("illness", "unstable_work")
    assert likely_causes(told, ("loan_overdue_30",), ("accident",), catalogue) == (
        "accident",
        "illness",
        "unstable_work",
    )
    assert likely_causes(told, ("disability_new",), (), catalogue)[0] == "disability"


def test_costs_without_an_event_come_after_what_no_record_tells_of(catalogue: Catalogue) -> None:
    told = Told(causes=(("illness", 1.5), ("disability", 0.2)))
    before = {"illness": "unstable_work", "business_failure": "unstable_work"}
    named = partial(likely_causes, catalogue=catalogue, before=before)
    assert named(told, (), ()) == ("unstable_work", "illness", "disability")
    assert named(told, ("self_paid_40_percent",), ()) == ("unstable_work", "illness", "disability")
    assert named(Told(), ("loan_overdue_30",), ()) == ("unstable_work", "business_failure")
    assert named(Told(), ("medical_15000", "self_paid_40_percent"), ()) == ("unstable_work", "illness")
    # What is first for another reason stays first.
    assert named(told, (), ("accident",)) == ("accident", "illness", "disability")
    assert named(told, ("disability_new",), ())[0] == "disability"
    assert named(Told(causes=(("unstable_work", 1.0), ("illness", 0.5))), (), ()) == ("unstable_work", "illness")


def test_an_event_of_illness_is_one_large_settlement_and_who_can_work_is_counted(catalogue: Catalogue) -> None:
    # Settlement, year's bills, who can work: short of both, one enough, the other, nobody who can, nothing known.
    columns = {
        "medical_self_paid__max__24m": pa.array([599_999, 600_000, 1, 599_999, None], pa.int64()),
        "medical_self_paid__sum__12m": pa.array([1_999_999, 1, 2_000_000, 1, None], pa.int64()),
        "labourers__last__ever": pa.array([2, 2, 2, 0, 2], pa.int64()),
    }
    rest = {c.feature for _, c in catalogue.listing.conditions()} - set(columns)
    table = a_county([0] * 5, [360121001001] * 5)
    for name, column in (columns | {n: pa.nulls(5, pa.int64()) for n in sorted(rest)}).items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, column)
    recorded = recorded_causes(table, catalogue)
    assert [("illness" in r) for r in recorded] == [False, True, True, False, False]
    farm = {"business_failure": "unstable_work"}
    both = {"illness": "unstable_work"} | farm
    assert without_events(table, recorded, catalogue) == [both, farm, farm, {}, both]
