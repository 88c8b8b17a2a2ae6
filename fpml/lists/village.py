"""A village's workbook: cover, the list to fill in, the procedure after it, and a sheet of each household to print."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xlsxwriter

from fpml.catalogue import CONFIRM
from fpml.lists.household import write_household
from fpml.lists.sheets import (
    FILL,
    LONGEST,
    PROTECTED,
    About,
    Forms,
    for_print,
    let_dates,
    let_fill_in,
    lines_needed,
    workbook,
    write,
    write_cover,
    write_options,
)
from fpml.vault import Contact

TOLD = ("number", "household", "level", "listed_by", "chance", "rules", "reasons", "eases", "likely")
WIDTHS = {
    "number": 5, "household": 16, "who": 14, "level": 9, "listed_by": 8, "chance": 8, "rules": 27, "reasons": 46,
    "eases": 17, "likely": 10, "verified": 9, "reason_1": 6, "reason_2": 6, "reason_3": 6, "cause": 10,
    "income_check": 9, "measures": 12, "visitor": 8, "date": 11, "remark": 12, "token": 12,
}  # fmt: skip
LINE, HEADER = 16.5, 48


def told_columns(about: About, *, who: bool = False) -> tuple[str, ...]:
    """The columns told of each household: `who` is meant where that is known, a chance where a model told one."""
    return tuple(
        name
        for told in TOLD
        for name in ((told, "who") if told == "household" and who else (told,))
        if name != "chance" or about.months is not None
    )


@dataclass(frozen=True)
class Line:
    """One household of a village's list. `row`: its place in the county's list; `cells`: what is told of it.

    `drawn`: the chance with which it was drawn by lot, None where it was not.
    `asked`: the indicators whose reasons are to be confirmed, in the order of CONFIRM; `level` and `also` as policy
    names them.
    """

    row: int
    household: str
    token: str
    listed_by: str
    cells: dict[str, Any]
    asked: tuple[str, ...] = ()
    level: str = ""
    also: str = ""
    drawn: float | None = None


@dataclass(frozen=True)
class VillageList:
    """A village's part of a list. `code`: '' for households whose village is not known.

    `contacts`: whom to ask for, by household, as far as the vault tells; the village's workbook alone shows them.
    """

    code: str
    name: str
    township: str
    lines: tuple[Line, ...]
    contacts: Mapping[str, Contact] = field(default_factory=dict, repr=False)

    @property
    def households(self) -> list[str]:
        """The codes of its households."""
        return [line.household for line in self.lines]

    def contact(self, line: Line) -> Contact:
        """Whom to ask for in a household; empty where nobody told."""
        return self.contacts.get(line.household, Contact())


def write_village(village: VillageList, about: About, path: Path) -> None:
    """Writes a village's workbook: nothing about anybody of another village stands in it."""
    title = f"{about.word('village_title')} {village.name}"
    with workbook(path, title, about.as_of) as book:
        forms = Forms(book)
        write_cover(
            book.add_worksheet(about.word("cover")),
            forms,
            title,
            _cover(village, about),
            about.word("simulated") if about.simulated else "",
        )
        places = _Sheets(book, forms, about)
        places.write_list(village)
        places.write_procedure(village)
        for n, line in enumerate(village.lines, start=1):
            write_household(book.add_worksheet(f"{n:03d}"), forms, about, village, (n, line))
        places.finish()


def _cover(village: VillageList, about: About) -> list[tuple[str, object]]:
    by = {k: sum(line.listed_by == k for line in village.lines) for k in about.lines}
    sheets = {"how_2": about.word("households"), "how_4": about.word("procedure")}
    how = "\n".join(about.word(f"how_{n}", sheet=sheets.get(f"how_{n}", "")) for n in range(1, 6))
    return [
        (about.word("as_of"), f"{about.as_of}  {about.county}"),
        (about.word("village"), village.name),
        (about.word("due"), str(about.due) if about.due else about.word("form_none")),
        (about.word("listed"), len(village.lines)),
        *((f"    {about.lines[k]}", n) for k, n in by.items() if n),
        (about.word("notice"), about.word("notice_text")),
        (about.word("how"), how),
        (about.word("names"), about.word("names_kept_text" if village.contacts else "names_text")),
        *sources_and_stamps(about),
    ]


def sources_and_stamps(about: About) -> list[tuple[str, object]]:
    """What came in and what is missing, and the fingerprints of what the list was made from."""

    def told(missing: bool) -> str:
        """The departments that are, or are not, missing."""
        stop = "；" if about.language == "zh" else "; "
        names = [
            about.word("sources_share", name=s.name, months=s.months, told=s.told) if missing else s.name
            for s in about.sources
            if s.missing == missing and s.told is not None
        ]
        return stop.join(names) or about.word("nothing_missing")

    known = any(s.told is not None for s in about.sources)
    came = (about.word("sources_in"), told(False)), (about.word("sources_missing"), told(True))
    return [
        *(came if known else [(about.word("sources"), about.word("sources_unknown"))]),
        (about.word("all_listed"), about.listed),
        (about.word("list"), about.list_id),
        *((about.word(k), v) for k, v in about.stamps.items()),
    ]


class _Sheets:
    """The two sheets that are filled in."""

    def __init__(self, book: xlsxwriter.Workbook, forms: Forms, about: About) -> None:
        self.forms, self.about, self.book = forms, about, book
        self.list = book.add_worksheet(about.word("households"))
        self.steps = book.add_worksheet(about.word("procedure"))
        self.list.activate()

    def write_list(self, village: VillageList) -> None:
        """The households, what is told of each, and the cells to fill in; the token stands last, the code first."""
        sheet, about, forms = self.list, self.about, self.forms
        told = told_columns(about, who=bool(village.contacts))
        columns = {name: n for n, name in enumerate((*told, *FILL, "token"))}
        for name, at in columns.items():
            heading = about.word(name, months=about.months) if name == "chance" else about.word(name)
            sheet.write_string(0, at, heading, forms.fill_head if name in FILL else forms.head)
            sheet.set_column(at, at, WIDTHS[name])
        sheet.set_row(0, HEADER)
        for at, line in enumerate(village.lines, start=1):
            self._write_line(at, line, village.contact(line), columns)
        last = max(1, len(village.lines))
        self._places = write_options(self.book, about)
        let_fill_in(sheet, (1, last), columns, about, self._places)
        sheet.freeze_panes(1, columns["level"])
        sheet.autofilter(0, 0, last, len(columns) - 1)
        sheet.repeat_rows(0)
        # What is filled in on the screen would make what is read on paper too small.
        sheet.print_area(0, 0, last, len(told) - 1)
        for_print(sheet, landscape=True)
        sheet.protect(options=PROTECTED)

    def _write_line(self, at: int, line: Line, contact: Contact, columns: dict[str, int]) -> None:
        sheet, forms = self.list, self.forms
        most = 2
        spare = CONFIRM[len(line.asked) :]
        told = {"number": at, "household": line.household, "token": line.token, **line.cells}
        told["who"] = "\n".join(t for t in (contact.name, contact.telephone, contact.address) if t)
        told["level"] = "\n".join(str(line.cells[k]) for k in ("level", "also") if line.cells.get(k))
        look = {"number": forms.middle, "level": forms.middle, "chance": forms.share, "token": forms.code}
        for name, column in columns.items():
            if name in spare:
                sheet.write_blank(at, column, None, forms.told)
                continue
            if name in FILL:
                sheet.write_blank(at, column, None, forms.open_date if name == "date" else forms.open)
                continue
            value = told.get(name)
            write(sheet, at, column, value, look.get(name, forms.told))
            if isinstance(value, str):
                most = max(most, lines_needed(value, WIDTHS[name]))
        sheet.set_row(at, min(400, LINE * most + 3))

    def write_procedure(self, village: VillageList) -> None:
        """The steps after the visit: a day to be written for each household and step."""
        sheet, about, forms = self.steps, self.about, self.forms
        steps = about.visiting.told_steps()
        heads = [about.word("number"), about.word("household"), *([about.word("name")] if village.contacts else [])]
        first, wide = len(heads), (5, 20, 12)
        heads += [about.visiting.steps[s].name.said(about.language) for s in steps]
        for at, head in enumerate((*heads, about.word("token"))):
            sheet.write_string(0, at, head, forms.head if at < first or at == len(heads) else forms.fill_head)
            sheet.set_column(at, at, wide[at] if at < first else 46 if at == len(heads) else 14)
        sheet.set_row(0, 32)
        for at, line in enumerate(village.lines, start=1):
            sheet.set_row(at, LINE + 3)
            write(sheet, at, 0, at, forms.middle)
            write(sheet, at, 1, line.household, forms.told)
            if village.contacts:
                write(sheet, at, 2, village.contact(line).name, forms.told)
            for column in range(first, len(heads)):
                sheet.write_blank(at, column, None, forms.open_date)
            write(sheet, at, len(heads), line.token, forms.code)
        last = max(1, len(village.lines))
        let_dates(sheet, (1, last), range(first, len(heads)), about)
        sheet.freeze_panes(1, first)
        sheet.repeat_rows(0)
        for_print(sheet, landscape=True)
        sheet.protect(options=PROTECTED)

    def finish(self) -> None:
        """The list is the sheet that stands open."""
        self.list.set_first_sheet()


__all__ = ["LONGEST", "Line", "VillageList", "sources_and_stamps", "told_columns", "write_village"]
