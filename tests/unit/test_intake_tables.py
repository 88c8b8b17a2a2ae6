"""Files as clerks send them -> tables of text: whole, or refused in words that show nobody's cells."""

import datetime as dt
import io
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hostile
import pytest
import xlsxwriter
import xlwt
from hostile import HEADER, ROWS, SECRETS, Case, csv_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpml.errors import DeliveryError
from fpml.intake import csvs, encodings, workbooks
from fpml.intake.tables import TOP, RawTable, tables
from fpml.intake.workbook_process import number

Rows = dict[int, tuple[str | None, ...]]
NAMES = ("户编号", "姓名", "金额", "备注")
NAMED = hostile.inline("A1", "值")
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(table: RawTable, header: int = 0, size: int = 200_000) -> tuple[Rows, list[int]]:
    """Every row of a table below its header, by number; and the torn ones."""
    rows, torn = {}, []
    for block in table.blocks(header, size=size):
        assert block.row.size <= size
        assert len(block.cells) == len(table.top[header])
        assert all(len(c) == block.row.size for c in block.cells)
        rows.update(zip(block.row.tolist(), zip(*(c.to_pylist() for c in block.cells), strict=True), strict=True))
        torn += block.torn.tolist()
    return rows, torn


def read(path: Path, content: bytes) -> RawTable:
    path.write_bytes(content)
    (table,) = tables(path)
    return table


def refusal(path: Path, content: bytes) -> str:
    """Why a file is refused, at once or while its rows are read."""
    path.write_bytes(content)
    with pytest.raises(DeliveryError) as e:
        _ = [rows_of(t) for t in tables(path)]
    return str(e.value)


def expected(rows: list[tuple[str, ...]], first: int = 2) -> Rows:
    plain = {n: tuple(c.strip() or None for c in row) for n, row in enumerate(rows, first)}
    return {n: row for n, row in plain.items() if any(row)}


# Numbers of private use are not the same in every version of GB18030.
cell = st.text(st.characters(exclude_categories=["Cs", "Co"], exclude_characters="\0"), max_size=12)
any_rows = st.integers(2, 4).flatmap(lambda n: st.lists(st.tuples(*[cell] * n), max_size=30))


@quick
@given(
    any_rows,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_any_table_comes_back_from_csv(
    tmp_path: Path, rows: list[tuple[str, ...]], encoding: str, delimiter: str, newline: str, all_quoted: bool
) -> None:
    header = NAMES[: len(rows[0])] if rows else NAMES
    text = csv_text([header, *rows], delimiter, newline, all_quoted=all_quoted)
    table = read(tmp_path / "a.csv", text.encode(encoding))
    assert table.top[0] == header
    assert rows_of(table, size=7) == (expected(rows), [])
    assert ("tab" in table.notes, "semicolon" in table.notes) == (delimiter == "\t", delimiter == ";")
    assert ("gb18030" in table.notes, "utf-16" in table.notes) == (encoding == "gb18030", encoding == "utf-16")
    assert ("byte_order_mark" in table.notes) == (encoding in ("utf-8-sig", "utf-16"))


@settings(quick, max_examples=6)
@given(st.integers(0, 3), st.integers(0, 3), any_rows)
def test_any_table_comes_back_from_a_workbook(
    tmp_path: Path, down: int, right: int, rows: list[tuple[str, ...]]
) -> None:
    # XML has no room for control characters, and folds line ends.
    rows = [tuple("".join(filter(str.isprintable, c)) for c in row) for row in rows]
    header = NAMES[: len(rows[0])] if rows else NAMES
    held = io.BytesIO()
    with xlsxwriter.Workbook(held) as book:
        page = book.add_worksheet()
        for n, row in enumerate([header, *rows], down):
            for k, text in enumerate(row, right):
                page.write_string(n, k, text)
    table = read(tmp_path / "a.xlsx", held.getvalue())
    assert table.top[down] == ("",) * right + header
    shifted = {n: (None,) * right + row for n, row in expected(rows, down + 2).items()}
    assert rows_of(table, down, size=7) == (shifted, [])


@pytest.mark.parametrize("case", hostile.cases(), ids=lambda c: c.name[:40].encode("unicode_escape").decode())
def test_a_hostile_file_is_read_or_refused(case: Case, tmp_path: Path) -> None:
    path, began = tmp_path / case.file, time.monotonic()
    path.write_bytes(case.content)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = None
    try:
        found = [rows_of(t)[0] for t in tables(path) if t.top]
        if "cut at" in case.name or "xlsx flipped" in case.name:
            assert found == [expected(ROWS)], "read, and not as it was written"
    except DeliveryError as e:
        said = str(e)
        assert not any(secret in said for secret in SECRETS)
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 700_000  # kilobytes
    assert os.listdir(tmp_path) == [case.file]
    if case.refused:
        assert case.refused in (said or "read")


@settings(quick, max_examples=150)
@given(st.binary(max_size=3000), st.sampled_from(["csv", "txt", "tsv"]))
def test_noise_is_read_or_refused(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with suppress(DeliveryError):
        for table in tables(path):
            for header in range(len(table.top)):
                rows_of(table, header)


@settings(quick, max_examples=200)
@given(st.integers(0, len(hostile.plain_csv()) - 1), st.sampled_from(["utf-8", "gb18030"]))
def test_a_cut_csv_loses_no_cell_unnoticed(tmp_path: Path, at: int, encoding: str) -> None:
    path = tmp_path / "a.csv"
    content = hostile.plain_csv().decode().encode(encoding)[:at]
    path.write_bytes(content)
    try:
        (table,) = tables(path)
    except DeliveryError as e:
        cut = "cut off in row" in e.problem
        assert cut
        return
    for header in range(min(1, len(table.top))):
        rows, torn = rows_of(table, header)
        assert not torn
        # A last cell that is shorter, who can tell.
        assert list(rows.items())[:-1] == list(expected(ROWS).items())[: max(0, len(rows) - 1)]
        assert "no_final_newline" in table.notes or content.endswith(b"\n")


def test_torn_rows_are_told_by_number(tmp_path: Path) -> None:
    text = "户编号,姓名,金额\n1,a,2\n3,b\n\n4,c,5,6\n 　,\t,\n7,d,8,, \n9,e,10\n"
    table = read(tmp_path / "a.csv", text.encode())
    assert rows_of(table) == ({2: ("1", "a", "2"), 7: ("7", "d", "8"), 8: ("9", "e", "10")}, [3, 5])


def test_cells_may_be_missing_below_an_empty_header(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "户编号,姓名,,\n1,a\n2,b,,x\n3\n".encode())
    assert rows_of(table) == ({2: ("1", "a", None, None), 3: ("2", "b", None, "x")}, [4])


def test_a_single_column(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "户编号\nh1\n\nh2\nh3".encode())
    assert rows_of(table) == ({2: ("h1",), 4: ("h2",), 5: ("h3",)}, [])


def test_a_record_with_line_breaks_is_one_row(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", '户编号,姓名\n1,"a\nb"\r\n2,"c\n\r\n"\n3,d\n'.encode())
    assert rows_of(table)[0] == {2: ("1", "a\nb"), 3: ("2", "c"), 4: ("3", "d")}


def test_titles_stand_above_a_header(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "某县, 某表\n\n户编号;姓名;金额\n1;a;2,5\n2;b;3,5\n".encode())
    assert table.top[2] == HEADER
    assert table.notes == ("semicolon",)
    assert rows_of(table, 2)[0] == {4: ("1", "a", "2,5"), 5: ("2", "b", "3,5")}


def test_a_last_line_without_line_end_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "表\n户编号,姓名,金额\n1,a,2".encode())
    assert table.notes == ("no_final_newline",)
    assert rows_of(table, 1)[0] == {3: ("1", "a", "2")}
    assert "cut off in row 4: " not in refusal(tmp_path / "b.csv", "表\n户编号,姓名\n1,a\n2".encode())
    assert "cut off in row 4. Send it again whole." in refusal(tmp_path / "b.csv", "表\n户编号,姓名\n1,a\n2".encode())


def test_a_cut_off_csv_is_refused_before_its_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(hostile.plain_csv()[:-30])
    with pytest.raises(DeliveryError, match="cut off in row 6"):
        tables(path)


def test_a_csv_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvs, "_BLOCK_CHARACTERS", 3000)
    monkeypatch.setattr(encodings, "CHUNK", 64)
    monkeypatch.setattr(csvs, "CHUNK", 7)
    for newline in ("\n", "\r\n", "\r"):
        for encoding in ("utf-8", "gb18030", "utf-16"):
            table = read(tmp_path / "a.csv", csv_text([HEADER, *ROWS * 5], newline=newline).encode(encoding))
            assert len(list(table.blocks(0))) > 1
            assert rows_of(table) == (expected(ROWS * 5), [])


def test_more_rows_than_are_looked_at_for_a_header(tmp_path: Path) -> None:
    for name, content in {
        "a.csv": hostile.plain_csv(),
        "a.xlsx": hostile.plain_xlsx(),
        "a.xls": hostile.plain_xls(),
    }.items():
        table = read(tmp_path / name, content)
        assert table.top == (HEADER, *ROWS[: TOP - 1])
        assert rows_of(table, TOP - 1)[0] == {n: r for n, r in expected(ROWS).items() if n > TOP}


@pytest.mark.parametrize("ending", ["txt", "xls", "xlsm"])
def test_the_content_decides_not_the_name(tmp_path: Path, ending: str) -> None:
    for content in (hostile.plain_csv(), hostile.plain_xlsx(), hostile.plain_xls()):
        assert rows_of(read(tmp_path / f"a.{ending}", content))[0] == expected(ROWS)


def a_workbook(write: Callable[[xlsxwriter.Workbook], object]) -> bytes:
    held = io.BytesIO()
    with xlsxwriter.Workbook(held) as book:
        write(book)
    return held.getvalue()


def test_every_kind_of_cell_as_a_person_would_have_typed_it(tmp_path: Path) -> None:
    cells = {
        " a　": "a", 12: "12", 0.1 + 0.2: "0.3", 1e-05: "0.00001", 1234567890.12: "1234567890.12", -5.5: "-5.5",
        360121198001011234: "3.60121198001011E+17", 999999999999999: "999999999999999", 1e15: "1E+15",
        True: "TRUE", dt.date(2021, 3, 4): "2021-03-04", dt.datetime(2021, 3, 4, 5, 6): "2021-03-04 05:06:00",
        dt.time(5, 6): "05:06:00", "=1+1": "2", '=A1&"x"': "ax", "=NA()": "#N/A", "=1/0": "#DIV/0!",
    }  # fmt: skip
    cached = {"=1+1": 2, '=A1&"x"': "ax", "=NA()": "#N/A", "=1/0": "#DIV/0!"}

    def write(book: xlsxwriter.Workbook) -> None:
        page = book.add_worksheet()
        page.write(0, 0, "值")
        styles = {dt.date: "yyyy-mm-dd", dt.datetime: "yyyy-mm-dd hh:mm", dt.time: "hh:mm"}
        for row, value in enumerate(cells, 1):
            if value in cached and isinstance(value, str):
                page.write_formula(row, 0, value, None, cached[value])
            elif type(value) in styles:
                page.write_datetime(row, 0, value, book.add_format({"num_format": styles[type(value)]}))
            else:
                page.write(row, 0, value)

    table = read(tmp_path / "a.xlsx", a_workbook(write))
    assert [row for (row,) in rows_of(table)[0].values()] == list(cells.values())
    assert table.notes == ("error_cells",)


def test_a_formula_never_computed_is_empty(tmp_path: Path) -> None:
    cells = (
        "<row r='1'>"
        + hostile.inline("A1", "值")
        + "</row><row r='2'><c r='A2'><f>1+1</f></c><c r='B2'><v>3</v></c></row>"
    )
    table = read(tmp_path / "a.xlsx", hostile.changed(sheet=hostile.sheet(cells)))
    assert rows_of(table)[0] == {2: (None, "3")}


@pytest.mark.parametrize("x", [1e300, 1e-300, -0.0, 5e-324, float("inf"), 1e14 + 0.5, 123456.7890123456789])
def test_any_number_is_text_with_no_more_digits_than_excel_keeps(x: float) -> None:
    assert float(number(x)) == pytest.approx(x, rel=1e-14)


def test_a_cell_merged_down_is_the_cell_of_all_its_rows(tmp_path: Path) -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        page = book.add_worksheet()
        page.merge_range(0, 0, 0, 2, "某县某表")
        page.merge_range(1, 2, 2, 2, "金额")  # a header of two rows
        page.write_row(2, 0, ["户编号", "姓名"])
        page.merge_range(3, 0, 5, 0, "h1")
        page.merge_range(6, 0, 7, 1, "h2")  # across as well: not filled
        for row in (3, 4, 6, 7):
            page.write(row, 2, row)

    table = read(tmp_path / "a.xlsx", a_workbook(write))
    assert table.notes == ("merged_cells",)
    assert table.top[:3] == (("某县某表", "", ""), ("", "", "金额"), ("户编号", "姓名", ""))
    # The sixth row is empty but for the merged cell.
    assert rows_of(table, 2, size=2)[0] == {
        4: ("h1", None, "3"), 5: ("h1", None, "4"), 7: ("h2", None, "6"), 8: (None, None, "7"),
    }  # fmt: skip
    assert rows_of(table, 4)[0][7] == ("h2", None, "6")
    # Merged cells that begin above what is taken for the header are as they lie.
    assert rows_of(table, 3)[0][5] == (None, None, "4")


def test_hidden_sheets_are_read_and_empty_ones_left_out(tmp_path: Path) -> None:
    def write(book: xlsxwriter.Workbook) -> None:
        for name in ("住院", "空", "隐"):
            page = book.add_worksheet(name)
            if name != "空":
                page.write_column(0, 0, ["值", name])
        page.hide()
        book.add_chartsheet("图")

    path = tmp_path / "a.xlsx"
    path.write_bytes(a_workbook(write))
    assert [(t.sheet, t.notes) for t in tables(path)] == [("住院", ()), ("隐", ("hidden_sheet",))]
    assert [rows_of(t)[0] for t in tables(path)] == [{2: ("住院",)}, {2: ("隐",)}]


def test_an_old_workbook(tmp_path: Path) -> None:
    held, book = io.BytesIO(), xlwt.Workbook()
    page = book.add_sheet("表")
    page.write(2, 1, "值")
    page.write_merge(3, 4, 1, 1, "h")
    page.write(4, 2, 0.5)
    page.write(3, 3, dt.date(2021, 3, 4), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    book.save(held)
    table = read(tmp_path / "a.xls", held.getvalue())
    assert rows_of(table, 2)[0] == {4: (None, "h", None, "2021-03-04"), 5: (None, "h", "0.5", None)}


def test_a_control_character_in_a_sheets_name_is_left_out(tmp_path: Path) -> None:
    book = hostile.members(hostile.plain_xlsx())["xl/workbook.xml"].replace("表".encode(), b"a&#10;b" + b"n" * 1000)
    table = read(tmp_path / "a.xlsx", hostile.changed(book=book))
    assert table.sheet == "ab" + "n" * 98


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    problems = {
        "folder.csv": "a folder", "pipe.csv": "a device", "loop.csv": "cannot be opened", "none.csv": "no such file",
        "n" * 300 + ".csv": "cannot be opened", "a\0.csv": "cannot be opened",
    }  # fmt: skip
    for name, words in problems.items():
        with pytest.raises(DeliveryError, match=words):
            tables(tmp_path / name)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(hostile.plain_csv())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DeliveryError, match="Permission denied"):
        tables(path)


def test_a_csv_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", hostile.plain_csv())
    (tmp_path / "a.csv").write_bytes(hostile.plain_csv() + b"\xff\n")
    with pytest.raises(DeliveryError, match="changed while it was read"):
        rows_of(table)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(DeliveryError, match="changed while it was read"):
        rows_of(table)


def test_a_workbook_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "PATIENCE", 0.05)
    assert "takes too long to read" in refusal(tmp_path / "a.xlsx", hostile.plain_xlsx())


def test_a_workbook_with_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "LARGEST", 2000)
    assert "too large when unpacked" in refusal(tmp_path / "a.xlsx", hostile.plain_xlsx())
