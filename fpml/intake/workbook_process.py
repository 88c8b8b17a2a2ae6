"""A process of its own that reads one workbook and writes its sheets to standard output; then its life is over.

    python -I workbook_process.py PATH    one Arrow stream of text columns for each sheet with cells; status: Verdict

Whoever made the file may have meant harm, and the parser (calamine, in Rust) panics at some files that are merely
damaged. So it has limits of memory and time, checks all of a zip before the parser sees it, and stands alone: it
imports nothing of fpml, which takes longer to import than most workbooks to read. Nothing is written to disk, no core
either. What it cannot tell: errors such as #N/A in an old .xls; calamine leaves these cells empty.
"""

import json
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from itertools import islice, pairwise
from typing import Any, BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat

import python_calamine as calamine

MEMORY = 3 << 30  # bytes of address space; a full sheet of eight columns takes 0.8 GB of memory
OLE_MEMORY = 1 << 30  # for an old workbook, and thirty times its size
SECONDS = 240  # of processor time
UNPACKED = 2 << 30  # bytes
MEMBERS = 5000
# XML of tables packs ten- to fifty-fold. What is small may be packed as it likes.
RATIO, SMALL = 200, 10 << 20
_AT_A_TIME = 20_000  # rows
_PIECE = 1 << 20
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")
# The directory entry of an encrypted .xlsx; in an .xls, the FilePass record after the first (MS-XLS 2.4.117).
_ENCRYPTED = re.compile(
    re.escape("EncryptedPackage".encode("utf-16-le"))
    + rb"|\x09\x08\x10\x00\x00\x06\x05\x00.{12}(\x86\x00\x00\x00)?\x2f\x00",
    re.DOTALL,
)
_LOCAL_HEADER = 30
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


# By sheet: the cells with an error, by row and column from 0, and its text.
Errors = dict[str, dict[tuple[int, int], str]]


class Verdict(IntEnum):
    """The exit status: what became of the workbook."""

    READ = 0
    DAMAGED = 10
    PROTECTED = 11
    TOO_LARGE = 12
    NO_WORKBOOK = 13
    ENTITIES = 14
    EMPTY = 15
    TOO_MUCH_MEMORY = 16


class RefusedError(Exception):
    """The workbook is refused for the reason `verdict`."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


def main(path: str) -> Verdict:
    """Writes the sheets of the workbook at `path`; says what became of it."""
    try:
        _limit(MEMORY)
        with open(path, "rb") as f:
            errors = _checked_ole(f) if f.read(len(_OLE)) == _OLE else _checked_zip(f)
            f.seek(0)
            return _write_all(f, errors)
    except RefusedError as e:
        return e.verdict
    except calamine.PasswordError:
        return Verdict.PROTECTED
    except MemoryError:
        return Verdict.TOO_MUCH_MEMORY
    except BaseException:  # a panic of Rust's is no Exception
        return Verdict.DAMAGED


def _limit(memory: int) -> None:
    """Limits this process, where the system can: on Windows the reader's patience is all there is."""
    try:
        import resource
    except ImportError:
        return
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


# --- what is checked before the parser sees it


def _checked_ole(f: BinaryIO) -> Errors:
    """Refuses an encrypted workbook in an OLE file; knows of no cells with errors."""
    # Nothing is packed in it, so that only one that runs in circles needs more.
    _limit(OLE_MEMORY + 30 * f.seek(0, 2))
    f.seek(0)
    kept = b""
    while piece := f.read(_PIECE):
        if _ENCRYPTED.search(kept + piece):
            raise RefusedError(Verdict.PROTECTED)
        kept = piece[-40:]
    return {}


def _checked_zip(f: BinaryIO) -> Errors:
    """Refuses a zip that could do harm; the cells of each sheet with an error such as #N/A, which calamine empties."""
    with zipfile.ZipFile(f) as z:
        members = z.infolist()
        _check_directory(members)
        held = [m for m in members if _check_member(f, m)]
        return {sheet: _error_cells(f, m) for m in held for sheet in _sheets_of(z, m.filename)}


def _check_directory(members: list[zipfile.ZipInfo]) -> None:
    names = [m.filename for m in members]
    if any(m.flag_bits & 1 for m in members):
        raise RefusedError(Verdict.PROTECTED)
    large = [m for m in members if m.file_size > SMALL]
    if (
        len(members) > MEMBERS
        or sum(m.file_size for m in members) > UNPACKED
        or any(m.file_size > RATIO * m.compress_size for m in large)
    ):
        raise RefusedError(Verdict.TOO_LARGE)
    if not {"[Content_Types].xml", "xl/workbook.xml"} <= set(names):
        raise RefusedError(Verdict.NO_WORKBOOK)
    # Two members of one name, or in one place: readers differ in which they take.
    order = sorted(members, key=lambda m: m.header_offset)
    apart = all(a.header_offset + _LOCAL_HEADER + a.compress_size <= b.header_offset for a, b in pairwise(order))
    methods = {m.compress_type for m in members}
    if len(set(names)) < len(names) or not apart or not methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise RefusedError(Verdict.DAMAGED)


def _check_member(f: BinaryIO, member: zipfile.ZipInfo) -> bool:
    """Reads a member to its end: its size and checksum are as stated, its XML is whole and declares no entities.

    Says whether a cell of it holds an error. A stated size may be a lie: so no more than that is unpacked.
    """
    size = crc = 0
    erroneous, kept = False, b""
    parser = _xml() if member.filename.lower().endswith((".xml", ".rels")) else None
    for piece in _unpacked(f, member):
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        if size > member.file_size:
            raise RefusedError(Verdict.TOO_LARGE)
        if parser:
            parser.Parse(piece, False)
            erroneous = erroneous or b't="e"' in kept + piece or b"t='e'" in kept + piece
            kept = piece[-4:]
    if parser:
        parser.Parse(b"", True)
    if size != member.file_size or crc != member.CRC:
        raise RefusedError(Verdict.DAMAGED)
    return erroneous


def _xml() -> expat.XMLParserType:
    def refuse(*_: object) -> None:
        raise RefusedError(Verdict.ENTITIES)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def _unpacked(f: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, however many they turn out to be, a megabyte at a time."""
    f.seek(member.header_offset)
    header = f.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise RefusedError(Verdict.DAMAGED)
    f.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    left = member.compress_size
    inflate = zlib.decompressobj(-15) if member.compress_type == zipfile.ZIP_DEFLATED else None
    while left and (packed := f.read(min(_PIECE, left))):
        left -= len(packed)
        while packed and inflate:
            yield inflate.decompress(packed, _PIECE)
            packed = inflate.unconsumed_tail
        yield packed
    if inflate:
        yield inflate.flush()


def _sheets_of(z: zipfile.ZipFile, member: str) -> list[str]:
    """The names of the sheets whose cells lie in a member of the zip."""
    relations = ElementTree.fromstring(z.read("xl/_rels/workbook.xml.rels"))
    ids = {r.get("Id") for r in relations if member in (f"xl/{r.get('Target')}", str(r.get("Target")).lstrip("/"))}
    book = ElementTree.fromstring(z.read("xl/workbook.xml"))
    return [s.get("name", "") for s in book.iter() if s.tag.endswith("}sheet") and s.get(_RELATION) in ids]


def _error_cells(f: BinaryIO, member: zipfile.ZipInfo) -> dict[tuple[int, int], str]:
    """The errors in a sheet's XML, by row and column."""
    found: dict[tuple[int, int], str] = {}
    cell: list[Any] = [None, ""]  # its place, None outside of such a cell; its text

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.endswith(" c"):
            cell[:] = [_place(attributes.get("r", "")) if attributes.get("t") == "e" else None, ""]
        elif name.endswith(" v"):
            cell[1] = ""

    def end(name: str) -> None:
        if name.endswith(" v") and cell[0]:
            found[cell[0]] = cell[1][:20]

    def text(words: str) -> None:
        cell[1] += words if cell[0] else ""

    parser = _xml()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    for piece in _unpacked(f, member):
        parser.Parse(piece, False)
    return found


def _place(reference: str) -> tuple[int, int] | None:
    """`B3` -> (2, 1): row and column from 0."""
    m = re.fullmatch(r"([A-Z]{1,3})([0-9]{1,7})", reference)
    if not m:
        return None
    column = 0
    for letter in m[1]:
        column = column * 26 + ord(letter) - 64
    return int(m[2]) - 1, column - 1


# --- what is written


def _write_all(f: BinaryIO, errors: Errors) -> Verdict:
    verdict = Verdict.EMPTY
    with calamine.CalamineWorkbook.from_filelike(f) as book:
        if len(set(book.sheet_names)) < len(book.sheet_names):
            raise RefusedError(Verdict.DAMAGED)  # calamine would read the first of them twice
        for page in book.sheets_metadata:
            if page.typ != calamine.SheetTypeEnum.WorkSheet:
                continue
            sheet, erroneous = book.get_sheet_by_name(page.name), errors.get(page.name, {})
            if sheet.end:
                _write(sheet, page.visible != calamine.SheetVisibleEnum.Visible, erroneous)
                verdict = Verdict.READ
    sys.stdout.buffer.flush()
    return verdict


def _write(sheet: calamine.CalamineSheet, hidden: bool, errors: dict[tuple[int, int], str]) -> None:
    """Writes a sheet as an Arrow stream; its name and its merged cells of one column stand with the schema."""
    import pyarrow as pa  # not before there is something to write: it takes longer than all the checks

    width = sheet.end[1] + 1 if sheet.end else 0
    merged = [(top, bottom, a) for (top, a), (bottom, b) in sheet.merged_cell_ranges or [] if a == b and top < bottom]
    about = json.dumps({"name": sheet.name, "hidden": hidden, "merged": merged, "errors": len(errors)})
    schema = pa.schema([(str(k), pa.string()) for k in range(width)], metadata={"sheet": about})
    rows = _rows(sheet, errors) if errors or sheet.start != (0, 0) else sheet.iter_rows()
    # Few rows at a time where they are wide.
    size = max(1, min(_AT_A_TIME, 2_000_000 // width))
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
        while batch := list(islice(rows, size)):
            columns = [pa.array(_texts(cells), pa.string()) for cells in zip(*batch, strict=True)]
            out.write_batch(pa.record_batch(columns, schema=schema))


def _rows(sheet: calamine.CalamineSheet, errors: dict[tuple[int, int], str]) -> Iterator[list[Any]]:
    """The rows from the sheet's first column on, which calamine leaves out where it is empty, and with errors."""
    by_row: dict[int, list[tuple[int, str]]] = {}
    for (row, column), text in errors.items():
        by_row.setdefault(row, []).append((column, text))
    pad = [""] * (sheet.start[1] if sheet.start else 0)
    for number, cells in enumerate(sheet.iter_rows()):
        whole = [*pad, *cells]
        for column, text in by_row.get(number, ()):
            whole[column] = text
        yield whole


def _texts(cells: tuple[Any, ...]) -> list[str] | tuple[str, ...]:
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells
    return [_TEXT[type(c)](c) for c in cells]


def number(x: float) -> str:
    """A number as a person would have typed it: at most fifteen digits, and an exponent from 10^15 on.

    Excel keeps no more digits: a longer number, such as an ID number, has lost its end, and this is how one can tell.

    >>> number(0.1 + 0.2), number(12.0), number(1e-05), number(360121198001011234.0)
    ('0.3', '12', '0.00001', '3.60121198001011E+17')
    """
    if abs(x) < 1e15 and x == int(x):
        return str(int(x))
    digits = format(x, ".15G")
    return format(Decimal(digits), "f") if abs(x) < 1e15 else digits


def _moment(when: datetime) -> str:
    return when.date().isoformat() if when.time() == time() else when.isoformat(" ", "seconds")


_TEXT: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda yes: "TRUE" if yes else "FALSE",
    int: number,
    float: number,
    datetime: _moment,
    date: date.isoformat,
    time: str,
    timedelta: str,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
