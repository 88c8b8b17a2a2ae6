"""What the workbooks of lists share: how cells look, what may be chosen, and that no cell is ever run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from fpml.catalogue import CONFIRM, Language, Visiting
from fpml.lists.sources import Source

# What is to be filled in, in this order; those of CHOSEN have a list to choose from, those of CONFIRM ask whether a
# reason of the row was found so.
FILL = ("verified", *CONFIRM, "cause", "income_check", "measures", "visitor", "date", "remark")
CHOSEN = ("verified", *CONFIRM, "cause", "income_check", "measures")
LONGEST = {"visitor": 30, "remark": 300}
# No cell of ours is longer: what a spreadsheet may hold is 32,767.
MOST_TEXT = 4_000
# In memory: a file of its own for each sheet, made and removed again, takes longer than all the rest.
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
# Sorting is left out: in a protected sheet only the open cells could be sorted, and answers would move to other rows.
PROTECTED = {"autofilter": True, "format_columns": True, "format_rows": True}


@dataclass(frozen=True)
class About:
    """What all workbooks of one list say alike."""

    language: Language
    visiting: Visiting
    list_id: str
    as_of: date
    due: date | None
    county: str
    simulated: bool
    listed: int
    sources: tuple[Source, ...]
    stamps: Mapping[str, str]
    lines: Mapping[str, str]
    months: int | None

    def word(self, name: str, /, **parts: object) -> str:
        """A heading or a sentence of policy in the list's language."""
        return self.visiting.word(name, self.language, **parts)

    def choices(self, column: str) -> list[str]:
        """What may be chosen in a column."""
        return [w.said(self.language) for w in self.visiting.choices()[column].values()]


def workbook(path: Path, title: str, made: date) -> xlsxwriter.Workbook:
    """A new workbook in which no text becomes a formula, a number or a link. No clock: same list, same bytes."""
    book = xlsxwriter.Workbook(str(path), _OPTIONS)
    book.set_properties({"title": title, "created": datetime(made.year, made.month, made.day)})
    return book


class Forms:
    """How cells look: borders and greys that a printer without colour shows too."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        edge = {"border": 1, "valign": "top", "text_wrap": True}
        # Light enough to write on, and told from white by its border where it is printed grey.
        fill = edge | {"bg_color": "#FFF2CC", "locked": False}
        self.title = book.add_format({"bold": True, "font_size": 16, "valign": "vcenter"})
        self.head = book.add_format(
            edge | {"bold": True, "bg_color": "#D9D9D9", "align": "center", "valign": "vcenter"}
        )
        self.fill_head = book.add_format(
            edge | {"bold": True, "bg_color": "#BFBFBF", "align": "center", "valign": "vcenter"}
        )
        self.label = book.add_format({"bold": True, "valign": "top", "text_wrap": True})
        self.text = book.add_format({"valign": "top", "text_wrap": True, "align": "left"})
        self.warning = book.add_format({"bold": True, "text_wrap": True, "border": 2, "valign": "vcenter"})
        self.told = book.add_format(edge)
        self.middle = book.add_format(edge | {"align": "center"})
        self.share = book.add_format(edge | {"align": "center", "num_format": "0.0%"})
        self.code = book.add_format(edge | {"font_size": 8, "font_name": "Consolas"})
        self.open = book.add_format(fill | {"num_format": "@"})
        self.open_date = book.add_format(fill | {"num_format": "yyyy-mm-dd", "align": "center"})
        self.bold = book.add_format(edge | {"bold": True, "bg_color": "#F2F2F2"})
        self.small = book.add_format({"font_size": 8, "font_name": "Consolas", "align": "center", "valign": "top"})
        self.note = book.add_format({"font_size": 9, "text_wrap": True, "valign": "top"})


def write(sheet: Any, row: int, column: int, value: object, form: Any) -> None:
    """Writes a value as text, as a number, or as an empty cell."""
    if value is None or value != value or value == "":
        sheet.write_blank(row, column, None, form)
    elif isinstance(value, int | float):
        sheet.write_number(row, column, value, form)
    else:
        sheet.write_string(row, column, str(value)[:MOST_TEXT], form)


def lines_needed(text: str, wide: int) -> int:
    """Lines that a text takes in a column so many characters wide; a Chinese character takes two."""
    return sum(1 + max(0, _width(line) - 1) // max(wide, 1) for line in text.split("\n")) if text else 1


def _width(line: str) -> int:
    # In this encoding a letter takes one byte and a Chinese character two, as on the page.
    return len(line.encode("gb18030", "replace"))


def write_options(book: xlsxwriter.Workbook, about: About) -> dict[str, str]:
    """A hidden sheet of all that can be chosen; for each column where its choices stand. A list within a cell's own
    rule may have 255 characters only, and English has more."""
    name = about.word("options")
    sheet = book.add_worksheet(name)
    places = {}
    for at, column in enumerate(CHOSEN):
        said = about.choices(column)
        for row, text in enumerate(said):
            sheet.write_string(row, at, text)
        letter = chr(ord("A") + at)
        places[column] = f"='{name}'!${letter}$1:${letter}${len(said)}"
    sheet.hide()
    sheet.protect()
    return places


def let_fill_in(
    sheet: Any, rows: tuple[int, int], columns: Mapping[str, int], about: About, places: Mapping[str, str]
) -> None:
    """The rules of the cells to fill in, from the first row to the last; `columns`: where each column stands."""
    first, last = rows
    pick = {"error_title": about.word("pick_title"), "error_message": about.word("pick_text")}
    for name in CHOSEN:
        rule: dict[str, Any] = {"validate": "list", "source": places[name], **pick}
        if name == "measures":  # several may be named, which no list of choices allows
            rule |= {
                "show_error": False,
                "input_title": about.word("pick_title"),
                "input_message": about.word("measures_text"),
            }
        sheet.data_validation(first, columns[name], last, columns[name], rule)
    _let_date(sheet, first, columns["date"], last, about)
    for name, most in LONGEST.items():
        text = about.word("long_text", most=most)
        rule = {"validate": "length", "criteria": "<=", "value": most}
        said = {"error_title": about.word("long_title"), "error_message": text}
        sheet.data_validation(first, columns[name], last, columns[name], rule | said)


def _let_date(sheet: Any, first: int, column: int, last: int, about: About) -> None:
    said = {"error_title": about.word("date_title"), "error_message": about.word("date_text")}
    sheet.data_validation(
        first, column, last, column, {"validate": "date", "criteria": ">", "value": about.as_of} | said
    )


def let_dates(sheet: Any, rows: tuple[int, int], columns: Iterable[int], about: About) -> None:
    """The rule of cells for the days of steps."""
    for column in columns:
        _let_date(sheet, rows[0], column, rows[1], about)


def write_cover(sheet: Any, forms: Forms, title: str, rows: Iterable[tuple[str, object]], simulated: str) -> None:
    """A cover sheet: a title, what is simulated said first, then what is told, line by line."""
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 84)
    sheet.set_row(0, 26)
    sheet.write_string(0, 0, title, forms.title)
    at = 2
    if simulated:
        sheet.merge_range(at, 0, at, 1, simulated, forms.warning)
        sheet.set_row(at, 22)
        at += 2
    for name, value in rows:
        sheet.write_string(at, 0, name, forms.label)
        write(sheet, at, 1, value, forms.text)
        sheet.set_row(at, 16.5 * max(lines_needed(str(value), 82), lines_needed(name, 28)) + 2)
        at += 1
    for_print(sheet, landscape=True, pages_high=1)
    sheet.protect()


def for_print(sheet: Any, *, landscape: bool = False, pages_high: int = 0) -> None:
    """A4, one page wide; so many pages high, as many as it takes where that is 0."""
    if landscape:
        sheet.set_landscape()
    else:
        sheet.set_portrait()
    sheet.set_paper(9)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.fit_to_pages(1, pages_high)
    sheet.set_footer("&C&P / &N")
