from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import fpml
from fpml.errors import LedgerChangedError, LedgerError, NotYetError
from fpml.intake import TRIES, Intake, Shelf
from fpml.ledger import Ledger, shard_of
from fpml.ledger.table import BEFORE

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


def office(county: fpml.County, ledger: Ledger) -> Intake:
    """An intake whose ledger was opened before."""
    space = county.workspace
    shelf = Shelf(space.receipts, space.quarantine)
    return Intake(ledger, county.catalogue, shelf, space.key, space.cache, date(2024, 6, 30))


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
        found = desk.ledger.standing(date(2024, 6, 30), "medical_self_paid")
        stands.append(sorted(zip(found["household_id"].to_pylist(), found["value"].to_pylist(), strict=True)))
    assert stands[0] == stands[1] == [("H1", 8000), ("H3", 500)]


def test_what_stands_is_told_in_one_order_whatever_the_files_are_called(new_desk: Callable[..., Any]) -> None:
    """Two files hold one shard, under names that are drawn: sixteen ledgers would seldom agree by luck."""
    rows = [cost(f"H{i}", str(i + 1), event=f"2024-03-{1 + i % 3:02d}") for i in range(6)]
    stands = []
    for _ in range(16):
        desk = new_desk(shards=1)
        for part, name in ((rows[:3], "a.csv"), (rows[3:], "b.csv")):
            desk.take(desk.csv(*part, name=name))
        found = desk.ledger.standing(date(2024, 6, 30), "medical_self_paid")
        stands.append(found["household_id"].to_pylist())
        assert found["event_date"].to_pylist() == sorted(found["event_date"].to_pylist())
    assert all(s == stands[0] for s in stands)
    assert sorted(stands[0]) == [f"H{i}" for i in range(6)]


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


def test_a_folder_that_should_hold_a_ledger_and_is_empty_is_no_new_county(tmp_path: Path) -> None:
    """As a mount point is at which nothing is mounted."""
    for version in (0, 5):
        with pytest.raises(LedgerError, match=f"cannot be read .no version {version} there"):
            Ledger(tmp_path, version=version)
    assert Ledger(tmp_path, version=BEFORE).version == Ledger(tmp_path).version == BEFORE


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


def test_of_two_runs_at_once_the_later_one_compares_again(
    county: fpml.County, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(county, desk.csv(EARLY, name="a.csv"))
    mine = desk.csv(cost("H1", "100"), cost("H2", "7"), name="b.csv")
    theirs = desk.csv(cost("H2", "7"), name="c.csv")
    ledger, append, met = county.ledger, Ledger.append, list[int]()

    def meanwhile(self: Ledger, *given: Any) -> bool:
        if self is ledger and not met:
            met.append(1)
            take(county, theirs)
        return append(self, *given)

    monkeypatch.setattr(Ledger, "append", meanwhile)
    (receipt,) = office(county, ledger).take([mine])
    assert (receipt.accepted, receipt.already_known) == (1, 1)
    assert values(county, "2024-03") == {"HFILLER": 1, "H1": 100, "H2": 7}
    assert county.ledger.rows == 3


def test_an_append_that_always_meets_another_is_refused_in_the_end(
    county: fpml.County, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(county, desk.csv(EARLY, name="a.csv"))
    ledger, append, met = county.ledger, Ledger.append, list[int]()

    def meanwhile(self: Ledger, *given: Any) -> bool:
        if self is ledger:
            met.append(1)
            take(county, desk.csv(cost(f"H{len(met)}", "7"), name=f"c{len(met)}.csv"))
        return append(self, *given)

    monkeypatch.setattr(Ledger, "append", meanwhile)
    mine = desk.csv(cost("HM", "7"), name="b.csv")
    with pytest.raises(LedgerChangedError):
        office(county, ledger).take([mine])
    assert len(met) == TRIES


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


def months_of_costs(desk: Any, number: int) -> None:
    for m in range(number):
        year, month = divmod(m, 12)
        day = f"{2020 + year}-{month + 1:02d}-15"
        rows = [cost(f"H{i}", str(100 * m + i), event=day, known=f"{2020 + year}-{month + 1:02d}-28") for i in range(8)]
        desk.take(desk.csv(*rows, name=f"{m}.csv"))


def test_merging_files_bounds_their_number_and_changes_nothing_else(new_desk: Callable[..., Any]) -> None:
    desk = new_desk(shards=2)
    months_of_costs(desk, 9)
    before, ledger = desk.content(), desk.ledger
    held = ledger.files
    assert ledger.compact(most=20) == 0
    assert ledger.compact(most=3) == held - ledger.files
    assert ledger.files == ledger.shards
    assert desk.content() == before
    # What was known already is still known, and what is new is still new.
    receipt = desk.take(desk.csv(cost("H1", "801", event="2020-09-15", known="2020-09-28"), name="again.csv"))
    assert (receipt.already_known, receipt.accepted) == (1, 0)
    assert desk.ledger.compact(most=3) == 0


def test_merging_by_ranges_of_households_gives_the_same_rows_in_the_same_order(
    new_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    for most in (1_000_000, 5):
        monkeypatch.setattr("fpml.ledger.table.MOST_IN_ORDER", most)
        desk = new_desk(shards=2)
        months_of_costs(desk, 6)
        desk.ledger.compact(most=3)
        assert desk.ledger.files == 2
        told = [desk.ledger.shard(n).drop_columns(["delivery"]) for n in range(2)]
        orders.append([list(map(tuple, (r.values() for r in t.to_pylist()))) for t in told])
    assert orders[0] == orders[1]


def test_taking_deliveries_in_keeps_the_number_of_files_bounded(county: fpml.County, desk: Any) -> None:
    for m in range(15):
        known = f"2024-01-{m + 1:02d}"
        take(county, desk.csv(cost("H1", str(m + 1), event="2024-01-01", known=known), name=f"{m}.csv"))
        assert county.ledger.files <= 13
    assert values(county, "2024-01") == {"H1": 15}
    assert county.ledger.rows == 15


def test_a_ledger_is_merged_when_it_has_grown_and_not_every_year(new_desk: Callable[..., Any]) -> None:
    """What was merged stays on the disk: each year's merging would make it grow with the square of the years."""
    desk = new_desk(shards=2)
    merged = []
    for m in range(24):
        year, month = 2020 + m // 12, m % 12 + 1
        day, known = f"{year}-{month:02d}-15", f"{year}-{month:02d}-28"
        rows = [cost(f"H{i}", str(100 * m + i), event=day, known=known) for i in range(8)]
        desk.take(desk.csv(*rows, name=f"{m}.csv"))
        merged += [m] if desk.ledger.compact(most=3) else []
    assert merged == [3, 6, 10, 16]


def test_the_ledger_as_it_lay_on_a_past_day(county: fpml.County, desk: Any) -> None:
    import os
    import re
    import time

    take(county, desk.csv(cost("H1", "100"), name="a.csv"))
    log = county.workspace.ledger / "_delta_log"
    # The log's own clock says when each change was made: the first one is put two days back.
    first = log / f"{0:020d}.json"
    now, days_ago = int(time.time() * 1000), 2 * 86_400_000
    text = first.read_text(encoding="utf-8")
    first.write_text(re.sub(r'"timestamp":\d+', f'"timestamp":{now - days_ago}', text), encoding="utf-8")
    os.utime(first, (time.time() - days_ago / 1000,) * 2)
    take(county, desk.csv(cost("H2", "7", known="2024-05-02"), name="b.csv"))
    yesterday = date.fromtimestamp(time.time() - 86_400)
    past = Ledger(county.workspace.ledger, day=yesterday)
    assert past.everything()["household_id"].to_pylist() == ["H1"]
    assert county.ledger.rows == 2
    with pytest.raises(LedgerError, match="opened as it was then"):
        past.append(past.everything(), "x")
    with pytest.raises(NotYetError, match="nothing had been taken in"):
        Ledger(county.workspace.ledger, day=date(2001, 1, 1))


def test_analysts_read_it_with_duckdb_and_pandas_in_two_lines(county: fpml.County, desk: Any) -> None:
    duckdb = pytest.importorskip("duckdb")
    take(county, desk.csv(cost("H1", "100"), cost("H2", "7"), name="a.csv"))
    take(county, desk.csv(cost("H1", "80", known="2024-04-30"), name="b.csv"))
    county.ledger.compact(most=1)

    records = county.ledger.dataset()
    standing = duckdb.sql(
        "select household_id, value from records where known_date <= date '2024-04-30' "
        "qualify row_number() over (partition by fact order by known_date desc) = 1"
    )
    assert sorted(standing.fetchall()) == [("H1", 8000), ("H2", 700)]
    assert sorted(records.to_table().to_pandas()["value"]) == [700, 8000, 10000]


def test_a_ledger_of_an_earlier_layout_is_told_as_such(tmp_path: Path) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "old"), pa.table({"household_id": ["H1"]}), description="shards=1")
    with pytest.raises(LedgerError, match="earlier"):
        Ledger(tmp_path / "old")


def test_fact_keys_are_the_same_on_every_machine() -> None:
    # Stored in every ledger: if this changes, versions of old records are no longer found.
    import pyarrow as pa

    from fpml.ledger import fact_keys

    rows = pa.table(
        {
            "household_id": ["H1", "H1", "H1", "H1"],
            "person_id": pa.array([None, "P1", None, "P1"], pa.string()),
            "indicator": ["savings"] * 4,
            "record_id": pa.array([None, None, "7", "7"], pa.string()),
            "event_date": pa.array([date(2024, 3, 5)] * 4, pa.date32()),
        }
    )
    keys = fact_keys(rows).tolist()
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3
    assert [k & 1 for k in keys] == [0, 0, 1, 1]
    assert keys == [5536008291955153018, 6375763074600409140, 8349664756705930775, 8349664756705930775]


def people(county: fpml.County, desk: Any) -> Callable[[], list[object]]:
    """Takes in ten households of one, and then a move of each to the next; gives what their sizes are now."""

    def told(i: int, home: int, day: str) -> tuple[str, ...]:
        return (f"H{home}", f"P{i}", "member", day, "2024-03-31", "1", "")

    watched = [members(f"H{i}") for i in range(10)]
    take(county, desk.csv(EARLY, *watched, *(told(i, i, "2020-01-01") for i in range(10)), name="a.csv"))
    take(county, desk.csv(*(told(i, (i + 1) % 10, "2024-02-01") for i in range(5)), name="b.csv"))

    def sizes() -> list[object]:
        table = fpml.open(county.workspace.root).histories("2024-03", names=["member__holding__ever"])
        return sorted(zip(table["household_id"].to_pylist(), table["member__holding__ever"].to_pylist(), strict=True))

    return sizes


def test_what_is_kept_beside_the_ledger_may_be_damaged_or_of_another_state(county: fpml.County, desk: Any) -> None:
    sizes = people(county, desk)
    right = sizes()
    assert ("H0", 0) in right or ("H0", None) in right
    (kept,) = county.workspace.cache.glob("linked-*.arrow")
    assert sizes() == right
    kept.write_bytes(kept.read_bytes()[:200])
    assert sizes() == right
    # A ledger put back from a copy, and gone on from there: what was kept of the other is not used.
    take(county, desk.csv(("H0", "P0", "member", "2024-02-15", "2024-03-31", "1", ""), name="c.csv"))
    assert ("H0", 1) in sizes()
    (now,) = county.workspace.cache.glob("linked-*.arrow")
    assert now != kept
