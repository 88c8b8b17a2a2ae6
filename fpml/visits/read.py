"""A filled-in workbook -> its rows as text, whatever has been sorted, hidden or saved by another program.

Columns are known by their headers, in either language, wherever they stand. Sheets without tokens, such as the cover
and the sheets of single households, are passed over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fpml.catalogue import CONFIRM, Visiting
from fpml.errors import DeliveryError
from fpml.intake.tables import RawTable, tables
from fpml.lists import FILL

PREFILLED = ("household", "listed_by", "rules", "reasons", "eases")
# Without these a list cannot be taken in; other prefilled columns may have been deleted, and older lists ask of no
# reasons.
NEEDED = ("household", *(name for name in FILL if name not in CONFIRM))
MOST_ROWS = 20_000
_REMEDY = "Send back the workbook that went out, filled in, with all of its columns."


@dataclass(frozen=True)
class Row:
    """A row with anything in it: where it stands, and its cells by the names of their columns, without empty ones."""

    sheet: str
    number: int
    cells: Mapping[str, str]

    def filled(self, visiting: Visiting) -> bool:
        """Whether anything has been filled in."""
        return any(name in self.cells for name in (*FILL, *visiting.told_steps()))


def read_rows(path: Path, visiting: Visiting) -> list[Row]:
    """The rows of a workbook that tell of a household each, those of the procedure's sheet joined to the list's.

    Raises DeliveryError where it cannot be read whole, or is no list of ours.
    """
    headers = _headers(visiting)
    found, lists = [], 0
    for table in tables(path):
        header = _header_row(table.top, headers)
        if header is None:
            continue
        names = _columns(path, table, header, headers)
        is_list = "verified" in names.values()
        if is_list:
            lists += 1
            if missing := [n for n in NEEDED if n not in names.values()]:
                said = visiting.words[missing[0]].said("zh")
                raise DeliveryError(path.name, f"no column `{said}`", _REMEDY)
        # A row of the procedure's sheet that says nothing is the list's row once more.
        found += [(is_list, row) for row in _rows(table, header, names) if is_list or row.filled(visiting)]
        if len(found) > MOST_ROWS:
            raise DeliveryError(path.name, f"more than {MOST_ROWS:,} rows", "Send the village's own list alone.")
    if not lists:
        raise DeliveryError(path.name, "no sheet with a list of households", _REMEDY)
    if not found:
        raise DeliveryError(path.name, "a list without rows", _REMEDY)
    return _joined(found)


def _headers(visiting: Visiting) -> dict[str, str]:
    """Every header that is known, plain, with the name of its column."""
    names = ("number", *PREFILLED, *FILL, "token", "replaces")
    words = {n: visiting.words[n] for n in names} | {n: visiting.steps[n].name for n in visiting.told_steps()}
    return {_plain(w): name for name, said in words.items() for w in (said.zh, said.en) if w}


def _plain(header: str) -> str:
    """A header without blanks, brackets and marks, as somebody may have typed it anew."""
    return re.sub(r"[\s▼]|[（(].*?[)）]", "", header).lower()


def _header_row(top: Iterable[Iterable[str]], headers: Mapping[str, str]) -> int | None:
    """The first row that names tokens or a list's own columns; None where none does."""
    for at, cells in enumerate(top):
        names = {headers.get(_plain(c)) for c in cells}
        if "token" in names or {"verified", "household"} <= names:
            return at
    return None


def _columns(path: Path, table: RawTable, header: int, headers: Mapping[str, str]) -> dict[int, str]:
    """The known columns of a table, by position."""
    names = {at: name for at, c in enumerate(table.top[header]) if (name := headers.get(_plain(c)))}
    twice = [n for n in names.values() if list(names.values()).count(n) > 1]
    if twice:
        raise DeliveryError(path.name, f"column `{twice[0]}` stands twice", "Keep one of the two.")
    if "token" not in names.values():
        raise DeliveryError(path.name, "no column of tokens", _REMEDY)
    return names


def _rows(table: RawTable, header: int, names: Mapping[int, str]) -> Iterator[Row]:
    for block in table.blocks(header):
        columns = {name: block.cells[at].to_pylist() for at, name in names.items() if at < len(block.cells)}
        for n, number in enumerate(block.row.tolist()):
            cells = {name: column[n] for name, column in columns.items() if column[n] is not None}
            if cells.keys() - {"number"}:
                yield Row(table.sheet or "", int(number), cells)


def _joined(found: list[tuple[bool, Row]]) -> list[Row]:
    """The list's rows, each with what the procedure's sheet says under the same token; others of that stand alone."""
    steps: dict[str, Row] = {}
    alone = []
    for is_list, row in found:
        token = row.cells.get("token", "")
        if not is_list:
            if token and token not in steps:
                steps[token] = row
            else:
                alone.append(row)
    out = []
    for is_list, row in found:
        if is_list:
            beside = steps.get(row.cells.get("token", ""))
            if beside and beside.cells.get("household", "") not in ("", row.cells.get("household")):
                beside = None  # torn apart: each sheet's row is looked at by itself
            if beside:
                del steps[row.cells["token"]]
            more = {k: v for k, v in beside.cells.items() if k not in PREFILLED} if beside else {}
            out.append(Row(row.sheet, row.number, {**more, **row.cells}))
    return [*out, *steps.values(), *alone]
