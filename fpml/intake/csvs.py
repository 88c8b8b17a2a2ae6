"""A CSV file of any encoding, delimiter and line end -> its rows as text, a few megabytes in memory at a time."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from fpml.errors import DeliveryError
from fpml.intake.encodings import CHUNK, Script, script
from fpml.intake.tables import LONGEST_CELL, TOP, Block, refuse_long, trimmed, without_empty

LONGEST_LINE = 1 << 20  # characters
MOST_BREAKS = 20  # line breaks within a quoted cell; with more, its quotation mark is taken for a stray one
# Rows are put into columns when they make up so many characters, however few they are.
_BLOCK_CHARACTERS = 1 << 25
# So few that the garbage collector, which looks at every list, is not called for them: it would double the time.
_AT_A_TIME = 128
_DELIMITERS = {",": "", ";": "semicolon", "\t": "tab"}
_QUOTED = re.compile(r'"[^"]*"?')
_BREAK = re.compile(r"\r\n?|\n")
_AGAIN = "Send it again whole."
_UNQUOTED = "Mend the quotation marks, or save it as .xlsx."


@dataclass(frozen=True)
class CsvTable:
    """A CSV file as a RawTable; read from the file again for each `blocks`."""

    path: Path
    script: Script
    delimiter: str
    top: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    sheet: None = None

    @classmethod
    def of(cls, path: Path) -> "CsvTable":
        """The file, its script and delimiter found out; raises DeliveryError where it is no text, or cut off."""
        found = script(path)
        delimiter = _delimiter(_Records(path, found).lines(TOP))
        if not found.ended:
            _refuse_cut_off(_Records(path, found, delimiter))
        top = tuple(tuple(c.strip() for c in row) for row in _Records(path, found, delimiter).take(TOP))
        notes = (
            "" if found.encoding == "utf-8" else found.encoding.removesuffix("-le").removesuffix("-be"),
            "byte_order_mark" if found.mark else "",
            _DELIMITERS[delimiter],
            "" if found.ended else "no_final_newline",
        )
        return cls(path, found, delimiter, top, tuple(filter(None, notes)))

    def filling(self, columns: Collection[int]) -> "CsvTable":
        """Itself: it has no merged cells."""
        return self

    def blocks(self, header: int, *, spare: int = 0, size: int = 200_000) -> Iterator[Block]:
        """See RawTable."""
        records = _Records(self.path, self.script, self.delimiter)
        records.take(header + 1)
        names, read = self.top[header], -1
        names = (*names[: len(names) - spare], *[""] * spare)
        while read:
            rows, until = _Rows(names), records.characters + _BLOCK_CHARACTERS
            while read and len(rows.number) < size and records.characters < until:
                batch = records.take(min(_AT_A_TIME, size - len(rows.number)))
                rows.add(batch, records.row - len(batch) + 1)
                read = len(batch)
            block = rows.block()
            refuse_long(self.path, block)
            if block.row.size or block.torn.size:
                yield block


class _TooLongError(Exception):
    """A line of more than LONGEST_LINE characters."""


class _Records:
    """The rows of a CSV file one after another, and the number of the one read last; so many `characters` were read."""

    def __init__(self, path: Path, script: Script, delimiter: str = ",") -> None:
        self.path, self.script, self.row = path, script, 0
        self.characters = 0
        self._lines = chain.from_iterable(self._pieces())
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)

    def lines(self, count: int) -> list[str]:
        """The next lines, in place of rows."""
        try:
            return list(islice(self._lines, count))
        except _TooLongError:
            raise self._too_long(1) from None
        except (OSError, UnicodeDecodeError):
            raise self._changed() from None

    def take(self, size: int) -> list[list[str]]:
        """The next rows, at most `size`, none at the end; raises DeliveryError where they cannot be read."""
        rows: list[list[str]] = []
        before = self._reader.line_num
        try:
            # Where the reader stumbles, the rows before stay in the list: that is how the row's number is known.
            rows.extend(islice(self._reader, size))
        except csv.Error as e:
            self._refuse(str(e), self.row + len(rows) + 1, self._reader.line_num - before - len(rows))
        except _TooLongError:
            raise self._too_long(self.row + len(rows) + 1) from None
        except (OSError, UnicodeDecodeError):
            raise self._changed() from None
        if self._reader.line_num - before > len(rows):
            self._refuse_stray(rows)
        self.row += len(rows)
        return rows

    def _pieces(self) -> Iterator[io.StringIO]:
        """Whole lines, about a megabyte at a time; a line ends as in `open(newline="")`, nowhere else."""
        rest = ""
        for text in _texts(self.path, self.script):
            self.characters += len(text)
            first = re.search(r"[\r\n]", text)
            if len(rest) + (first.start() if first else len(text)) > LONGEST_LINE:
                raise _TooLongError
            text = rest + text
            # A carriage return at the end may be the first half of a line end.
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
            rest = text[end:]
            yield io.StringIO(text[:end], newline="")
        yield io.StringIO(rest, newline="")

    def _refuse(self, complaint: str, row: int, breaks: int) -> None:
        """Says in our words what the csv module complains of; in its own, they might show a cell."""
        if "limit" in complaint and breaks <= MOST_BREAKS:
            raise DeliveryError(
                self.path.name, f"a cell of more than {LONGEST_CELL:,} characters in row {row}", _UNQUOTED
            ) from None
        if "limit" in complaint or "end of data" in complaint:
            raise self._stray(row) from None
        raise DeliveryError(self.path.name, f"the quotation marks in row {row} do not match", _UNQUOTED) from None

    def _refuse_stray(self, rows: Iterable[list[str]]) -> None:
        for row, cells in enumerate(rows, self.row + 1):
            if any(len(c) > MOST_BREAKS and len(_BREAK.findall(c)) > MOST_BREAKS for c in cells):
                raise self._stray(row)

    def _stray(self, row: int) -> DeliveryError:
        return DeliveryError(self.path.name, f"a quotation mark opened in row {row} is not closed", _UNQUOTED)

    def _too_long(self, row: int) -> DeliveryError:
        return DeliveryError(
            self.path.name, f"row {row} is longer than {LONGEST_LINE:,} characters", "Check its line ends."
        )

    def _changed(self) -> DeliveryError:
        return DeliveryError(self.path.name, "changed while it was read", "Deliver it when it is complete.")


def _texts(path: Path, script: Script) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(script.encoding)()
    with path.open("rb") as f:
        f.seek(script.mark)
        while chunk := f.read(CHUNK):
            yield decoder.decode(chunk)


def _delimiter(lines: list[str]) -> str:
    """The delimiter that stands equally often in the most lines, outside of quotation marks; else a comma."""
    plain = _BREAK.split(_QUOTED.sub("", "".join(lines)))

    def agreement(delimiter: str) -> tuple[int, int]:
        times = Counter(line.count(delimiter) for line in plain)
        del times[0]
        return max(((lines, count) for count, lines in times.items()), default=(0, 0))

    return max(_DELIMITERS, key=agreement)


def _refuse_cut_off(records: _Records) -> None:
    """Refuses a file without a last line end whose last row has too few cells, or ends within a character or quotes."""
    widths: Counter[int] = Counter()
    last: list[str] = []
    row = 0
    try:
        while rows := records.take(_AT_A_TIME):
            widths.update(map(len, rows))
            last, row = rows[-1], records.row
    except DeliveryError as e:
        if "not closed" not in e.problem:
            raise
        raise DeliveryError(e.where, f"cut off within a cell: {e.problem}", _AGAIN) from None
    widths[len(last)] -= 1
    # Titles stand alone in their rows.
    usual = max(((times, width) for width, times in widths.items() if width > 1 and times), default=(0, 0))[1]
    if not records.script.whole or (len(last) < usual and any(c.strip() for c in last)):
        raise DeliveryError(records.path.name, f"cut off in row {max(row, 1)}", _AGAIN)


class _Rows:
    """Rows below a header as they are read: their cells one after another, their numbers, and those of torn rows."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.cells: list[str] = []
        self.number: list[int] = []
        self.torn: list[int] = []

    def add(self, rows: list[list[str]], first: int) -> None:
        """Adds rows, the first of which has the number `first`."""
        if set(map(len, rows)) <= {len(self.names)}:
            self.cells.extend(chain.from_iterable(rows))
            self.number.extend(range(first, first + len(rows)))
            return
        for number, row in enumerate(rows, first):
            fitted = _fitted(row, self.names)
            if fitted is None:
                self.torn.append(number)
            elif fitted:
                self.cells.extend(fitted)
                self.number.append(number)

    def block(self) -> Block:
        """The rows as columns, without the empty ones."""
        width = len(self.names)
        cells = tuple(trimmed(pa.array(self.cells[k::width], pa.string())) for k in range(width))
        return without_empty(Block(np.array(self.number, np.int64), cells, np.array(self.torn, np.int64)))


def _fitted(row: list[str], names: tuple[str, ...]) -> list[str] | None:
    """The row as wide as the header: [] where it is empty, None where it is torn.

    Cells may be missing only below header cells that are empty themselves; those too many must be empty.
    """
    if not any(c.strip() for c in row):
        return []
    if any(c.strip() for c in row[len(names) :]) or any(names[len(row) :]):
        return None
    return [*row[: len(names)], *[""] * (len(names) - len(row))]
