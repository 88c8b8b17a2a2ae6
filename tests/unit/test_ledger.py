from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import fpml
from fpml.errors import LedgerError, NotYetError
from fpml.ledger import Ledger, shard_of

EARLY = ("HFILLER", "", "medical_self_paid", "2015-01-15", "2015-01-31", "1", "")
DAY = "2024-03-05"


def cost(household: str, value: str, known: str = "2024-03-31", event: str = DAY, record: str = "") -> tuple[str, ...]:
    return (household, "", "medical_self_paid", event, known, value, record)


def members(household: str) -> tuple[str, ...]:
    return (household, "", "members", "2020-01-15", "2020-01-31", "3", "")


def take(county: fpml.County, path: Path) -> None:
    county.intake([path], today=date(2024, 6, 30))


def values(county: fpml.County, as_of: str) -> dict[str, float]:
    """Each household's medical cost as it stood at an as-of, in yuan."""
    frame = county.records("medical_self_paid", as_of)
    return dict(zip(frame["household_id"].astype(str), frame["value"], strict=True))


def test_records_stand_as_they_were_known_at_a_past_day(county: fpml.County, desk: Any) -> None:
    first = desk.csv(cost("H1", "100"), cost("H2", "7", known="2024-05-02"), name="a.csv")
    then = desk.csv(cost("H1", "80", known="2024-04-30"), cost("H1", "withdrawn", known="2024-05-31"), name="b.csv")
    take(county, first)
    take(county, then)
    assert values(county, "2024-02") == {}
    assert values(county, "2024-03") == {"H1": 100}
    assert values(county, "2024-04") == {"H1": 80}
    assert values(county, "2024-05") == {"H2": 7}


def test_the_past_stays_as_it_was_when_more_becomes_known(county: fpml.County, desk: Any) -> None:
    take(county, desk.csv(cost("H1", "100"), name="a.csv"))
    before = values(county, "2024-03")
    take(county, desk.csv(cost("H1", "80", known="2024-04-01"), name="b.csv"))
    assert values(county, "2024-03") == before


def test_the_order_of_deliveries_does_not_decide_what_stands(new_desk: Callable[..., Any], catalogue: Any) -> None:
    rows = [cost("H1", "100"), cost("H1", "80", known="2024-04-30"), cost("H2", "withdrawn"), cost("H3", "5")]
    stands = []
    for order in (rows, rows[::-1]):
        desk = new_desk()
        for i, r in enumerate(order):
            desk.take(desk.csv(r, name=f"{i}.csv"))
        found = desk.ledger.standing(date(2024, 6, 30), "medical_self_paid", catalogue.codes)
        stands.append(sorted(zip(found["household_id"].to_pylist(), found["value"].to_pylist(), strict=True)))
    assert stands[0] == stands[1] == [("H1", 8000), ("H3", 500)]


def test_the_number_of_shards_changes_nothing_in_the_content(new_desk: Callable[..., Any]) -> None:
    rows = [cost(f"H{i:03d}", str(i), event=f"2024-03-{1 + i % 28:02d}") for i in range(40)]
    later = [cost(f"H{i:03d}", "withdrawn", known="2024-04-30", event=f"2024-03-{1 + i:02d}") for i in range(9)]
    contents = []
    for shards in (1, 3, 16):
        desk = new_desk(shards=shards)
        receipts = [desk.take(desk.csv(*part, name=name)) for part, name in ((rows, "a.csv"), (later, "b.csv"))]
        assert desk.ledger.shards == shards
        assert sum(desk.ledger.shard(s).num_rows for s in range(shards)) == 49
        contents.append((desk.content(), [(r.accepted, r.corrected, r.already_known) for r in receipts]))
    assert contents[0] == contents[1] == contents[2]


def test_a_household_lies_in_one_shard_which_later_openings_know(new_desk: Callable[..., Any]) -> None:
    desk = new_desk(shards=4)
    desk.take(desk.csv(*(cost(f"H{i}", "1") for i in range(20)), name="a.csv"))
    desk.take(desk.csv(*(cost(f"H{i}", "1", event="2024-03-06") for i in range(20)), name="b.csv"))
    assert Ledger(desk.folder / "ledger", shards=9).shards == 4
    seen: dict[str, int] = {}
    for number in range(4):
        table = desk.ledger.shard(number)
        for h in table["household_id"].to_pylist():
            assert seen.setdefault(h, number) == number
        expected = shard_of(table["household_id"].cast("string"), 4) if table.num_rows else []
        assert all(s == number for s in expected)
    assert len(seen) == 20


def test_a_delivery_is_appended_once(desk: Any) -> None:
    receipt = desk.take(desk.csv(cost("H1", "1")))
    ledger = desk.ledger
    assert ledger.has(receipt.delivery)
    assert not ledger.has("0" * 16)
    records = ledger.everything()
    assert ledger.append(records, receipt.delivery) is False
    assert desk.ledger.everything().num_rows == 1


def test_the_span_of_what_is_known(desk: Any) -> None:
    desk.take(desk.csv(cost("H1", "1"), cost("H2", "1", known="2024-05-02"), cost("H3", "1", known="2024-06-30")))
    assert desk.ledger.known_span() == (date(2024, 3, 31), date(2024, 6, 30))


def test_a_ledger_with_nothing_in_it_says_what_comes_first(county: fpml.County) -> None:
    assert county.ledger.version == -1
    with pytest.raises(NotYetError, match="fpml intake"):
        county.ledger.known_span()
    with pytest.raises(NotYetError):
        county.histories("2024-03")


def test_a_ledger_that_took_in_only_bad_rows_says_what_comes_first(county: fpml.County, desk: Any) -> None:
    take(county, desk.csv(cost("H1", "x")))
    with pytest.raises(NotYetError):
        county.ledger.known_span()
    with pytest.raises(NotYetError):
        county.histories("2024-03")
    with pytest.raises(NotYetError):
        county.as_ofs()


def spoilt(folder: Path, how: str) -> None:
    """Damages the first data file of a ledger, as a failing disk or a half-made copy would."""
    path = min(folder.rglob("*.parquet"))
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    else:
        path.write_bytes(b"PAR1" + b"\0" * 400 + b"PAR1")


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "overwritten"])
def test_a_damaged_ledger_is_told_as_such(county: fpml.County, desk: Any, how: str) -> None:
    take(county, desk.csv(members("H1"), cost("H1", "100"), EARLY))
    spoilt(county.workspace.ledger, how)
    for ask in (
        county.ledger.everything,
        lambda: county.records("medical_self_paid", "2024-03"),
        lambda: take(county, desk.csv(cost("H9", "1"), EARLY, name="b.csv")),
    ):
        with pytest.raises(LedgerError) as caught:
            ask()
        assert "H1" not in str(caught.value)


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "overwritten"])
def test_histories_of_a_damaged_ledger_tell_the_ledger_as_damaged(county: fpml.County, desk: Any, how: str) -> None:
    take(county, desk.csv(members("H1"), cost("H1", "100"), EARLY))
    spoilt(county.workspace.ledger, how)
    with pytest.raises(LedgerError):
        county.histories("2024-03")


@pytest.mark.parametrize("spoil", ["", "{", '{"add": 3}\n'])
def test_a_damaged_log_of_the_ledger_is_told_as_such(county: fpml.County, desk: Any, spoil: str) -> None:
    take(county, desk.csv(cost("H1", "100")))
    for path in (county.workspace.ledger / "_delta_log").glob("*.json"):
        path.write_text(spoil)
    with pytest.raises(LedgerError):
        county.ledger.everything()


def test_a_numbered_record_told_of_another_household_is_refused_until_it_is_withdrawn(
    county: fpml.County, desk: Any
) -> None:
    # Of these households some pairs lie in one shard and some in two: where they lie must not matter.
    houses = [(f"A{i}", f"B{i}") for i in range(6)]
    first = [cost(a, "20000", record=f"bill{i}") for i, (a, _) in enumerate(houses)]
    moved = [cost(b, "20000", known="2024-04-30", record=f"bill{i}") for i, (_, b) in enumerate(houses)]
    watched = [members(h) for pair in houses for h in pair]
    (receipt,) = county.intake([desk.csv(EARLY, *watched, *first, *moved)], today=date(2024, 6, 30))
    assert receipt.quarantined == {"other_household": len(houses)}
    assert set(values(county, "2024-03")) == {"HFILLER"} | {a for a, _ in houses}
    assert set(county.hits("2024-03")["household_id"]) == {a for a, _ in houses}
