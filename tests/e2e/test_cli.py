"""The command line as an office uses it: one simulated county from `init` to a list, and what goes wrong on the way."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from filled import NO, YES, fill

import fpml
from fpml.cli import main
from fpml.risk import LEAST_FALLEN

HOUSEHOLDS, MONTHS, SEED = 500, 29, 3  # known 2021-01 to 2023-05; enough falls of both kinds by LEARN
LEARN, LIST = "2023-04", "2023-05"
ID = re.compile(r"D000\d{3}|530599\d{9}")


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def run(*argv: str | Path) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(a) for a in argv])
        except SystemExit as e:
            status = int(e.code or 0)
    return Ran(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., list[Path]]) -> dict[str, Ran]:
    """What each command printed the first time, in the order of an office's first month."""
    root = tmp_path_factory.mktemp("e2e") / "county"
    ran = {"init": run("init", root, "--json")}
    for definition in (root / "models").glob("*.yaml"):  # few trees: what is tested is the line, not the model
        text = re.sub(r"rounds: \d+", "rounds: 20", definition.read_text(encoding="utf-8"))
        definition.write_text(re.sub(r"learning_rate: \S+", "learning_rate: 0.1", text), encoding="utf-8")
    ran["status before"] = run("status", "--workspace", root)
    ran["month before intake"] = run("month", LIST, "--workspace", root)
    generate(root / "data" / "deliveries", households=HOUSEHOLDS, months=MONTHS, seed=SEED)
    ran["intake"] = run("intake", "--workspace", root)
    ran["month before training"] = run("month", LIST, "--workspace", root)
    ran["train"] = run("train", "--as-of", LEARN, "--workspace", root)
    ran["month"] = run("month", LIST, "--workspace", root)
    ran["status"] = run("status", "--workspace", root)
    return ran


@pytest.fixture
def root(first: dict[str, Ran]) -> Path:
    """The county's workspace, after its first month; tests leave it as they found it."""
    return Path(json.loads(first["init"].out)["workspace"])


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of it, for tests that change it; its deliveries, long taken in, stay behind."""
    return Path(shutil.copytree(root, tmp_path / "copy", ignore=shutil.ignore_patterns("20??-??.parquet")))


def newest(root: Path) -> Path:
    """Where the edition in force lies: the last one published."""
    return max((root / "data" / "lists").glob(f"{LIST}*"), key=lambda p: p.name)


def listed(root: Path) -> list[str]:
    book = openpyxl.load_workbook(newest(root) / "warnings.xlsx")
    return [str(c.value) for c in book.worksheets[1]["B"][1:]]


pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")


def test_the_first_month_goes_through(first: dict[str, Ran]) -> None:
    for command in ("init", "intake", "train", "month", "status"):
        assert first[command].status == 0, (command, first[command].err)


def test_the_panel_has_falls_enough_to_learn_from(root: Path) -> None:
    cards = [json.loads(p.read_text()) for p in (root / "models" / "artefacts").glob("*/*/model.json")]
    assert {c["outcome"] for c in cards} == {"new_poverty", "relapse", "renewed"}
    assert all(c["learnt"]["positive_labels"] >= 50 for c in cards)


def test_training_says_what_its_models_do_not_know(first: dict[str, Ran], root: Path, copy: Path) -> None:
    (card,) = [json.loads(p.read_text()) for p in (root / "models" / "artefacts").glob("renewed/*/model.json")]
    fell = card["learnt"]["own_falls"]
    assert 0 <= fell < LEAST_FALLEN
    assert f"renewed: {fell} households at risk of it have fallen so far" in first["train"].err
    (copy / "models" / "renewed.yaml").unlink()
    ran = run("train", "relapse", "--as-of", LEARN, "--workspace", copy, "--quiet")
    assert (ran.status, "renewed: no model in models/ is of it" in ran.err) == (0, True)


def test_commands_that_come_too_early_say_what_comes_first(first: dict[str, Ran]) -> None:
    assert first["status before"].status == 0
    assert first["month before intake"].status == 4
    assert "fpml intake" in first["month before intake"].err
    # A rule hit always lists: without a model the list is made by rules alone, and says so.
    assert first["month before training"].status == 0
    assert "尚未训练模型" in first["month before training"].out


def test_nothing_printed_names_a_household(first: dict[str, Ran]) -> None:
    for command, ran in first.items():
        assert not ID.search(ran.out + ran.err), command


def test_what_is_kept_for_tracking_names_no_household(root: Path) -> None:
    files = [p for p in root.glob("data/mlflow*") if p.is_file()]
    files += [p for p in (*root.glob("data/mlflow*/**/*"), *root.glob("models/**/*")) if p.is_file()]
    assert any(p.name == "mlflow.db" for p in files)
    assert any(p.name == "model.json" and "mlflow" in str(p) for p in files)
    delivery = pq.read_table(root / "data" / "deliveries" / "2021-01.parquet", columns=["household_id"])
    assert ID.search(delivery["household_id"][0].as_py())
    for path in files:
        assert not ID.search(path.read_bytes().decode("latin-1")), path.name


def test_training_prints_none_of_mlflow_s_own_notes(first: dict[str, Ran]) -> None:
    assert "INFO" not in first["train"].err


def test_the_list_holds_watched_households_once_each_and_no_more_than_the_visits(root: Path) -> None:
    households = listed(root)
    assert len(households) == len(set(households)) == 300
    assert all(ID.fullmatch(h) for h in households)
    csv_lines = (newest(root) / "warnings.csv").read_text(encoding="utf-8-sig")
    assert set(ID.findall(csv_lines)) == set(households)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_month_again_changes_nothing_and_says_so(root: Path) -> None:
    folder = root / "data" / "lists" / LIST
    before = contents(root / "data" / "lists")
    # Before training it was published by rules alone: that edition remains beside the one with models.
    assert {n.partition("/")[0] for n in before} == {LIST, f"{LIST}-edition-2"}
    assert {p.name for p in folder.iterdir()} == {
        "listed.parquet", "policy", "stamp.json", "summary.csv", "summary.json", "summary.xlsx", "townships",
        "villages", "warnings.csv", "warnings.json", "warnings.xlsx",
    }  # fmt: skip
    assert sum(n.startswith(f"{LIST}/villages/") for n in before) >= 3
    again = run("month", LIST, "--workspace", root, "--json")
    assert again.status == 0
    assert contents(root / "data" / "lists") == before
    lines = [json.loads(line) for line in again.out.splitlines()]
    assert [x["stage"] for x in lines[:-1]] == ["intake"]
    assert (lines[-1]["done"], lines[-1]["new"], lines[-1]["edition"]) == (True, False, 2)
    assert lines[-1]["folder"] == str(root / "data" / "lists" / f"{LIST}-edition-2")
    assert "Nothing changed: edition 2" in run("month", LIST, "--workspace", root).out


def test_what_a_killed_run_left_does_no_harm_to_the_next(copy: Path) -> None:
    lists = copy / "data" / "lists"
    before = contents(lists)
    (lists / f".part-{LIST}").mkdir()
    (lists / f".part-{LIST}" / "warnings.csv").write_text("half")
    (copy / "data" / "quarantine").mkdir(exist_ok=True)
    (copy / "data" / "quarantine" / "dead.part").write_bytes(b"half")
    (next((copy / "models" / "artefacts").iterdir()) / ".part-dead").mkdir()
    policy = copy / "policy" / "county.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("visits: 300", "visits: 299"), encoding="utf-8")
    assert run("month", LIST, "--workspace", copy).status == 0
    status = json.loads(run("status", "--workspace", copy, "--json").out)
    assert [(e["month"], e["edition"]) for e in status["published"]] == [(LIST, n) for n in (1, 2, 3)]
    assert len(status["models"]) == 3
    after = contents(lists)
    assert {n: after[n] for n in before} == before
    assert not list(lists.glob(".part-*"))


def test_a_month_with_a_bad_file_publishes_nothing_new_and_names_the_file(copy: Path) -> None:
    before = contents(copy / "data" / "lists")
    (copy / "data" / "deliveries" / "2023-06.csv").write_text("household_id,value\nD000001,3\n")
    ran = run("month", LIST, "--workspace", copy, "--quiet")
    assert ran.status == 3
    assert ran.err.startswith("2023-06.csv: ")
    assert len(ran.err.splitlines()) == 1
    assert not ID.search(ran.out + ran.err)
    assert contents(copy / "data" / "lists") == before


def test_a_household_is_explained_in_words(root: Path) -> None:
    household = listed(root)[0]
    ran = run("explain", household, "--as-of", LIST, "--workspace", root, "--lang", "en", "--json", "--quiet")
    assert ran.status == 0
    told = json.loads(ran.out)
    assert told["household"] == household
    assert told["as_of"] == "2023-05-31"
    assert "household members (latest, so far)" in told["history"]


def test_a_household_that_nobody_watches_is_not_echoed(root: Path) -> None:
    ran = run("explain", "D000999", "--as-of", LIST, "--workspace", root, "--quiet")
    assert ran.status == 2
    assert not ID.search(ran.out + ran.err)


def test_the_month_in_english(copy: Path) -> None:
    assert run("month", LIST, "--workspace", copy, "--lang", "en", "--quiet").status == 0
    book = openpyxl.load_workbook(newest(copy) / "warnings.xlsx")
    assert book.sheetnames == ["About this list", "Households to visit"]
    cells = [str(c.value) for sheet in book for line in sheet.iter_rows() for c in line]
    chinese = [c for c in cells if re.search(r"[\u4e00-\u9fff]", c)]
    assert not chinese, chinese[:3]
    for path in sorted(newest(copy).rglob("*.xlsx"))[:4]:
        cells = [str(c.value) for sheet in openpyxl.load_workbook(path) for line in sheet.iter_rows() for c in line]
        assert not [c for c in cells if re.search(r"[\u4e00-\u9fff]", c)], path.name


def test_what_cadres_fill_in_comes_back_into_the_ledger(copy: Path, tmp_path: Path) -> None:
    county = fpml.open(copy)
    source = max((newest(copy) / "villages").glob("*.xlsx"), key=lambda p: p.stat().st_size)
    filling = {1: YES | {"date": "2023-06-05"}, 2: NO | {"date": "2023-06-06"}, 3: {"verified": "属实"}}
    path = fill(source, tmp_path / "filled.xlsx", filling, county.catalogue)
    ran = run("verify", path, "--received", "2023-06-20", "--workspace", copy, "--json")
    assert ran.status == 0
    (receipt,) = json.loads(ran.out)["receipts"]
    assert (receipt["accepted"], receipt["refused"]) == (2, {"no_cause": 1})
    assert json.loads(ran.out)["ledger_refused"] == {}
    told = fpml.open(copy).records("verified", "2023-06")
    told = told[told["record_id"].astype(str).str.startswith("visit-")]
    rows = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))["rows"]
    assert dict(zip(told["household_id"], told["value"], strict=True)) == {
        rows[0]["household"]: 2.0, rows[1]["household"]: 1.0,
    }  # fmt: skip
    assert set(told["known_date"].astype(str)) == {"2023-06-20"}
    version = fpml.open(copy).ledger.version
    again = run("verify", path, "--received", "2023-06-21", "--workspace", copy)
    assert again.status == 0
    assert fpml.open(copy).ledger.version == version
    steps = run("procedure", "--day", "2023-07-01", "--workspace", copy, "--json")
    figures = json.loads(steps.out)["steps"]["verified"]
    assert (figures["reached"], figures["open"]) == (2, 298)
    assert figures["overdue"] == 298
    assert not ID.search(ran.out + ran.err + again.out + again.err + steps.out)
    village = (copy / "data" / "procedure" / "2023-07-01" / source.with_suffix(".csv").name).read_text(
        encoding="utf-8-sig"
    )
    assert rows[2]["household"] in village
    assert rows[0]["household"] in village  # the review after the visit is overdue
    assert set(ID.findall(village)) <= {r["household"] for r in rows}


def test_a_killed_verify_is_finished_by_the_next_one(copy: Path, tmp_path: Path) -> None:
    county = fpml.open(copy)
    source = max((newest(copy) / "villages").glob("*.xlsx"), key=lambda p: p.stat().st_size)
    path = fill(source, tmp_path / "filled.xlsx", {1: YES | {"date": "2023-06-05"}}, county.catalogue)
    whole = Path(shutil.copytree(copy, tmp_path / "whole"))
    argv = ("verify", path, "--received", "2023-06-20", "--json", "--workspace")
    wanted = json.loads(run(*argv, whole).out)["receipts"]
    command = [sys.executable, "-m", "fpml.cli", *map(str, argv), str(copy)]
    for seconds in (2.0, 3.0, 4.0):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.kill()
    assert json.loads(run(*argv, copy).out)["receipts"] == wanted
    told = [fpml.open(c).records("verified", "2023-06").drop(columns=["delivery"]) for c in (copy, whole)]
    assert told[0].equals(told[1])


def test_verify_before_any_list_and_with_a_day_to_come(tmp_path: Path) -> None:
    run("init", tmp_path / "county")
    ran = run("verify", tmp_path / "x.xlsx", "--workspace", tmp_path / "county")
    assert (ran.status, "fpml month" in ran.err) == (4, True)
    ran = run("verify", tmp_path / "x.xlsx", "--received", "2999-01-01", "--workspace", tmp_path / "county")
    assert ran.status == 2


@pytest.mark.parametrize("command", ["intake", "status"])
def test_answers_as_json_parse(root: Path, command: str) -> None:
    ran = run(command, "--workspace", root, "--json")
    assert ran.status == 0
    assert isinstance(json.loads(ran.out), list | dict)


# What is asked for wrongly


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["train"], ["month"], ["explain", "H1"], ["month", LIST, "--lang", "fr"]]
)
def test_words_that_are_no_command_exit_with_2(argv: list[str]) -> None:
    ran = run(*argv)
    assert ran.status == 2
    assert "usage:" in ran.err


@pytest.mark.parametrize("month", ["2023-13", "2023", "02/2023", "2023-02-27"])
def test_a_month_that_is_none_exits_with_2(root: Path, month: str) -> None:
    ran = run("month", month, "--workspace", root, "--quiet")
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1


def test_a_folder_that_is_no_workspace_exits_with_2(tmp_path: Path) -> None:
    for command in (["status"], ["month", LIST], ["intake"], ["train", "--as-of", LEARN]):
        ran = run(*command, "--workspace", tmp_path / "none")
        assert ran.status == 2
        assert "fpml init" in ran.err
    assert not (tmp_path / "none").exists()


def test_a_model_that_is_not_defined_is_told_with_the_one_meant(root: Path) -> None:
    ran = run("train", "relaps", "--as-of", LEARN, "--workspace", root)
    assert ran.status == 2
    assert "Did you mean `relapse`?" in ran.err


def test_training_before_falls_are_known_exits_with_4(copy: Path) -> None:
    ran = run("train", "relapse", "--as-of", "2021-06", "--workspace", copy, "--quiet")
    assert ran.status == 4
    assert "at least 50" in ran.err


def test_training_before_anything_was_known_exits_with_4(copy: Path) -> None:
    ran = run("train", "relapse", "--as-of", "2019-06", "--workspace", copy, "--quiet")
    assert ran.status == 4, ran.err


@pytest.mark.parametrize("month", ["2020-06", "last"])
def test_a_month_of_which_nothing_is_known_exits_with_4(copy: Path, month: str) -> None:
    ran = run("month", month, "--workspace", copy, "--quiet")
    assert ran.status == 4, ran.err


def bad_files(folder: Path) -> Iterator[Path]:
    header = "household_id,indicator,event_date,known_date,value\n"
    row = "D000001,members,2021-01-15,2021-01-31,3\n"
    for name, content in {
        "missing-column.csv": b"household_id,indicator\nD000001,members\n",
        "empty.csv": b"",
        "encoding.csv": (header + row).encode() + "赣州D000001,members,2021-01-15,2021-01-31,3\n".encode("gb18030"),
        "cut.parquet": b"PAR1 D000001 and then nothing",
        "bare.csv": row.encode(),
        "book.xls": b"D000001",
    }.items():
        path = folder / name
        path.write_bytes(content)
        yield path
    yield folder / "not-there.csv"


def test_a_bad_file_exits_with_3_and_one_line_that_names_the_file_and_nobody(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    for path in bad_files(tmp_path):
        ran = run("intake", path, "--workspace", root, "--quiet")
        assert ran.status == 3, path.name
        assert "1 refused" in ran.out
        assert len(ran.err.splitlines()) == 1
        assert ran.err.startswith(f"{path.name}: ")
        assert not ID.search(ran.out + ran.err)
    page = (root / "data" / "reports" / "deliveries.html").read_text(encoding="utf-8")
    assert "missing-column.csv" in page
    assert not ID.search(page)


def test_a_bad_policy_exits_with_3_and_a_line_for_each_fault(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    county = root / "policy" / "county.yaml"
    county.write_text(county.read_text(encoding="utf-8").replace("visits: 300", "visit: 300"), encoding="utf-8")
    ran = run("status", "--workspace", root)
    assert ran.status == 3
    assert "unknown key `visit`" in ran.err
    assert "Add `visits:`" in ran.err


def test_refused_rows_are_counted_by_reason_and_named_nowhere(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    (tmp_path / "d.csv").write_text(
        "household_id,indicator,event_date,known_date,value\n"
        "D000001,members,2021-01-15,2021-01-31,three\nD000002,members,2021-01-15,2021-01-31,3\n"
    )
    ran = run("intake", tmp_path / "d.csv", "--workspace", root, "--json", "--quiet")
    assert ran.status == 0
    (receipt,) = json.loads(ran.out)["receipts"]
    assert (receipt["rows"], receipt["accepted"], receipt["quarantined"]) == (2, 1, {"not_a_number": 1})
    assert not ID.search(ran.out + ran.err)
    assert json.loads(run("status", "--workspace", root, "--json").out)["deliveries"]["with_refused_rows"] == 1


def test_init_again_leaves_what_a_county_changed(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    (root / "policy" / "rules.yaml").write_text("# none\n")
    assert run("init", root).status == 0
    assert (root / "policy" / "rules.yaml").read_text() == "# none\n"


def test_a_file_with_brackets_in_its_name_is_named_as_it_is(tmp_path: Path) -> None:
    root = fpml.init(tmp_path / "county").root
    path = tmp_path / "2021-01 [bold].csv"
    path.write_text("household_id,indicator,event_date,known_date,value\nD000001,members,2021-01-15,2021-01-31,3\n")
    ran = run("intake", path, "--workspace", root)
    assert ran.status == 0
    assert "2021-01 [bold].csv" in ran.err
    assert "[bold]" in (root / "data" / "reports" / "deliveries.html").read_text(encoding="utf-8")


def test_every_command_is_named_in_the_readme(repository: Path) -> None:
    commands = re.findall(r"^    ([a-z]+) {2,}\S", run("--help").out, flags=re.MULTILINE)
    assert {"init", "intake", "train", "month", "explain", "status"} <= set(commands)
    readme = (repository / "README.md").read_text(encoding="utf-8")
    missing = [c for c in commands if f"fpml {c}" not in readme]
    assert not missing, f"README.md does not name: {', '.join(missing)}"
