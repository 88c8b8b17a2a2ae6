"""Summaries for townships and the county: how many visits where, and by which line. No household stands in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xlsxwriter

from fpml.catalogue import LEVELS
from fpml.lists.sheets import About, Forms, for_print, workbook, write, write_cover
from fpml.lists.village import VillageList, sources_and_stamps

# What is counted besides the lines.
MORE = (*LEVELS, "by_township", "by_county")
Row = tuple[str, str, dict[str, int]]


def counts(lines: Sequence[VillageList], about: About) -> dict[str, int]:
    """Households listed in some villages: all, and by each line."""
    each = [line for v in lines for line in v.lines]
    by, level = [line.listed_by for line in each], [line.level for line in each]
    told: dict[str, int] = {"listed": len(by)}
    told |= {k: by.count(k) for k in about.lines} | {str(k): level.count(k) for k in LEVELS}
    return told | {f"by_{who}": sum(who in line.also for line in each) for who in ("township", "county")}


def write_summary(title: str, villages: Sequence[VillageList], about: About, path: Path) -> None:
    """Writes the summary of some villages: their townships where they are of several, and each village."""
    townships = sorted({v.township for v in villages})
    with workbook(path, title, about.as_of) as book:
        forms = Forms(book)
        cover = [
            (about.word("as_of"), f"{about.as_of} {about.county}"),
            (about.word("due"), str(about.due) if about.due else about.word("form_none")),
            (about.word("listed"), sum(len(v.lines) for v in villages)),
            (about.word("notice"), about.word("notice_text")),
            *sources_and_stamps(about),
        ]
        write_cover(
            book.add_worksheet(about.word("cover")),
            forms,
            title,
            cover,
            about.word("simulated") if about.simulated else "",
        )
        if len(townships) > 1:
            rows = [(t or "-", "", counts([v for v in villages if v.township == t], about)) for t in townships]
            _write_table(book, forms, about, about.word("townships"), rows)
        each = [(v.code or "-", v.name, counts([v], about)) for v in villages]
        _write_table(book, forms, about, about.word("villages"), each)


def _write_table(book: xlsxwriter.Workbook, forms: Forms, about: About, name: str, rows: Sequence[Row]) -> None:
    sheet: Any = book.add_worksheet(name)
    named = any(title not in ("", code) for code, title, _ in rows)
    heads = [
        about.word("code"),
        *([about.word("village")] if named else []),
        about.word("listed"),
        *about.lines.values(),
        *(about.word(w) for w in MORE),
    ]
    for at, head in enumerate(heads):
        sheet.write_string(0, at, head, forms.head)
        sheet.set_column(at, at, 18 if at <= named else 14)
    sheet.set_row(0, 34)
    total: dict[str, int] = {}
    for at, (code, title, told) in enumerate(rows, start=1):
        _write_row(sheet, at, [code, *([title] if named else [])], told, forms)
        total = {k: total.get(k, 0) + n for k, n in told.items()}
    _write_row(sheet, len(rows) + 1, [about.word("total"), *([""] if named else [])], total, forms)
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(1, len(rows)), len(heads) - 1)
    sheet.repeat_rows(0)
    for_print(sheet)
    sheet.protect(options={"autofilter": True, "format_columns": True, "format_rows": True})


def _write_row(sheet: Any, at: int, names: Sequence[str], told: dict[str, int], forms: Forms) -> None:
    for column, name in enumerate(names):
        write(sheet, at, column, name, forms.told)
    for column, n in enumerate(told.values(), start=len(names)):
        write(sheet, at, column, n, forms.middle)
