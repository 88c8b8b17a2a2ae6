"""Refused rows that their department put right: which row each line mends, and whether it is sent again or given up.

A line names its row by a token that only a workbook of ours holds; whatever else stands on it is read as the same
department's rows are. A line that is left unfilled changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import plain_header
from fpml.errors import DeliveryError
from fpml.intake.departments import Office, Rows
from fpml.intake.mapping import Mapped, mapped
from fpml.intake.pieces import Piece
from fpml.intake.places import Place
from fpml.intake.reasons import CODES
from fpml.intake.sources import Source
from fpml.intake.tables import Block, RawTable

# The headers that stand before a department's own, and what is chosen for a row that will not be sent again.
TOKEN, DECISION = "更正编号", "处理"
SEND, GIVE_UP = "更正", "不再报送"


def read_corrections(found: Sequence[RawTable], source: Source, office: Office) -> Iterator[Piece]:
    """The pieces of a workbook of corrections: its filled-in lines, and which refused rows they stand for (`mends`).

    Raises DeliveryError where it is none of ours, or of another department.
    """
    tokens = 0
    for m in [mapped(t, source, office.catalogue) for t in found]:
        token = _position(m, TOKEN)
        if token is None:
            raise DeliveryError(source.file, f"no column `{TOKEN}`", "Return the workbook that was sent, filled in.")
        for block in m.table.blocks(m.header):
            piece = _piece(block, replace(m, ignored=()), source, office)
            tokens += block.row.size
            yield piece
    if not tokens:
        raise DeliveryError(source.file, "no rows", "Fill the lines in, or leave the workbook out.")


def _piece(block: Block, m: Mapped, source: Source, office: Office) -> Piece:
    """The piece that a block's filled-in lines tell."""
    places = [Place.parse(t) for t in _cells(block, m, TOKEN)]
    given_up = np.array([d == GIVE_UP for d in _cells(block, m, DECISION)], bool)
    filled = _filled(block, m) & ~given_up
    lines = np.flatnonzero(filled)
    rows = pa.array(lines)
    kept = Block(block.row[filled], tuple(c.take(rows) for c in block.cells), np.zeros(0, np.int64))
    piece = Rows(kept, m, source, office).piece(())
    unknown = np.array([places[n] is None for n in lines.tolist()], bool)
    row_fault = piece.row_fault.copy()
    row_fault[unknown] = CODES["unknown_token"]
    fault = piece.fault.copy()
    fault[unknown[piece.at]] = CODES["unknown_token"]
    mended = [p for n, p in enumerate(places) if p is not None and (filled[n] or given_up[n])]
    counts = {"lines not filled in": int((~filled & ~given_up).sum()), "rows given up": int(given_up.sum())}
    notes = tuple(f"{n} {what}" for what, n in counts.items() if n)
    return replace(piece, row_fault=row_fault, fault=fault, mends=tuple(map(str, mended)), notes=notes)


def _filled(block: Block, m: Mapped) -> npt.NDArray[np.bool_]:
    """Which lines have anything in the columns of whom they tell of: those are never filled in beforehand."""
    keys = [c for c in m.layout.of_role("id_number", "certificate", "head_id_number", "household") if m.has(c)]
    out = np.zeros(block.row.size, bool)
    for column in keys:
        out |= block.cells[m.at[column.header]].is_valid().to_numpy(zero_copy_only=False)
    return out


def _cells(block: Block, m: Mapped, header: str) -> list[str | None]:
    at = _position(m, header)
    return [None] * block.row.size if at is None else block.cells[at].to_pylist()


def _position(m: Mapped, header: str) -> int | None:
    return next((n for n, cell in enumerate(m.table.top[m.header]) if plain_header(cell) == header), None)
