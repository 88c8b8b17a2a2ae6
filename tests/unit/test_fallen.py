"""Which kind of income fell: what tells of all income is told with it and points to its cause; causes on record."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fpml import engine, lists
from fpml.catalogue import Catalogue, load
from fpml.dates import AsOf
from fpml.errors import PolicyError
from fpml.features import Asked, histories
from fpml.lists.fallen import Falls
from fpml.lists.placing import recorded_causes
from fpml.workspace import DEFAULT_POLICY

AS_OF = AsOf.parse("2023-06")
KINDS = ("income_wage", "income_farm", "transfers")


def a_household(**yuan: tuple[int | None, int | None]) -> pa.Table:
    """One household: by kind of income three months that ended a month ago, and the same of the year before."""
    columns = {"household_id": pa.array(["h1"])}
    for kind in KINDS:
        for window, value in zip(("3m_1m_ago", "3m_13m_ago"), yuan.get(kind, (0, 0)), strict=True):
            columns[f"{kind}__sum__{window}"] = pa.array([None if value is None else 100 * value], pa.int64())
    return pa.table(columns)


@pytest.mark.parametrize(
    ("yuan", "cause"),
    [
        ({"income_wage": (3000, 9000), "income_farm": (0, 5999)}, "unstable_work"),
        ({"income_wage": (3000, 9000), "income_farm": (0, 6001)}, "business_failure"),
        ({"income_wage": (3000, 9000), "transfers": (0, 6001)}, ""),
        ({"income_wage": (None, 9000), "income_farm": (100, 200)}, "business_failure"),
    ],
)
def test_the_kind_that_lost_most_is_named(
    catalogue: Catalogue, yuan: dict[str, tuple[int | None, int | None]], cause: str
) -> None:
    fell = Falls(a_household(**yuan), catalogue).of(0)
    assert fell is not None
    assert fell.cause == cause


@pytest.mark.parametrize("yuan", [{}, {"income_wage": (9000, 9000)}, {"income_wage": (9000, 100)}])
def test_where_nothing_fell_nothing_is_named(catalogue: Catalogue, yuan: dict[str, tuple[int, int]]) -> None:
    assert Falls(a_household(**yuan), catalogue).of(0) is None


def test_a_wage_that_stopped_is_told_with_what_it_was_and_when_it_last_came(catalogue: Catalogue, desk: Any) -> None:
    """A record of nothing is no wage that came."""
    came = {"2022-04-01": 6000, "2023-03-01": 3000, "2023-05-01": 0}
    desk.take(desk.csv(*(("h1", "", "income_wage", day, "2023-06-05", yuan, "") for day, yuan in came.items())))
    table = a_household(income_wage=(0, 9000))
    fell = Falls(table, catalogue).of(0)
    assert fell is not None
    ledger = desk.ledger
    known = lists.known(ledger.shard, ledger.shards, ["h1"], AS_OF, catalogue, engine.run)
    assert fell.in_words(table, 0, catalogue, known, "en") == (
        "; wage income, the 3 months that ended a month ago: 0 yuan, "
        "in the same months of the year before 9,000 yuan, last record 2023-03-01"
    )
    less = a_household(income_wage=(10, 9000))
    assert "last record" not in fell.in_words(less, 0, catalogue, known, "en")


def test_what_tells_of_all_income_points_to_the_kind_that_fell_and_what_lowers_to_none(catalogue: Catalogue) -> None:
    teller = lists.Teller(a_household(income_wage=(0, 9000)), catalogue, "zh", lists.Known(AS_OF))
    assert teller.cause("income", 0.4, 0) == "unstable_work"
    assert teller.cause("income", -0.4, 0) == ""
    assert teller.cause("income_farm", 0.4, 0) == "business_failure"
    steady = lists.Teller(a_household(), catalogue, "zh", lists.Known(AS_OF))
    assert steady.cause("income", 0.4, 0) == ""


def test_an_event_of_two_years_ago_is_on_record_and_an_older_one_is_not(catalogue: Catalogue, desk: Any) -> None:
    """Of losses one year counts."""
    days = {"before": "2021-06-30", "within": "2021-07-01", "a year": "2022-07-01", "over": "2022-06-30"}
    told = [(h, "", "members", "2020-01-15", "2020-01-31", "3", "") for h in ("new", "none", *days)]
    for indicator in ("accident", "out_of_work", "livestock_loss"):
        whom = "new-1" if catalogue.indicators[indicator].grain == "person" else ""
        told += [("new", whom, indicator, f"2023-0{m}-10", f"2023-0{m}-20", "1", "") for m in range(1, 7)]
    for household, day in days.items():
        known = f"{day[:7]}-30"
        told.append((household, f"{household}-1", "accident", day, known, "1", ""))
        told.append((household, "", "out_of_work", day, known, "1", ""))
        told.append((household, "", "livestock_loss", day, known, "800", ""))
    receipt = desk.take(desk.csv(*told))
    assert receipt.accepted == len(told), receipt.quarantined
    asked = Asked((AS_OF,), tuple(sorted({c.feature for _, c in catalogue.listing.conditions()})))
    table = histories(desk.ledger.shard, desk.ledger.shards, catalogue, asked)
    causes = dict(zip(table["household_id"].to_pylist(), recorded_causes(table, catalogue), strict=True))
    two_years = {"accident", "unstable_work"}
    assert {h: set(c) for h, c in causes.items() if h != "new"} == {
        "none": set(), "before": set(), "within": two_years, "over": two_years,
        "a year": two_years | {"business_failure"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("shared: [income]", "shared: [incme]", "lists.yaml @ reasons.shared: unknown group `incme`"),
        ("indicator: income_wage,", "indicator: income_wge,", "lists.yaml @ causes.unstable_work.fell: unknown"),
        ("first: unstable_work,", "first: unstable,", "lists.yaml @ causes.illness.without_event.first: `unstable`"),
        ("first: unstable_work,", "first: other,", "lists.yaml @ causes.illness.without_event.first: `other`"),
        (
            "{first: unstable_work, all: [{feature: labourers__",
            "{first: unstable_work, all: [{feature: labourer__",
            "lists.yaml @ causes.illness.without_event.all.0: ",
        ),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_place(policy: Path, old: str, new: str, said: str) -> None:
    path = policy / "lists.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load(policy, DEFAULT_POLICY)
    assert said in str(caught.value)
