"""A department's file -> pieces: each row's keys, days and values, and what is wrong with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import OF_HOUSEHOLD, OF_PERSON, SPARE, Catalogue, Column, Indicator
from fpml.errors import DeliveryError
from fpml.intake.cells import CODE_FAULTS, DAY_FAULTS, KEY_FAULTS, NUMBER_FAULTS, Days, codes, days, keys, numbers
from fpml.intake.columns import EPOCH, constant, dates, encoded, is_null, nothing
from fpml.intake.contacts import cleaned, named
from fpml.intake.id_numbers import ID_FAULTS, id_numbers
from fpml.intake.mapping import Mapped, mapped
from fpml.intake.pieces import FACTS, Piece
from fpml.intake.reasons import ACCEPTED, CODES, WAITING, Faults
from fpml.intake.reasons import Codes as Reasons
from fpml.intake.register import Register
from fpml.intake.sources import Source
from fpml.intake.tables import Block, RawTable
from fpml.keys import IdentityKey
from fpml.vault import ROLES

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
# Of so many dated facts more than half cannot lie after the day of delivery, or the file is of another month.
ENOUGH = 20
# What of a refused row its sender may see again: these, and a mask of those. Names and addresses never.
_SHOWN = ("household", "record", "date", "until", "value", "indicator")
_MASKED = ("id_number", "head_id_number", "certificate")


@dataclass(frozen=True)
class Office:
    """What a department's rows are read with: the policy, the key of pseudonyms, and the register as it stands."""

    catalogue: Catalogue
    key: IdentityKey
    register: Register


def read_department(found: Sequence[RawTable], source: Source, office: Office) -> Iterator[Piece]:
    """The pieces of a file's tables, one block of rows after another.

    Raises DeliveryError, before anything is yielded, where its columns are not those of its kind; and, at its first
    piece or its end, where its days are those of another month or where it has no rows.
    """
    rows = 0
    for m in [mapped(t, source, office.catalogue) for t in found]:
        notes = (*m.table.notes, *(f"header {told} for {meant}" for told, meant in m.drift))
        notes += tuple(f"column {n} ignored" for n in m.ignored)
        for block in m.table.filling(m.keyed).blocks(m.header, spare=m.spare):
            piece = Rows(block, m, source, office).piece(notes)
            if not rows:
                _check_days(piece, source)
            rows += piece.row.size
            yield piece
            notes = ()
    if not rows:
        raise DeliveryError(source.file, "no rows", "Deliver it again, or leave it out if there was nothing to report.")


def _check_days(piece: Piece, source: Source) -> None:
    late = (piece.fault == CODES["event_after_known"]).sum()
    if piece.fault.size >= ENOUGH and late > piece.fault.size / 2:
        problem = f"of another month: most of its days lie after {source.day}, on which it was delivered"
        raise DeliveryError(source.file, problem, "Mend the month and the day in its name.")


class Who(NamedTuple):
    """Whom each row tells of: words (null where none), and the reasons why not."""

    words: pa.DictionaryArray | pa.StringArray
    fault: Reasons


@dataclass(frozen=True)
class Rows:
    """A block of one mapped table."""

    block: Block
    mapped: Mapped
    source: Source
    office: Office

    def piece(self, notes: tuple[str, ...]) -> Piece:
        """The block's rows and all the facts that they tell."""
        layout = self.mapped.layout
        told = [t for name in layout.indicators if (t := self._told(name)) is not None]
        facts = pa.concat_tables([FACTS.empty_table(), *(t.facts for t in told)]).unify_dictionaries()
        via = pa.concat_arrays([t.via.cast(pa.string()) for t in told]) if told else pa.array([], pa.string())
        torn = self.block.torn
        whole = self.block.row.size
        row_fault = np.zeros(whole + torn.size, np.int16)
        row_fault[whole:] = CODES["torn_row"]
        if layout.long:
            named = np.logical_or.reduce([self._names(layout.long, name) for name in layout.indicators])
            row_fault[:whole][~named] = CODES["unknown_indicator"]
        here = [c for c in layout.columns if self.mapped.has(c)]
        return Piece(
            facts=facts,
            fault=np.concatenate([np.zeros(0, np.int16), *(t.fault for t in told)]),
            at=np.concatenate([np.zeros(0, np.int64), *(t.at for t in told)]),
            row=np.concatenate([self.block.row, torn]),
            row_fault=row_fault,
            # By the kind's own name: what a clerk called the sheet may be anybody's.
            sheet=self.mapped.table.sheet and layout.name.said("zh"),
            item=layout.item,
            via=via,
            cells={self.mapped.delivered(c): self._cells(c) for c in here if c.role in _SHOWN},
            keys={self.mapped.delivered(c): self._cells(c) for c in here if c.role in _MASKED},
            blamed=self._blamed,
            filled={c.header: whole - self._cells(c).null_count for c in here},
            notes=notes,
            contacts=self._contacts,
        )

    @property
    def _contacts(self) -> dict[str, pa.StringArray]:
        """What the vault is to keep of each row, where the county keeps any of it."""
        if not self.office.catalogue.county.names_kept or not named(self.mapped.layout):
            return {}
        columns = [(c.role, c) for c in self.mapped.layout.of_role(*SPARE) if c.role in ROLES and self.mapped.has(c)]
        return {role: cleaned(role, self._cells(column)) for role, column in columns}

    def _told(self, name: str) -> "_Told | None":
        """The facts of one indicator; None where no row tells any."""
        layout, indicator = self.mapped.layout, self.office.catalogue.indicators[name]
        value, until, event = layout.value(name), layout.until(name), self._days(layout.date(name))
        number, there, withdrawn, fault = self._values(value, indicator)
        if value is None:
            number, there = np.ones(self.block.row.size, np.int64), event.known | (event.fault > 0)
        if layout.long:
            there = there & self._names(layout.long, name)
        at = np.flatnonzero(there)
        if not at.size:
            return None
        ends = self._days(until, endless=True)
        home, via, who_fault = self._household(indicator, at, event.day)
        faults = Faults(at.size)
        waits = np.isin(who_fault, WAITING)
        faults.take(np.where(waits, ACCEPTED, who_fault).astype(np.int16))
        faults.take(self._records.fault[at])
        faults.refuse_by(event.fault[at], DAY_FAULTS)
        faults.refuse(~event.known[at], "no_date")
        faults.take(fault[at])
        _check_value(faults, indicator, number[at], withdrawn[at])
        known = (self.source.day - EPOCH).days
        faults.refuse(event.day[at] > known, "event_after_known")
        faults.refuse_by(ends.fault[at], DAY_FAULTS)
        faults.refuse(ends.known[at] & (ends.day[at] < event.day[at]), "until_before_event")
        # What has no other fault may come right when the register catches up.
        faults.take(who_fault)
        person = self._person.words.take(pa.array(at)) if indicator.grain == "person" else nothing(at.size)
        facts = pa.table(
            [
                home, encoded(person), constant(name, at.size), encoded(self._records.words.take(pa.array(at))),
                dates(event.day[at], event.known[at]), dates(ends.day[at], ends.known[at]),
                dates(np.full(at.size, known, np.int32), np.ones(at.size, bool)),
                pa.array(number[at], mask=withdrawn[at]), constant(self.source.department, at.size),
            ],
            schema=FACTS,
        )  # fmt: skip
        return _Told(facts, at, faults.codes, via)

    def _household(self, indicator: Indicator, at: Ints, event: npt.NDArray[np.int32]) -> tuple[
        pa.DictionaryArray, pa.StringArray, Reasons
    ]:  # fmt: skip
        """The household of each fact, the pseudonym by which it is looked up (null where it is told), and reasons."""
        rows = pa.array(at)
        faults = Faults(at.size)
        whose = self._person if indicator.grain == "person" else self._head
        if indicator.grain == "person":
            faults.take(self._person.fault[at])
        code = self._home.words.take(rows)
        given = pc.is_valid(code).to_numpy(zero_copy_only=False)
        wrong = self._home.fault[at]
        faults.take(np.where(wrong > 0, wrong, 0).astype(np.int16))
        if indicator.grain == "household":
            faults.take(np.where(given | (wrong > 0), 0, self._head.fault[at]).astype(np.int16))
        via = pc.if_else(pa.array(given), None, whose.words.take(rows))
        # A department knows a household by who heads it when it delivers; a bill is of the household of its day.
        known = np.full(at.size, (self.source.day - EPOCH).days, np.int32)
        found = self.office.register.households(via, event[at] if indicator.grain == "person" else known)
        if self._is_register:
            faults.refuse(~given & is_null(found), "no_household")
        else:
            if given.any():
                faults.refuse(given & ~self.office.register.knows_households(code), "unknown_household")
            faults.refuse(~given & is_null(found), "unknown_person")
        home = encoded(pc.if_else(pa.array(given), code, found.cast(pa.string()))) if given.any() else found
        return home, via, faults.codes

    @cached_property
    def _is_register(self) -> bool:
        catalogue = self.office.catalogue
        membership = catalogue.indicators.get(catalogue.county.membership or "")
        return membership is not None and membership.department == self.source.department

    @cached_property
    def _person(self) -> Who:
        """The pseudonym of each row's person, by ID number or by certificate."""
        return self._pseudonyms("id_number", "certificate")

    @cached_property
    def _head(self) -> Who:
        """The pseudonym of the head of each row's household."""
        return self._pseudonyms("head_id_number")

    def _pseudonyms(self, *roles: str) -> Who:
        column = next((c for c in self.mapped.layout.columns if c.role in roles and self.mapped.has(c)), None)
        size = self.block.row.size
        missing = "no_household" if "head_id_number" in roles else "no_person"
        if column is None:
            return Who(nothing(size), np.full(size, CODES[missing], np.int16))
        read = id_numbers(self._cells(column), certificate=column.role == "certificate")
        faults = Faults(size)
        faults.refuse_by(read.fault, tuple(missing if f == "no_id_number" else f for f in ID_FAULTS))
        words = read.number.dictionary_encode()
        pseudonyms = self.office.key.pseudonyms(words.dictionary)
        persons = pseudonyms.take(words.indices)
        if read.suspect.any():
            # A number that ends as rounded ones do, of whom nobody has heard, is not taken for somebody's.
            known = self.office.register.knows(persons)
            faults.refuse(read.suspect & ~known & (not self._is_register), "rounded_id_number")
        return Who(pc.if_else(pa.array(faults.codes == ACCEPTED), persons, None), faults.codes)

    @cached_property
    def _home(self) -> Who:
        """The code of each row's household, where it is told."""
        return self._coded("household")

    @cached_property
    def _records(self) -> Who:
        """The number of each row's record, where its source numbers them."""
        who = self._coded("record")
        before = self.source.prefix(self.office.catalogue)
        words = pc.binary_join_element_wise(before, who.words, "") if before else who.words
        return Who(words, who.fault)

    def _coded(self, role: str) -> Who:
        column = next((c for c in self.mapped.layout.columns if c.role == role and self.mapped.has(c)), None)
        if column is None:
            return Who(nothing(self.block.row.size), np.zeros(self.block.row.size, np.int16))
        read = keys(self._cells(column))
        faults = Faults(self.block.row.size)
        faults.refuse_by(read.fault, KEY_FAULTS)
        return Who(read.text, faults.codes)

    def _values(self, column: Column | None, indicator: Indicator) -> tuple[Ints, Bools, Bools, Reasons]:
        """Stored values, where there are any, where the record is withdrawn, and the reasons against them."""
        size = self.block.row.size
        if column is None:
            return np.ones(size, np.int64), np.zeros(size, bool), np.zeros(size, bool), np.zeros(size, np.int16)
        cells, faults = self._cells(column), Faults(size)
        if column.words:
            worded = codes(cells, column.words)
            faults.refuse_by(worded.fault, CODE_FAULTS)
            there = worded.known | worded.withdrawn | (worded.fault > 0)
            return worded.value, there, worded.withdrawn, faults.codes
        factor = self.mapped.factor[column.header]
        read = numbers(cells, decimals=indicator.decimals, factor=factor, money=indicator.kind == "amount")
        faults.refuse_by(read.fault, NUMBER_FAULTS)
        return read.value, read.known | read.withdrawn | (read.fault > 0), read.withdrawn, faults.codes

    def _names(self, column: Column, name: str) -> Bools:
        """Which rows of a long layout name an indicator."""
        read = codes(self._cells(column), {0: column.names[name]})
        return np.asarray(read.known, bool)

    def _days(self, column: Column | None, *, endless: bool = False) -> Days:
        if column is None or not self.mapped.has(column):
            return days(pa.nulls(self.block.row.size, pa.string()))
        read = days(self._cells(column), endless=endless)
        # Of what only the month is told the last day is taken, but none after the day on which it was told.
        known = (self.source.day - EPOCH).days
        same = read.day.astype("datetime64[D]").astype("datetime64[M]") == np.datetime64(self.source.day, "M")
        day = np.where(read.loose & same, np.minimum(read.day, known), read.day)
        return read if endless else replace(read, day=day)

    def _cells(self, column: Column) -> pa.StringArray:
        return self.block.cells[self.mapped.at[column.header]]

    def _blamed(self, indicator: str, reason: int) -> str:
        """The header, as it came, of the column that a reason against an indicator points at."""
        layout = self.mapped.layout
        personal = self.office.catalogue.indicators[indicator].grain == "person"
        whose = layout.of_role(*(OF_PERSON if personal else OF_HOUSEHOLD))
        what, when = layout.value(indicator), layout.date(indicator)
        ends = layout.until(indicator) if reason == CODES["until_before_event"] else None
        column = {2: next(iter(whose), None), 3: ends or when, 4: what, 5: what or when}.get(reason // 100)
        return self.mapped.delivered(column) if column and self.mapped.has(column) else ""


class _Told(NamedTuple):
    """The facts of one indicator."""

    facts: pa.Table
    at: Ints
    fault: Reasons
    via: pa.StringArray


def _check_value(faults: Faults, indicator: Indicator, value: Ints, withdrawn: Bools) -> None:
    """What a number cannot be, whatever the cell looks like."""
    faults.refuse((value < 0) & ~withdrawn & (indicator.kind in ("count", "status", "event")), "negative")
    faults.refuse((value == 0) & ~withdrawn & (indicator.kind == "event"), "no_event")
    if indicator.codes is not None:
        faults.refuse(~np.isin(value, list(indicator.codes)) & ~withdrawn, "unknown_code")
