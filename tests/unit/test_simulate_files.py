"""The files of a simulated county, read back by a small reader of their own that knows the policy's layouts only."""

import calendar
import codecs
import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from fpml.catalogue import Catalogue, Column, DeliveryName, Layout, layouts, plain_header
from fpml.dates import AsOf
from fpml.simulate.files import SCHEMA, Mess, Month, Sending, Style, pseudonym, write_month
from fpml.simulate.identity import Issued, check_character, names, place_names

# indicator, ID number or household code, event and last day, stored value (None: withdrawn), record number
Fact = tuple[str, str, date, date | None, int | None, int | None]
QUIET = replace(Mess(), **{f: 0.0 for f in vars(Mess()) if f != "largest_sheet"})  # nothing but what a test asks for


def days(numbers: Any) -> pa.Array:
    return pa.array(np.asarray(numbers, np.int32)).cast(pa.date32())


def a_month(catalogue: Catalogue, households: int = 90, *, month: str = "2021-03", seed: int = 1) -> Month:
    """Some of everything that departments tell, of an invented county; nobody in it is real."""
    rng = np.random.default_rng(seed)
    as_of = AsOf.parse(month)
    last = (as_of.date - date(1970, 1, 1)).days
    home = np.repeat(np.arange(households), rng.integers(1, 6, households))
    person = np.arange(home.size) + 5_000
    male, born = rng.random(home.size) < 0.5, rng.integers(-14_000, 18_000, home.size)
    ids, _ = Issued(2, 18).issue(np.full(home.size, 360_121), born, male)
    people = pa.table(
        {
            "person": person, "household": home + 1_000, "id_number": ids,
            "name": names(person, male, family=home, seed=seed), "male": male, "born": days(born),
        }
    )  # fmt: skip
    village = 360_121_000_000 + np.arange(households) % 15 * 1_000 + 101_201
    homes = pa.table(
        {
            "household": np.arange(households) + 1_000,
            "household_id": [f"HX{i:06d}" for i in range(households)],
            "head": person[np.searchsorted(home, np.arange(households))],
            "village": pa.array(village).cast(pa.string()),
            "village_name": [place_names(15, "村", 1)[i % 15] for i in range(households)],
            "township_name": [place_names(3, "镇", 1)[i % 3] for i in range(households)],
        }
    )
    told = [_told(name, catalogue, (rng, home, person, born, village), last) for name in catalogue.indicators]
    return Month(as_of, pa.concat_tables(told), people, homes)


def _told(name: str, catalogue: Catalogue, world: Any, last: int) -> pa.Table:
    rng, home, person, born, village = world
    kind = catalogue.indicators[name]
    personal = kind.grain == "person"
    who = np.flatnonzero(rng.random(home.size if personal else village.size) < 0.3)
    size = who.size
    known = last - 2 - list(catalogue.departments).index(kind.department)
    event = born[who] if name == "born" else known - rng.integers(0, 70, size)
    numbered = (rng.random(size) < 0.3) & (name != "born")
    if kind.codes:
        value = rng.choice(list(kind.codes), size)
    elif kind.kind == "status":
        value = village[who]
    elif kind.kind == "event":
        value = np.ones(size) if name == "born" else rng.integers(1, 3, size)
    elif kind.kind == "amount":
        value = rng.integers(-99 if "income" in name else 0, 300_000_000, size) // rng.choice([1, 100, 10_000], size)
    else:
        value = rng.integers(0, 90, size)
    until = np.array((kind.kind == "status") & (rng.random(size) < 0.2))
    return pa.table(
        {
            "household": home[who] + 1_000 if personal else who + 1_000,
            "person": person[who] if personal else np.full(size, -1),
            "indicator": pa.array([name] * size, pa.string()).dictionary_encode(),
            "event_date": days(event),
            "until_date": pa.array((event + 9).astype(np.int32), mask=~until).cast(pa.date32()),
            "known_date": days(np.full(size, known)),
            "value": pa.array(value.astype(np.int64), mask=numbered & (rng.random(size) < 0.2)),
            "record_id": np.where(numbered, catalogue.codes[name] * 10_000 + np.arange(size), -1),
        }
    )


def pairs(table: pa.Table, key: str, value: str) -> dict[Any, Any]:
    return dict(zip(table[key].to_pylist(), table[value].to_pylist(), strict=True))


def facts_of(month: Month, catalogue: Catalogue) -> Counter[Fact]:
    """What was told."""
    number = pairs(month.people, "person", "id_number")
    home = pairs(month.homes, "household", "household_id")
    return Counter(
        (
            r["indicator"],
            number[r["person"]] if r["person"] >= 0 else home[r["household"]],
            r["event_date"],
            r["until_date"],
            r["value"],
            r["record_id"] if r["record_id"] >= 0 else None,
        )
        for r in month.told.to_pylist()
    )


# A reader of its own


@dataclass(frozen=True)
class Cell:
    """A row of a file: its number as a spreadsheet counts, cells by header as delivered, and the columns found."""

    file: str
    sheet: str | None
    row: int
    cells: dict[str, str]
    columns: dict[str, tuple[Column, int]]  # by header as delivered; how many of the own unit one is
    layout: Layout

    def of(self, column: Column | None) -> tuple[str, str]:
        """A column's header in this file, and the cell."""
        header = next(h for h, (c, _) in self.columns.items() if c is column)
        return header, self.cells[header]


def rows_of(folder: Path, catalogue: Catalogue) -> Iterator[Cell]:
    """Every row of every file."""
    by_name = {
        (s.said("zh"), a.name.said("zh")): a
        for a in layouts(catalogue.departments)
        for s in catalogue.departments[a.department].sent_by
    }
    for path in sorted(folder.rglob("*.*")):
        name = DeliveryName.parse(path.stem)
        assert name, path
        file = f"{path.parent.name}/{path.name}"
        if path.suffix == ".xlsx":
            book = openpyxl.load_workbook(path)
            for sheet in book.worksheets:
                table = [["" if v is None else str(v) for v in r] for r in sheet.iter_rows(values_only=True)]
                yield from _rows(file, sheet.title, table, by_name[name.sender, sheet.title])
        else:
            assert name.item
            layout = by_name[name.sender, name.item]
            yield from _rows(file, None, _table(path.read_bytes(), layout), layout)


def _table(content: bytes, layout: Layout) -> list[list[str]]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            # A file may be cut off in the middle of a character.
            text = codecs.getincrementaldecoder(encoding)().decode(content)
            break
        except UnicodeDecodeError:
            continue
    lines = text.splitlines()
    head = "\n".join(lines[:4])
    delimiter = max(",\t;", key=head.count)
    return list(csv.reader(lines, delimiter=delimiter))


def _rows(file: str, sheet: str | None, table: list[list[str]], layout: Layout) -> Iterator[Cell]:
    known = {h: (c, factor) for c in layout.columns for h, factor in c.headers().items()}
    at = next(i for i, r in enumerate(table) if sum(plain_header(c) in known for c in r) > 2)
    header = table[at]
    columns = {h: known[plain_header(h)] for h in header}
    assert len(columns) == len(layout.columns)
    for n, r in enumerate(table[at + 1 :], start=at + 2):
        if len(r) == len(header):
            yield Cell(file, sheet, n, dict(zip(header, r, strict=True)), columns, layout)


def day(cell: str) -> date | None:
    cell = cell.strip()
    if re.fullmatch(r"\d{4,5}(\.0)?", cell):
        return date(1899, 12, 30) + timedelta(int(float(cell)))
    m = re.fullmatch(r"(\d{4})(?:-|/|年|(?=\d{4}$))(\d{1,2})(?:-|/|月|(?=\d\d$))(\d{1,2})日?", cell)
    return date(*map(int, m.groups())) if m else None


def id_number(cell: str) -> str:
    """The ID number that a cell still tells; raises AssertionError where its check character is wrong."""
    text = unicodedata.normalize("NFKC", cell).replace(" ", "").upper()
    if len(text) == 15:
        text = text[:6] + "19" + text[6:]
        text += check_character(text)
    text = text[:18]
    assert check_character(text[:17]) == text[17]
    return text


def stored(cell: str, column: Column, factor: int, catalogue: Catalogue) -> int | None:
    text = unicodedata.normalize("NFKC", cell).strip(" ¥￥").replace(",", "")
    if text == "作废":
        return None
    for code, words in column.words.items():
        if text in [unicodedata.normalize("NFKC", w) for w in words]:
            return code
    value = Decimal(text) * factor * 10 ** catalogue.indicators[column.of[0]].decimals
    assert value == int(value)
    return int(value)


@dataclass
class Read:
    """What came back of some files: the facts of cells that nothing was said against, and how many were given up."""

    facts: Counter[Fact]
    given_up: int = 0


def read(folder: Path, catalogue: Catalogue, month: Month, damages: pa.Table | None = None) -> Read:
    bad: set[tuple[Any, ...]] = set()
    cut: dict[str, int] = {}
    for d in (damages if damages is not None else SCHEMA.empty_table()).to_pylist():
        if d["effect"] != "untidy":
            bad.add((d["file"], d["sheet"], d["row"], d["column"]))
        if d["kind"] == "cut_off":
            cut[d["file"]] = d["row"]
    found = Read(Counter())
    number, home = pairs(month.people, "person", "id_number"), pairs(month.homes, "head", "household_id")
    of_head = {f"head {number[head]}": code for head, code in home.items()}
    for r in rows_of(folder, catalogue):
        if r.row >= cut.get(r.file, 10**9):
            continue
        for name in r.layout.indicators:
            fact, lost = _fact(r, name, catalogue, bad)
            found.given_up += lost
            if fact:
                found.facts[fact[0], of_head.get(fact[1], fact[1]), *fact[2:]] += 1
    return found


def _fact(r: Cell, name: str, catalogue: Catalogue, bad: set[tuple[Any, ...]]) -> tuple[Fact | None, bool]:
    """The fact that a row tells of an indicator, if any; and whether one had to be given up."""
    personal = catalogue.indicators[name].grain == "person"
    wanted = (("id_number",), ("certificate",)) if personal else (("household",), ("head_id_number",))
    key = next(r.of(c) for roles in wanted for c in r.layout.of_role(*roles))
    value, until = r.layout.value(name), r.layout.until(name)
    event, told = r.of(r.layout.date(name)), r.of(value) if value else None
    ends = r.of(until) if until else ("", "")
    listed = [(r.file, r.sheet, r.row, h) in bad for h in (key[0], event[0], ends[0], told[0] if told else "")]
    there = (told or event)[1] != "" or listed[3] or (not told and listed[1])
    if not there or any(listed):
        return None, there
    record = r.of(r.layout.of_role("record")[0])[1]
    number = stored(told[1], value, r.columns[told[0]][1], catalogue) if told and value else 1
    when = day(event[1])
    assert when, event
    last = day(ends[1])
    assert bool(last) == bool(ends[1])
    whose = key[1].strip() if key[1].strip().startswith("HX") else id_number(key[1])
    whose = whose if personal or whose.startswith("HX") else f"head {whose}"
    return (name, whose, when, last, number, int(record) if record else None), False


# Tidy files


@pytest.fixture(scope="module")
def month(catalogue: Catalogue) -> Month:
    return a_month(catalogue)


def sent(folder: Path, month: Month, catalogue: Catalogue, mess: Mess | None = None, **more: Any) -> pa.Table:
    style = Style.CLEAN if mess is None else Style.MESSY
    return write_month(folder, month, sending=Sending(catalogue, style, mess=mess or Mess(), **more))


def test_tidy_files_tell_every_fact_and_nothing_more(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    assert sent(tmp_path, month, catalogue).num_rows == 0
    back = read(tmp_path, catalogue, month)
    assert back.facts == facts_of(month, catalogue)
    assert {f[0] for f in back.facts} == set(catalogue.indicators)


def test_tidy_files_are_plain_ones_that_pandas_reads(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    sent(tmp_path, month, catalogue)
    table = pd.read_csv(tmp_path / "2021-03" / "医保局-住院自付费用-2021-03_2021-03-28.csv", dtype=str)
    assert list(table) == ["身份证号", "参保人姓名", "结算编号", "出院结算日期", "住院自付（元）", "备注"]
    mine = month.told.filter(pc.equal(month.told["indicator"], "inpatient_self_paid"))
    assert len(table) == mine.num_rows
    kept = table[table["住院自付（元）"] != "作废"]["住院自付（元）"]
    assert sum(Decimal(v) for v in kept) == Decimal(pc.sum(mine["value"]).as_py()) / 100


def test_no_text_of_a_tidy_file_can_be_taken_for_a_formula(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    sent(tmp_path, month, catalogue)
    for r in rows_of(tmp_path, catalogue):
        for header, (column, _) in r.columns.items():
            assert column.role == "value" or not r.cells[header].startswith(("=", "+", "-", "@"))


def test_what_is_known_of_one_member_stands_in_one_row(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    somebody = month.people["person"][0].as_py()
    lines = [("born", days([0])[0], 1), ("member", days([18_000])[0], 2), ("labour_capacity", days([17_000])[0], 1)]
    told = pa.table(
        {
            "household": [1_000] * 3, "person": [somebody] * 3,
            "indicator": pa.array([n for n, _, _ in lines]).dictionary_encode(),
            "event_date": pa.array([d.as_py() for _, d, _ in lines]), "until_date": pa.nulls(3, pa.date32()),
            "known_date": days([18_700] * 3), "value": [v for _, _, v in lines], "record_id": [-1] * 3,
        }
    )  # fmt: skip
    sent(tmp_path, replace(month, told=told), catalogue)
    (row,) = rows_of(tmp_path, catalogue)
    assert row.cells | {"姓名": "", "身份证号": "", "户编号": ""} == {
        "户编号": "", "身份证号": "", "姓名": "", "单据编号": "", "与户主关系": "配偶", "加入日期": "2019-04-14",
        "离开日期": "", "出生日期": "1970-01-01", "劳动能力": "普通劳动力", "劳动能力认定日期": "2016-07-18",
        "劳动能力截止日期": "", "备注": "",
    }  # fmt: skip


def test_a_member_is_told_with_the_code_of_the_household(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    sent(tmp_path, month, catalogue)
    home = dict(zip(month.people["id_number"].to_pylist(), month.people["household"].to_pylist(), strict=True))
    members = [r.cells for r in rows_of(tmp_path, catalogue) if r.layout.item == "member"]
    assert members
    assert all(c["户编号"] == f"HX{home[c['身份证号']] - 1_000:06d}" for c in members)


def test_a_certificate_and_the_households_event_share_a_row(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    somebody = month.people["person"][0].as_py()
    told = pa.table(
        {
            "household": [1_000] * 2, "person": [-1, somebody],
            "indicator": pa.array(["disability_grade_1_2", "disability_grade"]).dictionary_encode(),
            "event_date": days([18_600] * 2), "until_date": pa.nulls(2, pa.date32()),
            "known_date": days([18_700] * 2), "value": [1, 2], "record_id": [-1] * 2,
        }
    )  # fmt: skip
    sent(tmp_path, replace(month, told=told), catalogue)
    (row,) = rows_of(tmp_path, catalogue)
    number = month.people["id_number"][0].as_py()
    assert re.fullmatch(f"{number}[1-7]2", row.cells["残疾证号"])
    assert (row.cells["残疾等级"], row.cells["新增一二级证（本）"]) == ("二级", "1")


def test_a_certificates_number_ends_in_the_grade_that_is_held(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    held = month.people.append_column("disability_grade", pa.array([3] * month.people.num_rows, pa.int8()))
    told = month.told.filter(pc.equal(month.told["indicator"], "disability_allowance"))
    sent(tmp_path, replace(month, told=told, people=held), catalogue)
    numbers = [r.cells["残疾证号"] for r in rows_of(tmp_path, catalogue)]
    assert len(numbers) == told.num_rows
    assert {n[-1] for n in numbers} == {"3"}
    assert {n[-2] for n in numbers} == set("1234567")


def test_each_household_is_with_one_bank_and_twelve_deliver(tmp_path: Path, catalogue: Catalogue) -> None:
    for name in ("2021-03", "2021-04"):
        sent(tmp_path, a_month(catalogue, month=name), catalogue)
    banks: dict[str, set[str]] = {}
    for r in rows_of(tmp_path, catalogue):
        if r.layout.department == "bank":
            banks.setdefault(r.cells["户主身份证号"], set()).add(r.file.split("/")[1].split("-")[0])
    assert {len(b) for b in banks.values()} == {1}
    assert len(set().union(*banks.values())) == 12


def test_the_file_says_the_day_on_which_its_records_became_known(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    sent(tmp_path, month, catalogue)
    known = dict(zip(month.told["indicator"].to_pylist(), month.told["known_date"].to_pylist(), strict=True))
    for r in rows_of(tmp_path, catalogue):
        name = DeliveryName.parse(Path(r.file).stem)
        assert name
        assert name.day == known[r.layout.indicators[0]]
        assert name.month == "2021-03"


# Files as they come


ROUGH = Mess(
    late=0, cut_off=0, twice=0, empty_column=0, lower_x=0.3, spaces=0.03, full_width=0.03, rounded=0.02,
    scientific=0.02, wrong_check=0.02, old_form=0.03, long_form=0.02, thousands=0.05, currency=0.03, empty_value=0.02,
    day_form=0.05, day_lost=0.02, empty_day=0.02, remark=0.1, other_header=0.5, other_unit=0.5, other_words=0.5,
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_all_that_is_not_listed_as_lost_comes_back(
    tmp_path: Path, month: Month, catalogue: Catalogue, seed: int
) -> None:
    damages = sent(tmp_path, month, catalogue, ROUGH, seed=seed)
    assert damages.schema == SCHEMA
    back, told = read(tmp_path, catalogue, month, damages), facts_of(month, catalogue)
    assert not back.facts - told
    assert back.given_up > 50
    assert (told - back.facts).total() == back.given_up


def test_every_kind_of_damage_is_there_and_where_the_list_says(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    listed = sent(tmp_path, month, catalogue, replace(ROUGH, twice=0.05, empty_column=0.02), seed=3).to_pylist()
    cells = {(r.file, r.sheet, r.row, h): c for r in rows_of(tmp_path, catalogue) for h, c in r.cells.items()}
    looks = {
        "rounded": r"\d{15}0{3,5}", "scientific": r"\d\.\d{5}E\+1[79]", "old_form": r"\d{15}", "long_form": r"\w{22}",
        "lower_x": r"\d{17}x\d*", "full_width": r".*[０-９].*", "thousands": r"-?\d{1,3}(,\d{3})+(\.\d+)?",
        "currency": r"[¥￥]\d.*", "empty_value": "", "empty_day": "", "day_lost": r"\d{4}年\d{1,2}月",
        "spaces": r"\s.*|.*\s|.* .*", "remark": ".+", "wrong_check": r"\d{17}[\dX]\d{0,2}",
        "day_form": r"[\d年月日/-]+",
    }  # fmt: skip
    seen = Counter(d["kind"] for d in listed)
    assert set(looks) <= set(seen)
    assert {"gb18030", "other_header", "other_unit", "other_days", "other_words", "titles", "twice"} <= set(seen)
    assert "empty_column" in seen
    for d in listed:
        if d["row"] and d["column"]:
            cell = cells[d["file"], d["sheet"], d["row"], d["column"]]
            assert re.fullmatch(looks[d["kind"]], cell), d
        if d["kind"] == "empty_column":
            column = [c for (f, s, _, h), c in cells.items() if (f, s, h) == (d["file"], d["sheet"], d["column"])]
            assert set(column) == {""}


def test_a_spoilt_id_number_loses_nothing_where_the_household_has_a_code(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    damages = sent(tmp_path, month, catalogue, replace(QUIET, rounded=0.5), seed=3)
    coded = {(r.file, r.sheet) for r in rows_of(tmp_path, catalogue) if r.layout.of_role("household")}
    effects = {True: Counter[str](), False: Counter[str]()}
    for d in damages.to_pylist():
        effects[(d["file"], d["sheet"]) in coded and "户主" in (d["column"] or "")][d["effect"]] += 1
    assert set(effects[True]) == {"untidy"}
    assert effects[False]["unreadable"] > 100


def test_what_was_cut_off_is_listed_once(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    listed = sent(tmp_path, month, catalogue, replace(ROUGH, cut_off=1.0, workbook=0.0), seed=3).to_pylist()
    cut = {d["file"]: d["row"] for d in listed if d["kind"] == "cut_off"}
    inside = [d for d in listed if d["file"] in cut and d["kind"] != "cut_off"]
    assert len(inside) > 100
    assert all(d["row"] < cut[d["file"]] for d in inside)


def test_a_row_sent_twice_is_listed_with_its_damages(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    damages = sent(tmp_path, month, catalogue, replace(ROUGH, twice=0.2), seed=4)
    back, told = read(tmp_path, catalogue, month, damages), facts_of(month, catalogue)
    assert set(back.facts) <= set(told)
    rows: dict[tuple[Any, ...], list[dict[str, str]]] = {}
    all_of = list(rows_of(tmp_path, catalogue))
    for r in all_of:
        rows.setdefault((r.file, r.sheet), []).append(r.cells)
    again = damages.filter(pc.equal(damages["kind"], "twice")).to_pylist()
    by_row = {(r.file, r.sheet, r.row): r.cells for r in all_of}
    assert len(again) > 200
    for d in again:
        assert rows[d["file"], d["sheet"]].count(by_row[d["file"], d["sheet"], d["row"]]) >= 2


def test_a_file_cut_off_comes_again_whole_a_month_later(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    damages = sent(tmp_path, month, catalogue, replace(QUIET, cut_off=1.0, gb18030=0.5))
    short = sorted(p.name for p in (tmp_path / "2021-03").iterdir())
    whole = sorted(p.name for p in (tmp_path / "2021-04").iterdir())
    assert len(short) == len(whole) == damages.filter(pc.equal(damages["kind"], "cut_off")).num_rows > 70
    assert all("-2021-03_2021-04-" in name for name in whole)
    assert all(
        len(a.read_bytes()) < len(b.read_bytes())
        for a, b in zip(*(sorted((tmp_path / m).iterdir()) for m in ("2021-03", "2021-04")), strict=True)
    )
    assert set(read(tmp_path, catalogue, month, damages).facts) == set(facts_of(month, catalogue))
    part = read(tmp_path / "2021-03", catalogue, month, damages).facts
    assert 0.2 < part.total() / facts_of(month, catalogue).total() < 0.95
    assert not part - facts_of(month, catalogue)


def test_a_department_that_misses_a_month_delivers_it_with_the_next(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    mess = replace(QUIET, late=0.5)
    for name in ("2021-03", "2021-04"):
        sent(tmp_path, a_month(catalogue, month=name), catalogue, mess)
    missed = {p.name.split("-")[0] for p in tmp_path.glob("*/*-2021-03_*")} - {
        p.name.split("-")[0] for p in (tmp_path / "2021-03").iterdir()
    }
    assert missed
    for path in tmp_path.rglob("*.*"):
        name = DeliveryName.parse(path.stem)
        assert name
        assert path.parent.name == f"{name.day:%Y-%m}"
        assert name.day.day <= calendar.monthrange(name.day.year, name.day.month)[1]
        # Who delivers in April brings March along.
        assert path.parent.name != "2021-03" or name.sender not in missed
    in_april = {p.name.split("-")[0] for p in (tmp_path / "2021-04").glob("*-2021-04_*")}
    assert missed & in_april
    assert missed & in_april <= {p.name.split("-")[0] for p in (tmp_path / "2021-04").glob("*-2021-03_*")}


def test_small_items_come_as_sheets_of_a_workbook_without_formulas(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    damages = sent(tmp_path, month, catalogue, replace(QUIET, workbook=1.0, titles=1.0, remark=0.5))
    assert {p.suffix for p in tmp_path.rglob("*.*")} == {".xlsx"}
    book = openpyxl.load_workbook(tmp_path / "2021-03" / "医保局-2021-03_2021-03-28.xlsx")
    assert len(book.sheetnames) == 6
    assert book.properties.created == datetime(2020, 1, 1)  # not the day of the run: two runs give the same bytes
    page = book["住院"]
    assert "A1:G1" in {str(r) for r in page.merged_cells.ranges}
    assert str(page["A1"].value).startswith("医保局")
    assert {c.data_type for r in page.iter_rows() for c in r} <= {"s", "n"}
    assert any(str(c.value).startswith("=") for r in page.iter_rows() for c in r)
    back = read(tmp_path, catalogue, month, damages)
    assert back.facts == facts_of(month, catalogue)


def test_the_same_county_writes_the_same_bytes_in_whatever_order(tmp_path: Path, catalogue: Catalogue) -> None:
    months = [a_month(catalogue, 60, month=name) for name in ("2021-03", "2021-04")]
    mess = replace(ROUGH, late=0.1, cut_off=0.3, twice=0.02, workbook=0.3)
    listed = []
    for folder, order in (("a", months), ("b", months[::-1])):
        tables = [sent(tmp_path / folder, m, catalogue, mess, seed=5) for m in order]
        listed.append(sorted(pa.concat_tables(tables).to_pylist(), key=repr))
    first, second = (
        {str(p.relative_to(tmp_path / f)): p.read_bytes() for p in (tmp_path / f).rglob("*.*")} for f in ("a", "b")
    )
    assert first == second
    assert listed[0] == listed[1]
    assert any(p.endswith(".xlsx") for p in first)
    sent(tmp_path / "c", months[0], catalogue, mess, seed=5, county=1)
    other = {str(p.relative_to(tmp_path / "c")): p.read_bytes() for p in (tmp_path / "c").rglob("*.csv")}
    both = set(other) & set(first)
    assert len(both) > 5
    assert sum(other[p] != first[p] for p in both) > len(both) / 2


# Canonical records


def test_canonical_records_are_taken_in_whole(tmp_path: Path, desk: Any, month: Month, catalogue: Catalogue) -> None:
    assert write_month(tmp_path, month, sending=Sending(catalogue)).num_rows == 0
    path = tmp_path / "2021-03.parquet"
    receipt = desk.take(path)
    assert receipt.accepted == receipt.rows == month.told.num_rows
    number = dict(zip(month.people["person"].to_pylist(), month.people["id_number"].to_pylist(), strict=True))
    for row, told in zip(pq.read_table(path).to_pylist(), month.told.to_pylist(), strict=True):
        decimals = catalogue.indicators[told["indicator"]].decimals
        assert row["household_id"] == f"HX{told['household'] - 1_000:06d}"
        assert row["person_id"] == (pseudonym(number[told["person"]]) if told["person"] >= 0 else None)
        if told["value"] is None:
            assert row["value"] == "withdrawn"
        else:
            assert Decimal(row["value"]) == Decimal(told["value"]) / 10**decimals
        assert row["record_id"] == (told["record_id"] if told["record_id"] >= 0 else None)
        for name in ("indicator", "event_date", "until_date", "known_date"):
            assert row[name] == told[name]


def test_canonical_records_are_the_same_bytes_twice(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    for folder in ("a", "b"):
        write_month(tmp_path / folder, month, sending=Sending(catalogue))
    assert (tmp_path / "a" / "2021-03.parquet").read_bytes() == (tmp_path / "b" / "2021-03.parquet").read_bytes()


def test_a_pseudonym_is_one_of_its_own_for_each_person(month: Month) -> None:
    made = {pseudonym(n) for n in month.people["id_number"].to_pylist()}
    assert len(made) == month.people.num_rows
    assert all(re.fullmatch(r"P[0-9a-f]{15}", p) for p in made)


# What no file can tell


def with_column(month: Month, name: str, values: Any) -> Month:
    return replace(month, told=month.told.set_column(month.told.column_names.index(name), name, values))


@pytest.mark.parametrize("style", [Style.CLEAN, Style.MESSY])
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("until_date", date(2021, 3, 31), "no column for the last day of `"),
        ("value", 2, "can say of `born` only that it happened once"),
        ("person", 4, "facts of a person that the table of them does not have"),
        ("household", 1, "facts of a household that the table of them does not have"),
        ("event_date", date(1850, 1, 1), "a day that is not within 1900 to 2099"),
    ],
)
def test_what_a_file_cannot_say_is_refused(
    tmp_path: Path, month: Month, catalogue: Catalogue, *, style: Style, column: str, value: Any, said: str
) -> None:
    told = month.told.filter(pc.equal(month.told["indicator"], "born" if column == "value" else "wages_unpaid"))
    if column == "household":
        told = month.told.filter(pc.equal(month.told["indicator"], "transfers"))
    field = told.schema.field(column)
    spoilt = with_column(replace(month, told=told), column, pa.array([value] * told.num_rows, field.type))
    with pytest.raises(ValueError, match=said):
        write_month(tmp_path, spoilt, sending=Sending(catalogue, style))


def test_a_department_that_delivers_on_two_days_of_a_month_is_refused(
    tmp_path: Path, month: Month, catalogue: Catalogue
) -> None:
    known = [d + timedelta(i % 2) for i, d in enumerate(month.told["known_date"].to_pylist())]
    with pytest.raises(ValueError, match="delivers on 2 days of 2021-03"):
        sent(tmp_path, with_column(month, "known_date", pa.array(known)), catalogue)


def test_an_indicator_without_an_item_is_refused(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    water = catalogue.departments["water"].model_copy(update={"items": {}})
    dry = replace(catalogue, departments={**catalogue.departments, "water": water})
    with pytest.raises(ValueError, match="no item that tells of `water_broken`"):
        sent(tmp_path, month, dry)


def test_a_month_without_anything_told_writes_nothing(tmp_path: Path, month: Month, catalogue: Catalogue) -> None:
    nothing = replace(month, told=month.told.slice(0, 0))
    assert sent(tmp_path, nothing, catalogue, Mess()).num_rows == 0
    assert not list(tmp_path.iterdir())
