"""Departments' files, one at a time: what is read, what is refused and why, what waits, and what comes back."""

import csv
import io
import random
from collections.abc import Callable
from datetime import date
from functools import partialmethod
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_support import checked

from fpml import keys
from fpml.catalogue import Catalogue, Department
from fpml.errors import InputError, UsageError
from fpml.intake import REASONS, Receipt
from fpml.intake.csvs import CsvTable
from fpml.intake.places import Place
from fpml.lists import write_corrections

A, B, CHILD = checked("36012119800101123"), checked("36012119820202124"), checked("36012120100303125")
STRANGER = checked("36012119900404126")
MEMBERS = ("户编号", "身份证号", "姓名", "单据编号", "与户主关系", "加入日期", "离开日期", "出生日期", "劳动能力",
           "劳动能力认定日期",           "劳动能力截止日期", "备注")  # fmt: skip
STAYS = ("身份证号", "参保人姓名", "结算编号", "出院结算日期", "住院自付（元）", "备注")
COSTS = ("户主身份证号", "户主姓名", "结算编号", "结算日期", "自付金额（元）", "联系电话", "备注")
GOOD = (A, "王小明", "", "2021-02-03", "120.50", "")


def stay(**changed: str) -> tuple[str, ...]:
    names = ("number", "name", "record", "day", "value", "remark")
    return tuple({**dict(zip(names, GOOD, strict=True)), **changed}.values())


def member(number: str, home: str = "HX1", **changed: str) -> tuple[str, ...]:
    cells = dict.fromkeys(MEMBERS, "") | {
        "户编号": home, "身份证号": number, "姓名": "王小明", "与户主关系": "户主", "加入日期": "2019-01-01",
        "出生日期": "1980-01-01",
    }  # fmt: skip
    return tuple((cells | changed).values())


class Clerk:
    """A desk to which departments bring files."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    def file(self, name: str, header: tuple[str, ...], *rows: tuple[str, ...], encoding: str = "utf-8") -> Path:
        path: Path = self.desk.folder / "deliveries" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        path.write_bytes(text.getvalue().encode(encoding))
        return path

    def register(self, *rows: tuple[str, ...], day: str = "2021-01-13") -> Receipt:
        path = self.file(f"乡村振兴局-成员信息-{day[:7]}_{day}.csv", MEMBERS, *rows)
        receipt: Receipt = self.desk.take(path)
        return receipt

    def stays(self, *rows: tuple[str, ...], day: str = "2021-02-25", header: tuple[str, ...] = STAYS) -> Receipt:
        receipt: Receipt = self.desk.take(self.file(f"医保局-住院自付费用-{day[:7]}_{day}.csv", header, *rows))
        return receipt

    def told(self, indicator: str = "inpatient_self_paid") -> list[tuple[Any, ...]]:
        """Household, event date and value of each fact of an indicator."""
        return [(r[0], r[4], r[6]) for r in self.desk.content() if r[2] == indicator]

    def refused(self, receipt: Receipt) -> dict[int, str]:
        return {int(r["row"]): str(r["reason"]) for r in self.desk.set_apart(receipt)}


@pytest.fixture
def clerk(desk: Any) -> Clerk:
    made = Clerk(desk)
    made.register(member(A), member(B, "HX2"))
    return made


# What is read


def test_a_bill_goes_to_the_household_of_its_person_and_no_number_is_kept(clerk: Clerk) -> None:
    receipt = clerk.stays(GOOD)
    assert (receipt.rows, receipt.accepted, receipt.quarantined) == (1, 1, {})
    assert clerk.told() == [("HX1", date(2021, 2, 3), 12050)]
    (fact,) = [r for r in clerk.desk.content() if r[2] == "inpatient_self_paid"]
    assert str(fact[1]).startswith("P")
    assert len(str(fact[1])) == 21
    assert A not in repr(clerk.desk.content())


def test_the_day_in_the_name_is_when_it_became_known(clerk: Clerk) -> None:
    clerk.stays(GOOD, day="2021-03-02")
    assert clerk.desk.ledger.standing(date(2021, 3, 1), "inpatient_self_paid").num_rows == 0
    assert clerk.desk.ledger.standing(date(2021, 3, 2), "inpatient_self_paid").num_rows == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_same_file_in_any_encoding_tells_the_same(clerk: Clerk, encoding: str) -> None:
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, GOOD, encoding=encoding)
    assert clerk.desk.take(path).accepted == 1
    assert clerk.told() == [("HX1", date(2021, 2, 3), 12050)]


def test_titles_other_headers_units_and_forms_are_read_and_reported(clerk: Clerk) -> None:
    title = ("医保局住院自付费用情况表", "", "", "", "", "")
    header = ("公民身份号码", "姓名", "结算单号", "结算日期", "自付金额(万元)", "备注")
    receipt = clerk.stays(
        title, ("统计月份：2021-02", "", "", "", "", ""), header, (A.lower(), "王", "", "2021年2月3日", "0.01205", ""),
        header=("", "", "", "", "", ""),
    )  # fmt: skip
    assert (receipt.accepted, receipt.quarantined) == (1, {})
    assert clerk.told() == [("HX1", date(2021, 2, 3), 12050)]
    assert any("公民身份号码" in n for n in receipt.notes)


def test_delimiters_that_a_spreadsheet_left_out_behind_the_last_full_cell_are_not_missed(clerk: Clerk) -> None:
    receipt = clerk.stays(stay()[:5], stay(day="2021-02-04")[:4])
    assert (receipt.accepted, receipt.quarantined) == (1, {"torn_row": 1})


def test_a_workbook_of_several_sheets_is_read_by_its_sheets(clerk: Clerk) -> None:
    path = clerk.desk.folder / "医保局-2021-02_2021-02-25.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        for name, header, row in (
            ("住院自付费用", STAYS, (A, "王小明", "", "2021-02-03", 120.5, "")),
            ("自付医疗费", COSTS, (B, "李", "", "2021-02-04", 99, "", "")),
        ):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, header)
            sheet.write_row(1, 0, row)
        book.add_worksheet("空表")
    receipt = clerk.desk.take(path)
    assert (receipt.accepted, receipt.quarantined) == (2, {})
    assert clerk.told("medical_self_paid") == [("HX2", date(2021, 2, 4), 9900)]


def test_a_departments_parquet_is_read(clerk: Clerk) -> None:
    path = clerk.desk.folder / "医保局-住院自付费用-2021-02_2021-02-25.parquet"
    columns = {h: [c] for h, c in zip(STAYS, GOOD, strict=True)} | {"住院自付（元）": [120.5]}
    pq.write_table(pa.table(columns), path)
    assert clerk.desk.take(path).accepted == 1
    assert clerk.told() == [("HX1", date(2021, 2, 3), 12050)]


def test_a_long_layout_names_the_indicator_in_each_row(new_desk: Callable[..., Any], catalogue: Catalogue) -> None:
    items = {
        "figures": {
            "name": {"zh": "指标"}, "grain": "person",
            "columns": [
                {"header": "指标", "role": "indicator",
                 "names": {"inpatient_self_paid": ["住院自付"], "outpatient_self_paid": ["门诊自付"]}},
                {"header": "日期", "role": "date"}, {"header": "数值", "role": "value", "units": {"元": 1}},
            ],
        }
    }  # fmt: skip
    old = catalogue.departments["medical_insurance"]
    kept = {k: v for k, v in old.items.items() if k not in ("inpatient", "outpatient")}
    made = Department.model_validate(old.model_dump() | {"items": {k: v.model_dump() for k, v in kept.items()} | items})
    policy = Catalogue(**{**vars(catalogue), "departments": {**catalogue.departments, "medical_insurance": made}})
    clerk = Clerk(new_desk(policy=policy))
    clerk.register(member(A))
    header = ("身份证号", "参保人姓名", "结算编号", "指标", "日期", "数值")
    path = clerk.file(
        "医保局-指标-2021-02_2021-02-25.csv", header, (A, "王", "", "住院自付", "2021-02-03", "5"),
        (A, "王", "", "门诊自付", "2021-02-03", "7"), (A, "王", "", "购药", "2021-02-03", "7"),
    )  # fmt: skip
    receipt = clerk.desk.take(path)
    assert (receipt.accepted, receipt.quarantined) == (2, {"unknown_indicator": 1})
    assert clerk.told("outpatient_self_paid") == [("HX1", date(2021, 2, 3), 700)]


def test_each_bank_numbers_its_own_records(clerk: Clerk) -> None:
    header = ("户主身份证号", "户主姓名", "账户流水号", "数据日期", "存款余额（元）", "备注")
    for n, bank in enumerate(("农商银行", "工商银行")):
        row = (A, "王", "7", "2021-02-20", str(100 + n), "")
        assert clerk.desk.take(clerk.file(f"{bank}-存款-2021-02_2021-02-24.csv", header, row)).quarantined == {}
    assert [v for _, _, v in clerk.told("savings")] == [10000, 10100]


def test_of_a_month_without_a_day_the_last_that_had_come_is_taken(clerk: Clerk) -> None:
    assert clerk.stays(stay(day="2021年1月"), stay(day="2021年2月", value="3"), day="2021-02-20").accepted == 2
    assert [d for _, d, _ in clerk.told()] == [date(2021, 1, 31), date(2021, 2, 20)]


def test_a_person_is_in_the_household_of_the_event_date(clerk: Clerk) -> None:
    clerk.register(
        member(CHILD, "HX1", 离开日期="2021-01-31"), member(CHILD, "HX2", 加入日期="2021-02-01"), day="2021-02-13"
    )
    clerk.stays(stay(number=CHILD, day="2021-01-15"), stay(number=CHILD, day="2021-02-15"))
    assert [(h, d.month) for h, d, _ in clerk.told()] == [("HX1", 1), ("HX2", 2)]


def test_a_household_known_by_its_head_is_the_one_headed_on_the_day_of_delivery(clerk: Clerk) -> None:
    moved = member(CHILD, "HX1", 离开日期="2021-02-10"), member(CHILD, "HX2", 加入日期="2021-02-11")
    clerk.register(*moved, day="2021-02-13")
    row = (CHILD, "李", "", "2021-02-05", "9", "", "")
    assert clerk.desk.take(clerk.file("医保局-自付医疗费-2021-02_2021-02-25.csv", COSTS, row)).accepted == 1
    assert clerk.told("medical_self_paid") == [("HX2", date(2021, 2, 5), 900)]


# What is refused, row by row

BAD = {
    "rounded_id_number": [stay(number="3.60121E+17"), stay(number=f"{A[:15]}000" if A[15:] != "000" else "x")],
    "wrong_check_digit": [stay(number=A[:-1] + ("1" if A[-1] != "1" else "2"))],
    "wrong_length": [stay(number=A[:-1]), stay(number=A + "1")],
    "bad_birth_date": [stay(number=checked("36012119801301123"))],
    "not_an_id_number": [stay(number="无"), stay(number=A[:-1] + "Х"), stay(number="=1+1"), stay(number="<script>")],
    "no_person": [stay(number="")],
    "unknown_person": [stay(number=STRANGER)],
    "bad_key": [stay(record="a b"), stay(record="x" * 65), stay(record="a;b")],
    "id_number_as_key": [stay(record=B)],
    "bad_date": [stay(day="0000-00-00"), stay(day="2021-02-30"), stay(day="3/5/2021"), stay(day="昨天"), stay(day="1")],
    "no_date": [stay(day="")],
    "event_after_known": [stay(day="2021-02-26")],
    "not_a_number": [stay(value="abc"), stay(value="1,23"), stay(value="=1+1"), stay(value="１２个"), stay(value="-")],
    "too_many_decimals": [stay(value="1.234")],
    "out_of_range": [stay(value="1" + "0" * 12), stay(value="9" * 400)],
    "formula_error": [stay(value="#REF!"), stay(value="#N/A")],
    "nothing_told": [stay(value="")],
    "torn_row": [stay()[:4], (*stay(), "x", "y")],
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_is_set_apart_with_its_reason_and_the_good_ones_are_taken(clerk: Clerk, reason: str) -> None:
    bad = BAD[reason]
    receipt = clerk.stays(stay(day="2021-02-01"), *bad, stay(day="2021-02-02"))
    assert (receipt.accepted, receipt.quarantined) == (2, {reason: len(bad)})
    assert clerk.refused(receipt) == dict.fromkeys(range(3, 3 + len(bad)), reason)
    kept = repr(clerk.desk.shelf.refused(receipt.delivery).to_pylist())
    assert not [c for c in (A, B, STRANGER, "王小明", "<script>") if c in kept]


def test_every_reason_is_met_here_or_with_canonical_records() -> None:
    canonical = {
        "no_household", "person_not_expected", "until_not_expected", "known_in_future", "negative", "unknown_code",
        "other_household", "conflict", "no_event", "until_before_event", "unknown_indicator",
    }  # fmt: skip
    elsewhere = {"unknown_household", "unknown_word", "unknown_token"}
    assert set(BAD) | canonical | elsewhere == set(REASONS)


def test_codes_of_reasons_are_never_given_twice() -> None:
    assert len({r.code for r in REASONS.values()}) == len(REASONS)


def test_the_manual_names_every_reason(repository: Path) -> None:
    manual = (repository / "docs" / "intake.md").read_text(encoding="utf-8")
    for name, reason in REASONS.items():
        assert f"| {reason.code} | {reason.zh} (`{name}`) | {reason.remedy_zh} |" in manual


def test_words_are_read_by_the_policys_table_and_no_other(clerk: Clerk) -> None:
    receipt = clerk.register(member(CHILD, 与户主关系="子女"), member(STRANGER, 与户主关系="表哥"), day="2021-02-13")
    assert receipt.quarantined == {"unknown_word": 1}
    assert "表哥" not in repr(clerk.desk.set_apart(receipt))


def test_one_spoilt_cell_does_not_spoil_what_else_the_row_tells(clerk: Clerk) -> None:
    receipt = clerk.register(member(CHILD, 出生日期="2010-02-30"), day="2021-02-13")
    assert receipt.quarantined == {"bad_date": 1}
    assert receipt.new_facts == 1
    assert clerk.stays(stay(number=CHILD)).accepted == 1


# What waits


def test_a_row_of_a_stranger_waits_and_is_taken_in_when_the_register_knows_them(clerk: Clerk) -> None:
    waiting = clerk.stays(stay(number=STRANGER), GOOD)
    assert waiting.quarantined == {"unknown_person": 1}
    clerk.register(member(STRANGER, "HX9"), day="2021-03-13")
    assert ("HX9", date(2021, 2, 3), 12050) in clerk.told()
    after = clerk.desk.shelf.receipt(waiting.delivery)
    assert (after.rows, after.accepted, after.quarantined, after.later) == (2, 2, {}, 1)
    assert clerk.desk.shelf.refused(waiting.delivery).num_rows == 0
    # Known on the day on which it was told, not when the register caught up.
    assert clerk.desk.ledger.standing(date(2021, 2, 25), "inpatient_self_paid").num_rows == 2


def test_a_household_that_nobody_knows_waits_too(clerk: Clerk) -> None:
    header = ("户编号", "户主身份证号", "户主姓名", "申报编号", "收入日期", "经营性收入（元）", "备注")
    path = clerk.file(
        "农业农村局-经营性收入-2021-02_2021-02-11.csv", header, ("HX7", "", "", "", "2021-01-20", "5", "")
    )
    assert clerk.desk.take(path).quarantined == {"unknown_household": 1}
    clerk.register(member(CHILD, "HX7"), day="2021-03-13")
    assert clerk.told("income_farm") == [("HX7", date(2021, 1, 20), 500)]


def test_a_waiting_row_that_contradicts_what_is_known_by_then_says_so(clerk: Clerk) -> None:
    first = clerk.stays(stay(number=STRANGER, record="r1"))
    clerk.register(member(STRANGER, "HX9"), day="2021-02-14")
    assert clerk.stays(stay(number=STRANGER, record="r1", value="7")).quarantined == {"conflict": 1}
    after = clerk.desk.shelf.receipt(first.delivery)
    assert (after.accepted, after.quarantined) == (1, {})


# Files refused whole


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("医保局-住院自付费用-2021-13_2021-12-25.csv", "2021-13"),
        ("医保局-住院自付费用-2021-05_2021-02-25.csv", "another month"),
        ("医保局-住院自付费用-2021-02_2027-02-25.csv", "has not come"),
        ("医保句-住院自付费用-2021-02_2021-02-25.csv", "医保局"),
        ("医保局-住院费用自付-2021-02_2021-02-25.csv", "住院自付费用"),
        ("2021-01/医保局-住院自付费用-2021-02_2021-02-25.csv", "another month"),
        ("民政局-低保金和特困供养金-2021-02_2021-02-25.csv", "医保局 住院自付费用"),
        ("医保局-购药自付费用-2021-02_2021-02-25.csv", "住院自付费用"),
    ],
)
def test_a_file_whose_name_cannot_be_right_is_refused_whole(clerk: Clerk, name: str, said: str) -> None:
    receipt = refused(clerk, clerk.file(name, STAYS, GOOD))
    assert said in receipt.refused
    assert "王小明" not in receipt.refused


def refused(clerk: Clerk, path: Path) -> Receipt:
    """The receipt of a file refused whole, by which the ledger stayed as it was."""
    before = clerk.desk.content()
    (receipt,) = clerk.desk.office().take([path])
    assert receipt.refused
    assert (receipt.rows, clerk.desk.content()) == (0, before)
    return receipt


def test_a_column_under_an_unknown_header_is_refused_and_the_nearest_offered(clerk: Clerk) -> None:
    header = ("身份证号", "参保人姓名", "结算编号", "出院结算日期", "住院自负（元）", "备注")
    receipt = refused(clerk, clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", header, GOOD))
    assert "`住院自付`" in receipt.refused
    assert "`住院自负（元）`" in receipt.refused


def test_a_column_twice_is_refused(clerk: Clerk) -> None:
    header = (*STAYS, "住院个人自付（元）")
    receipt = refused(clerk, clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", header, (*GOOD, "1")))
    assert "twice" in receipt.refused


def test_a_title_of_another_month_is_refused(clerk: Clerk) -> None:
    rows = (("统计月份：2021年1月", *[""] * 5), STAYS, GOOD)
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", ("情况表", *[""] * 5), *rows)
    assert "its title says 2021-01" in refused(clerk, path).refused


@pytest.mark.parametrize("title", ["制表日期：2021-03-02", "统计期间：2021年1月-2月", "2021年度", "打印 2021/1/5"])
def test_a_title_that_tells_a_day_or_a_span_is_no_other_month(clerk: Clerk, title: str) -> None:
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", (title, *[""] * 5), STAYS, GOOD)
    assert clerk.desk.take(path).accepted == 1


def test_a_file_most_of_whose_days_lie_ahead_is_of_another_month(clerk: Clerk) -> None:
    rows = [stay(day=f"2021-03-{n:02d}", record=str(n)) for n in range(1, 26)]
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, *rows)
    assert "another month" in refused(clerk, path).refused


def test_the_same_bytes_under_another_month_are_refused(clerk: Clerk) -> None:
    clerk.stays(GOOD)
    path = clerk.file("医保局-住院自付费用-2021-03_2021-03-25.csv", STAYS, GOOD)
    assert "the same bytes came as" in refused(clerk, path).refused


def test_a_file_that_is_cut_off_is_refused_whole_and_taken_when_it_comes_again(clerk: Clerk) -> None:
    rows = [stay(day=f"2021-02-{n:02d}") for n in range(1, 20)]
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, *rows)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert "cut off" in refused(clerk, path).refused
    path.write_bytes(whole)
    assert clerk.desk.take(path).accepted == 19


def test_of_a_long_file_that_breaks_off_far_down_nothing_is_taken(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpml.intake.take.BATCH", 5)
    monkeypatch.setattr("fpml.intake.csvs.CsvTable.blocks", partialmethod(CsvTable.blocks, size=3))
    rows = [stay(day=f"2021-02-{n:02d}") for n in range(1, 20)]
    path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, *rows)
    whole = path.read_bytes()
    path.write_bytes(whole + b'"stray,x\n' + whole)
    assert "quotation mark" in refused(clerk, path).refused
    assert not list((clerk.desk.shelf.receipts / "pending").glob("*"))
    path.write_bytes(whole)
    receipt = clerk.desk.take(path)
    assert (receipt.rows, receipt.accepted) == (19, 19)
    assert clerk.desk.take(path).already_known == 19


def test_a_header_without_rows_is_refused(clerk: Clerk) -> None:
    assert "no rows" in refused(clerk, clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS)).refused


def test_one_bad_file_does_not_keep_the_others_out(clerk: Clerk) -> None:
    bad = clerk.file("医保局-住院-2021-02_2021-02-25.csv", ("x", "y"), ("1", "2"))
    good = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, GOOD)
    first, second = clerk.desk.office().take([bad, good])
    assert (first.file, first.accepted, second.file, bool(second.refused)) == (good.name, 1, bad.name, True)


# The same again


def test_the_same_row_in_the_next_months_file_is_known_already(clerk: Clerk) -> None:
    clerk.stays(GOOD)
    again = clerk.stays(GOOD, stay(day="2021-03-03"), day="2021-03-25")
    assert (again.accepted, again.corrected, again.already_known) == (1, 0, 1)
    corrected = clerk.stays(stay(value="99"), day="2021-04-25")
    assert (corrected.accepted, corrected.corrected) == (1, 1)
    assert clerk.desk.ledger.standing(date(2021, 3, 31), "inpatient_self_paid")["value"].to_pylist().count(12050) == 2


def test_of_a_late_file_and_the_next_months_that_come_on_one_day_the_later_month_counts(clerk: Clerk) -> None:
    rows = (stay(), stay(day="2021-02-04")), (stay(value="99"),)
    names = ("医保局-住院自付费用-2021-02_2021-03-25.csv", "医保局-住院自付费用-2021-03_2021-03-25.csv")
    paths = [clerk.file(n, STAYS, *r) for n, r in zip(names, rows, strict=True)]
    late, next_month = clerk.desk.office().take(paths)
    assert (late.accepted, late.already_known, late.quarantined) == (1, 1, {})
    assert (next_month.accepted, next_month.quarantined) == (1, {})
    assert [v for _, d, v in clerk.told() if d.day == 3] == [9900]


def test_a_row_withdrawn_stands_no_longer(clerk: Clerk) -> None:
    clerk.stays(GOOD)
    assert clerk.stays(stay(value="作废"), day="2021-03-25").corrected == 1
    assert clerk.desk.ledger.standing(date(2021, 3, 31), "inpatient_self_paid").num_rows == 0


def test_the_same_bytes_twice_in_one_run_are_taken_in_once(clerk: Clerk) -> None:
    first = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, GOOD)
    again = clerk.file("医保局-住院自付费用-2021-02_2021-02-25 (1).csv", STAYS, GOOD)
    (receipt,) = clerk.desk.office().take([first, again])
    assert (receipt.accepted, receipt.already_known) == (1, 0)
    assert clerk.desk.shelf.receipt(receipt.delivery).accepted == 1


def test_a_file_taken_in_again_and_again_keeps_counts_that_add_up(clerk: Clerk) -> None:
    path = clerk.file(
        "医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, GOOD, stay(number="无"), stay(number=STRANGER)
    )
    first = clerk.desk.take(path)
    for _ in range(3):
        again = clerk.desk.take(path)
        assert (again.rows, again.accepted, again.already_known) == (3, 0, 1)
        kept = clerk.desk.shelf.receipt(first.delivery)
        assert (kept.accepted, kept.already_known, sum(kept.quarantined.values())) == (1, 0, 2)
    clerk.register(member(STRANGER, "HX9"), day="2021-03-13")
    kept = clerk.desk.shelf.receipt(first.delivery)
    assert (kept.accepted, kept.already_known, kept.quarantined) == (2, 0, {"not_an_id_number": 1})


def test_a_bill_of_a_head_who_moved_since_is_not_told_twice_when_its_file_comes_again(clerk: Clerk) -> None:
    rows = ((A, "王", "", "2021-02-05", "9", "", ""), ("无", "王", "", "2021-02-05", "9", "", ""))
    path = clerk.file("医保局-自付医疗费-2021-02_2021-02-25.csv", COSTS, *rows)
    clerk.desk.take(path)
    clerk.register(member(A, "HX1", 离开日期="2021-01-31"), member(A, "HX2", 加入日期="2021-02-01"), day="2021-03-13")
    clerk.desk.take(path)
    assert clerk.told("medical_self_paid") == [("HX1", date(2021, 2, 5), 900)]


def test_two_rows_of_the_later_month_that_contradict_each_other_outdo_nothing(clerk: Clerk) -> None:
    rows = (stay(),), (stay(value="99"), stay(value="98"))
    names = ("医保局-住院自付费用-2021-02_2021-03-25.csv", "医保局-住院自付费用-2021-03_2021-03-25.csv")
    told = clerk.desk.office().take(clerk.file(n, STAYS, *r) for n, r in zip(names, rows, strict=True))
    assert [r.quarantined for r in told] == [{"conflict": 1}, {"conflict": 2}]
    assert sum(r.already_known for r in told) == 0


def test_a_file_that_cannot_be_opened_does_not_keep_the_others_out(clerk: Clerk) -> None:
    good = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, GOOD)
    first, second = clerk.desk.office().take([clerk.desk.folder / "nothing.csv", good])
    assert (first.accepted, "no such file" in second.refused) == (1, True)


def test_another_department_cannot_give_up_somebody_elses_rows(clerk: Clerk, tmp_path: Path) -> None:
    first = clerk.stays(stay(number="无"))
    token = Place.of(first.delivery, None, 2)
    header, row = ("更正编号", "处理", *MEMBERS), (str(token), "不再报送", *[""] * len(MEMBERS))
    path = clerk.file("乡村振兴局-更正-2021-02_2021-03-05.csv", header, row)
    clerk.desk.office().take([path])
    assert clerk.desk.shelf.receipt(first.delivery).quarantined == {"not_an_id_number": 1}


def test_a_month_to_come_is_no_day(clerk: Clerk) -> None:
    assert clerk.stays(stay(day="2029年5月"), day="2021-02-25").quarantined == {"event_after_known": 1}


def test_an_amount_merged_over_several_rows_is_that_of_the_first(clerk: Clerk) -> None:
    path = clerk.desk.folder / "医保局-住院自付费用-2021-02_2021-02-25.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("住院自付费用")
        sheet.write_row(0, 0, STAYS)
        sheet.write_row(1, 0, (A, "王", "", "2021-02-03"))
        sheet.write_row(2, 0, (B, "李", "", "2021-02-03"))
        sheet.merge_range(1, 4, 2, 4, 900)
    receipt = clerk.desk.take(path)
    assert (receipt.accepted, receipt.quarantined) == (1, {"nothing_told": 1})
    assert clerk.told() == [("HX1", date(2021, 2, 3), 90000)]


def test_names_and_numbers_in_the_wrong_place_are_not_kept(clerk: Clerk) -> None:
    spaced = f"{A[:6]}-{A[6:14]}-{A[14:]}"
    header = (*STAYS, f"填表人张三{A}")
    rows = [(*stay(record="张三丰"), ""), (*stay(value=spaced), ""), (*stay(value=f"{A[:6]} {A[6:14]} {A[14:]}"), "")]
    receipt = clerk.stays(*rows, header=header)
    assert receipt.quarantined == {"bad_key": 1, "not_a_number": 2}
    kept = repr(clerk.desk.shelf.refused(receipt.delivery).to_pylist()) + receipt.as_json() + repr(clerk.desk.content())
    assert not [c for c in ("张三", A, spaced, spaced.replace("-", " ")) if c in kept]


def test_another_key_than_the_countys_own_is_refused(clerk: Clerk) -> None:
    clerk.stays(GOOD)
    path = clerk.desk.folder / "identity.key"
    path.unlink()
    keys.make(path)
    with pytest.raises(InputError, match="not the one"):
        clerk.stays(stay(day="2021-02-04"))


# The key


def test_a_key_is_made_once_and_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "identity.key"
    keys.make(path)
    first = path.read_bytes()
    keys.make(path)
    assert path.read_bytes() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys.load(path).fingerprint) == 8
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
def test_pseudonyms_are_those_of_the_hash_that_was_chosen(tmp_path: Path, algorithm: str) -> None:
    import hashlib
    import hmac

    if algorithm not in hashlib.algorithms_available:
        pytest.skip(f"this Python's OpenSSL has no {algorithm}")
    keys.make(tmp_path / "k", algorithm)
    key = keys.load(tmp_path / "k")
    made = key.pseudonyms(pa.array([A, None, B, A]))
    expected = ["P" + hmac.new(key.secret, n.encode(), algorithm).hexdigest()[:20] for n in (A, B)]
    assert made.to_pylist() == [expected[0], None, expected[1], expected[0]]
    assert "secret" not in repr(key)
    assert key.secret.hex() not in repr(key)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys.make(tmp_path / "k")
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        keys.load(tmp_path / "k")


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:zz", "md5:" + "0" * 64, "\xff"])
def test_a_damaged_key_is_refused_and_never_made_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    keys.make(path)
    with pytest.raises(InputError):
        keys.load(path)
    assert path.read_bytes() == text.encode("latin-1")


def test_a_missing_key_is_told_and_an_unknown_hash_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        keys.load(tmp_path / "k")
    with pytest.raises(UsageError):
        keys.make(tmp_path / "k", "md5")


# Sent back and corrected


def correct(workbook: Path, fill: dict[str, str], *, name: str) -> Path:
    """The workbook with every line filled in, saved under another name as a clerk would."""
    book = openpyxl.load_workbook(workbook)
    for sheet in book.worksheets:
        header = [c.value for c in sheet[2]]
        for row in sheet.iter_rows(min_row=3):
            for key, value in fill.items():
                if key in header:
                    row[header.index(key)].value = value
    book.save(workbook.parent / name)
    return workbook.parent / name


def test_refused_rows_go_back_in_a_workbook_and_its_corrected_return_is_taken_in(clerk: Clerk, tmp_path: Path) -> None:
    first = clerk.stays(GOOD, stay(number=B[:-1] + ("1" if B[-1] != "1" else "2"), value="7"))
    (workbook,) = write_corrections(clerk.desk.shelf, clerk.desk.catalogue, tmp_path / "out", tmp_path / "kept")
    cells = [str(c.value) for s in openpyxl.load_workbook(workbook).worksheets for r in s.iter_rows() for c in r]
    assert "205 身份证号校验码不符" in cells
    assert not [c for c in cells if B[:14] in c or "王小明" in c]
    fill = {"身份证号": B, "出院结算日期": "2021-02-03", "住院自付（元）": "7"}
    returned = correct(workbook, fill, name="医保局-更正-2021-02_2021-03-05.xlsx")
    receipt = clerk.desk.take(returned)
    assert (receipt.rows, receipt.accepted, receipt.quarantined) == (1, 1, {})
    assert ("HX2", date(2021, 2, 3), 700) in clerk.told()
    after = clerk.desk.shelf.receipt(first.delivery)
    assert (after.accepted, after.already_known, after.returned, after.quarantined) == (1, 1, 1, {})
    assert write_corrections(clerk.desk.shelf, clerk.desk.catalogue, tmp_path / "out", tmp_path / "kept") == []
    assert not workbook.exists()
    # Known to the office when it came back, not before.
    assert clerk.desk.ledger.standing(date(2021, 3, 4), "inpatient_self_paid").num_rows == 1
    assert clerk.desk.take(returned).accepted == 0


def test_only_workbooks_as_they_are_written_are_removed(clerk: Clerk, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clerk.stays(stay(number="无"))
    (workbook,) = write_corrections(clerk.desk.shelf, clerk.desk.catalogue, out, tmp_path / "kept")
    written = (out / "民政局-待更正-2021-01.xlsx", out / "民政局" / "民政局-待更正-2021-01.xlsx")
    others = (
        workbook.parent / "已填" / workbook.name,
        out / "已填" / workbook.name,
        workbook.with_name(f"副本-{workbook.name}"),
        workbook.with_name(f"{workbook.stem}-已填.xlsx"),
    )
    for path in (*written, *others):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(workbook.read_bytes())
    assert write_corrections(clerk.desk.shelf, clerk.desk.catalogue, out, tmp_path / "kept") == [workbook]
    assert sorted(p for p in out.rglob("*.xlsx")) == sorted((workbook, *others))


def test_a_return_with_a_new_fault_takes_the_place_of_the_old(clerk: Clerk, tmp_path: Path) -> None:
    first = clerk.stays(stay(number="无"))
    (workbook,) = write_corrections(clerk.desk.shelf, clerk.desk.catalogue, tmp_path / "out", tmp_path / "kept")
    fill = {"身份证号": A, "出院结算日期": "2021-02-30", "住院自付（元）": "7"}
    receipt = clerk.desk.take(correct(workbook, fill, name="医保局-更正-2021-02_2021-03-05.xlsx"))
    assert receipt.quarantined == {"bad_date": 1}
    assert clerk.desk.shelf.receipt(first.delivery).quarantined == {}


def test_a_row_given_up_goes_and_an_unfilled_one_stays(clerk: Clerk, tmp_path: Path) -> None:
    first = clerk.stays(stay(number="无"), stay(number="无", day="2021-02-04"))
    (workbook,) = write_corrections(clerk.desk.shelf, clerk.desk.catalogue, tmp_path / "out", tmp_path / "kept")
    book = openpyxl.load_workbook(workbook)
    book.worksheets[0].cell(3, 2).value = "不再报送"
    path = tmp_path / "医保局-更正-2021-02_2021-03-05.xlsx"
    book.save(path)
    clerk.desk.take(path)
    assert clerk.desk.shelf.receipt(first.delivery).quarantined == {"not_an_id_number": 1}


@pytest.mark.parametrize("token", ["", "x", "0" * 16 + "-3", "=1+1"])
def test_a_line_whose_token_was_changed_is_refused(clerk: Clerk, tmp_path: Path, token: str) -> None:
    first = clerk.stays(stay(number="无"))
    (workbook,) = write_corrections(clerk.desk.shelf, clerk.desk.catalogue, tmp_path / "out", tmp_path / "kept")
    fill = {"更正编号": token, "身份证号": A, "出院结算日期": "2021-02-03", "住院自付（元）": "7"}
    receipt = clerk.desk.take(correct(workbook, fill, name="医保局-更正-2021-02_2021-03-05.xlsx"))
    assert receipt.quarantined == {"unknown_token": 1}
    assert clerk.desk.shelf.receipt(first.delivery).quarantined == {"not_an_id_number": 1}


# Any mixture

CELLS = st.one_of(
    st.sampled_from(["", " ", "作废", "=1+1", "2021-02-30", '"', ",", "\x00", "é赣", "‮", A, "1e5"]), st.text(max_size=5)
)
ROW = st.tuples(
    st.sampled_from([A, B, STRANGER, A[:-1], f" {A.lower()}"]) | CELLS,
    st.sampled_from(["王小明"]) | CELLS,
    st.sampled_from(["", "", "r1", "r2"]) | CELLS,
    st.sampled_from(["2021-02-03", "20210204", "2021年2月", "44231", "2020/1/5"]) | CELLS,
    st.sampled_from(["5", "1,234.50", "￥7", "0.005", "-3", "1e9"]) | CELLS,
    CELLS,
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(rows=st.lists(ROW, min_size=1, max_size=12), seed=st.integers(0, 2**16))
def test_any_mixture_of_cells_is_taken_or_set_apart_and_the_order_of_rows_is_nothing(
    new_desk: Callable[..., Any], rows: list[tuple[str, ...]], seed: int
) -> None:
    contents = []
    shuffled = random.Random(seed).sample(rows, len(rows))
    for told in (rows, shuffled):
        clerk = Clerk(new_desk(shards=2))
        clerk.register(member(A), member(B, "HX2"))
        path = clerk.file("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, *told)
        (receipt,) = clerk.desk.office().take([path])
        if receipt.refused:
            assert not any(cell and cell in receipt.refused for row in rows for cell in row[:2] if len(cell) > 3)
            return
        assert receipt.rows == receipt.accepted + receipt.already_known + sum(receipt.quarantined.values())
        assert clerk.desk.shelf.refused(receipt.delivery).num_rows == sum(receipt.quarantined.values())
        keys.load(clerk.desk.folder / "identity.key")
        contents.append(sorted((h, d, v) for h, d, v in clerk.told()))
    assert contents[0] == contents[1]
