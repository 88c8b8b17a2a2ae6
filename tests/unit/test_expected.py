"""What came against what was to be expected, on invented receipts."""

from dataclasses import replace

import pytest

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.intake import Receipt
from fpml.intake.expected import expected

FIRST = AsOf.parse("2021-01")
BANK, SAVINGS = "农商银行", "savings"
Found = list[tuple[str, str, str]]


def receipt(n: int, *, rows: int = 100, sender: str = BANK, item: str = SAVINGS, comes: int = 0) -> Receipt:
    """A good delivery of the nth month, all columns filled, so many months late."""
    month, arrives = str(FIRST.shift(n)), FIRST.shift(n + comes)
    file = f"{sender}-{'存款' if item == SAVINGS else item}-{month}_{arrives}-10.csv"
    filled = {item: {"*": rows, "户主身份证号": rows, "存款余额": rows, "备注": rows // 20}}
    return Receipt(
        file, f"{sender}{item}{n}{comes}", rows=rows, accepted=rows, sender=sender, month=month,
        day=f"{arrives}-10", filled=filled, taken_on="2024-06-30",
    )  # fmt: skip


def steady(months: int, **told: object) -> list[Receipt]:
    return [receipt(n, **told) for n in range(months)]  # type: ignore[arg-type]


def clock(months: int) -> list[Receipt]:
    """Another sender that delivers every month, so that the county reaches it."""
    return steady(months, sender="人社局", item="wage")


def found(receipts: list[Receipt], catalogue: Catalogue) -> Found:
    return [(f.kind, f.sender, f.month) for f in expected(receipts, catalogue).findings]


def test_a_county_in_good_order_is_not_accused(catalogue: Catalogue) -> None:
    assert found([*steady(12), *clock(12)], catalogue) == []


def test_nothing_is_said_of_no_deliveries(catalogue: Catalogue) -> None:
    told = expected([], catalogue)
    assert (told.findings, told.latest) == ((), "")


@pytest.mark.parametrize(("rows", "kind"), [(180, "twice_usual"), (179, None), (50, "half_usual"), (51, None)])
def test_volume_at_its_boundaries(catalogue: Catalogue, rows: int, kind: str | None) -> None:
    want = [(kind, BANK, "2021-07")] if kind else []
    assert found([*steady(6), receipt(6, rows=rows)], catalogue) == want


def test_two_months_are_no_habit(catalogue: Catalogue) -> None:
    assert found([*steady(2), receipt(2, rows=900)], catalogue) == []
    assert found([*steady(3), receipt(3, rows=900)], catalogue) == [("twice_usual", BANK, "2021-04")]


def test_a_few_rows_double_by_chance(catalogue: Catalogue) -> None:
    assert found([*steady(6, rows=19), receipt(6, rows=60)], catalogue) == []


def test_what_swings_is_held_against_its_largest_month(catalogue: Catalogue) -> None:
    swings = [receipt(n, rows=r) for n, r in enumerate((300, 25, 40, 200, 22, 60))]
    assert found([*swings, receipt(6, rows=599)], catalogue) == []
    assert found([*swings, receipt(6, rows=600)], catalogue) == [("twice_usual", BANK, "2021-07")]
    assert found([*swings, receipt(6, rows=5)], catalogue) == []


def test_the_whole_after_a_part_is_no_double_month(catalogue: Catalogue) -> None:
    part = receipt(6, rows=95)
    whole = replace(receipt(6, rows=110, comes=1), already_known=95, accepted=15)
    assert found([*steady(6), part, whole, receipt(7)], catalogue) == []


def test_a_month_that_does_not_come_is_missing_once_it_is_due(catalogue: Catalogue) -> None:
    # Usually on the 10th, and a week over: the other's delivery of the same 10th says nothing yet.
    assert found([*steady(5), *clock(6)], catalogue) == []
    assert found([*steady(5), *clock(7)], catalogue) == [("missing", BANK, "2021-06")]
    gap = [r for r in steady(7) if r.month != "2021-06"]
    assert found([*gap, *clock(7)], catalogue) == [("missing", BANK, "2021-06")]


def test_a_sender_s_silence_is_told_once_and_not_for_each_item(catalogue: Catalogue) -> None:
    two = [*steady(8), *steady(8, item="loans", rows=30)]
    assert found([*two, *clock(10)], catalogue) == [("missing", BANK, "2021-09")]
    one = [*steady(8), *steady(10, item="loans", rows=30)]
    findings = expected([*one, *clock(10)], catalogue).findings
    assert [(f.kind, f.item, f.month) for f in findings] == [("missing", SAVINGS, "2021-09")]


def test_rare_things_may_be_silent(catalogue: Catalogue) -> None:
    deaths = steady(8, sender="公安局", item="death", rows=4)
    assert found([*deaths, *clock(12)], catalogue) == []


@pytest.mark.parametrize(("sender", "item", "cadence"), [("财政局", "subsidies", 3), ("教育局", "fees", 12)])
def test_those_who_deliver_seldom_are_missed_by_their_own_cadence(
    catalogue: Catalogue, sender: str, item: str, cadence: int
) -> None:
    rounds = [receipt(n * cadence, sender=sender, item=item) for n in range(3)]
    last = 2 * cadence
    assert found([*rounds, *clock(last + cadence + 1)], catalogue) == []
    due = str(FIRST.shift(last + cadence))
    assert ("missing", sender, due) in found([*rounds, *clock(last + cadence + 2)], catalogue)


def test_late_is_later_than_this_source_is_used_to_be(catalogue: Catalogue) -> None:
    assert found([*steady(4), receipt(4, comes=1), receipt(5)], catalogue) == [("late", BANK, "2021-05")]
    assert found(steady(6, comes=1), catalogue) == []


def test_a_column_suddenly_empty(catalogue: Catalogue) -> None:
    now = receipt(6)
    empty = replace(now, filled={SAVINGS: {"*": 100, "户主身份证号": 100, "存款余额": 4, "备注": 0}})
    findings = expected([*steady(6), empty], catalogue).findings
    assert [(f.kind, f.column) for f in findings] == [("empty_column", "存款余额")]
    gone = replace(now, filled={SAVINGS: {"*": 100, "户主身份证号": 100}})
    assert [f.column for f in expected([*steady(6), gone], catalogue).findings] == ["存款余额"]


def test_last_month_s_file_again(catalogue: Catalogue) -> None:
    again = replace(receipt(6), accepted=4, already_known=96)
    assert found([*steady(6), again], catalogue) == [("repeats", BANK, "2021-07")]
    always = [replace(r, accepted=4, already_known=96) for r in steady(7)]
    assert found(always, catalogue) == []


def test_a_refused_file_is_told_until_it_is_replaced(catalogue: Catalogue) -> None:
    file = f"{BANK}-存款-2021-07_2021-07-12.csv"
    bad = Receipt(file, "bad", refused="cut off. Send it again.", taken_on="2021-07-12")
    told = expected([*steady(6), bad], catalogue)
    assert [(f.kind, f.sender, f.item) for f in told.findings] == [("refused", BANK, SAVINGS)]
    assert told.standing[BANK, "2021-07"] == "refused"
    assert told.of("2024-01") == told.findings
    assert found([*steady(7), bad], catalogue) == []


def test_corrections_are_no_delivery_of_a_month(catalogue: Catalogue) -> None:
    mended = replace(receipt(6, rows=900), file=f"{BANK}-更正-2021-07_2021-07-12.xlsx")
    assert found([*steady(6), mended], catalogue) == []


def test_canonical_records_are_one_source(catalogue: Catalogue) -> None:
    files = [
        Receipt(f"{FIRST.shift(n)}.parquet", str(n), rows=r, accepted=r) for n, r in enumerate((500, 510, 490, 1500))
    ]
    assert found(files, catalogue) == [("twice_usual", "", "2021-04")]


def test_an_item_that_never_came_is_no_finding(catalogue: Catalogue) -> None:
    told = expected(steady(6), catalogue)
    assert [f.item for f in told.never] == ["loans"]
    assert not told.findings
