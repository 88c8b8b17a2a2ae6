import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpml.errors import DeliveryError
from fpml.intake import REASONS

H, P = "HSECRET0001", "PSECRET0001"
HEADER = ("household_id", "person_id", "indicator", "event_date", "known_date", "value", "record_id")
GOOD = (H, "", "medical_self_paid", "2024-03-05", "2024-04-10", "120.50", "")


def row(**changed: str) -> tuple[str, ...]:
    """A good row but for the cells named."""
    return tuple({**dict(zip(HEADER, GOOD, strict=True)), **changed}.values())


def parquet(path: Path, **columns: Any) -> Path:
    """A Parquet delivery of one good row (or as many as given), with the columns named put in their place."""
    whole: dict[str, Any] = {
        "household_id": [H], "indicator": ["medical_self_paid"], "event_date": [date(2024, 3, 5)],
        "known_date": [date(2024, 4, 10)], "value": [120.5],
    } | columns  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(whole), path)
    return path


def refused_whole(desk: Any, path: Path) -> str:
    """The message of a delivery refused whole, by which the ledger stayed as it was."""
    before = desk.content()
    with pytest.raises(DeliveryError) as caught:
        desk.take(path)
    assert desk.content() == before
    assert caught.value.exit_code == 3
    assert "SECRET" not in str(caught.value)
    assert str(caught.value).startswith(f"{path.name}: ")
    return str(caught.value)


# Files refused whole


def test_a_file_that_is_not_there_is_told_by_its_name(desk: Any) -> None:
    assert "no such file" in refused_whole(desk, desk.folder / "nothing.csv")


def test_a_folder_in_the_place_of_a_file_is_refused(desk: Any) -> None:
    (desk.folder / "folder.csv").mkdir()
    assert "cannot be opened" in refused_whole(desk, desk.folder / "folder.csv")


def test_a_workbook_whose_name_does_not_say_whose_it_is_is_refused_and_told_how_it_is_named(desk: Any) -> None:
    (desk.folder / "book.xlsx").write_bytes(b"PK")
    assert "医保局-住院-2021-01_2021-01-25" in refused_whole(desk, desk.folder / "book.xlsx")


def test_a_file_of_no_known_kind_is_refused(desk: Any) -> None:
    (desk.folder / "医保局-住院-2021-01_2021-01-25.pdf").write_bytes(b"%PDF-1.7")
    assert ".csv" in refused_whole(desk, desk.folder / "医保局-住院-2021-01_2021-01-25.pdf")


def test_a_missing_column_is_named(desk: Any) -> None:
    path = desk.csv((H, "members", "2024-03-05", "2024-04-10"), header=[*HEADER[:1], *HEADER[2:5]])
    assert "`value`" in refused_whole(desk, path)


def test_a_renamed_column_is_recognised(desk: Any) -> None:
    header = [c.replace("known_date", "known_dat") for c in HEADER]
    said = refused_whole(desk, desk.csv(GOOD, header=header))
    assert "`known_date`" in said
    assert "`known_dat`" in said


def test_a_column_that_nobody_knows_is_refused_and_the_nearest_offered(desk: Any) -> None:
    said = refused_whole(desk, desk.csv((*GOOD, "1"), header=[*HEADER, "record_idd"]))
    assert "`record_idd`" in said
    assert "Did you mean `record_id`?" in said


@pytest.mark.parametrize("twice", ["value", "person_id"])
def test_a_column_that_stands_twice_is_named(desk: Any, twice: str) -> None:
    assert f"`{twice}` stands twice" in refused_whole(desk, desk.csv((*GOOD, "1"), header=[*HEADER, twice]))


def test_a_parquet_column_that_stands_twice_is_refused(desk: Any) -> None:
    columns = [pa.array([v]) for v in (H, "members", "2024-03-05", "2024-04-10", 3, 4)]
    names = ["household_id", "indicator", "event_date", "known_date", "value", "value"]
    pq.write_table(pa.table(columns, names=names), desk.folder / "twice.parquet")
    refused_whole(desk, desk.folder / "twice.parquet")


def test_an_empty_file_is_refused(desk: Any) -> None:
    (desk.folder / "empty.csv").write_bytes(b"")
    refused_whole(desk, desk.folder / "empty.csv")


def test_a_header_cut_off_before_its_end_is_refused(desk: Any) -> None:
    (desk.folder / "header.csv").write_text(",".join(HEADER), newline="")
    refused_whole(desk, desk.folder / "header.csv")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n\n"])
def test_a_header_without_rows_is_refused(desk: Any, ending: str) -> None:
    (desk.folder / "header.csv").write_text(",".join(HEADER) + ending, newline="")
    assert "no rows" in refused_whole(desk, desk.folder / "header.csv")


def test_a_parquet_file_without_rows_is_refused(desk: Any) -> None:
    text = pa.array([], pa.string())
    path = parquet(
        desk.folder / "none.parquet", household_id=text, indicator=text, event_date=text, known_date=text, value=text
    )
    assert "no rows" in refused_whole(desk, path)


@pytest.mark.parametrize("rows_before", [0, 2000])
def test_a_file_in_another_encoding_is_refused(desk: Any, rows_before: int) -> None:
    path = desk.csv(*[GOOD] * rows_before)
    with path.open("ab") as f:
        f.write(",".join(row(household_id="赣州" + H)).encode("gb18030") + b"\n")
    assert "UTF-8" in refused_whole(desk, path)


@pytest.mark.parametrize("rows_before", [0, 2000])
def test_a_torn_row_in_another_encoding_is_refused_with_the_file(desk: Any, rows_before: int) -> None:
    path = desk.csv(*[GOOD] * rows_before)
    with path.open("ab") as f:
        f.write("赣州,赣州\n".encode("gb18030") + ",".join(GOOD).encode() + b"\n")
    assert "UTF-8" in refused_whole(desk, path)


def test_a_truncated_parquet_file_is_refused(desk: Any) -> None:
    path = parquet(desk.folder / "cut.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    assert "Parquet" in refused_whole(desk, path)


def test_a_csv_file_named_parquet_is_refused(desk: Any) -> None:
    assert "Parquet" in refused_whole(desk, desk.csv(GOOD, name="delivery.parquet"))


def test_a_file_without_a_header_is_refused_and_names_nobody(desk: Any) -> None:
    (desk.folder / "bare.csv").write_text(",".join(GOOD) + "\n")
    refused_whole(desk, desk.folder / "bare.csv")


def test_a_file_without_a_header_whose_person_is_the_household_names_nobody(desk: Any) -> None:
    (desk.folder / "bare.csv").write_text(",".join(row(person_id=H, record_id="7")) + "\n")
    refused_whole(desk, desk.folder / "bare.csv")


def test_a_file_without_a_header_whose_ids_look_like_a_column_names_nobody(desk: Any) -> None:
    path = desk.folder / "bare.csv"
    path.write_text(",".join(row(household_id="household_id_SECRET", person_id=P, record_id="7")) + "\n")
    refused_whole(desk, path)


# Rows refused, each with its reason

BAD_ROWS = {
    "no_household": [row(household_id=""), row(household_id="   "), row(household_id="\u3000")],
    "unknown_indicator": [row(indicator="medical"), row(indicator=""), row(indicator="Medical_self_paid")],
    "person_not_expected": [row(person_id=P)],
    "bad_date": [
        row(event_date="2024-02-30"), row(event_date="2023-02-29"), row(event_date="2024-13-01"),
        row(event_date="2024-3-5"), row(event_date="05/03/2024"), row(event_date=""), row(known_date=""),
        row(known_date="2024-04-31"), row(event_date="0001-01-01"), row(event_date="2024-03-05T00:00:00"),
    ],
    "event_after_known": [row(event_date="2024-04-11")],
    "known_in_future": [row(known_date="2024-07-01")],
    "not_a_number": [
        row(value="abc"), row(value=""), row(value="1,200"), row(value="1e3"), row(value="NaN"), row(value="inf"),
        row(value="12元"), row(value="１２"), row(value="1.2.3"), row(value="--5"), row(value="+-5"), row(value="."),
        row(value="Withdrawn"),
    ],
    "too_many_decimals": [
        row(value="1.234"), row(value="0.001"), row(value="1.23456789"), row(indicator="members", value="2.5"),
    ],
    "out_of_range": [row(value="1000000000000.00"), row(value="999999999999999999"), row(value="-1000000000000")],
    "negative": [row(indicator="out_of_work", value="-1"), row(indicator="village", value="-3")],
    "unknown_code": [row(indicator="formerly_poor", value="2")],
}  # fmt: skip


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_bad_rows_go_to_quarantine_as_they_came_and_the_good_ones_beside_them_are_taken(desk: Any, reason: str) -> None:
    bad = BAD_ROWS[reason]
    receipt = desk.take(desk.csv(row(household_id="HGOOD"), *bad, row(event_date="2024-03-06")))
    assert receipt.quarantined == {reason: len(bad)}
    assert receipt.accepted == 2
    assert [r[0] for r in desk.content()] == ["HGOOD", H]
    apart = desk.set_apart(receipt)
    assert [r["row"] for r in apart] == list(range(2, len(bad) + 2))
    assert {(r["reason"], r["remedy"], r["file"]) for r in apart} == {(reason, REASONS[reason].remedy, "delivery.csv")}
    # Runs of digits that could be an ID number are never kept.
    shown = [tuple(re.sub(r"\d{15,}", "*****", c) for c in row) for row in bad]
    assert [tuple(r[c] or "" for c in HEADER) for r in apart] == shown


def status(value: str, until: str, known: str = "2024-04-10", indicator: str = "formerly_poor") -> tuple[str, ...]:
    return (H, "", indicator, "2024-03-05", known, value, "", until)


WITH_UNTIL = (*HEADER, "until_date")


def test_a_status_is_kept_with_the_last_day_on_which_it_held(desk: Any) -> None:
    desk.take(desk.csv(status("1", ""), name="a.csv", header=WITH_UNTIL))
    receipt = desk.take(desk.csv(status("1", "2024-04-30", known="2024-05-10"), name="b.csv", header=WITH_UNTIL))
    assert (receipt.accepted, receipt.corrected) == (1, 1)
    then, now = (desk.ledger.standing(date(2024, m, 28), "formerly_poor")["until_date"] for m in (4, 5))
    assert then.to_pylist() == [None]
    assert now.to_pylist() == [date(2024, 4, 30)]


def test_the_same_status_with_another_last_day_known_the_same_day_is_a_contradiction(desk: Any) -> None:
    rows = status("1", "2024-04-30"), status("1", "2024-05-31")
    assert desk.take(desk.csv(*rows, header=WITH_UNTIL)).quarantined == {"conflict": 2}


def test_last_days_that_cannot_be_are_refused(desk: Any) -> None:
    rows = (
        status("1", "2024-03-04"), status("1", "2024-02-30"), status("3", "2024-03-31", indicator="members"),
    )  # fmt: skip
    receipt = desk.take(desk.csv(*rows, header=WITH_UNTIL))
    assert receipt.quarantined == {"until_before_event": 1, "bad_date": 1, "until_not_expected": 1}


def test_an_amount_is_kept_to_the_fen(desk: Any) -> None:
    stored = {
        "120.50": 12050, "120.5": 12050, "120": 12000, "+7": 700, "-3.10": -310, "0": 0, "-0": 0, "  12.34  ": 1234,
        "12.340000000000": 1234, "000000000000000012.34": 1234, "999999999999.99": 99999999999999,
        "000000000000000000": 0,
    }  # fmt: skip
    receipt = desk.take(desk.csv(*(row(household_id=f"H{i:02d}", value=v) for i, v in enumerate(stored))))
    assert receipt.quarantined == {}
    assert [r[6] for r in desk.content()] == list(stored.values())


def test_blanks_around_words_do_not_make_another_household_or_record(desk: Any) -> None:
    receipt = desk.take(desk.csv(GOOD, tuple(f"  {c} " for c in GOOD), tuple(f"\t{c}\u3000" for c in GOOD)))
    assert (receipt.accepted, receipt.already_known) == (1, 2)
    assert desk.content()[0][:2] == (H, None)


@pytest.mark.parametrize(
    ("person", "reason"), [("", "no_person"), ("  ", "no_person"), (P, None)], ids=["empty", "blank", "given"]
)
def test_a_fact_told_for_each_person_needs_the_person(desk: Any, person: str, reason: str | None) -> None:
    receipt = desk.take(desk.csv(row(indicator="inpatient_self_paid", person_id=person)))
    assert receipt.quarantined == ({reason: 1} if reason else {})


def test_two_persons_of_a_household_have_a_record_each(desk: Any) -> None:
    told = (row(indicator="inpatient_self_paid", person_id=p, value=v) for p, v in (("P1", "10"), ("P2", "20")))
    receipt = desk.take(desk.csv(*told))
    assert (receipt.accepted, receipt.corrected, receipt.quarantined) == (2, 0, {})


# Torn rows


def test_torn_rows_are_told_by_their_number(desk: Any) -> None:
    path = desk.csv(row(), ("only", "two"), row(event_date="2024-03-06"), (*GOOD, "too", "many"), row(value="x"))
    receipt = desk.take(path)
    assert receipt.quarantined == {"torn_row": 2, "not_a_number": 1}
    assert receipt.accepted == 2
    found = {(r["row"], r["reason"]) for r in desk.set_apart(receipt)}
    assert found == {(2, "torn_row"), (4, "torn_row"), (5, "not_a_number")}


def test_a_file_of_torn_rows_only_is_all_set_apart(desk: Any) -> None:
    receipt = desk.take(desk.csv(("a", "b"), ("c",)))
    assert receipt.quarantined == {"torn_row": 2}
    assert {r["row"] for r in desk.set_apart(receipt)} == {1, 2}
    assert desk.content() == []


def test_a_last_line_cut_off_is_a_torn_row(desk: Any) -> None:
    path = desk.csv(GOOD, row(event_date="2024-03-06"))
    path.write_bytes(path.read_bytes()[:-20])
    receipt = desk.take(path)
    assert (receipt.accepted, receipt.quarantined) == (1, {"torn_row": 1})


def test_torn_rows_far_down_a_long_file_are_told_by_their_number(desk: Any) -> None:
    rows = [row(household_id=f"H{i:07d}") for i in range(30_000)]
    rows[25_000] = ("torn", "row")
    rows[29_998] = row(value="x")
    path = desk.csv(*rows)
    assert path.stat().st_size > 2**20  # more than one block of the reader
    receipt = desk.take(path)
    found = {(r["row"], r["reason"]) for r in desk.set_apart(receipt)}
    assert found == {(25_001, "torn_row"), (29_999, "not_a_number")}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_blank_lines_do_not_spoil_a_delivery_with_a_torn_row(desk: Any, ending: str) -> None:
    good, other = ",".join(GOOD), ",".join(row(event_date="2024-03-06"))
    lines = [",".join(HEADER), "", good, "", "torn,row", other, "", ""]
    (desk.folder / "blank.csv").write_text(ending.join(lines), newline="")
    receipt = desk.take(desk.folder / "blank.csv")
    assert receipt.quarantined == {"torn_row": 1}
    assert receipt.accepted == 2


def test_quoted_cells_and_a_byte_order_mark_are_read(desk: Any) -> None:
    path = desk.csv(GOOD)
    lines = path.read_text().splitlines()
    quoted = [",".join(f'"{c}"' for c in line.split(",")) for line in lines]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(quoted).encode())
    assert desk.take(path).accepted == 1


# Repeats, corrections, contradictions


def test_the_same_delivery_twice_changes_nothing(desk: Any) -> None:
    path = desk.csv(GOOD, row(value="x"), row(event_date="2024-03-06"))
    first, before, version = desk.take(path), desk.content(), desk.ledger.version
    again = desk.take(path)
    assert (again.rows, again.accepted, again.already_known, again.quarantined) == (3, 0, 2, {"not_a_number": 1})
    assert (desk.content(), desk.ledger.version) == (before, version)
    assert len(desk.set_apart(first)) == 1


def test_the_same_rows_in_another_file_are_already_known(desk: Any) -> None:
    rows = [GOOD, row(event_date="2024-03-06"), row(value="withdrawn", known_date="2024-05-01")]
    desk.take(desk.csv(*rows, name="a.csv"))
    before = desk.content()
    again = desk.take(desk.csv(*reversed(rows), name="b.csv"))
    assert (again.accepted, again.corrected, again.already_known, again.quarantined) == (0, 0, 3, {})
    assert desk.content() == before


def test_the_same_rows_as_parquet_are_already_known(desk: Any) -> None:
    desk.take(desk.csv(GOOD))
    assert desk.take(parquet(desk.folder / "same.parquet")).already_known == 1


def test_a_row_twice_in_one_delivery_counts_once(desk: Any) -> None:
    receipt = desk.take(desk.csv(GOOD, GOOD, row(value="120.5")))
    assert (receipt.accepted, receipt.already_known, receipt.quarantined) == (1, 2, {})


def test_a_correction_is_taken_and_counted(desk: Any) -> None:
    first = desk.take(desk.csv(GOOD, name="a.csv"))
    second = desk.take(desk.csv(row(value="95", known_date="2024-05-10"), row(household_id="HNEW"), name="b.csv"))
    assert (first.corrected, second.accepted, second.corrected) == (0, 2, 1)
    assert len(desk.content()) == 3  # nothing is overwritten


def test_a_correction_within_one_delivery_is_counted(desk: Any) -> None:
    receipt = desk.take(desk.csv(row(value="95", known_date="2024-05-10"), GOOD))
    assert (receipt.accepted, receipt.corrected) == (2, 1)


def test_an_older_version_that_comes_late_is_no_correction(desk: Any) -> None:
    desk.take(desk.csv(row(value="95", known_date="2024-05-10"), name="a.csv"))
    late = desk.take(desk.csv(GOOD, name="b.csv"))
    assert (late.accepted, late.corrected) == (1, 0)


def test_contradictions_within_a_delivery_are_all_refused(desk: Any) -> None:
    receipt = desk.take(desk.csv(GOOD, row(value="99"), GOOD, row(event_date="2024-03-06")))
    assert receipt.quarantined == {"conflict": 3}
    assert [r[0] for r in desk.content()] == [H]
    assert {r["row"] for r in desk.set_apart(receipt)} == {1, 2, 3}


def test_a_row_that_contradicts_the_ledger_is_refused_and_the_ledger_stays(desk: Any) -> None:
    desk.take(desk.csv(GOOD, name="a.csv"))
    before = desk.content()
    receipt = desk.take(desk.csv(row(value="99"), GOOD, row(value="withdrawn"), name="b.csv"))
    assert receipt.quarantined == {"conflict": 2}
    assert receipt.already_known == 1
    assert desk.content() == before


def test_what_follows_a_contradiction_that_was_refused_is_no_correction(desk: Any) -> None:
    receipt = desk.take(desk.csv(GOOD, row(value="99"), row(value="100", known_date="2024-05-10")))
    assert (receipt.accepted, receipt.quarantined) == (1, {"conflict": 2})
    assert receipt.corrected == 0  # nothing that was ever accepted has been corrected


def test_a_withdrawn_record_stands_no_longer(desk: Any) -> None:
    desk.take(desk.csv(GOOD, name="a.csv"))
    receipt = desk.take(desk.csv(row(value="withdrawn", known_date="2024-05-10"), name="b.csv"))
    assert (receipt.accepted, receipt.corrected) == (1, 1)
    assert desk.ledger.standing(date(2024, 5, 9), "medical_self_paid").num_rows == 1
    assert desk.ledger.standing(date(2024, 5, 10), "medical_self_paid").num_rows == 0


def test_a_status_with_codes_can_be_withdrawn(desk: Any) -> None:
    assert desk.take(desk.csv(row(indicator="formerly_poor", value="withdrawn"))).quarantined == {}


def test_records_numbered_by_their_source_are_told_apart_on_the_same_day(desk: Any) -> None:
    receipt = desk.take(desk.csv(row(record_id="r1"), row(record_id="r2", value="99"), row(value="7")))
    assert (receipt.accepted, receipt.corrected) == (3, 0)
    again = desk.take(desk.csv(row(record_id="r1", event_date="2024-03-01", known_date="2024-05-01"), name="b.csv"))
    assert (again.accepted, again.corrected) == (1, 1)


def test_a_delivery_of_bad_rows_only_leaves_the_ledger_as_it_was(desk: Any) -> None:
    desk.take(desk.csv(GOOD, name="a.csv"))
    before = desk.content()
    receipt = desk.take(desk.csv(row(value="x"), row(indicator="y"), name="b.csv"))
    assert receipt.quarantined == {"unknown_indicator": 1, "not_a_number": 1}
    assert desk.content() == before


def test_a_first_delivery_of_bad_rows_only_can_be_followed_by_a_good_one(desk: Any) -> None:
    bad = desk.csv(row(value="x"), name="a.csv")
    desk.take(bad)
    assert desk.take(desk.csv(GOOD, name="b.csv")).accepted == 1
    assert sum(desk.take(bad).quarantined.values()) + desk.take(bad).already_known >= 1
    assert len(desk.content()) == 1


def test_a_future_date_is_taken_when_its_day_has_come(desk: Any) -> None:
    assert desk.take(desk.csv(row(known_date="2024-06-30"), name="a.csv")).accepted == 1
    later = desk.csv(row(known_date="2024-07-01", value="7"), name="b.csv")
    assert desk.take(later, today=date(2024, 7, 1)).accepted == 1


# Parquet


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0.1 + 0.2, 30), (1.1 + 2.2, 330), (4.35 * 100, 43500), (999999999999.99, 99999999999999), (-0.07, -7), (0.0, 0)],
)
def test_a_float_that_is_an_amount_but_for_its_last_bits_is_taken(desk: Any, value: float, stored: int) -> None:
    assert desk.take(parquet(desk.folder / "f.parquet", value=[value])).quarantined == {}
    assert desk.content()[0][6] == stored


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.305, "too_many_decimals"), (1e-5, "too_many_decimals"), (float("nan"), "not_a_number"),
        (float("inf"), "not_a_number"), (1e12, "out_of_range"), (1e300, "out_of_range"), (-1e12, "out_of_range"),
    ],
)  # fmt: skip
def test_a_float_that_is_no_amount_is_refused(desk: Any, value: float, reason: str) -> None:
    assert desk.take(parquet(desk.folder / "f.parquet", value=[value])).quarantined == {reason: 1}
    assert desk.content() == []


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 10**12])
def test_an_integer_too_large_to_be_true_is_refused(desk: Any, value: int) -> None:
    path = parquet(desk.folder / "i.parquet", value=pa.array([value], pa.int64()))
    assert desk.take(path).quarantined == {"out_of_range": 1}


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()],
    ids=str,
)
def test_a_whole_number_is_taken_whatever_the_width_of_its_column(desk: Any, kind: pa.DataType) -> None:
    assert desk.take(parquet(desk.folder / "n.parquet", value=pa.array([120], kind))).quarantined == {}
    assert desk.content()[0][6] == 12000


def test_a_parquet_decimal_and_text_are_taken_like_csv(desk: Any) -> None:
    decimal = parquet(desk.folder / "d.parquet", value=pa.array([Decimal("120.50")], pa.decimal128(12, 2)))
    assert desk.take(decimal).accepted == 1
    assert desk.take(parquet(desk.folder / "t.parquet", value=["120.5"])).already_known == 1


def test_rows_refused_before_are_taken_in_when_their_file_comes_again(desk: Any) -> None:
    path = desk.csv(
        GOOD, row(event_date="2024-03-06", known_date="2024-07-01"), row(value="x", event_date="2024-03-07")
    )
    assert desk.take(path).quarantined == {"known_in_future": 1, "not_a_number": 1}
    later = desk.take(path, today=date(2024, 7, 2))
    assert (later.accepted, later.already_known, later.quarantined) == (1, 1, {"not_a_number": 1})
    before, version = desk.content(), desk.ledger.version
    assert (desk.take(path, today=date(2024, 7, 2)).accepted, desk.content(), desk.ledger.version) == (
        0,
        before,
        version,
    )


def test_an_event_of_nothing_is_no_event(desk: Any) -> None:
    path = desk.csv((H, "", "out_of_work", "2024-03-05", "2024-04-10", "0"), header=HEADER[:6])
    assert desk.take(path).quarantined == {"no_event": 1}
    assert desk.content() == []


def test_an_empty_cell_among_numbers_does_not_withdraw_the_record(desk: Any) -> None:
    desk.take(parquet(desk.folder / "a.parquet"))
    later = parquet(desk.folder / "b.parquet", value=pa.array([None], pa.float64()), known_date=[date(2024, 5, 1)])
    assert desk.take(later).quarantined == {"not_a_number": 1}
    assert desk.ledger.standing(date(2024, 5, 31), "medical_self_paid").num_rows == 1


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"event_date": pa.array([datetime(2024, 3, 5, 23, 59)], pa.timestamp("us"))}, id="timestamp"),
        pytest.param({"event_date": ["2024-03-05"], "known_date": ["2024-04-10"]}, id="dates-as-text"),
        pytest.param({"household_id": pa.array([7], pa.int64())}, id="number-as-household"),
        pytest.param({"person_id": pa.nulls(1)}, id="no-person-column-of-null-type"),
        pytest.param({"household_id": pa.array([H]).dictionary_encode()}, id="dictionary"),
        pytest.param({"household_id": pa.array([H], pa.large_string())}, id="large-text"),
    ],
)  # fmt: skip
def test_a_parquet_column_of_another_type_that_says_the_same_is_taken(desk: Any, columns: dict[str, Any]) -> None:
    assert desk.take(parquet(desk.folder / "p.parquet", **columns)).accepted == 1
    assert desk.content()[0][4] == date(2024, 3, 5)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        pytest.param({"event_date": pa.array([None], pa.date32())}, "bad_date", id="no-date"),
        pytest.param({"known_date": pa.nulls(1)}, "bad_date", id="date-column-of-null-type"),
        pytest.param({"event_date": [date(1, 1, 1)]}, "bad_date", id="date-of-year-1"),
        pytest.param({"indicator": [5]}, "unknown_indicator", id="number-as-indicator"),
        pytest.param({"household_id": pa.nulls(1)}, "no_household", id="household-column-of-null-type"),
    ],
)
def test_a_parquet_row_of_the_wrong_type_is_refused_with_a_reason(
    desk: Any, columns: dict[str, Any], reason: str
) -> None:
    assert desk.take(parquet(desk.folder / "p.parquet", **columns)).quarantined == {reason: 1}
    assert desk.content() == []


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"household_id": [[H]]}, id="list-as-household"),
        pytest.param({"event_date": [20240305]}, id="date-as-number"),
        pytest.param({"value": [True]}, id="truth-value-as-amount"),
        pytest.param({"household_id": [{"id": H}]}, id="structure-as-household"),
        pytest.param({"household_id": pa.array([b"\xff\xfe" + H.encode()])}, id="bytes-that-are-no-text"),
        pytest.param({"value": [[1.0]]}, id="list-as-value"),
        pytest.param({"event_date": pa.array([time(12)], pa.time32("s"))}, id="time-as-date"),
        pytest.param({"event_date": pa.array([5], pa.duration("s"))}, id="duration-as-date"),
    ],
)
def test_a_parquet_column_of_a_type_that_cannot_serve_is_refused_with_words(desk: Any, columns: dict[str, Any]) -> None:
    path = parquet(desk.folder / "p.parquet", **columns)
    try:
        refused = sum(desk.take(path).quarantined.values())
    except DeliveryError as e:
        refused = int(H not in str(e))
    assert refused == 1
    assert desk.content() == []


# Any mixture

CELLS = st.one_of(
    st.sampled_from(["", " ", "x", "-1", "12.345", "=1+1", "2024-02-30", "withdrawn", '"', ",", "\n", "\x00", "é赣"]),
    st.text(max_size=6),
)
ROW = st.tuples(
    st.sampled_from(["H1", "H2", " H1 "]) | CELLS,
    st.sampled_from(["", "", "", "P1"]) | CELLS,
    st.sampled_from(["medical_self_paid", "members", "formerly_poor", "out_of_work"]) | CELLS,
    st.sampled_from(["2024-01-05", "2024-01-06", "2023-12-31", "2024-02-30"]) | CELLS,
    st.sampled_from(["2024-02-01", "2024-03-01", "2030-01-01"]) | CELLS,
    st.sampled_from(["0", "1", "2", "12.50", "1.234", "-3", "withdrawn", "1000000000000", "00000000001.5"]) | CELLS,
    st.sampled_from(["", "", "r1", "r2"]) | CELLS,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(rows=st.lists(ROW, min_size=1, max_size=12), more=st.lists(ROW, min_size=1, max_size=4))
def test_any_mixture_of_cells_is_taken_or_set_apart_and_never_lost(
    new_desk: Callable[..., Any], rows: list[tuple[str, ...]], more: list[tuple[str, ...]]
) -> None:
    desk = new_desk(shards=2)
    path = desk.csv(*rows, name="a.csv")
    first = desk.take(path)  # `take` asserts that the counts add up
    after = desk.content()
    assert len(after) == first.accepted
    assert len(desk.set_apart(first)) == sum(first.quarantined.values())
    assert desk.take(path).accepted == 0
    assert desk.content() == after
    once_more = desk.take(desk.csv(*rows, *more, name="b.csv"))
    assert once_more.accepted <= len(more)
    assert set(map(repr, after)) <= set(map(repr, desk.content()))


def test_no_remedy_holds_a_place_for_somebody_s_data() -> None:
    assert not [r for r in REASONS.values() if re.search(r"[{}%]", r.remedy + r.remedy_zh + r.zh)]


def test_a_numbered_record_stays_with_whom_it_was_told_of_first_whatever_is_known_earlier(desk: Any) -> None:
    bill = {"record_id": "r1", "event_date": "2024-03-05"}
    desk.take(desk.csv(row(household_id="A", known_date="2024-05-10", **bill), name="a.csv"))
    early = desk.take(desk.csv(row(household_id="B", known_date="2024-03-10", **bill), name="b.csv"))
    assert early.quarantined == {"other_household": 1}
    late = desk.take(desk.csv(row(household_id="A", known_date="2024-06-10", value="9", **bill), name="c.csv"))
    assert (late.accepted, late.corrected) == (1, 1)


def test_a_record_of_somebody_else_does_not_spoil_the_sound_one_beside_it(desk: Any) -> None:
    rows = row(household_id="A", record_id="r1", value="1"), row(household_id="B", record_id="r1", value="2")
    receipt = desk.take(desk.csv(*rows))
    assert (receipt.accepted, receipt.quarantined) == (1, {"other_household": 1})


def test_two_households_for_one_person_from_one_day_contradict_each_other(desk: Any) -> None:
    told = [row(household_id=h, person_id="p", indicator="member", value="1") for h in ("A", "B")]
    assert desk.take(desk.csv(*told)).quarantined == {"conflict": 2}
    desk.take(desk.csv(told[0], name="a.csv"))
    assert desk.take(desk.csv(told[1], name="b.csv")).quarantined == {"conflict": 1}


def test_a_status_said_to_last_for_ever_goes_on(desk: Any) -> None:
    receipt = desk.take(desk.csv(status("1", "9999-12-31"), header=WITH_UNTIL))
    assert (receipt.accepted, receipt.quarantined) == (1, {})
    assert desk.ledger.everything()["until_date"].to_pylist() == [None]
