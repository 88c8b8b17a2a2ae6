"""The sheets of a workbook, new (.xlsx) or old (.xls), read by a process of its own: see workbook_process."""

import json
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer
from time import monotonic

import numpy as np
import pyarrow as pa

from fpml.errors import DeliveryError
from fpml.intake import workbook_process
from fpml.intake.tables import TOP, Block, refuse_long, trimmed, without_empty
from fpml.intake.workbook_process import Verdict

PATIENCE = 300.0  # seconds
LARGEST = 1 << 30  # bytes of text in all of its sheets
_SPLIT = "Split it into smaller files, or save it as CSV."
_MEMORY = ("needs too much memory to be read (more than 3 GB)", "Look for a stray cell far below the table. " + _SPLIT)
_SLOW = ("takes too long to read", _SPLIT)
_DAMAGED = ("not a readable workbook: it is cut off or damaged", "Open it, save it as .xlsx, and send it again whole.")
_REFUSALS: dict[int, tuple[str, str]] = {
    Verdict.PROTECTED: ("protected by a password", "Save it without one."),
    Verdict.TOO_LARGE: ("too large when unpacked", _SPLIT),
    Verdict.NO_WORKBOOK: ("a zip file that is no workbook", "Unpack it, and deliver what is in it as .xlsx or .csv."),
    Verdict.ENTITIES: ("declares XML entities, as no spreadsheet does", "Open it and save it as .xlsx."),
    Verdict.EMPTY: ("a workbook without a filled cell", "Leave it out if there was nothing to report."),
    Verdict.TOO_MUCH_MEMORY: _MEMORY,
    # Ended by a signal: the numbers are those of POSIX, as Windows has no names for them.
    -6: _MEMORY,  # abort: so ends a Rust program without memory
    -9: _SLOW,  # kill
    -24: _SLOW,  # processor time used up
}


@dataclass(frozen=True)
class SheetTable:
    """A sheet with cells as a RawTable.

    `merged` are cells merged within one column, as (first row, last row, column) from 0.
    """

    sheet: str
    cells: tuple[pa.StringArray, ...]
    merged: tuple[tuple[int, int, int], ...]
    top: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def filling(self, columns: Collection[int]) -> "SheetTable":
        """See RawTable."""
        return replace(self, merged=tuple(m for m in self.merged if m[2] in columns))

    def blocks(self, header: int, *, spare: int = 0, size: int = 200_000) -> Iterator[Block]:
        """See RawTable. Below the header, every row of a merged cell has its text; above, merged cells are titles."""
        height, none = len(self.cells[0]), np.array([], np.int64)
        source = {column: np.arange(height) for _, _, column in self.merged}
        for first, last, column in self._merged_below(header):
            source[column][first : last + 1] = first
        for start in range(header + 1, height, size):
            number = np.arange(start + 1, min(start + size, height) + 1)
            # What is empty but for a merged cell is no row.
            block = without_empty(Block(number, tuple(c[start : start + size] for c in self.cells), none))
            shown = {k: self.cells[k].take(pa.array(rows[block.row - 1])) for k, rows in source.items()}
            if block.row.size:
                yield Block(block.row, tuple(shown.get(k, c) for k, c in enumerate(block.cells)), none)

    def _merged_below(self, header: int) -> Iterator[tuple[int, int, int]]:
        """Merged cells wholly below the header; of two that overlap, which no spreadsheet writes, the upper one."""
        end = dict.fromkeys(range(len(self.cells)), header)
        for first, last, column in sorted(self.merged):
            if first > end[column]:
                end[column] = last
                yield first, last, column


def sheets(path: Path) -> Iterator[SheetTable]:
    """Every sheet with cells, hidden ones too; raises DeliveryError where the workbook cannot be read whole."""
    streams = pa.BufferReader(_streams(path))
    while streams.tell() < streams.size():
        yield _sheet(path, pa.ipc.open_stream(streams).read_all())


def _sheet(path: Path, table: pa.Table) -> SheetTable:
    about = json.loads(table.schema.metadata[b"sheet"])
    cells = tuple(trimmed(c.combine_chunks()) for c in table.columns)
    refuse_long(path, Block(np.arange(1, len(table) + 1), cells, np.array([], np.int64)))
    top = zip(*(c[:TOP].to_pylist() for c in cells), strict=True)
    found = {"hidden_sheet": about["hidden"], "merged_cells": bool(about["merged"]), "error_cells": about["errors"] > 0}
    return SheetTable(
        sheet="".join(filter(str.isprintable, about["name"]))[:100],
        cells=cells,
        merged=tuple((first, last, column) for first, last, column in about["merged"] if column < len(cells)),
        top=tuple(tuple(c or "" for c in row) for row in top),
        notes=tuple(note for note, holds in found.items() if holds),
    )


def _streams(path: Path) -> bytearray:
    """What the process of its own wrote, once it has ended well."""
    command = [sys.executable, "-I", workbook_process.__file__, str(path.absolute())]
    quiet = {**os.environ, "RUST_BACKTRACE": "0"}
    late = monotonic() + PATIENCE
    # Nobody reads its complaints: they might show a cell.
    with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=quiet) as process:
        patience = Timer(PATIENCE, process.kill)
        patience.start()
        try:
            written = _bounded(process)
        finally:
            patience.cancel()
            process.kill()  # where it has not ended by itself
    if len(written) > LARGEST:
        raise DeliveryError(path.name, *_REFUSALS[Verdict.TOO_LARGE])
    if monotonic() >= late:
        raise DeliveryError(path.name, *_SLOW)
    if process.returncode != Verdict.READ:
        raise DeliveryError(path.name, *_REFUSALS.get(process.returncode, _DAMAGED))
    return written


def _bounded(process: Popen[bytes]) -> bytearray:
    """All that it writes until it ends; somewhat more than LARGEST bytes where it would write on and on."""
    assert process.stdout
    written = bytearray()
    while len(written) <= LARGEST and (piece := process.stdout.read(1 << 20)):
        written += piece
    if len(written) <= LARGEST:
        process.wait()
    return written
