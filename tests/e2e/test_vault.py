"""Names on the village's own list: there, and nowhere else in a whole month; and the list made again with them."""

import io
import re
import shutil
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

import fpml
from fpml import lists
from fpml.cli import main
from fpml.cli_batch import _replay_words
from fpml.replay import replay

pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")
MONTH = "2023-12"
HEADER = (
    "户编号", "户主身份证号", "户主姓名", "单据编号", "变动日期", "截止日期", "所属地区", "所在村代码",
    "家庭人口（人）", "劳动力（人）", "是否脱贫户", "户主性别", "距县城里程（公里）", "家庭住址", "联系电话", "备注",
)  # fmt: skip
# Planted, each in a form that nothing else takes.
NAME, ADDRESS, PHONE = "覃{}郗", "栗寨{}组", "0791-77-{:04d}"
PLANTED = re.compile(r"覃..郗|栗寨\d+组|0791-77-\d{4}")


def digits(n: int) -> str:
    return "".join("甲乙丙丁戊己庚辛壬癸"[int(d)] for d in f"{n % 100:02d}")


def tell_names(county: fpml.County, day: str, households: list[str], first: int = 0) -> None:
    """The register's file of a day: who heads each household; one row in ten is refused."""
    rows = []
    for n, household in enumerate(households, start=first):
        cells = dict.fromkeys(HEADER, "") | {
            "户编号": household, "户主姓名": NAME.format(digits(n)), "户主性别": "男",
            "变动日期": "2023-02-30" if n % 10 == 9 else "2023-01-05",
            "家庭住址": ADDRESS.format(n), "联系电话": PHONE.format(n), "备注": NAME.format(digits(n)),
        }  # fmt: skip
        rows.append(",".join(cells.values()))
    path = county.workspace.deliveries / f"乡村振兴局-户信息-{day[:7]}_{day}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([",".join(HEADER), *rows]), encoding="utf-8")


def run(county: fpml.County, *argv: str) -> str:
    """A command's whole output."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        status = main([*argv, "--workspace", str(county.workspace.root)])
    assert status in (0, 3), (argv, out.getvalue())
    return out.getvalue()


@pytest.fixture(scope="module")
def named(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> fpml.County:
    """December published with names told by its end, and some corrected in January. Not to be changed."""
    root = tmp_path_factory.mktemp("named") / "county"
    leave = shutil.ignore_patterns("*.parquet.csv", "lookback-*", "lists", "reports")
    shutil.copytree(trained.workspace.root, root, ignore=leave)
    policy = root / "policy" / "county.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("visits: 300", "visits: 20"), encoding="utf-8")
    county = fpml.open(root)
    shutil.rmtree(county.workspace.deliveries)
    households = sorted(county.at(MONTH)["household_id"].to_pylist())
    tell_names(county, "2023-12-20", households)
    assert fpml.run_month(county, MONTH).new
    tell_names(county, "2024-01-20", households[:800], first=5_000)
    return county


def written(path: Path) -> str:
    """All text that a file holds, unpacked where it is packed."""
    raw = path.read_bytes()
    if path.suffix == ".parquet":
        return repr(pq.read_table(path, partitioning=None).to_pydict()) + str(pq.read_schema(path).metadata)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as z:
            return "".join(z.read(n).decode("utf-8", "ignore") for n in z.namelist())
    return raw.decode("utf-8", "ignore")


def cells(county: fpml.County, edition: lists.Edition) -> dict[str, tuple[Any, ...]]:
    """Of each listed household what its row of the village's list says: code, and who it is."""
    found = {}
    for path in sorted((edition.folder / "villages").glob("*.xlsx")):
        book = openpyxl.load_workbook(path, read_only=True)
        heads, *rows = book[county.catalogue.visiting.words["households"].zh].iter_rows(values_only=True)
        at = heads.index("户主、电话、住址") if "户主、电话、住址" in heads else None
        found |= {str(row[1]): None if at is None else row[at] for row in rows}
        book.close()
    return found


def test_the_village_s_list_names_heads_and_nothing_else_of_a_month_does(
    named: fpml.County, tmp_path: Path, trained: fpml.County
) -> None:
    county = fpml.open(shutil.copytree(named.workspace.root, tmp_path / "county"))
    space = county.workspace
    village = sorted((space.lists / MONTH / "villages").glob("*.xlsx"))[0]
    assert PLANTED.search(written(village))
    filled = tmp_path / "filled.xlsx"
    book = openpyxl.load_workbook(village)
    words = county.catalogue.visiting.words
    sheet = book[words["households"].zh]
    answered = [c.value for c in sheet[1]].index(words["verified"].zh) + 1
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, answered).value = "属实"  # without the rest: it goes back
    book.save(filled)
    household = str(sheet.cell(2, 2).value)
    said = [
        run(county, "month", MONTH), run(county, "review", MONTH, "--months", "1"),
        run(county, "explain", household, "--as-of", MONTH), run(county, "verify", str(filled)), run(county, "status"),
        run(county, "record", "--verify"), run(county, "procedure"),
        run(county, "train", "relapse", "--as-of", "2023-05"),
    ]  # fmt: skip
    assert not [s for s in said if PLANTED.search(s)]
    assert any(space.quarantine.glob("*.parquet"))
    assert any((space.visits / "returned").glob("*.xlsx"))
    kept, searched = 0, 0
    for path in space.root.rglob("*"):
        own = space.lists in path.parents and path.parent.name == "villages" and path.suffix == ".xlsx"
        if path.is_file() and space.deliveries not in path.parents:
            searched += 1
            holds = PLANTED.search(written(path)) is not None
            kept += holds
            assert not holds or own or space.vault in path.parents, path.relative_to(space.root)
    assert searched > 100
    assert kept > 3


def test_each_household_has_its_own_head_and_one_without_has_its_code_alone(named: fpml.County) -> None:
    (edition,) = lists.editions(named.workspace.lists)
    households = sorted(named.at(MONTH)["household_id"].to_pylist())
    found = cells(named, edition)
    assert len(found) >= 20
    for household, who in found.items():
        n = households.index(household)
        refused = n % 10 == 9
        assert who == (None if refused else "\n".join((NAME.format(digits(n)), PHONE.format(n), ADDRESS.format(n))))


def test_a_replay_is_equal_whatever_is_told_later_and_says_where_the_vault_is_another(
    named: fpml.County, tmp_path: Path
) -> None:
    county = fpml.open(shutil.copytree(named.workspace.root, tmp_path / "county"))
    before = cells(county, lists.editions(county.workspace.lists)[-1])
    late = fpml.run_month(county, MONTH)
    assert ([r.rows for r in late.receipts], late.new) == ([800], False), "January's names are not known in December"
    tell_names(county, "2023-12-30", sorted(before)[:5], first=9_000)
    again = fpml.run_month(county, MONTH)
    assert again.new
    assert "names" in again.changed
    assert cells(county, again.edition) != before
    assert replay(county, MONTH).equal
    first = replay(county, MONTH, number=1)
    assert (first.equal, first.other_names) == (True, False), "as the vault was then"
    shutil.rmtree(county.workspace.vault)
    done = replay(county, MONTH, number=1)
    assert (done.equal, done.other_names) == (False, True)
    assert all(re.fullmatch(r"villages/\w+\.xlsx|stamp.json", n) for n in done.differing)
    assert "The vault no longer tells the names" in _replay_words(done)


def test_where_policy_keeps_no_names_the_list_shows_codes(named: fpml.County, tmp_path: Path) -> None:
    root = shutil.copytree(named.workspace.root, tmp_path / "county")
    policy = root / "policy" / "county.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("names_kept: true", "names_kept: false"))
    county = fpml.open(root)
    done = fpml.run_month(county, MONTH)
    assert done.changed == ("policy", "names")
    assert set(cells(county, done.edition).values()) == {None}
    assert replay(county, MONTH).equal
