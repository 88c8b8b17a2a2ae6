"""Refused rows as workbooks for the departments that sent them: where, why, what to do, and cells to fill in again."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import xlsxwriter

from fpml.catalogue import SPARE, Catalogue, Column, Layout, layouts
from fpml.intake import REASONS, Receipt, Shelf
from fpml.intake.corrections import DECISION, GIVE_UP, SEND, TOKEN
from fpml.intake.places import Place
from fpml.intake.sources import CORRECTIONS
from fpml.version import code

# No clock in the file: the same rows give the same bytes.
_MADE = datetime(2020, 1, 1)
# What stands in the name of a workbook that goes out; one that comes back has the item of corrections.
OUT = "待更正"
_NAME = re.compile(rf"(?P<sender>.+)-{OUT}-\d{{4}}-\d\d\.xlsx")
_BEFORE = (TOKEN, DECISION, "位置", "原因", "处理办法", "问题列", "原内容")
_WIDTHS = (15, 10, 24, 18, 24, 14, 34)
_LINE, _OWN_WIDTH = 64, 17
_HOW = (
    "说明：下列各行未能入库。请按“原因”和“处理办法”核对原文件，在浅黄色单元格中重新填写整行（证件号码须填全部位数），"
    "不再报送的在“处理”栏选择“不再报送”。不要改动“更正编号”。填好后另存为“{returned}”（日期为报送当天），放回报送文件夹。"
)
_KEYS = ("id_number", "certificate", "head_id_number", "household")


class _Line(NamedTuple):
    """One refused row and its place."""

    place: Place
    row: dict[str, Any]


def write_corrections(shelf: Shelf, catalogue: Catalogue, folder: Path, kept: Path) -> list[Path]:
    """Writes a workbook for each sender and month with refused rows, a sheet for each kind of file; where they lie.

    Each sender has a folder. A workbook whose rows have not changed since it was written (`kept` says it) stays as it
    is; those whose rows have all been taken in since are removed. No ID number and no name stands in them.
    """
    before, now = _known(kept), {}
    for (sender, month), receipts in sorted(_refused(shelf).items()):
        name = f"{sender}/{sender}-{OUT}-{month}.xlsx"
        now[name] = _state(shelf, catalogue, receipts)
        if before.get(name) != now[name] or not (folder / name).exists():
            (folder / sender).mkdir(parents=True, exist_ok=True)
            _write(folder / name, shelf, catalogue, receipts)
    for old in [*_written(folder)]:
        if old.relative_to(folder).as_posix() not in now:
            old.unlink()
            with suppress(OSError):  # others of its sender are left
                old.parent.rmdir()
    if now != before:
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".part")
        half.write_text(json.dumps(now, ensure_ascii=False), encoding="utf-8")
        half.replace(kept)
    return [folder / name for name in now]


def _written(folder: Path) -> Iterator[Path]:
    """Every workbook in its sender's folder, or in none, as an earlier fpml put it; nobody's copy of another name."""
    for path in (*folder.glob("*.xlsx"), *folder.glob("*/*.xlsx")):
        name = _NAME.fullmatch(path.name)
        if name and path.parent in (folder, folder / name["sender"]):
            yield path


def _known(kept: Path) -> dict[str, str]:
    """By workbook the state of what it was written from; nothing where that was not kept."""
    with suppress(OSError, ValueError):
        told = json.loads(kept.read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}
    return {}


def _state(shelf: Shelf, catalogue: Catalogue, receipts: list[Receipt]) -> str:
    """A digest of all that a workbook is written from."""
    told = [(r.delivery, r.day, shelf.state(r.delivery)) for r in receipts]
    return sha256(repr((told, catalogue.fingerprint, code())).encode()).hexdigest()[:16]


def _write(path: Path, shelf: Shelf, catalogue: Catalogue, receipts: list[Receipt]) -> None:
    """Writes one sender's workbook of one month, in one step."""
    first = receipts[0]
    returned = f"{first.sender}-{CORRECTIONS[0]}-{first.month}_{max(r.day for r in receipts)}.xlsx"
    found = [
        _Line(Place.of(r.delivery, row["sheet"], row["row"]), row)
        for r in receipts
        for row in shelf.refused(r.delivery).to_pylist()
    ]
    half = path.with_suffix(".part")
    with xlsxwriter.Workbook(str(half), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": _MADE})
        forms = _Forms(book)
        for layout in layouts({first.department: catalogue.departments[first.department]}):
            lines = [line for line in found if line.row["item"] == layout.item]
            if lines:
                sheet = _write_sheet(book, layout, lines, forms)
                sheet.merge_range(*_top(layout), _HOW.format(returned=returned), forms.how)
    half.replace(path)


def _refused(shelf: Shelf) -> dict[tuple[str, str], list[Receipt]]:
    """The departments' files with refused rows, by sender and month."""
    found: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in shelf.all():
        if receipt.sender and receipt.quarantined:
            found[receipt.sender, receipt.month].append(receipt)
    return found


class _Forms:
    """How cells look: the head, what is told (locked), and what is to be filled in."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        edge = {"border": 1, "valign": "top", "text_wrap": True}
        self.how = book.add_format({"text_wrap": True, "valign": "vcenter", "bold": True})
        self.head = book.add_format(
            edge | {"bold": True, "bg_color": "#D9D9D9", "align": "center", "valign": "vcenter"}
        )
        self.told = book.add_format(edge)
        # Text, so that no number of eighteen digits is rounded.
        self.open = book.add_format(edge | {"bg_color": "#FFF9E5", "locked": False, "num_format": "@"})


def _write_sheet(book: xlsxwriter.Workbook, layout: Layout, lines: Iterable[_Line], forms: _Forms) -> Any:
    """A sheet of one kind of file; its first row is left for what to do."""
    sheet = book.add_worksheet(layout.name.said("zh")[:31])
    own = _own(layout)
    sheet.set_row(0, 48)
    for at, header in enumerate((*_BEFORE, *(_header(c) for c in own))):
        sheet.write_string(1, at, header, forms.head)
        sheet.set_column(at, at, _WIDTHS[at] if at < len(_WIDTHS) else _OWN_WIDTH)
    last = 1
    for last, line in enumerate(lines, start=2):
        _write_line(sheet, last, line, own, forms)
    sheet.data_validation(2, 1, last, 1, {"validate": "list", "source": [SEND, GIVE_UP]})
    for n, column in enumerate(own, start=len(_BEFORE)):
        words = [w[0] for w in column.words.values()]
        if words and sum(map(len, words)) + len(words) < 255:
            sheet.data_validation(2, n, last, n, {"validate": "list", "source": words})
    sheet.freeze_panes(2, 2)
    sheet.set_landscape()
    sheet.repeat_rows(1)
    sheet.fit_to_pages(1, 0)
    sheet.protect(options={"autofilter": True, "sort": True, "format_columns": True, "format_rows": True})
    return sheet


def _own(layout: Layout) -> list[Column]:
    return [c for c in layout.columns if c.role not in SPARE]


def _top(layout: Layout) -> tuple[int, int, int, int]:
    """The first row of its sheet."""
    return 0, 0, 0, len(_BEFORE) + len(_own(layout)) - 1


def _write_line(sheet: Any, at: int, line: _Line, own: list[Column], forms: _Forms) -> None:
    row, reason = line.row, REASONS[line.row["reason"]]
    cells = json.loads(row["cells"] or "{}")
    shown = "\n".join(f"{h}：{v}" for h, v in cells.items())
    where = f"{row['file']} {row['sheet'] or ''} 第{row['row']}行"
    why = f"{row['code']} {reason.zh}"
    told = str(line.place), None, where, why, reason.remedy_zh, row["column"] or "", shown[:1000]
    sheet.set_row(at, _LINE)
    for n, text in enumerate(told):
        if text is None:
            sheet.write_blank(at, n, None, forms.open)
        else:
            sheet.write_string(at, n, text, forms.told)
    for n, _ in enumerate(own, start=len(told)):
        sheet.write_blank(at, n, None, forms.open)


def _header(column: Column) -> str:
    unit = next(iter(column.units), "")
    return f"{column.header}（{unit}）" if unit else column.header
