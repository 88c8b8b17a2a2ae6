"""What goes out to a village: its own households alone, cells in which nothing runs, tokens that say nothing."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from filled import Township, a_list

from fpml import keys
from fpml.catalogue import Catalogue, WorkingDays, load
from fpml.dates import AsOf
from fpml.errors import InputError, PolicyError, UsageError
from fpml.lists import Desk, Issued, Token, write_lists
from fpml.lists.tokens import picture
from fpml.workspace import DEFAULT_POLICY, Workspace, init, signing_key

pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")
MINE, OTHER, FAR = "360121001001", "360121001002", "360121002001"
VILLAGES = {MINE: ["H-mine-1", "=H-mine-2", "@H-mine-3"], OTHER: ["H-other-1"], FAR: ["H-far-1", "H-far-2"]}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Path:
    return Township(tmp_path_factory.mktemp("lists") / "town", catalogue).publish(VILLAGES)


def everything(path: Path) -> str:
    """All text that a file holds, unpacked where it is a workbook."""
    if path.suffix != ".xlsx":
        return path.read_text(encoding="utf-8-sig")
    with zipfile.ZipFile(path) as z:
        return "".join(z.read(n).decode("utf-8", "replace") for n in z.namelist() if n.endswith((".xml", ".rels")))


def test_nothing_about_anybody_of_another_village_stands_in_a_village_s_files(out: Path) -> None:
    for code, households in VILLAGES.items():
        others = {h.lstrip("=@") for c, hs in VILLAGES.items() if c != code for h in hs}
        for kind in ("xlsx", "csv", "json"):
            text = everything(out / "villages" / f"{code}.{kind}")
            assert all(h.lstrip("=@") in text for h in households)
            assert not [h for h in others if h in text], (code, kind)
            assert not [c for c in VILLAGES if c != code and c in text], (code, kind)


def test_no_household_stands_in_a_summary(out: Path) -> None:
    summaries = [*out.glob("summary.*"), *(out / "townships").glob("*")]
    assert len(summaries) == 5
    for path in summaries:
        assert "H-" not in everything(path), path.name
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as f:
        rows = list(csv.reader(f))
    assert [(r[0], r[2], r[3]) for r in rows[1:]] == [
        ("360121001", MINE, "3"), ("360121001", OTHER, "1"), ("360121002", FAR, "2"),
    ]  # fmt: skip


def test_the_workbook_has_a_cover_the_list_the_procedure_and_a_sheet_a_household(
    out: Path, catalogue: Catalogue
) -> None:
    book = openpyxl.load_workbook(out / "villages" / f"{MINE}.xlsx")
    words = catalogue.visiting.words
    names = [words[w].zh for w in ("cover", "households", "procedure", "options")]
    assert book.sheetnames == [*names, "001", "002", "003"]
    assert [s.title for s in book if s.sheet_state == "hidden"] == [names[3]]
    assert all(s.protection.sheet for s in book)
    cover = {str(line[0].value).strip(): line[1].value for line in book[names[0]].iter_rows(min_row=2)}
    assert cover[words["listed"].zh] == 3
    assert cover["规则"] == 3
    assert cover[words["due"].zh] == "2024-06-15"
    assert cover[words["sources_in"].zh] == "医保局"
    assert "民政局" in cover[words["sources_missing"].zh]
    assert cover[words["policy"].zh] == "p" * 16
    assert words["names_text"].zh == cover[words["names"].zh]


def test_only_the_cells_to_fill_in_are_open_and_none_can_be_sorted_alone(out: Path, catalogue: Catalogue) -> None:
    book = openpyxl.load_workbook(out / "villages" / f"{MINE}.xlsx")
    words = catalogue.visiting.words
    sheet = book[words["households"].zh]
    heads = [c.value for c in sheet[1]]
    asked = ("verified", "reason_1", "reason_2", "cause", "income_check", "measures", "visitor", "date", "remark")
    fill = [words[w].zh for w in asked]
    for line in sheet.iter_rows(min_row=2):
        assert {heads[c.column - 1] for c in line if not c.protection.locked} == set(fill)
    # True says that it is forbidden.
    assert sheet.protection.sort
    assert not sheet.protection.autoFilter
    assert sheet.freeze_panes == "C2"
    rules = {str(v.sqref): v for v in sheet.data_validations.dataValidation}
    letter = {h: openpyxl.utils.get_column_letter(n) for n, h in enumerate(heads, start=1)}
    choice = rules[f"{letter[fill[0]]}2:{letter[fill[0]]}4"]
    options = book[words["options"].zh]
    assert choice.type == "list"
    assert choice.formula1 == f"'{options.title}'!$A$1:$A$4"
    assert [options.cell(r, 1).value for r in range(1, 5)] == ["属实", "部分属实", "不属实", "未能入户"]
    assert len(rules) == len(fill) + 1  # the third reason's column, which nobody here has


def test_no_cell_is_a_formula_or_a_link(out: Path) -> None:
    for path in out.rglob("*.xlsx"):
        for sheet in openpyxl.load_workbook(path):
            cells = [c for line in sheet.iter_rows() for c in line]
            assert not [c.coordinate for c in cells if c.data_type == "f" or c.hyperlink], path.name
    with (out / "villages" / f"{MINE}.csv").open(encoding="utf-8-sig", newline="") as f:
        assert [r[1] for r in csv.reader(f)][1:] == ["H-mine-1", "'=H-mine-2", "'@H-mine-3"]


def test_a_hostile_cell_is_cut_to_what_a_spreadsheet_holds(tmp_path: Path, catalogue: Catalogue) -> None:
    warnings = a_list(catalogue, {MINE: ["H1"]})
    warnings.rows.loc[0, "reasons"] = "=cmd|' /C calc'!A0 " + "很" * 50_000
    warnings.rows.loc[0, "rules"] = "\x00\x07<b>&\ufffe"
    keys.make(tmp_path / "key")
    (tmp_path / "out").mkdir()
    write_lists(warnings, tmp_path / "out", Desk(catalogue, keys.load(tmp_path / "key"), tmp_path / "issued"))
    sheet = openpyxl.load_workbook(tmp_path / "out" / "villages" / f"{MINE}.xlsx").worksheets[1]
    told = [c.value for c in sheet[2]]
    assert any(str(t).startswith("=cmd") and len(t) <= 4_000 for t in told)
    assert all(c.data_type != "f" for c in sheet[2])


def test_the_same_list_gives_the_same_bytes_and_another_one_another_id(tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    one, same, other = town.publish(VILLAGES), town.publish(VILLAGES), town.publish(VILLAGES | {OTHER: ["H-new"]})
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(files) > 12
    assert [f for f in files if (one / f).read_bytes() != (same / f).read_bytes()] == []
    ids = {json.loads((p / "warnings.json").read_text(encoding="utf-8"))["list"] for p in (one, same, other)}
    assert len(ids) == 2
    assert len(Issued.all(town.folder / "issued")) == 2


def test_helpers_write_the_same_bytes_as_one_process(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.make(tmp_path / "key")
    key = keys.load(tmp_path / "key")
    monkeypatch.setattr("fpml.lists.publish.WORTH", 1)
    for n in (1, 2):
        (tmp_path / str(n)).mkdir()
        write_lists(a_list(catalogue, VILLAGES), tmp_path / str(n), Desk(catalogue, key, tmp_path / "issued", n))
    files = [p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*") if p.is_file()]
    assert [f for f in files if (tmp_path / "1" / f).read_bytes() != (tmp_path / "2" / f).read_bytes()] == []


def test_a_household_whose_village_is_not_known_is_not_lost(tmp_path: Path, catalogue: Catalogue) -> None:
    out = Township(tmp_path / "town", catalogue).publish({"": ["H1"], MINE: ["H2"]})
    assert sorted(p.name for p in (out / "villages").glob("*.xlsx")) == [f"{MINE}.xlsx", "unknown.xlsx"]


def test_an_empty_list_has_a_summary_and_no_village(tmp_path: Path, catalogue: Catalogue) -> None:
    out = Township(tmp_path / "town", catalogue).publish({})
    assert list((out / "villages").iterdir()) == []
    assert (out / "summary.xlsx").is_file()


# Tokens


def test_a_token_says_its_row_and_nothing_of_anybody(tmp_path: Path) -> None:
    keys.make(tmp_path / "key")
    key = keys.load(tmp_path / "key")
    token = Token(AsOf.parse("2024-05"), "3F9A1C2B", 12)
    text = token.signed(key)
    assert re.fullmatch(r"202405-3F9A1C2B-00012-[A-Z2-7]{16}", text)
    assert Token.parse(text) == token
    assert token.signed(key) == text
    assert len({Token(AsOf.parse("2024-05"), "3F9A1C2B", n).signed(key)[-16:] for n in range(1, 1000)}) == 999
    keys.make(tmp_path / "other")
    assert token.signed(keys.load(tmp_path / "other")) != text
    with pytest.raises(UsageError, match="more than"):
        Token(AsOf.parse("2024-05"), "3F9A1C2B", 100_000).signed(key)


def test_the_code_is_a_picture_with_three_corners_and_a_quiet_zone(tmp_path: Path) -> None:
    import zlib

    png = picture("202405-3F9A1C2B-00012-K7QF2M4ZP3XW5YTA")
    at = png.index(b"IDAT")
    size = int.from_bytes(png[at - 4 : at], "big")
    lines = zlib.decompress(png[at + 4 : at + 4 + size])
    wide = len(lines) // 132
    pixels = ["".join(f"{b:08b}" for b in lines[r * wide + 1 : (r + 1) * wide])[:132] for r in range(132)]
    modules = ["".join(line[4 * m] for m in range(33)) for line in pixels[::4]]
    finder = ["0000000", "0111110", "0100010", "0100010", "0100010", "0111110", "0000000"]
    for top, left in ((4, 4), (4, 22), (22, 4)):
        assert [m[left : left + 7] for m in modules[top : top + 7]] == finder
    assert all(set(m) == {"1"} for m in (*modules[:4], *modules[-4:]))
    assert all(set(m[:4] + m[-4:]) == {"1"} for m in modules)


def test_every_household_s_sheet_has_a_code_of_its_own(out: Path) -> None:
    with zipfile.ZipFile(out / "villages" / f"{MINE}.xlsx") as z:
        pictures = [z.read(n) for n in z.namelist() if n.startswith("xl/media/")]
    assert len(set(pictures)) == 3
    told = json.loads((out / "villages" / f"{MINE}.json").read_text(encoding="utf-8"))
    assert {picture(r["token"]) for r in told["rows"]} == set(pictures)


def test_the_key_of_lists_is_made_once_and_never_anew(tmp_path: Path) -> None:
    space = init(tmp_path / "county")
    first = signing_key(space)
    assert signing_key(Workspace(space.root)).fingerprint == first.fingerprint
    assert first.fingerprint != keys.load(space.key).fingerprint
    space.issued.mkdir()
    (space.issued / "2024-05-AAAAAAAA.parquet").write_bytes(b"x")
    space.lists_key.unlink()
    with pytest.raises(InputError, match="there is none"):
        signing_key(space)


# Policy


def test_working_days_know_holidays_and_the_weekends_that_are_worked(catalogue: Catalogue) -> None:
    calendar = catalogue.calendar
    assert calendar.after(date(2023, 9, 28), 1) == date(2023, 10, 7)  # a Saturday that was worked
    assert calendar.after(date(2024, 6, 7), 1) == date(2024, 6, 11)  # over the Dragon Boat Festival
    assert not calendar.works(date(2024, 2, 12))
    assert calendar.works(date(2024, 2, 18))
    assert WorkingDays().after(date(2024, 6, 7), 1) == date(2024, 6, 10)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("no_cause: none", "no_cause: nothing", "none of the causes"),
        ("after: review, working_days: 2", "after: registered, working_days: 2", "which no earlier step is"),
        ("records: 1}", "records: 7}", "no code of the indicator"),
        ("{zh: 低于监测线,", "{zh: 高于监测线,", "of the same words"),
        ("after: listed, days: 15", "after: listed, days: 15, working_days: 3", "both working_days and days"),
    ],
)
def test_a_fault_of_visits_yaml_is_told_with_its_place(policy: Path, old: str, new: str, said: str) -> None:
    path = policy / "visits.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PolicyError, match=said):
        load(policy, DEFAULT_POLICY)


def test_words_that_a_county_does_not_say_are_the_default_profile_s(policy: Path) -> None:
    path = policy / "visits.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  cover: {zh: 封面, en: Cover}\n", ""), encoding="utf-8")
    assert load(policy, DEFAULT_POLICY).visiting.words["cover"].zh == "封面"
    path.unlink()
    (policy / "calendar.yaml").unlink()
    assert load(policy, DEFAULT_POLICY).calendar.years


def test_another_program_opens_a_village_s_workbook_page_by_page(out: Path, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if not office:
        pytest.skip("LibreOffice (soffice) is not installed: pages were not counted")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    book = out / "villages" / f"{MINE}.xlsx"
    command = [office, profile, "--headless", "--convert-to", "pdf", "--outdir", tmp_path, book]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    # Cover, list, procedure, and exactly one page a household.
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / f"{MINE}.pdf").read_bytes())) == 6


POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from fpml.lists.publish import _ends_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_ends_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def runs(process: int) -> bool:
    """Whether a process is there, and not one that has ended and that nobody has asked how."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(told.stdout.strip()) and not told.stdout.startswith("Z")


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by a signal of POSIX's")
def test_no_process_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        assert runs(worker)
        run.kill()
    until = time.monotonic() + 20
    while runs(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(worker)
