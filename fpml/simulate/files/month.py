"""A month of a county -> the files that its departments deliver, and what is wrong with them."""

import calendar
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa

from fpml.catalogue import Catalogue, DeliveryName, Layout, Words, layouts
from fpml.dates import AsOf
from fpml.simulate.draws import Draws
from fpml.simulate.files.damage import SCHEMA, Damage, listed
from fpml.simulate.files.forms import Who, cells
from fpml.simulate.files.mess import Look, Mess, dialect_damages, spoil
from fpml.simulate.files.records import write_records
from fpml.simulate.files.rows import Facts, Rows, fill
from fpml.simulate.files.sheets import Sheet, csv_bytes, workbook_bytes
from fpml.simulate.identity import mixed


class Style(StrEnum):
    """In which form a county delivers."""

    RECORDS = "records"  # one canonical Parquet file a month
    CLEAN = "clean"  # departments' files, each as its layout says
    MESSY = "messy"  # departments' files as they come


@dataclass(frozen=True)
class Month:
    """What became known in a month, and who lived where then.

    `told`: household, person (-1: none), indicator, event_date, until_date (null: it goes on), known_date, value
    (stored; null: withdrawn), record_id (-1: none). `people`: person, household, id_number, name, male, born and, if it
    is there, disability_grade; `homes`: household, household_id, head (a person), village, village_name, township_name.
    All persons and households told of, and heads, are in them. A department's records of a month are known on one day.
    """

    as_of: AsOf
    told: pa.Table
    people: pa.Table
    homes: pa.Table


@dataclass(frozen=True)
class Sending:
    """How a county delivers, month after month. `county` tells it from others of the same seed."""

    catalogue: Catalogue
    style: Style = Style.RECORDS
    seed: int = 0
    county: int = 0
    mess: Mess = field(default_factory=Mess)


def write_month(folder: Path, month: Month, *, sending: Sending) -> pa.Table:
    """Writes the month's files under `folder` and returns their damages (damage.SCHEMA); none but for a messy county.

    A canonical file is `<folder>/2021-01.parquet`; departments' lie in `<folder>/2021-01/`, named by DeliveryName. What
    a messy county delivers late, or once more because it was cut off, is written now into the folder of the month in
    which it comes. Nothing depends on other months, so that months may be written in any order, by any process.
    Raises ValueError for facts that no file can tell.
    """
    if sending.style is Style.RECORDS:
        path = folder / f"{month.as_of}.parquet"
        write_records(path, month.told, who=(month.people, month.homes), catalogue=sending.catalogue)
        return SCHEMA.empty_table()
    facts = Facts.of(month.told, sending.catalogue)
    order = np.argsort(facts.indicator.astype(np.int16), kind="stable")
    ends = np.searchsorted(facts.indicator[order], np.arange(len(sending.catalogue.codes) + 1))
    desk = _Desk(folder, month.as_of, sending, facts, Who(month.people, month.homes), np.split(order, ends)[1:-1])
    desk.refuse_what_no_item_tells()
    found = [table for department in sending.catalogue.departments for table in desk.deliver(department)]
    return pa.concat_tables([SCHEMA.empty_table(), *found])


@dataclass(frozen=True)
class _Filled:
    """A sheet ready to be written, with what is wrong in it; rows are counted from 1 at the top of the sheet."""

    sheet: Sheet
    look: Look
    damages: tuple[Damage, ...]


@dataclass(frozen=True)
class _Desk:
    """One month of one county, its facts sorted by indicator (`of`: their positions, by the indicator's code)."""

    folder: Path
    as_of: AsOf
    sending: Sending
    facts: Facts
    who: Who
    of: list[np.ndarray]

    def refuse_what_no_item_tells(self) -> None:
        told = {n for layout in layouts(self.sending.catalogue.departments) for n in layout.indicators}
        silent = [n for n, code in self.sending.catalogue.codes.items() if self.of[code].size and n not in told]
        if silent:
            raise ValueError(f"departments.yaml has no item that tells of `{'`, `'.join(silent)}`")

    def deliver(self, department: str) -> Iterator[pa.Table]:
        """Writes a department's files; their damages, file by file."""
        kept = self.sending.catalogue.departments[department]
        items = layouts({department: kept})
        told = {a.item: self._told(a) for a in items}
        known = np.unique(np.concatenate([f.known for f in told.values()] or [np.empty(0, np.int64)]))
        if known.size > 1:
            raise ValueError(f"{department} delivers on {known.size} days of {self.as_of}; one is allowed")
        for n, sender in enumerate(kept.sent_by if known.size else ()):
            mine = told if len(kept.sent_by) == 1 else {k: _of_sender(f, n, len(kept.sent_by)) for k, f in told.items()}
            rows = (fill(a, mine[a.item], self.sending.catalogue) for a in items if len(mine[a.item]))
            post = _Post(self, f"{department}.{n}", sender, np.datetime64(int(known[0]), "D").item())
            yield from post.write(self._fill(r, post) for r in rows)

    def draws(self, month: int) -> Draws:
        return Draws(self.sending.seed, self.sending.county, month)

    def _told(self, layout: Layout) -> Facts:
        codes = [self.sending.catalogue.codes[n] for n in layout.indicators]
        return self.facts.take(np.concatenate([self.of[c] for c in codes]))

    def _fill(self, rows: Rows, post: "_Post") -> _Filled:
        """The sheet of an item's rows, as its department would make it this month."""
        layout, messy = rows.layout, self.sending.style is Style.MESSY
        rng = self.draws(self.as_of.month).of(f"{post.key}.{layout.item}")
        look = Look.messy(layout, self.sending.mess, rng) if messy else Look.tidy(layout)
        texts = cells(rows, look.forms, self.who, self.sending.catalogue)
        damages: list[Damage] = []
        if messy:
            by = (look, self.sending.mess, self.sending.catalogue)
            texts, damages = spoil(texts, rows, by=by, rng=rng)
            texts, damages = _twice(texts, damages, self.sending.mess.twice, rng)
        name = layout.name.said("zh")
        titles = (f"{post.sender.said('zh')}{name}情况表", f"统计月份：{self.as_of}")[: look.titles]
        numeric = {
            look.forms[c.header].header
            for c in layout.columns
            if (c.role == "value" and not c.words) or look.forms[c.header].days == "excel"
        }
        sheet = Sheet(name, titles, {look.forms[h].header: t for h, t in texts.items()}, frozenset(numeric))
        top = [Damage("titles")] if titles else []
        lower = (d.moved(sheet.first) for d in damages)
        return _Filled(sheet, look, (*top, *look.damages, *lower))


@dataclass(frozen=True)
class _Post:
    """The post of one sender in one month. `key` is what its random numbers hang on, `day` when its files were due."""

    desk: _Desk
    key: str
    sender: Words
    day: date

    def write(self, filled: Iterable[_Filled]) -> Iterator[pa.Table]:
        """Writes the files, small ones as sheets of a workbook where the sender makes one; their damages."""
        mess, draws = self.desk.sending.mess, self.desk.draws(self.desk.as_of.month)
        comes = self._arrival(0)
        messy = self.desk.sending.style is Style.MESSY
        bound = messy and draws.of(f"workbook.{self.key}").random() < mess.workbook
        small = []
        for f in filled:
            if bound and len(f.sheet) <= mess.largest_sheet:
                small.append(f)
                continue
            cut = draws.of(f"cut.{self.key}.{f.sheet.name}").random(2)
            share = 0.2 + 0.75 * cut[1] if messy and cut[0] < mess.cut_off else 1.0
            yield from self._write_csv(f, comes, share)
        if small:
            file = self._place(None, comes, workbook_bytes(f.sheet for f in small), "xlsx")
            late = [Damage("late")] if comes else []
            yield from (listed(file, f.sheet.name, [*late, *f.damages]) for f in small)

    def _write_csv(self, f: _Filled, comes: int, share: float) -> Iterator[pa.Table]:
        """Writes a CSV file, so many months late; where only a share of it came, also the whole in a later month."""
        whole = csv_bytes(f.sheet, f.look.dialect)
        damages = [*([Damage("late")] if comes else []), *dialect_damages(f.look.dialect), *f.damages]
        if share < 1:
            part = _cut(whole, share, f.sheet.first - 1)
            row = part.count(b"\n") + 1
            lost = Damage("cut_off", "unreadable", np.array([row], np.int64))
            file = self._place(f.sheet.name, comes, part, "csv")
            yield listed(file, None, [*(d.before(row) for d in damages), lost])
            comes = self._arrival(comes + 1)
            damages.append(Damage("sent_again"))
        yield listed(self._place(f.sheet.name, comes, whole, "csv"), None, damages)

    def _arrival(self, earliest: int) -> int:
        """How many months late a file comes that may come so many months late: on the first month not missed."""
        if self.desk.sending.style is not Style.MESSY:
            return 0
        month, rate = self.desk.as_of.month, self.desk.sending.mess.late
        tries = range(earliest, earliest + 12)
        return next((n for n in tries if self.desk.draws(month + n).of(f"late.{self.key}").random() >= rate), tries[-1])

    def _place(self, item: str | None, comes: int, content: bytes, ending: str) -> str:
        """Writes a file into the month in which it comes; its name within the folder of all months."""
        arrives = self.desk.as_of.shift(comes)
        name = DeliveryName(self.sender.said("zh"), item, str(self.desk.as_of), _in_month(self.day, arrives, comes))
        path = self.desk.folder / str(arrives) / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_bytes(content)
        half.replace(path)
        return f"{arrives}/{path.name}"


def _in_month(day: date, arrives: AsOf, comes: int) -> date:
    """The day of delivery in the month in which a file comes: as late in it as was due, if it has such a day."""
    if not comes:
        return day
    year, month = divmod(arrives.month, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _cut(whole: bytes, share: float, above: int) -> bytes:
    """The first part of a file, a share of all that follows the lines above its data."""
    head = 0
    for _ in range(above):
        head = whole.index(b"\n", head) + 1
    return whole[: head + int((len(whole) - head) * share)]


def _of_sender(facts: Facts, n: int, senders: int) -> Facts:
    """The facts of households that are with one of several senders; a household stays with its own."""
    return facts.take((mixed(facts.household, 13) % np.uint64(senders)).astype(np.int64) == n)


def _twice(
    texts: dict[str, pa.StringArray], damages: list[Damage], rate: float, rng: np.random.Generator
) -> tuple[dict[str, pa.StringArray], list[Damage]]:
    """The rows with some of them once more at the end, damages and all."""
    size = len(next(iter(texts.values())))
    again = np.unique(rng.integers(0, size, rng.binomial(size, rate)))
    if not again.size:
        return texts, damages
    order = pa.array(np.concatenate([np.arange(size), again]))
    copied = [d.copied(again, size) for d in damages]
    sent = Damage("twice", "untidy", np.arange(size, size + again.size))
    return {h: t.take(order) for h, t in texts.items()}, [*copied, sent]
