"""Departments' files as they come, taken in: the messy county against the clean one, and what was done to it."""

import json
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest

import fpml
from fpml.intake import Receipt, Shelf
from fpml.simulate import Plan, Style, load_profile

HOUSEHOLDS, MONTHS, KILLS = 300, 5, 1
FACT = ["household_id", "person_id", "indicator", "record_id", "event_date", "until_date", "value"]
# What each kind of damage that loses something may be refused for.
REFUSED_AS = {
    "rounded": {"rounded_id_number"},
    "scientific": {"rounded_id_number"},
    "wrong_check": {"wrong_check_digit"},
    "empty_value": {"nothing_told"},
    "empty_column": {"nothing_told"},
    "empty_day": {"no_date", "nothing_told"},
}


class Delivered(NamedTuple):
    """A county whose departments' files have been taken in, what became of them, and what is known to be wrong."""

    county: fpml.County
    receipts: list[Receipt]
    damages: pd.DataFrame

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.county.workspace.receipts, self.county.workspace.quarantine)

    def refused(self) -> pd.DataFrame:
        """Every refused row, with its file as the damages name it."""
        found = []
        for r in self.receipts:
            table = self.shelf.refused(r.delivery).to_pandas()
            found.append(table.assign(path=str(place(self.county, r))))
        return pd.concat(found, ignore_index=True)

    def facts(self) -> Counter[tuple[Any, ...]]:
        """The facts of the ledger, whenever they became known."""
        table = self.county.ledger.everything().to_pandas()
        return Counter(table[FACT].astype(str).itertuples(index=False, name=None))


def place(county: fpml.County, receipt: Receipt) -> Path:
    folder = county.workspace.deliveries
    return next(p for p in folder.rglob(receipt.file)).relative_to(folder)


def delivered(root: Path, style: Style, key: Path | None = None) -> Delivered:
    fpml.init(root)
    county = fpml.open(root)
    if key:
        shutil.copy(key, county.workspace.key)
    # Of another seed than the one that intake was written with.
    county.simulate(Plan(load_profile("jiangxi"), HOUSEHOLDS, months=MONTHS, seed=23), style=style, processes=1)
    county = fpml.open(root)
    receipts = county.intake()
    path = county.workspace.truth / "damage.parquet"
    damages = pq.read_table(path).to_pandas() if path.exists() else pd.DataFrame()
    return Delivered(county, receipts, damages)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return delivered(tmp_path_factory.mktemp("delivered") / "clean", Style.CLEAN)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory, clean: Delivered) -> Delivered:
    root = tmp_path_factory.mktemp("delivered") / "messy"
    return delivered(root, Style.MESSY, clean.county.workspace.key)


def test_every_row_is_accounted_for(clean: Delivered, messy: Delivered) -> None:
    for county in (clean, messy):
        for r in county.receipts:
            assert r.rows == r.accepted + r.already_known + sum(r.quarantined.values()), r.file
            assert county.shelf.refused(r.delivery).num_rows == sum(r.quarantined.values())
        assert sum(r.new_facts for r in county.receipts) == county.county.ledger.rows


def test_of_tidy_files_only_those_wait_whom_the_register_does_not_know(clean: Delivered) -> None:
    assert not [r.file for r in clean.receipts if r.refused]
    assert set(clean.refused().reason) <= {"unknown_household", "unknown_person"}


def test_the_tidy_files_tell_what_canonical_records_do(clean: Delivered, tmp_path: Path) -> None:
    records = delivered(tmp_path / "records", Style.RECORDS)
    told = records.county.ledger.everything().to_pandas()
    known = clean.county.ledger.everything().to_pandas()
    waiting = sum(held.num_rows for _, held in clean.shelf.held())
    assert len(known) + waiting == len(told)
    for indicator, rows in known.groupby("indicator", observed=True):
        assert rows.value.sum() <= told.value[told.indicator == indicator].sum(), indicator
    assert set(known.household_id) <= set(told.household_id)


def test_each_refused_row_is_explained_by_what_was_done_to_it(clean: Delivered, messy: Delivered) -> None:
    done = {(d.file, d.sheet or None, d.row) for d in messy.damages.itertuples() if d.effect != "untidy"}
    whole = {(d.file, d.sheet or None) for d in messy.damages.itertuples() if d.kind == "empty_column"}
    for r in messy.refused().itertuples():
        where = (r.path, r.sheet or None)
        # Of whom the register's own row was spoilt nothing can be taken in; the same of those it never knew.
        waits = r.reason in ("unknown_person", "unknown_household")
        assert (*where, r.row) in done or where in whole or waits, (r.path, r.row, r.reason)


def test_each_unreadable_cell_stands_in_quarantine_with_the_right_reason(messy: Delivered) -> None:
    refused = {(r.path, r.sheet or None, r.row): r.reason for r in messy.refused().itertuples()}
    cut = {r.file for r in messy.receipts if r.refused}
    lost = messy.damages[(messy.damages.effect == "unreadable") & (messy.damages.row > 0)]
    met = Counter[str]()
    for d in lost.itertuples():
        if Path(d.file).name in cut:
            continue
        reason = refused.get((d.file, d.sheet or None, d.row))
        if reason is None:
            # In a row of several things an empty cell is no fault, and nobody can tell it from nothing to say.
            assert d.kind in ("empty_value", "empty_day"), (d.file, d.row, d.kind)
            continue
        assert reason in REFUSED_AS[d.kind] | {"unknown_person"}, (d.file, d.row, d.kind, reason)
        met[d.kind] += 1
    assert {"rounded", "wrong_check"} <= set(met)


def test_cut_off_files_are_refused_whole_and_say_so(messy: Delivered) -> None:
    cut = {Path(f).name for f in messy.damages.file[messy.damages.kind == "cut_off"]}
    assert {r.file for r in messy.receipts if r.refused} <= cut
    assert all("cut off" in r.refused for r in messy.receipts if r.refused)


def test_the_messy_county_ends_in_the_same_ledger_but_for_what_is_unreadable(
    clean: Delivered, messy: Delivered
) -> None:
    missing, more = clean.facts() - messy.facts(), messy.facts() - clean.facts()
    degraded = (messy.damages.kind == "day_lost").sum()
    assert sum(more.values()) <= degraded
    assert all(re.search(r"-(28|29|30|31)'|\d\d'", repr(f)) for f in more)
    apart = messy.refused()
    # What is missing: facts of refused rows, of cells that were emptied, and days told as a month.
    held = sum(h.num_rows for _, h in messy.shelf.held()) - sum(h.num_rows for _, h in clean.shelf.held())
    several = sum(f for f in Counter(apart.item).values())
    emptied = messy.damages.kind.isin(["empty_value", "empty_day", "empty_column"]).sum()
    assert 0 < sum(missing.values()) <= held + 5 * several + emptied + degraded


def test_histories_of_both_counties_are_nearly_the_same(clean: Delivered, messy: Delivered) -> None:
    frames = [c.county.frame(c.county.histories("2021-04")).set_index("household_id") for c in (clean, messy)]
    both = frames[0].index.intersection(frames[1].index)
    assert len(both) > 0.98 * len(frames[0])
    same = (frames[0].loc[both, "members__last__ever"] == frames[1].loc[both, "members__last__ever"]).mean()
    assert same > 0.99


def test_the_same_files_again_change_nothing(messy: Delivered) -> None:
    version, before = messy.county.ledger.version, messy.facts()
    files = sorted(p for p in messy.county.workspace.deliveries.rglob("*.*") if p.is_file())
    again = messy.county.intake(files)
    assert sum(r.accepted for r in again) == 0
    assert (messy.county.ledger.version, messy.facts()) == (version, before)
    for r in messy.county.inbox.receipts():
        assert r.rows == r.accepted + r.already_known + sum(r.quarantined.values())


def test_no_id_number_is_written_anywhere_and_names_into_the_vault_alone(clean: Delivered, messy: Delivered) -> None:
    numbers, names = people(messy.county.workspace.deliveries)
    assert len(numbers) > 500
    assert len(names) > 300
    for county in (clean, messy):
        county.county.histories("2021-04")
        space = county.county.workspace
        searched = 0
        for path in space.root.rglob("*"):
            if path.is_file() and space.deliveries not in path.parents:
                for content in contents(path):
                    searched += 1
                    # Digits and an X: any ID number would be such a run.
                    runs = set(re.findall(rb"[0-9]{15}[0-9Xx]{0,3}", content))
                    assert not {r for r in runs if r.decode().upper() in numbers}, path.name
                    assert space.vault in path.parents or not [n for n in names if n.encode() in content], path.name
        assert searched > 50
        kept = b"".join(c for p in space.vault.glob("*.parquet") for c in contents(p))
        assert sum(n.encode() in kept for n in names) > 50


def people(folder: Path) -> tuple[set[str], set[str]]:
    """All sound ID numbers, and all names of three characters, in tidy cells of the deliveries."""
    numbers, names = set[str](), set[str]()
    for path in folder.rglob("*.csv"):
        text = path.read_bytes().decode(
            "gb18030" if b"\xef\xbb\xbf" not in path.read_bytes()[:3] else "utf-8-sig", "ignore"
        )
        if "身份证" not in text[:400]:
            text = path.read_bytes().decode("utf-8", "ignore")
        numbers |= set(re.findall(r"(?<!\d)\d{17}[\dX](?!\d)", text))
        names |= set(re.findall(r"(?<=\d{3}[\dX][,;\t])[\u4e00-\u9fff]{3}(?=[,;\t])", text))
    return numbers, names


def contents(path: Path) -> list[bytes]:
    """A file's bytes; of Parquet, Arrow and workbooks also what is packed in them."""
    raw = [path.read_bytes()]
    if path.suffix == ".parquet":
        raw.append(repr(pq.read_table(path, partitioning=None).to_pydict()).encode())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as book:
            raw += [book.read(n) for n in book.namelist()]
    return raw


def intake(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "fpml.cli", "intake", "--quiet", "--workspace", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def state(folder: Path) -> tuple[Any, ...]:
    """All that a taking-in leaves: the ledger's facts, the receipts, the refused rows and those that wait."""
    county = fpml.open(folder)
    table = county.ledger.everything().to_pandas()
    facts = Counter(table[[*FACT, "known_date", "delivery"]].astype(str).itertuples(index=False, name=None))
    shelf = Shelf(county.workspace.receipts, county.workspace.quarantine)
    told = [json.loads(r.as_json()) | {"runs": 0, "place": 0} for r in county.inbox.receipts()]
    refused = [shelf.refused(r.delivery).to_pylist() for r in county.inbox.receipts()]
    held = [(key, table.to_pylist()) for key, table in shelf.held()]
    kinds = ("receipts", "quarantine", "vault")
    left = [p.name for kind in kinds for p in (folder / "data" / kind / "pending").glob("*")]
    vault = county.workspace.vault.glob("*.parquet")
    named = Counter(row for p in vault for row in pd.read_parquet(p).astype(str).itertuples(index=False, name=None))
    return facts, told, refused, held, left, named


def test_killed_at_any_instant_the_next_run_finishes_the_job(messy: Delivered, tmp_path: Path) -> None:
    start = shutil.copytree(messy.county.workspace.root, tmp_path / "start")
    for name in ("ledger", "receipts", "quarantine", "cache", "vault"):
        shutil.rmtree(start / "data" / name, ignore_errors=True)
    for month in ("2021-02", "2021-03", "2021-04", "2021-05", "2021-06"):
        shutil.rmtree(start / "data" / "deliveries" / month, ignore_errors=True)
    undisturbed = shutil.copytree(start, tmp_path / "undisturbed")
    began = time.perf_counter()
    assert intake(undisturbed).wait() in (0, 3)
    lasts = time.perf_counter() - began
    expected = state(undisturbed)
    rng = random.Random(5)
    for i in range(KILLS):
        folder = shutil.copytree(start, tmp_path / str(i))
        process = intake(folder)
        time.sleep(rng.uniform(0.35, 1) * lasts)
        process.kill()
        process.wait()
        assert intake(folder).wait() in (0, 3)
        assert state(folder) == expected
