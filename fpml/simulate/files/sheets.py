"""Cells -> the bytes of a CSV file or a workbook, the same bytes whenever they are written."""

import codecs
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter

# A workbook says when it was made: always then, so that two runs agree.
_MADE = datetime(2020, 1, 1)
# What Excel keeps exactly as a number: not more than fifteen digits.
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True)
class Sheet:
    """A table as it will stand in a file: title rows above the header, and cells as text (null: empty).

    `numeric` are the headers of columns whose plain numbers Excel holds as numbers.
    """

    name: str
    titles: tuple[str, ...]
    cells: dict[str, pa.StringArray]
    numeric: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    @property
    def first(self) -> int:
        """The number of its first row of data, counted from 1 at the top."""
        return len(self.titles) + 2


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    newline: str = "\n"


def csv_bytes(sheet: Sheet, dialect: Dialect) -> bytes:
    """The whole of a CSV file; cells are quoted only where they must be."""
    columns = [_quoted(c, dialect.delimiter) for c in sheet.cells.values()]
    joined = pc.binary_join_element_wise(*columns, dialect.delimiter, null_handling="replace", null_replacement="")
    ended = pc.binary_join_element_wise(joined, pa.scalar(dialect.newline), "")
    width = len(columns) - 1
    top = [*(t + dialect.delimiter * width for t in sheet.titles), dialect.delimiter.join(sheet.cells)]
    head = "".join(line + dialect.newline for line in top)
    body = _characters(ended)
    if dialect.encoding in ("utf-8", "utf-8-sig"):
        mark = codecs.BOM_UTF8 if dialect.encoding == "utf-8-sig" else b""
        return mark + head.encode() + bytes(body)
    return (head + str(body, "utf-8")).encode(dialect.encoding)


def _characters(lines: pa.StringArray) -> memoryview:
    """All of the lines, one after another, where Arrow holds them."""
    if not len(lines):
        return memoryview(b"")
    whole = memoryview(lines.buffers()[2])
    ends = memoryview(lines.buffers()[1]).cast("i")
    return whole[ends[lines.offset] : ends[lines.offset + len(lines)]]


def _quoted(cells: pa.StringArray, delimiter: str) -> pa.StringArray:
    special = pc.match_substring_regex(cells, f'[{delimiter}"]')
    if not pc.any(special).as_py():
        return cells
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
    return pc.if_else(pc.fill_null(special, False), quoted, cells)


def workbook_bytes(sheets: Iterable[Sheet]) -> bytes:
    """A workbook; titles lie in merged cells. No cell is a formula, whatever its text."""
    held = io.BytesIO()
    with xlsxwriter.Workbook(held, {"in_memory": True}) as book:
        book.set_properties({"created": _MADE})
        for sheet in sheets:
            _write(book.add_worksheet(sheet.name), sheet)
    return held.getvalue()


def _write(page: "xlsxwriter.worksheet.Worksheet", sheet: Sheet) -> None:
    width = len(sheet.cells)
    for n, title in enumerate(sheet.titles):
        page.merge_range(n, 0, n, width - 1, title)
    for at, (header, cells) in enumerate(sheet.cells.items()):
        page.write_string(len(sheet.titles), at, header)
        numbers = header in sheet.numeric
        rows = range(sheet.first - 1, sheet.first - 1 + len(cells))
        for row, text, column in zip(rows, cells.to_pylist(), repeat(at)):
            if text is None:
                continue
            if numbers and _NUMBER.fullmatch(text):
                page.write_number(row, column, float(text))
            else:
                page.write_string(row, column, text)
