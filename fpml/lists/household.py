"""A household's own sheet, to be printed and taken to the door: what is on record, boxes to tick, and its QR code."""

import io
from typing import TYPE_CHECKING, Any

from fpml.catalogue import CONFIRM
from fpml.lists.sheets import MOST_TEXT, About, Forms, for_print, lines_needed
from fpml.lists.tokens import picture
from fpml.vault import ROLES

if TYPE_CHECKING:
    from fpml.lists.village import Line, VillageList

# A label and what it is of, twice, in so many characters: they fill a page in portrait.
LABEL, VALUE = 15, 30
WIDE = 2 * (LABEL + VALUE)
LAST = 3
LINE = 16.5
TALLEST = 230
# Characters of a line beside a label.
TEXT = WIDE - LABEL - 2


def write_household(
    sheet: Any, forms: Forms, about: About, village: "VillageList", numbered: "tuple[int, Line]"
) -> None:
    """Writes the sheet of one household: exactly one page."""
    for at, wide in enumerate((LABEL, VALUE, LABEL, VALUE)):
        sheet.set_column(at, at, wide)
    page = _Page(sheet, forms, about)
    page.head(village, *numbered)
    line = numbered[1]
    page.band(about.word("form_told"))
    for name in ("rules", "reasons", "eases", "likely", "consider", "ask"):
        page.told(about.word(name), str(line.cells.get(name) or about.word("form_none")))
    page.band(about.word("form_found"))
    for column in ("verified", *CONFIRM[: len(line.asked)], "cause", "income_check", "measures"):
        boxes = _in_lines([about.word("box", name=c) for c in about.choices(column)])
        page.told(about.word(column).rstrip("▼ "), boxes, spare=6)
    page.pair(about.word("visitor"), about.word("date"))
    page.told(about.word("remark"), "", spare=110)
    page.pair(about.word("form_name"), about.word("form_sign"))
    page.foot(about.word("notice_text"))
    for_print(sheet, pages_high=1)
    sheet.protect()


class _Page:
    """A page written from top to bottom."""

    def __init__(self, sheet: Any, forms: Forms, about: About) -> None:
        self.sheet, self.forms, self.about, self.at = sheet, forms, about, 0

    def head(self, village: "VillageList", number: int, line: "Line") -> None:
        """The title, who it is, and the QR code with its token below."""
        sheet, about, forms = self.sheet, self.about, self.forms
        sheet.set_row(0, 30)
        sheet.write_string(0, 0, f"{about.word('form_title')} {number}", forms.title)
        chance, contact = line.cells.get("chance"), village.contact(line)
        told = [
            (about.word("village"), village.name),
            (about.word("household"), line.household),
            *((about.word(r), getattr(contact, r)) for r in ROLES if getattr(contact, r)),
            (about.word("level"), f"{line.cells.get('level', '')}  {line.cells.get('also', '')}".strip()),
            (about.word("listed_by"), str(line.cells.get("listed_by", ""))),
            (about.word("as_of"), str(about.as_of)),
            (about.word("due"), str(about.due or "")),
        ]
        if about.months is not None:
            known = chance is not None and chance == chance
            told.append((about.word("chance", months=about.months), f"{chance:.1%}" if known else ""))
        for at, (name, value) in enumerate(told, start=1):
            wide = max(lines_needed(name, LABEL - 1), lines_needed(value, VALUE + LABEL))
            sheet.set_row(at, LINE * wide + 3)
            sheet.write_string(at, 0, name, forms.bold)
            sheet.merge_range(at, 1, at, 2, "", forms.told)
            sheet.write_string(at, 1, value, forms.told)
        self.at = len(told) + 1
        sheet.merge_range(self.at, 0, self.at, LAST, "", forms.small)
        sheet.write_string(self.at, 0, line.token, forms.small)
        image = {
            "image_data": io.BytesIO(picture(line.token)),
            "x_offset": 55,
            "y_offset": 4,
            "description": line.token,
        }
        sheet.insert_image(0, LAST, "code.png", image | {"object_position": 3})
        self.at += 1

    def band(self, text: str) -> None:
        """A heading across the page."""
        self.sheet.set_row(self.at, 20)
        self.sheet.merge_range(self.at, 0, self.at, LAST, "", self.forms.head)
        self.sheet.write_string(self.at, 0, text, self.forms.head)
        self.at += 1

    def told(self, name: str, text: str, *, spare: float = 0) -> None:
        """A label, and a text as high as it needs with so many points to spare."""
        wide = TEXT
        lines = max(lines_needed(text, wide), lines_needed(name, LABEL - 1))
        self.sheet.set_row(self.at, min(TALLEST, LINE * lines + 4) + spare)
        self.sheet.write_string(self.at, 0, name, self.forms.bold)
        self.sheet.merge_range(self.at, 1, self.at, LAST, "", self.forms.told)
        self.sheet.write_string(self.at, 1, text[:MOST_TEXT], self.forms.told)
        self.at += 1

    def pair(self, left: str, right: str) -> None:
        """Two labels, each with room to write."""
        self.sheet.set_row(self.at, 40)
        for column, name in ((0, left), (2, right)):
            self.sheet.write_string(self.at, column, name, self.forms.bold)
            self.sheet.write_blank(self.at, column + 1, None, self.forms.told)
        self.at += 1

    def foot(self, text: str) -> None:
        """A note across the page."""
        self.sheet.set_row(self.at, LINE * lines_needed(text, WIDE) + 6)
        self.sheet.merge_range(self.at, 0, self.at, LAST, "", self.forms.note)
        self.sheet.write_string(self.at, 0, text, self.forms.note)
        self.at += 1


def _in_lines(boxes: list[str]) -> str:
    """Boxes to tick, as many in a line as it holds: none is broken in two."""
    lines = [boxes[0]]
    for box in boxes[1:]:
        longer = f"{lines[-1]}    {box}"
        if lines_needed(longer, TEXT) > 1:
            lines.append(box)
        else:
            lines[-1] = longer
    return "\n".join(lines)
