import csv
import shutil
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from fpml.catalogue import Catalogue
from fpml.lists import WarningList, rank, write_csv, write_workbook
from fpml.lists.rank import Places

# openpyxl reads footers only that say left, centre or right; Excel takes the rest as centre.
pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")

NAN = float("nan")
DANGEROUS = ("=1+1", "@x", "+1", "-1+2", "\t=1", '=HYPERLINK("http://a")', "http://a.example", "007", "1e5")


def ranked(
    score: Sequence[float],
    *,
    hit: Sequence[int] = (),
    already: Sequence[int] = (),
    apart: Sequence[int] = (),
    visits: int = 3,
    **siblings: Sequence[int],
) -> tuple[list[int], list[str], int]:
    """The rows listed in order, by whom, and the excess; `hit`, `already` and the siblings' hits are positions."""
    here = np.arange(len(score))
    lines = {line: np.isin(here, rows) for line, rows in {"rule": hit, **siblings}.items()}
    r = rank(np.array(score, float), np.isin(here, already), lines, visits=visits, apart=np.isin(here, apart))
    return r.rows.tolist(), list(r.listed_by), r.excess


def test_the_highest_scores_fill_the_visits() -> None:
    assert ranked([0.1, 0.5, 0.3, 0.4], visits=2) == ([1, 3], ["model", "model"], 0)


def test_who_is_left_apart_takes_no_visit_whatever_hits_them() -> None:
    rows, by, excess = ranked([0.9, 0.8, 0.7, NAN], hit=[0, 3], apart=[0, 3], visits=2)
    assert (rows, by, excess) == ([1, 2], ["model", "model"], 0)


def test_every_rule_hit_is_listed_though_visits_run_out_and_the_excess_is_stated() -> None:
    rows, by, excess = ranked([0.1, 0.9, NAN, 0.2, 0.8], hit=[0, 2, 3], visits=2)
    assert sorted(rows) == [0, 2, 3]
    assert set(by) == {"rule"}
    assert excess == 1


def test_the_model_fills_what_the_rules_leave_over() -> None:
    rows, by, excess = ranked([0.1, 0.9, 0.8, 0.7, 0.6], hit=[0], visits=3)
    assert (rows, by, excess) == ([1, 2, 0], ["model", "model", "rule"], 0)


def test_as_many_rule_hits_as_visits_leave_no_excess_and_no_room() -> None:
    assert ranked([0.9, 0.1, 0.2], hit=[1, 2], visits=2) == ([2, 1], ["both", "rule"], 0)


def test_a_household_that_rule_and_model_both_find_is_said_to_be_listed_by_both() -> None:
    assert ranked([0.9, 0.1, 0.8], hit=[0], visits=2) == ([0, 2], ["both", "model"], 0)


def test_what_was_declared_or_found_on_a_walk_is_listed_though_visits_run_out() -> None:
    rows, by, excess = ranked([0.9, NAN, 0.1], declared=[1], walked=[2], visits=1)
    assert (rows, by, excess) == ([2, 1], ["walked", "declared"], 1)


@pytest.mark.parametrize(
    ("hit", "score", "by"),
    [
        ({"declared": [0]}, 0.1, "declared"),
        ({"walked": [0]}, 0.1, "walked"),
        ({"declared": [0], "walked": [0]}, 0.1, "declared"),
        ({"declared": [0], "hit": [0]}, 0.1, "rule"),
        ({"walked": [0], "hit": [0]}, 0.9, "both"),
        ({"walked": [0]}, 0.9, "model"),
    ],
)
def test_a_line_is_named_only_where_neither_rule_nor_model_points(
    hit: dict[str, Sequence[int]], score: float, by: str
) -> None:
    rows, told, _ = ranked([score, 0.5, 0.4], visits=2, **hit)  # type: ignore[arg-type]
    assert dict(zip(rows, told, strict=True))[0] == by


def test_households_below_the_line_come_first_whatever_their_score() -> None:
    rows, by, _ = ranked([0.9, 0.2, NAN, 0.5], hit=[1, 2], already=[2], visits=4)
    assert rows == [2, 0, 3, 1]
    assert by[0] == "rule"


def test_a_household_without_a_score_is_not_listed_by_the_model() -> None:
    assert ranked([NAN, 0.0, NAN], visits=3) == ([1], ["model"], 0)
    assert ranked([NAN, NAN], visits=3) == ([], [], 0)


def test_a_household_below_the_line_without_a_hit_or_score_is_not_listed() -> None:
    assert ranked([NAN, 0.4], already=[0], visits=3)[0] == [1]


def test_a_rule_hit_without_a_score_comes_after_those_with_one() -> None:
    assert ranked([NAN, 0.0, 0.1], hit=[0], visits=3)[0] == [2, 1, 0]


def test_equal_scores_are_listed_in_the_order_of_households() -> None:
    assert ranked([0.5] * 200, visits=50)[0] == list(range(50))
    assert ranked([0.5, 0.5, 0.5, 0.5], hit=[3, 1], visits=4)[0] == [0, 1, 2, 3]


def test_nobody_to_rank_is_an_empty_list() -> None:
    assert ranked([]) == ([], [], 0)


# The files


def a_list(catalogue: Catalogue, households: Sequence[str], **changed: Any) -> WarningList:
    """A warning list in Chinese whose households have these ids."""
    words = catalogue.wording["zh"].words
    named = ("rank", "household", "village", "listed_by")
    rest = ("rules", "reasons", "eases", "verified", "cause_found", "remark")
    titles = {k: words[k] for k in named} | {"chance_3": "3", "chance_12": "12"}
    titles |= {k: words["cause" if k == "cause_found" else k] for k in rest}
    rows = pd.DataFrame(
        [
            {
                "rank": i, "household": h, "village": "360121001001", "listed_by": words["both"],
                "chance_3": 0.25 if i % 2 else NAN, "chance_12": 0.5, "rules": f"{h}\n规则", "reasons": "原因",
                "eases": "", "verified": "", "cause_found": "", "remark": "",
            }
            for i, h in enumerate(households, start=1)
        ],
        columns=list(titles),
    )  # fmt: skip
    whole: dict[str, Any] = {
        "title": words["title"], "as_of_date": date(2024, 5, 31), "titles": titles, "rows": rows, "words": words,
        "about": ((words["as_of"], "2024-05-31"), (words["watched"], 300), (words["notice_title"], words["notice"])),
        "simulated": True, "listed_by": ("both",) * len(rows),
    }  # fmt: skip
    return WarningList(**whole | changed)


def opened(warnings: WarningList, folder: Path) -> openpyxl.Workbook:
    write_workbook(warnings, folder / "w.xlsx")
    return openpyxl.load_workbook(folder / "w.xlsx")


def test_the_workbook_has_a_cover_and_a_sheet_of_households(catalogue: Catalogue, tmp_path: Path) -> None:
    warnings = a_list(catalogue, ["H1", "H2"])
    book = opened(warnings, tmp_path)
    assert book.sheetnames == [warnings.words["about"], warnings.title]
    cover, sheet = book.worksheets
    cells = [c.value for line in cover.iter_rows() for c in line if c.value is not None]
    assert warnings.words["simulated"] in cells
    assert warnings.words["notice"] in cells
    assert 300 in cells
    assert [c.value for c in sheet[1]] == list(warnings.titles.values())
    assert [sheet.cell(r, 2).value for r in (2, 3)] == ["H1", "H2"]
    assert [sheet.cell(r, 1).value for r in (2, 3)] == [1, 2]
    assert sheet.cell(2, 5).value == 0.25
    assert sheet.cell(3, 5).value is None
    assert sheet.freeze_panes == "C2"
    assert sheet.max_row == 3


def test_a_real_county_s_workbook_is_not_marked_as_simulated(catalogue: Catalogue, tmp_path: Path) -> None:
    warnings = a_list(catalogue, ["H1"], simulated=False)
    cells = [c.value for line in opened(warnings, tmp_path).worksheets[0].iter_rows() for c in line]
    assert warnings.words["simulated"] not in cells


def test_no_cell_of_the_workbook_is_a_formula_or_a_link(catalogue: Catalogue, tmp_path: Path) -> None:
    sheet = opened(a_list(catalogue, DANGEROUS), tmp_path).worksheets[1]
    assert [sheet.cell(i, 2).value for i in range(2, 2 + len(DANGEROUS))] == list(DANGEROUS)
    for line in sheet.iter_rows():
        for cell in line:
            assert cell.data_type != "f", cell.coordinate
            assert cell.hyperlink is None, cell.coordinate
            assert isinstance(cell.value, str) or cell.column not in (2, 7, 8)


def test_what_would_run_in_a_csv_gets_a_quote_before_it(catalogue: Catalogue, tmp_path: Path) -> None:
    write_csv(a_list(catalogue, DANGEROUS), tmp_path / "w.csv")
    with (tmp_path / "w.csv").open(encoding="utf-8-sig", newline="") as f:
        header, *rows = csv.reader(f)
    assert header[1] == catalogue.wording["zh"].words["household"]
    for written, h in zip(rows, DANGEROUS, strict=True):
        assert written[1] == ("'" + h if h[0] in "=+-@\t" else h)
        assert written[6][0] not in "=+-@\t"
    assert [r[4] for r in rows[:2]] == ["0.25", ""]
    assert (tmp_path / "w.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_columns_to_fill_in_are_open_and_the_rest_is_locked(catalogue: Catalogue, tmp_path: Path) -> None:
    cover, sheet = opened(a_list(catalogue, ["H1", "H2"]), tmp_path).worksheets
    assert sheet.protection.sheet
    assert cover.protection.sheet
    for line in sheet.iter_rows():
        for cell in line:
            fill_in = cell.row > 1 and cell.column > len(line) - 3
            assert cell.protection.locked != fill_in, cell.coordinate
            if fill_in:
                assert cell.value is None


def test_the_answer_is_chosen_from_a_list(catalogue: Catalogue, tmp_path: Path) -> None:
    warnings = a_list(catalogue, ["H1", "H2", "H3"])
    sheet = opened(warnings, tmp_path).worksheets[1]
    (choice,) = sheet.data_validations.dataValidation
    assert choice.type == "list"
    assert str(choice.sqref) == "J2:J4"
    answers = choice.formula1.strip('"').split(",")
    assert answers == [warnings.words[f"verified_{k}"] for k in ("yes", "partly", "no", "not_met")]


def test_an_empty_list_is_a_workbook_all_the_same(catalogue: Catalogue, tmp_path: Path) -> None:
    warnings = a_list(catalogue, [])
    sheet = opened(warnings, tmp_path).worksheets[1]
    assert [c.value for c in sheet[1]] == list(warnings.titles.values())
    write_csv(warnings, tmp_path / "w.csv")
    assert len((tmp_path / "w.csv").read_text(encoding="utf-8-sig").splitlines()) == 1


def test_the_same_list_gives_the_same_bytes(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_workbook(a_list(catalogue, ["H1", "H2"]), tmp_path / f"{name}.xlsx")
        write_csv(a_list(catalogue, ["H1", "H2"]), tmp_path / f"{name}.csv")
    for kind in ("xlsx", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_another_program_opens_the_workbook_and_computes_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if not office:
        pytest.skip("LibreOffice (soffice) is not installed: the workbook was only read back with openpyxl")
    write_workbook(a_list(catalogue, ["=1+1", "H2"]), tmp_path / "w.xlsx")
    # 76 is UTF-8; -1 writes every sheet into a file of its own.
    subprocess.run(
        [
            office, f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", "--outdir", tmp_path,
            tmp_path / "w.xlsx",
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    title = catalogue.wording["zh"].words["title"]
    lines = list(csv.reader((tmp_path / f"w-{title}.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert lines[1][1] == "=1+1"


# Floors


def floored(
    score: Sequence[float], village: Sequence[int], hit: Sequence[int] = (), **asked: Any
) -> tuple[set[int], int]:
    lines = {"rule": np.isin(np.arange(len(score)), hit)}
    apart = np.zeros(len(score), bool)
    places = Places(np.array(village, np.int64), asked.pop("most", 2))
    r = rank(np.array(score, float), apart, lines, visits=3, apart=apart, places=places, **asked)
    return set(r.rows.tolist()), r.floors


def test_a_village_that_would_have_nobody_gives_its_best_for_the_lowest_of_one_that_has_others() -> None:
    score, village = [0.9, 0.8, 0.7, 0.2, 0.1], [1, 1, 1, 2, 2]
    assert floored(score, village) == ({0, 1, 3}, 1)
    assert floored(score, village, most=0) == ({0, 1, 2}, 0)


def test_a_floor_takes_nobody_from_a_village_that_has_one_alone_and_none_is_for_an_unknown_village() -> None:
    assert floored([0.9, 0.8, 0.7, 0.2], [1, 2, 3, 4]) == ({0, 1, 2}, 0)
    assert floored([0.9, 0.8, 0.7, 0.2], [1, 1, 1, -1]) == ({0, 1, 2}, 0)


def test_a_village_with_a_rule_hit_needs_no_floor_and_hits_leave_no_room_for_floors() -> None:
    assert floored([0.9, 0.8, 0.2, 0.1], [1, 1, 2, 2], hit=[3]) == ({0, 1, 3}, 0)
    assert floored([0.9, 0.8, 0.7, 0.2], [1, 1, 1, 2], hit=[0, 1, 2]) == ({0, 1, 2}, 0)


def test_whom_the_model_is_not_to_add_is_listed_where_a_rule_hits() -> None:
    apart = np.zeros(3, bool)
    for hit, wanted in (([False] * 3, {1, 2}), ([True, False, False], {0, 1})):
        r = rank(
            np.array([0.9, 0.8, 0.7]), apart, {"rule": np.array(hit)}, visits=2, apart=apart,
            spare=np.array([True, False, False]),
        )  # fmt: skip
        assert set(r.rows.tolist()) == wanted
