"""Rows that were not taken, as a workbook to send back: where each stood, why, what to do, cells to fill in again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fpml.catalogue import Catalogue, Language, Visiting
from fpml.lists import FILL, LONGEST, About, Forms, for_print, let_dates, let_fill_in, workbook, write, write_options
from fpml.visits.check import holds_private_number
from fpml.visits.read import Row
from fpml.visits.visit import Refused

_WIDTHS = {"where": 10, "why": 20, "remedy": 22, "filled_before": 24, "household": 17, "token": 14, "replaces": 10}
# Of these reasons the token itself is to be filled in again.
_TOKEN = ("no_token", "bad_token", "forged_token")
# So much of what was written is shown again.
_SHOWN = 600


@dataclass(frozen=True)
class Line:
    """A row that was not taken, why, and the version of what stands where it may replace that ('' elsewhere)."""

    row: Row
    refused: Refused
    replaces: str = ""


def write_returned(path: Path, lines: Sequence[Line], catalogue: Catalogue, language: Language, as_of: date) -> None:
    """Writes the workbook in one step; it is read back as any other list is."""
    about = About(
        language, catalogue.visiting, "", as_of, None, catalogue.county.name.said(language),
        catalogue.county.simulated, len(lines), (), {}, {}, None,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    with workbook(half, about.word("returned_title"), as_of) as book:
        forms = Forms(book)
        sheet: Any = book.add_worksheet(about.word("returned_title"))
        steps = catalogue.visiting.told_steps()
        names = ("where", "why", "remedy", "filled_before", "household", *FILL, *steps, "token", "replaces")
        columns = {name: at for at, name in enumerate(names)}
        sheet.merge_range(0, 0, 0, 4, "", forms.label)
        sheet.write_string(0, 0, about.word("returned_how"), forms.label)
        sheet.set_row(0, 64)
        for name, at in columns.items():
            heading = catalogue.visiting.steps[name].name.said(language) if name in steps else about.word(name)
            sheet.write_string(1, at, heading, forms.fill_head if name in (*FILL, *steps) else forms.head)
            sheet.set_column(at, at, _WIDTHS.get(name, 11))
        sheet.set_row(1, 32)
        for at, line in enumerate(lines, start=2):
            _write_line(sheet, at, line, columns, forms, about)
        let_fill_in(sheet, (2, len(lines) + 1), columns, about, write_options(book, about))
        let_dates(sheet, (2, len(lines) + 1), [columns[s] for s in steps], about)
        sheet.freeze_panes(2, 2)
        for_print(sheet, landscape=True)
        sheet.protect(options={"format_columns": True, "format_rows": True})
    half.replace(path)


def said(refused: Refused, visiting: Visiting, language: Language) -> tuple[str, str]:
    """A reason and its remedy in words; columns are named by their headers."""
    names = [_heading(c, visiting, language) for c in refused.columns]
    reason = visiting.refusals[refused.reason]
    text = reason.says.said(language).format(column=("、" if language == "zh" else ", ").join(names))
    return text, reason.remedy.said(language)


def _heading(column: str, visiting: Visiting, language: Language) -> str:
    """The header of a column without its mark."""
    words = visiting.steps[column].name if column in visiting.told_steps() else visiting.words[column]
    return words.said(language).rstrip("▼ ")


def _write_line(sheet: Any, at: int, line: Line, columns: dict[str, int], forms: Forms, about: About) -> None:
    row = line.row
    why, remedy = said(line.refused, about.visiting, about.language)
    told = {
        "where": about.word("where_row", sheet=row.sheet, row=row.number),
        "why": why,
        "remedy": remedy,
        "filled_before": _shown(row, about),
        "household": row.cells.get("household", "")[:64],
        "token": row.cells.get("token", "")[:64],
        "replaces": line.replaces,
    }
    for name, column in columns.items():
        if name in told and not (name == "token" and line.refused.reason in _TOKEN):
            write(sheet, at, column, told[name], forms.code if name == "token" else forms.told)
        elif name == "token":
            sheet.write_string(at, column, told[name], forms.open)
        else:
            dated = name == "date" or name in about.visiting.told_steps()
            sheet.write_blank(at, column, None, forms.open_date if dated else forms.open)
    sheet.set_row(at, 84)


def _shown(row: Row, about: About) -> str:
    """What was filled in, by header; of a cell with somebody's number only that it has one."""
    names = [n for n in (*FILL, *about.visiting.told_steps()) if n in row.cells]
    lines = [f"{_heading(n, about.visiting, about.language)}: {_shown_cell(n, row.cells[n])}" for n in names]
    return "\n".join(lines)[:_SHOWN]


def _shown_cell(name: str, text: str) -> str:
    if name in LONGEST and holds_private_number(text):
        return "*****"
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)[:_SHOWN]
