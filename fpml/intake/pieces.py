"""A piece of a delivery: some of its rows, and the facts that they tell; nothing compared with the ledger yet."""

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.intake.id_numbers import holds_id_number, masks
from fpml.intake.reasons import ACCEPTED, ALREADY_KNOWN, CODES, CORRECTION, TAKEN, WAITING, Codes

Ints = npt.NDArray[np.int64]
# Text of a refused cell that can be nobody's name: digits, and the signs and words of numbers and days.
_SAFE = r"^[0-9０-９.,+\-/:：_ ()%¥￥元万年月日一二三四级ABCDabcd]{1,32}$"
# Every fact of a piece, as the ledger will hold it but for what is computed there.
FACTS = pa.schema(
    [
        ("household_id", pa.dictionary(pa.int32(), pa.string())),
        ("person_id", pa.dictionary(pa.int32(), pa.string())),
        ("indicator", pa.dictionary(pa.int32(), pa.string())),
        ("record_id", pa.dictionary(pa.int32(), pa.string())),
        ("event_date", pa.date32()),
        ("until_date", pa.date32()),
        ("known_date", pa.date32()),
        ("value", pa.int64()),
        ("department", pa.dictionary(pa.int32(), pa.string())),
    ]
)


@dataclass(frozen=True)
class Piece:
    """Some rows of one sheet. `at` is the position of each fact's row among `row`, the numbers that a clerk counts by.

    `fault` and `row_fault` are the reasons against facts and rows so far. `via`: the pseudonym by which a waiting fact
    will be found again, that of its person or of its household's head. `cells`: the columns whose text may be shown to
    the sender, as far as `show` lets it, by header; `keys` those of ID numbers, of which a mask is. `blamed`: which
    header a reason against an indicator points at. `filled`: how many cells of each column say something. `mends`: the
    refused rows of other deliveries that these stand for. `contacts`: what goes into the vault of the rows that are
    taken, by role; it is shown nowhere.
    """

    facts: pa.Table
    fault: Codes
    at: Ints
    row: Ints
    row_fault: Codes
    sheet: str | None = None
    item: str = ""
    via: pa.DictionaryArray | None = None
    cells: Mapping[str, pa.Array] = field(default_factory=dict)
    keys: Mapping[str, pa.Array] = field(default_factory=dict)
    blamed: Callable[[str, int], str] = lambda _indicator, _reason: ""
    show: Callable[[pa.Array], pa.StringArray] = lambda cells: presentable(cells)
    filled: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    contacts: Mapping[str, pa.StringArray] = field(default_factory=dict)

    def only(self, places: Container[tuple[str | None, int]]) -> "Piece":
        """The piece of some rows only, by sheet and number."""
        kept = np.array([(self.sheet, n) in places for n in self.row.tolist()], bool)
        facts = kept[self.at]
        position = np.cumsum(kept) - 1
        whole = pa.array(kept[: self._whole])
        return replace(
            self,
            facts=self.facts.filter(pa.array(facts)),
            fault=self.fault[facts],
            at=position[self.at[facts]],
            row=self.row[kept],
            row_fault=self.row_fault[kept],
            via=self.via.filter(pa.array(facts)) if self.via is not None else None,
            cells={h: c.filter(whole) for h, c in self.cells.items()},
            keys={h: c.filter(whole) for h, c in self.keys.items()},
            contacts={role: c.filter(whole) for role, c in self.contacts.items()},
        )

    def outcome(self, fault: Codes) -> Codes:
        """What becomes of each row: its first reason, else taken where any of its facts is new, else known already."""
        out = self.row_fault.copy()
        refused = np.flatnonzero((fault > CORRECTION) & (out[self.at] == ACCEPTED))
        first = refused[np.unique(self.at[refused], return_index=True)[1]]
        told = np.zeros((3, out.size), bool)
        for n, kind in enumerate((ACCEPTED, ALREADY_KNOWN, CORRECTION)):
            told[n][self.at[fault == kind]] = True
        out[self.at[first]] = fault[first]
        sound = out == ACCEPTED
        out[sound & told[2]] = CORRECTION
        out[sound & told[1] & ~told[0] & ~told[2]] = ALREADY_KNOWN
        out[sound & ~told.any(axis=0)] = CODES["nothing_told"]
        return out

    def blames(self, outcome: Codes, fault: Codes) -> list[str]:
        """For each refused row, in order, the header of the column at fault; empty where it is the row."""
        by_row: dict[int, str] = {}
        names = self.facts["indicator"]
        for n in np.flatnonzero((fault > CORRECTION) & (fault == outcome[self.at])).tolist():
            if self.at[n] not in by_row:
                by_row[int(self.at[n])] = self.blamed(names[n].as_py(), int(fault[n]))
        return [by_row.get(r, "") for r in np.flatnonzero(outcome > CORRECTION).tolist()]

    def shown(self, rows: Ints) -> list[str]:
        """What of some rows may be shown to whoever sent them, as JSON by header: no ID number and no name."""
        at = pa.array(np.where(rows < self._whole, rows, 0), mask=rows >= self._whole)
        columns = {h: masks(c.take(at)) for h, c in self.keys.items()}
        columns |= {h: self.show(c.take(at)) for h, c in self.cells.items()}
        listed = {h: c.to_pylist() for h, c in columns.items()}
        return [
            json.dumps({h: c[i] for h, c in listed.items() if c[i] is not None}, ensure_ascii=False)
            for i in range(rows.size)
        ]

    def waiting(self, fault: Codes) -> npt.NDArray[np.bool_]:
        """Which facts wait for the register."""
        return np.isin(fault, WAITING)

    def taken(self, fault: Codes) -> pa.Table:
        """The facts to append."""
        return self.facts.filter(pa.array(np.isin(fault, TAKEN)))

    @property
    def _whole(self) -> int:
        """How many of the rows have cells: torn ones come after those."""
        return max((len(c) for c in (*self.cells.values(), *self.keys.values())), default=0)


def presentable(cells: pa.Array) -> pa.StringArray:
    """Text that can be nobody's name or number as it is; of any other only how long it is."""
    text = cells.cast(pa.string())
    # An ID number keeps its digits, whatever is put between them.
    close = pc.replace_substring_regex(text, r"[-\s/.]", "")
    numbered = pc.or_(pa.array(holds_id_number(close)), pc.match_substring_regex(close, r"[0-9０-９]{16}"))
    safe = pc.and_(pc.match_substring_regex(text, _SAFE), pc.invert(numbered))
    length = pc.utf8_length(text).cast(pa.string())
    return pc.if_else(safe, text, pc.binary_join_element_wise("<", length, ">", ""))


def pseudonymous(cells: pa.Array) -> pa.StringArray:
    """Text of a delivery that bears pseudonyms, as it came; but for runs of digits that could be an ID number."""
    return pc.replace_substring_regex(cells.cast(pa.string()), r"[0-9０-９]{15,}[0-9０-９Xx]*", "*****")
