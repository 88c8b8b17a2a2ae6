"""What a county's clerks really send -> tables of text cells: CSV in any of its dialects, workbooks new and old.

    tables(path)          the tables of a file, each with its first rows: what a header is looked for in
    table.blocks(header)  the rows below one of these, as columns of text, some hundred thousand at a time

A file that cannot be read whole is refused whole. No message holds a cell's text: it may be somebody's name or number.
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.errors import DeliveryError

TOP = 20
LONGEST_CELL = 100_000  # characters
ENDINGS = (".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xls")
OLE = bytes.fromhex("D0CF11E0A1B11AE1")
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# The first bytes of what is sometimes sent by mistake, and what to call it.
_OTHERS = {
    b"%PDF": "a PDF file",
    b"{\\rtf": "an RTF document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"PAR1": "a Parquet file under another name",
}
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<meta", b"<table", b"<?xml", b"<style", b"<!--", b"<body")


@dataclass(frozen=True)
class Block:
    """Some rows of a table below its header, every cell as trimmed text (null: empty).

    `row` are the rows' numbers as a spreadsheet counts, from 1 at the top of the file or sheet; `cells` is one array
    for each cell of the header; `torn` are the numbers of rows with too few or too many cells, which are not in `row`.
    """

    row: npt.NDArray[np.int64]
    cells: tuple[pa.StringArray, ...]
    torn: npt.NDArray[np.int64]


class RawTable(Protocol):
    """A CSV file, or a sheet of a workbook.

    `top` are the first TOP rows as trimmed text, "" where empty. `notes` say what was found out while reading.
    """

    @property
    def sheet(self) -> str | None:
        """The sheet's name; None in a CSV file."""

    @property
    def top(self) -> tuple[tuple[str, ...], ...]:
        """The first TOP rows."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader found out: `gb18030`, `tab`, `merged_cells` and the like."""

    def filling(self, columns: Collection[int]) -> "RawTable":
        """The same, whose merged cells are told in every row for these columns only; elsewhere in the first."""

    def blocks(self, header: int, *, spare: int = 0, size: int = 200_000) -> Iterator[Block]:
        """The rows below `top[header]` without the empty ones, at most `size` to a block.

        Of the last `spare` columns a row may lack some: spreadsheets leave delimiters out behind the last full cell.
        Raises DeliveryError at the row of a CSV file from which it cannot be read on: what came before is void then.
        """


def trimmed(cells: pa.StringArray) -> pa.StringArray:
    """The cells without blanks around them, those of Chinese text too; null where nothing is left."""
    words = pc.utf8_trim_whitespace(cells)
    empty = pc.equal(pc.binary_length(words), 0)
    return pc.if_else(empty, None, words) if pc.any(empty).as_py() else words


def without_empty(block: Block) -> Block:
    """The block without the rows that have no text at all."""
    if not block.cells or not all(c.null_count for c in block.cells):
        return block
    filled = np.logical_or.reduce([c.is_valid().to_numpy(zero_copy_only=False) for c in block.cells])
    return Block(block.row[filled], tuple(c.filter(pa.array(filled)) for c in block.cells), block.torn)


def refuse_long(path: Path, block: Block) -> None:
    """Raises DeliveryError where a cell is longer than LONGEST_CELL: no cell is, but what was never closed."""
    for cells in block.cells:
        # Bytes first: they are counted at once, and are never fewer than characters.
        if (pc.max(pc.binary_length(cells)).as_py() or 0) > LONGEST_CELL:
            long = pc.fill_null(pc.greater(pc.utf8_length(cells), LONGEST_CELL), False)
            for row in block.row[long.to_numpy(zero_copy_only=False)]:
                problem = f"a cell of more than {LONGEST_CELL:,} characters in row {row}"
                raise DeliveryError(path.name, problem, "Mend that cell and send the file again.")


def tables(path: Path) -> list[RawTable]:
    """The file's tables: one of a CSV file, one of each sheet with cells. What the content is decides, not the name.

    Raises DeliveryError where the file is none, is cut off, protected, too large when unpacked, or no table at all.
    """
    # They build on what stands above.
    from fpml.intake import csvs, workbooks

    first = _first_bytes(path)
    if path.suffix.lower() not in ENDINGS:
        raise DeliveryError(path.name, f"a {path.suffix or 'nameless'} file", f"Deliver {', '.join(ENDINGS)}.")
    if first.startswith((*ZIP, OLE)):
        return list(workbooks.sheets(path))
    _refuse_other(path, first)
    return [csvs.CsvTable.of(path)]


def _first_bytes(path: Path) -> bytes:
    """The first kilobyte of a regular file. A pipe or a device is never opened: it might never end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DeliveryError(path.name, "a folder or a device, not a file", "Deliver its files one by one.")
        with path.open("rb") as f:
            return f.read(1024)
    except FileNotFoundError:
        raise DeliveryError(path.name, "no such file", "Check the name and the folder.") from None
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or "not a file's name"
        raise DeliveryError(path.name, f"cannot be opened ({reason})", "Check that you may read it.") from None


def _refuse_other(path: Path, first: bytes) -> None:
    for magic, name in _OTHERS.items():
        if first.startswith(magic):
            raise DeliveryError(path.name, f"{name}, not a table", "Save the table as .xlsx or .csv.")
    # A byte order mark, and the empty bytes of UTF-16, do not hide a web page.
    plain = first.lstrip(b"\xef\xbb\xbf\xff\xfe").replace(b"\0", b"").lstrip().lower()
    if plain.startswith(_MARKUP):
        raise DeliveryError(
            path.name, "a web page (HTML or XML), not a workbook", "Open it in a spreadsheet and save it as .xlsx."
        )
