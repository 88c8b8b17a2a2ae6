"""A warning list as a workbook and as CSV. Every cell is text or a number, never a formula."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter

from fpml.lists.warning_list import FILL_IN, WarningList

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
WIDTHS = {"rank": 6, "household": 16, "village": 13, "listed_by": 9, "rules": 36, "reasons": 58, "eases": 32}
OTHER_WIDTH, LINE_HEIGHT, HEADER_HEIGHT = 13, 16.5, 62


def write_csv(warnings: WarningList, path: Path) -> None:
    """The list as UTF-8 CSV with a byte order mark (Excel reads it right); what a spreadsheet would run is quoted."""
    with path.open("w", encoding="utf-8-sig", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(warnings.titles.values())
        for row in warnings.rows.itertuples(index=False):
            writer.writerow([harmless(v) for v in row])


def harmless(value: Any) -> Any:
    """A CSV cell that no spreadsheet runs: what could be a formula gets a quote before it."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return "" if value is None or value != value else value


def write_workbook(warnings: WarningList, path: Path) -> None:
    """The list as an Excel workbook: what it is on the first sheet, the households on the second, ready to fill in."""
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd",
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        # The same list gives the same bytes: no clock in the file.
        book.set_properties({"title": warnings.title, "created": pd.Timestamp(warnings.as_of_date).to_pydatetime()})
        _about(book, warnings)
        _households(book, warnings)


def _about(book: xlsxwriter.Workbook, warnings: WarningList) -> None:
    sheet = book.add_worksheet(warnings.words["about"][:31])
    title = book.add_format({"bold": True, "font_size": 16})
    label = book.add_format({"bold": True, "valign": "top", "text_wrap": True})
    text = book.add_format({"text_wrap": True, "valign": "top", "align": "left"})
    warning = book.add_format({"bold": True, "text_wrap": True, "border": 2, "valign": "vcenter"})
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 80)
    sheet.write_string(0, 0, warnings.title, title)
    row = 2
    if warnings.simulated:
        sheet.merge_range(row, 0, row, 1, warnings.words["simulated"], warning)
        row += 2
    for name, value in warnings.about:
        sheet.write_string(row, 0, name, label)
        if isinstance(value, int):
            sheet.write_number(row, 1, value, text)
        else:
            sheet.write_string(row, 1, value, text)
        row += 1
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.protect()


def _households(book: xlsxwriter.Workbook, warnings: WarningList) -> None:
    sheet = book.add_worksheet(warnings.title[:31])
    head = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "vcenter", "align": "center", "border": 1, "bg_color": "#D9D9D9"}
    )
    cell = book.add_format({"text_wrap": True, "valign": "top", "border": 1})
    share = book.add_format({"num_format": "0%", "valign": "top", "border": 1, "align": "center"})
    number = book.add_format({"valign": "top", "border": 1, "align": "center"})
    open_cell = book.add_format(
        {"text_wrap": True, "valign": "top", "border": 1, "locked": False, "bg_color": "#FFF9E5"}
    )
    columns = list(warnings.titles)
    for j, name in enumerate(columns):
        sheet.write_string(0, j, warnings.titles[name], head)
        sheet.set_column(j, j, WIDTHS.get(name, OTHER_WIDTH))
    sheet.set_row(0, HEADER_HEIGHT)
    for i, row in enumerate(warnings.rows.itertuples(index=False), start=1):
        most = 1
        for j, (name, value) in enumerate(zip(columns, row, strict=True)):
            if name in FILL_IN:
                sheet.write_blank(i, j, None, open_cell)
            elif isinstance(value, str):
                sheet.write_string(i, j, value, cell)
                wide = WIDTHS.get(name, OTHER_WIDTH)
                most = max(most, sum(1 + _width(line) // wide for line in value.split("\n")))
            elif value is None or value != value:
                sheet.write_blank(i, j, None, cell)
            else:
                sheet.write_number(i, j, value, share if name.startswith("chance") else number)
        sheet.set_row(i, min(400, LINE_HEIGHT * most + 3))
    last = len(warnings.rows)
    verified = columns.index(FILL_IN[0])
    answers = [warnings.words[f"verified_{k}"] for k in ("yes", "partly", "no", "not_met")]
    if last:
        sheet.data_validation(1, verified, last, verified, {"validate": "list", "source": answers})
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(1, last), len(columns) - 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&C&P / &N")
    sheet.protect(options={"autofilter": True, "sort": True, "format_columns": True, "format_rows": True})


def _width(line: str) -> int:
    """Columns that a line takes: a Chinese character takes two."""
    return sum(2 if ord(c) > 0x2E7F else 1 for c in line)
