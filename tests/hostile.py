"""Files that were damaged, or made to do harm. Nobody in them is real: `SECRETS` are what no message may show."""

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import xlsxwriter
import xlwt

SECRETS = ("王虚构", "000011112222", "zz-secret")
HEADER = ("户编号", "姓名", "金额")
ROWS = [(f"000011112222{n:04d}", f"王虚构{n}", f"zz-secret {n}") for n in range(60)]
WORDS = "xl/worksheets/sheet1.xml"


@dataclass(frozen=True)
class Case:
    """A file's name and content; `refused` are words of the refusal, None where it may be read as well."""

    name: str
    file: str
    content: bytes
    refused: str | None = None


def csv_text(
    rows: list[tuple[str, ...]], delimiter: str = ",", newline: str = "\n", *, all_quoted: bool = False
) -> str:
    """The rows as CSV, every cell quoted or those alone that must be."""

    def cell(text: str) -> str:
        if not all_quoted and not re.search(f'[{delimiter}"\r\n]', text):
            return text
        return '"' + text.replace('"', '""') + '"'

    return "".join(delimiter.join(map(cell, row)) + newline for row in rows)


@cache
def plain_csv() -> bytes:
    return csv_text([HEADER, *ROWS]).encode()


@cache
def plain_xlsx() -> bytes:
    held = io.BytesIO()
    with xlsxwriter.Workbook(held, {"in_memory": True}) as book:
        # No clock in the file: every process that collects the tests must cut it at the same places.
        book.set_properties({"created": datetime(2024, 1, 1)})
        page = book.add_worksheet("表")
        for n, row in enumerate([HEADER, *ROWS]):
            page.write_row(n, 0, row)
    return held.getvalue()


@cache
def plain_xls() -> bytes:
    held = io.BytesIO()
    book = xlwt.Workbook()
    page = book.add_sheet("表")
    for n, row in enumerate([HEADER, *ROWS]):
        for k, cell in enumerate(row):
            page.write(n, k, cell)
    book.save(held)
    return held.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        return {name: z.read(name) for name in z.namelist()}


def zipped(parts: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as z:
        for name, content in parts.items():
            z.writestr(name, content)
    return held.getvalue()


def changed(**parts: bytes | None) -> bytes:
    """The plain workbook with other parts: `sheet`, `book`, `strings`, or None to leave one out."""
    names = {"sheet": WORDS, "book": "xl/workbook.xml", "strings": "xl/sharedStrings.xml",
             "types": "[Content_Types].xml", "relations": "xl/_rels/workbook.xml.rels"}  # fmt: skip
    new = {names.get(k, k): v for k, v in parts.items()}
    kept = {**members(plain_xlsx()), **new}
    return zipped({k: v for k, v in kept.items() if v is not None})


def sheet(rows: str, before: str = "", after: str = "") -> bytes:
    """The XML of a sheet with these rows."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f"{head}{before}<worksheet {space}><sheetData>{rows}</sheetData>{after}</worksheet>".encode()


def inline(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def restated(content: bytes, name: str, size: int) -> bytes:
    """A zip whose directory states another unpacked size of a member."""
    at = content.rindex(name.encode()) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    return content[: at + 24] + struct.pack("<I", size) + content[at + 28 :]


def overlapping() -> bytes:
    """A zip of which two members are the same bytes."""
    content = plain_xlsx()
    first, second = (content.rindex(n.encode()) - 46 for n in (WORDS, "xl/sharedStrings.xml"))
    return content[: second + 42] + content[first + 42 : first + 46] + content[second + 46 :]


def cuts(content: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    for k in range(count):
        at = max(9, len(content) * k // count)
        yield at, content[:at]
    yield len(content) - 1, content[:-1]


def flips(content: bytes, count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    chance = random.Random(seed)
    for at in sorted(chance.sample(range(8, len(content)), count)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << chance.randrange(8)
        yield at, bytes(flipped)


def of_zip() -> Iterator[Case]:
    plain = members(plain_xlsx())
    zeros = b"<a>" + b" " * (30 << 20) + b"</a>"
    bomb = zipped({**plain, "xl/media/a.xml": zeros})
    flagged = bytearray(plain_xlsx())
    for m in re.finditer(b"PK\x01\x02", plain_xlsx()):
        flagged[m.start() + 8] |= 1
    secret = "<!DOCTYPE x [<!ENTITY a 'zz-secret'>" + "".join(
        f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
    )
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    yield Case("bomb", "a.xlsx", bomb, "too large when unpacked")
    yield Case("bomb that claims to be small", "a.xlsx", restated(bomb, "xl/media/a.xml", 9), "too large")
    yield Case("claims three gigabytes", "a.xlsx", restated(plain_xlsx(), WORDS, 3 << 30), "too large")
    yield Case("claims a byte more", "a.xlsx", restated(plain_xlsx(), WORDS, len(plain[WORDS]) + 1), "damaged")
    yield Case("claims a byte less", "a.xlsx", restated(plain_xlsx(), WORDS, len(plain[WORDS]) - 1), "too large")
    yield Case("overlapping members", "a.xlsx", overlapping(), "damaged")
    yield Case("six thousand members", "a.xlsx", zipped({**plain, **{f"m{n}": b"" for n in range(6000)}}), "too large")
    yield Case("bzip2", "a.xlsx", zipped(plain, zipfile.ZIP_BZIP2), "damaged")
    yield Case("stored", "a.xlsx", zipped(plain, zipfile.ZIP_STORED))
    yield Case("password of the zip", "a.xlsx", bytes(flagged), "protected by a password")
    yield Case("entity bomb", "a.xlsx", changed(sheet=sheet("", secret + "]>")), "entities")
    yield Case("entity bomb in strings", "a.xlsx", changed(strings=(secret + "]><sst>&j;</sst>").encode()), "entities")
    yield Case("entity in UTF-16", "a.xlsx", changed(strings=(secret + "]><a/>").encode("utf-16")), "entities")
    yield Case("entity from outside", "a.xlsx", changed(sheet=sheet("", outside)), "entities")
    yield Case(
        "entity of nobody", "a.xlsx", changed(sheet=sheet(f"<row r='1'>{inline('A1', '&who;')}</row>")), "damaged"
    )
    for name in (
        "../../../../tmp/evil.xml",
        "/etc/evil.xml",
        "C:\\evil.xml",
        "n" * 60_000,
        "a\nb\x01.xml",
        "xl/../x.xml",
    ):
        yield Case(f"member {name[:12]!r}", "a.xlsx", zipped({**plain, name: b"<a/>"}))
    yield Case("no workbook", "a.xlsx", changed(book=None), "a zip file that is no workbook")
    yield Case("no types", "a.xlsx", changed(types=None), "no workbook")
    yield Case("no relations", "a.xlsx", changed(relations=None), "damaged")
    yield Case("no sheet", "a.xlsx", changed(sheet=None))
    yield Case("no strings", "a.xlsx", changed(strings=None))
    yield Case("zipped CSV", "a.xls", zipped({"a.csv": plain_csv()}), "no workbook")
    yield Case("empty zip", "a.xlsx", zipped({}), "no workbook")
    yield Case("junk before", "a.xlsx", b"PK\x03\x04" + b"j" * 500 + plain_xlsx())
    yield Case("junk after", "a.xlsx", plain_xlsx() + b"j" * 500)


def of_sheets() -> Iterator[Case]:
    one = inline("A1", "a")
    yield Case("empty sheet", "a.xlsx", changed(sheet=sheet("")), "without a filled cell")
    yield Case("cut XML", "a.xlsx", changed(sheet=sheet("<row r='1'>" + one)[:-60]), "damaged")
    yield Case("random for XML", "a.xlsx", changed(sheet=random.Random(1).randbytes(5000)), "damaged")
    claim = b'<dimension ref="A1:XFD1048576"/><sheetData>'
    yield Case(
        "claims all cells", "a.xlsx", changed(sheet=sheet(f"<row r='1'>{one}</row>").replace(b"<sheetData>", claim))
    )
    claim = b'<dimension ref="A1:ZZZZZ99999999999"/><sheetData>'
    yield Case(
        "claims billions", "a.xlsx", changed(sheet=sheet(f"<row r='1'>{one}</row>").replace(b"<sheetData>", claim))
    )
    for place in ("XFD1048576", "ZZZZZZ1", "A0", "A99999999999999999999", "A4294967296", "1A", "", "-1"):
        row = re.sub("[A-Z-]", "", place) or "1"
        far = sheet(f"<row r='1'>{one}</row><row r='{row}'>{inline(place, 'b')}</row>")
        refused = "too much memory" if place == "XFD1048576" else None
        yield Case(f"cell {place!r}", "a.xlsx", changed(sheet=far), refused)
    last = sheet(f"<row r='1'>{one}</row><row r='1048576'>{inline('B1048576', 'b')}</row>")
    yield Case("a stray cell in the last row", "a.xlsx", changed(sheet=last))
    long = {**members(plain_xlsx()), WORDS: sheet(f"<row r='1'>{inline('A1', 'x' * 10_000_000)}</row>")}
    yield Case("ten million characters", "a.xlsx", zipped(long, zipfile.ZIP_STORED), "more than 100,000")
    deep = sheet("<row>" * 100_000 + "</row>" * 100_000)
    yield Case("deeply nested", "a.xlsx", changed(sheet=deep))
    for text in ("<v>99999999</v>", "<v>-1</v>", "<v>1e999</v>", "<v></v>", "<v>x</v>"):
        shared = sheet(f"<row r='1'>{one}<c r='B1' t='s'>{text}</c></row>")
        yield Case(f"string {text}", "a.xlsx", changed(sheet=shared))
        value = sheet(f"<row r='1'>{one}<c r='B1' s='4000000'>{text}</c></row>")
        yield Case(f"number {text}", "a.xlsx", changed(sheet=value))
    count = re.sub(b'ount="[0-9]+"', b'ount="4294967295"', members(plain_xlsx())["xl/sharedStrings.xml"])
    yield Case("billions of strings", "a.xlsx", changed(strings=count))
    for name, ranges in {"all": ["A1:XFD1048576"], "odd": ["A1", ":", "B9:A1", "A1:A99999999999"],
                         "many": [f"A{n}:A{n + 900_000}" for n in range(2, 30_000)]}.items():  # fmt: skip
        merged = "".join(f'<mergeCell ref="{r}"/>' for r in ranges)
        cells = sheet(
            f"<row r='1'>{one}</row><row r='2'>{inline('A2', 'b')}</row>", after=f"<mergeCells>{merged}</mergeCells>"
        )
        yield Case(f"merged {name}", "a.xlsx", changed(sheet=cells))
    book = members(plain_xlsx())["xl/workbook.xml"]
    for name in ("../../x", "n" * 10_000, "a&#10;b", "", "con"):
        yield Case(f"sheet {name[:8]!r}", "a.xlsx", changed(book=book.replace("表".encode(), name.encode())))
    again = re.sub(rb"(<sheet [^>]*>)", rb"\1\1", book)
    yield Case("two sheets of one name", "a.xlsx", changed(book=again), "damaged")


def of_damage() -> Iterator[Case]:
    for at, content in cuts(plain_xlsx(), 9):
        yield Case(f"xlsx cut at {at}", "a.xlsx", content, "cut off or damaged")
    for at, content in flips(plain_xlsx(), 12, 3):
        yield Case(f"xlsx flipped at {at}", "a.xlsx", content)
    for at, content in cuts(plain_xls(), 12):
        yield Case(f"xls cut at {at}", "a.xls", content)
    for at, content in flips(plain_xls(), 12, 4):
        yield Case(f"xls flipped at {at}", "a.xls", content)
    ole = plain_xls()[:512]
    yield Case("encrypted xlsx", "a.xlsx", ole + "EncryptedPackage".encode("utf-16-le") + b"\0" * 4096, "password")
    yield Case("OLE of zeros", "a.xls", ole[:8] + b"\0" * 4096, "damaged")
    yield Case("OLE of noise", "a.xls", ole[:8] + random.Random(5).randbytes(9000), "damaged")
    loop = ole[:76] + struct.pack("<I", 0) * 109 + struct.pack("<I", 0) * 4096
    yield Case("OLE that runs in circles", "a.xls", loop)
    at = plain_xls().index(struct.pack("<HHHH", 0x809, 16, 0x600, 5))  # the workbook's first record, of sixteen bytes
    locked = plain_xls()[: at + 20] + struct.pack("<HHHHH", 0x2F, 6, 0, 1, 1) + plain_xls()[at + 30 :]
    yield Case("password of an xls", "a.xls", locked, "password")


def of_text() -> Iterator[Case]:
    plain, text = plain_csv(), plain_csv().decode()
    gb = text.encode("gb18030")
    for k in range(1, 20, 2):
        yield Case(f"csv cut {k} bytes before its end", "a.csv", plain[:-k])
    yield Case("cut within a row", "a.csv", plain[: plain.rindex(b",")], "cut off in row 61")
    yield Case("cut within a character", "a.csv", plain[: plain.rindex("虚".encode()) + 1], "cut off in row 61")
    yield Case("cut within a GB character", "a.csv", gb[: gb.rindex("虚".encode("gb18030")) + 1], "cut off in row 61")
    yield Case("cut within UTF-16", "a.csv", text.encode("utf-16")[:-1], "cut off")
    yield Case("cut within quotes", "a.csv", plain + b'1,"zz-secret', "cut off within a cell")
    yield Case("stray quotation mark", "a.csv", plain.replace(b"zz-secret 3\n", b'"zz-secret 3\n'), "opened in row 5")
    yield Case("stray mark far from the next", "a.csv", plain + b'1,2,"3\n' + plain * 200 + b'"', "opened in row 62")
    paired = plain + b'1,2,"3\n' + plain[:1500] + b'\n"\n'
    yield Case("stray mark that finds another", "a.csv", paired, "opened in row 62")
    yield Case("text after quotes", "a.csv", plain + b'1,"zz-secret"x,3\n', "quotation marks in row 62")
    yield Case("open quotes at the end", "a.csv", plain + b'1,2,"zz-secret\n', "opened in row 62")
    yield Case("long cell", "a.csv", plain + b"1,2," + b"x" * 110_000 + b"\n", "in row 62")
    yield Case("longer cell", "a.csv", plain + b"1,2," + b"x" * 200_000 + b"\n", "characters in row 62")
    yield Case(
        "ten million characters in a cell", "a.csv", plain + b"1,2," + b"x" * 10_000_000 + b"\n", "row 62 is longer"
    )
    yield Case("no line end for long", "a.csv", b"zz-secret" * 2_000_000, "row 1 is longer")
    yield Case("a million commas", "a.csv", plain + b"," * 1_000_000 + b"\n")
    yield Case("many long rows", "a.csv", b"a,b\n" + (b"," * 500_000 + b"\n") * 20)
    yield Case("UTF-8, then GB18030", "a.csv", plain + gb, "neither UTF-8 nor GB18030")
    yield Case("a damaged byte", "a.csv", plain[:900] + b"\xff" + plain[901:], "at byte 9")
    yield Case("GB18030, then UTF-8", "a.csv", gb + plain + b"\x80", None)
    yield Case("lone surrogate", "a.csv", plain + "1,\ud800,3\n".encode("utf-8", "surrogatepass"), "neither")
    yield Case("lone surrogate in UTF-16", "a.csv", text.encode("utf-16") + b"\x00\xd8,\0", "neither")
    yield Case("no GB18030", "a.csv", gb + b"\xff\xff\n", "neither")
    yield Case("UTF-16 without mark", "a.csv", ("a,b\n" * 50).encode("utf-16-le"), "not a text file")
    yield Case("some NUL bytes", "a.csv", plain + b"1,\0,3\n")
    yield Case("many NUL bytes", "a.csv", plain + b"\0" * 500, "not a text file")
    yield Case("UTF-32", "a.csv", "a,b\n1,2\n".encode("utf-32"))
    yield Case("blank lines", "a.csv", b"\n\r\n \n\n")
    for mark in ("utf-8-sig", "utf-16", "gb18030"):
        yield Case(f"nothing in {mark}", "a.csv", "".encode(mark))
    page = "<html><table><tr><td>zz-secret</td></tr></table></html>"
    yield Case("web page", "a.xls", page.encode(), "a web page")
    yield Case("web page in UTF-16", "a.xls", page.encode("utf-16"), "a web page")
    yield Case("XML of 2003", "a.xls", b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>", "a web page")
    magics = {
        b"%PDF-1.7": "a PDF", b"{\\rtf1": "an RTF", b"Rar!\x1a": "a RAR", b"\x89PNG\r\n": "a picture",
        b"\x1f\x8b\x08": "a gzip", b"PAR1": "a Parquet", b"7z\xbc\xaf\x27": "a 7z",
    }  # fmt: skip
    for magic, words in magics.items():
        yield Case(words, "a.csv", magic + b"zz-secret" * 100, words)
    yield Case("gzip bomb", "a.csv", zlib.compress(b"0" * 50_000_000, wbits=31), "a gzip")
    yield Case("another ending", "a.doc", plain, "a .doc file")
    yield Case("no ending", "a", plain, "a nameless file")


def cases() -> list[Case]:
    return [*of_zip(), *of_sheets(), *of_damage(), *of_text()]
