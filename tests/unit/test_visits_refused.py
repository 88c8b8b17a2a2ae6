"""What is wrong with a filled-in workbook is said row by row, in words of policy; what is right beside it counts."""

import shutil
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from filled import AS_OF, NO, YES, Township, columns, fill

from fpml.catalogue import Catalogue

pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")
MINE, OTHER = "360121001001", "360121001002"
FORGED = "202405-AAAAAAAA-00001-ABCDEFGHIJKLMNOP"


def met(**cells: Any) -> dict[str, Any]:
    """A row filled in rightly, but for these cells; None empties one."""
    return YES | cells


# One row each: how it is filled in, and the reason for which it is refused, with the columns that it is about.
DAMAGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "token_erased": (met(token=None), "no_token", ""),
    "token_blank": (met(token="   "), "no_token", ""),
    "token_cut_off": (met(token="202405-ABCD"), "bad_token", ""),
    "token_other_words": (met(token="见上"), "bad_token", ""),
    "token_with_a_month_that_is_none": (met(token="202413-AAAAAAAA-00001-ABCDEFGHIJKLMNOP"), "bad_token", ""),
    "token_too_long": (met(token="2" * 5000), "bad_token", ""),
    "token_forged": (met(token=FORGED), "forged_token", ""),
    "token_signature_altered": (met(token=lambda t: t[:-1] + ("B" if t[-1] == "A" else "A")), "forged_token", ""),
    "token_row_altered": (met(token=lambda t: t[:16] + "00001" + t[21:]), "forged_token", ""),
    "token_list_altered": (met(token=lambda t: t[:7] + "00000000" + t[15:]), "forged_token", ""),
    "token_month_altered": (met(token=lambda t: "202404" + t[6:]), "forged_token", ""),
    "token_of_row_zero": (met(token=lambda t: t[:16] + "00000" + t[21:]), "forged_token", ""),
    "household_changed": (met(household="H9999"), "torn_row", ""),
    "household_erased": (met(household=None), "torn_row", ""),
    "household_a_formula": (met(household="=A1"), "torn_row", ""),
    "rules_changed": (met(rules="规则乙"), "edited_row", "rules"),
    "rules_erased_and_reasons_moved": (met(reasons="情况 1\n又一情况"), "edited_row", "reasons"),
    "listed_by_changed": (met(listed_by="模型"), "edited_row", "listed_by"),
    "eases_written_into": (met(eases="情况不属实"), "edited_row", "eases"),
    "answer_missing": (met(verified=None), "no_answer", ""),
    "only_a_remark": ({"remark": "家里没人"}, "no_answer", ""),
    "only_a_visitor": ({"visitor": "李一"}, "no_answer", ""),
    "answer_unknown": (met(verified="是"), "unknown_answer", ""),
    "answer_a_number": (met(verified=1), "unknown_answer", ""),
    "answer_two_at_once": (met(verified="属实、不属实"), "unknown_answer", ""),
    "answer_a_formula": (met(verified='=HYPERLINK("http://a.example","属实")'), "error_or_unknown", ""),
    "answer_a_mistake": (met(verified="#N/A"), "error_cell", "verified"),
    "cause_missing": (met(cause=None), "no_cause", ""),
    "cause_missing_where_partly": (met(verified="部分属实", cause=None), "no_cause", ""),
    "cause_unknown": (met(cause="因懒"), "unknown_cause", ""),
    "cause_none_though_true": (met(cause="未发现风险"), "cause_contradicts", ""),
    "cause_though_not_true": (met(verified="不属实"), "cause_contradicts", ""),
    "cause_though_not_met": (met(verified="未能入户"), "cause_contradicts", ""),
    "cause_other_unsaid": (met(cause="其他（在备注中说明）"), "other_unsaid", ""),
    "income_unknown": (met(income_check="差不多"), "unknown_income_check", ""),
    "income_though_not_met": (NO | {"verified": "未能入户", "income_check": "低于监测线"}, "not_met_and_found", ""),
    "reason_unknown": (met(reason_1="也许"), "unknown_confirmation", "reason_1"),
    "reason_that_the_row_has_not": (met(reason_3="是"), "no_such_reason", "reason_3"),
    "reason_though_not_met": (NO | {"verified": "未能入户", "reason_2": "是"}, "not_met_and_found", ""),
    "reason_without_a_result": ({"reason_1": "是"}, "no_answer", ""),
    "measure_unknown": (met(measures="健康帮扶、送温暖"), "unknown_measure", ""),
    "measure_though_not_met": (NO | {"verified": "未能入户", "measures": "临时救助"}, "not_met_and_found", ""),
    "visitor_missing": (met(visitor=None), "no_visitor", ""),
    "visitor_too_long": (met(visitor="李" * 31), "too_long", "visitor"),
    "visitor_with_a_telephone": (met(visitor="李一 13800138000"), "private_number", "visitor"),
    "remark_too_long": (met(remark="很" * 301), "too_long", "remark"),
    "remark_enormous": (met(remark="很" * 30_000), "too_long", "remark"),
    "remark_with_an_id_number": (met(remark="证号36012119800101123X"), "private_number", "remark"),
    "remark_with_an_id_number_spread": (met(remark="360121-19800101-1234"), "private_number", "remark"),
    "remark_with_a_wide_telephone": (met(remark="电话１３８００１３８０００"), "private_number", "remark"),
    "remark_with_an_account": (met(remark="6222 0212 3456 7890"), "private_number", "remark"),
    "remark_turning_round": (met(remark="好\u202e坏"), "odd_characters", "remark"),
    "remark_unseen": (met(remark="好\u200b坏"), "odd_characters", "remark"),
    "date_missing": (met(date=None), "no_date", ""),
    "date_no_date": (met(date="上周"), "bad_date", ""),
    "date_impossible": (met(date="2024-06-31"), "bad_date", ""),
    "date_a_month": (met(date="2024-06"), "bad_date", ""),
    "date_of_two_readings": (met(date="06/05/2024"), "bad_date", ""),
    "date_a_small_number": (met(date=12), "date_before_list", ""),
    "date_before_the_list": (met(date=datetime(2024, 5, 31)), "date_before_list", ""),
    "date_a_year_off": (met(date=datetime(2023, 6, 5)), "date_before_list", ""),
    "date_to_come": (met(date=datetime(2024, 6, 21)), "date_in_future", ""),
    "step_no_date": (met(review="开过了"), "step_bad_date", "review"),
    "step_to_come": (met(review=datetime(2024, 7, 1)), "step_in_future", "review"),
    "step_skipped": (met(notice=datetime(2024, 6, 10)), "step_skipped", "notice"),
    "step_before_the_visit": (met(review=datetime(2024, 6, 1)), "step_too_early", "review"),
    "step_before_another": (
        met(review=datetime(2024, 6, 10), notice=datetime(2024, 6, 9)), "step_too_early", "notice"),
    "step_without_a_visit": ({"review": datetime(2024, 6, 10)}, "step_of_nobody", ""),
    "step_of_what_was_not_true": (NO | {"review": datetime(2024, 6, 10)}, "step_of_nobody", ""),
}  # fmt: skip
HOUSEHOLDS = [f"H{n:04d}" for n in range(1, len(DAMAGES) + 6)]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> tuple[Township, Any, dict[str, str]]:
    """A workbook with every damage, each in a row of its own, one row that is right and four that are empty."""
    town = Township(tmp_path_factory.mktemp("damaged") / "town", catalogue)
    out = town.publish({MINE: HOUSEHOLDS, OTHER: ["X0001"]})
    book = openpyxl.load_workbook(out / "villages" / f"{MINE}.xlsx")
    sheet = book[catalogue.visiting.words["households"].zh]
    token = columns(sheet, catalogue)["token"]
    filling: dict[int, dict[str, Any]] = {}
    for at, (cells, _, _) in enumerate(DAMAGES.values(), start=1):
        plain = str(sheet.cell(at + 1, token).value)
        filling[at] = {k: v(plain) if callable(v) else v for k, v in cells.items()}
    filling[len(DAMAGES) + 1] = dict(YES)
    path = fill(out / "villages" / f"{MINE}.xlsx", town.folder / "filled.xlsx", filling, catalogue)
    (receipt,) = town.take(path)
    return town, receipt, town.reasons(receipt)


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_kind_of_damage_is_refused_with_its_reason(
    damage: str, taken: tuple[Township, Any, dict[str, str]], catalogue: Catalogue
) -> None:
    _, _, reasons = taken
    at = list(DAMAGES).index(damage) + 2
    _, reason, column = DAMAGES[damage]
    visiting = catalogue.visiting
    step = visiting.steps[column].name if column in visiting.told_steps() else visiting.words.get(column)
    name = step.zh.rstrip("▼") if step else ""
    # A formula that nobody has reckoned has no value: openpyxl writes none, an office does.
    wanted = ("no_answer", "unknown_answer") if reason == "error_or_unknown" else (reason,)
    said = {visiting.refusals[r].says.zh.format(column=name) for r in wanted}
    assert reasons[f"走访名单 第{at}行"] in said


def test_there_are_fifty_kinds_of_damage_and_only_these_rows_are_refused(
    taken: tuple[Township, Any, dict[str, str]],
) -> None:
    town, receipt, reasons = taken
    assert len(DAMAGES) >= 50
    assert sum(receipt.refused.values()) == len(DAMAGES) == len(reasons)
    assert (receipt.accepted, receipt.not_filled) == (1, 4)
    assert list(town.standing()) == [HOUSEHOLDS[len(DAMAGES)]]
    assert [r[:3] for r in town.ledger()] == [(HOUSEHOLDS[len(DAMAGES)], date(2024, 6, 5), "2")]


def test_what_is_sent_back_shows_no_number_of_anybody(taken: tuple[Township, Any, dict[str, str]]) -> None:
    town, receipt, _ = taken
    book = openpyxl.load_workbook(town.folder / "visits" / "returned" / receipt.returned)
    text = " ".join(str(c.value) for line in book.worksheets[0].iter_rows() for c in line)
    for number in ("13800138000", "１３８００１３８０００", "36012119800101123X", "360121-19800101-1234", "6222 0212"):
        assert number not in text
    assert "X0001" not in text


def test_no_cell_of_what_is_sent_back_is_a_formula(taken: tuple[Township, Any, dict[str, str]]) -> None:
    town, receipt, _ = taken
    for sheet in openpyxl.load_workbook(town.folder / "visits" / "returned" / receipt.returned).worksheets:
        assert all(c.data_type != "f" and c.hyperlink is None for line in sheet.iter_rows() for c in line)


# Whole files


def drop(column: str) -> Callable[..., None]:
    """Deletes a column of the list."""

    def change(book: openpyxl.Workbook) -> None:
        sheet = book["走访名单"]
        sheet.delete_cols(next(c.column for c in sheet[1] if str(c.value).startswith(column)))

    return change


def head(old: str, new: str) -> Callable[..., None]:
    """Writes another header."""

    def change(book: openpyxl.Workbook) -> None:
        next(c for c in book["走访名单"][1] if str(c.value).startswith(old)).value = new

    return change


def without(name: str) -> Callable[..., None]:
    """Removes a sheet."""
    return lambda book: book.remove(book[name])


def emptied(book: openpyxl.Workbook) -> None:
    """Removes every row of the list."""
    book["走访名单"].delete_rows(2, 50)


CHANGED = {
    "answers_deleted": (drop("核实结果"), "no sheet with a list"),
    "tokens_deleted": (drop("户码"), "no column of tokens"),
    "households_deleted": (drop("户编号"), "no column `户编号`"),
    "dates_deleted": (drop("走访日期"), "no column `走访日期`"),
    "visitors_renamed": (head("走访人", "谁"), "no column `走访人`"),
    "remark_twice": (head("帮扶措施", "备注"), "stands twice"),
    "list_removed": (without("走访名单"), "no sheet with a list"),
    "list_emptied": (emptied, "a list without rows"),
}


@pytest.mark.parametrize("damage", CHANGED)
def test_a_workbook_that_is_no_whole_list_is_refused_whole(damage: str, tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    out = town.publish({MINE: ["H1", "H2"]})
    change, said = CHANGED[damage]
    path = fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "f.xlsx", {1: YES}, catalogue, change)
    (receipt,) = town.take(path)
    assert said in receipt.whole
    assert (receipt.rows, town.standing()) == (0, {})


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a.txt", "x")


def a_picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 200)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def another_list(path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active
    book.active.append(["姓名", "电话"])
    book.active.append(["甲", "1"])
    book.save(path)


def entities(path: Path) -> None:
    with zipfile.ZipFile(path) as z:
        members = {n: z.read(n) for n in z.namelist()}
    members["xl/workbook.xml"] = b'<!DOCTYPE x [<!ENTITY a "b">]>' + members["xl/workbook.xml"]
    with zipfile.ZipFile(path, "w") as z:
        for name, content in members.items():
            z.writestr(name, content)


@pytest.mark.parametrize("damage", [cut_off, a_zip, a_picture, empty, another_list, entities])
def test_a_file_that_is_no_workbook_of_ours_is_refused_and_the_others_go_on(
    damage: Callable[[Path], None], tmp_path: Path, catalogue: Catalogue
) -> None:
    town = Township(tmp_path / "town", catalogue)
    out = town.publish({MINE: ["H1"]})
    good = fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "good.xlsx", {1: YES}, catalogue)
    bad = Path(shutil.copy(good, tmp_path / "bad.xlsx"))
    damage(bad)
    receipts = town.take(bad, good, tmp_path / "missing.xlsx")
    assert [bool(r.whole) for r in receipts] == [True, False, True]
    assert list(town.standing()) == ["H1"]


def test_rows_of_another_month_or_village_are_refused_as_such(tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    out = town.publish({MINE: ["H1", "H2", "H3", "H4"], OTHER: ["X1"]})
    before = town.publish({MINE: ["H1", "H2"]}, date(2024, 4, 30))

    def pasted(book: openpyxl.Workbook) -> None:
        mine = book["走访名单"]
        for row, source in ((2, before / "villages" / f"{MINE}.xlsx"), (3, out / "villages" / f"{OTHER}.xlsx")):
            for cell in openpyxl.load_workbook(source)["走访名单"][2]:
                mine.cell(row, cell.column).value = cell.value
            for name, value in YES.items():
                mine.cell(row, columns(mine, catalogue)[name]).value = value

    path = fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "f.xlsx", {3: YES}, catalogue, pasted)
    (receipt,) = town.take(path)
    assert receipt.refused == {"other_list": 1, "other_village": 1}
    assert list(town.standing()) == ["H3"]


def test_a_list_that_never_went_out_here_is_not_known(tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    out = town.publish({MINE: ["H1"]})
    for path in (town.folder / "issued").glob("*.parquet"):
        path.unlink()
    (receipt,) = town.take(fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "f.xlsx", {1: YES}, catalogue))
    assert receipt.refused == {"unknown_list": 1}


def test_a_list_signed_with_another_county_s_key_is_forged(tmp_path: Path, catalogue: Catalogue) -> None:
    here, there = Township(tmp_path / "here", catalogue), Township(tmp_path / "there", catalogue)
    here.publish({MINE: ["H1"]})
    out = there.publish({MINE: ["H1"]})
    (receipt,) = here.take(fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "f.xlsx", {1: YES}, catalogue))
    assert receipt.refused == {"forged_token": 1}


def test_answers_torn_from_their_rows_are_not_taken(tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    out = town.publish({MINE: ["H1", "H2", "H3"]})

    def sorted_alone(book: openpyxl.Workbook) -> None:
        sheet = book["走访名单"]
        at = columns(sheet, catalogue)
        for name in ("number", "household", "rules"):
            values = [sheet.cell(r, at[name]).value for r in (2, 3, 4)]
            for r, value in zip((2, 3, 4), reversed(values), strict=True):
                sheet.cell(r, at[name]).value = value

    filling = dict.fromkeys((1, 2, 3), YES)
    path = fill(out / "villages" / f"{MINE}.xlsx", tmp_path / "f.xlsx", filling, catalogue, sorted_alone)
    (receipt,) = town.take(path)
    assert (receipt.refused, receipt.accepted) == ({"torn_row": 2}, 1)


def test_every_reason_has_words_in_both_languages_and_can_be_told(catalogue: Catalogue) -> None:
    for name, refusal in catalogue.visiting.refusals.items():
        for words in (refusal.says, refusal.remedy):
            assert words.zh, name
            assert words.en, name
    tested = {reason for _, reason, _ in DAMAGES.values()} - {"error_or_unknown"}
    others = {"unknown_list", "other_list", "other_village", "two_versions", "differs", "stale", "changed_today"}
    assert tested | others == set(catalogue.visiting.refusals)
    assert date(2024, 6, 1) > AS_OF
