"""The monthly batch: killed, starved, sent back in time, run twice at once; corrected, and made again as it was."""

import csv
import dataclasses
import errno
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from month_runs import begin, contents, halves_seen, status

import fpml
from fpml import keys, lists, tracking
from fpml.cli import main
from fpml.dates import AsOf
from fpml.errors import BusyError, DiskError, InputError, NotYetError, UsageError
from fpml.health import Snapshot
from fpml.lock import alone
from fpml.month import HEALTH, STAGES
from fpml.record import Record
from fpml.replay import replay
from fpml.risk import RiskModel
from fpml.stages import StageDone, Stages
from fpml.watch import Watch

MONTH, KILLS = "2023-12", 3  # benchmarks/month.py kills it a hundred times
# Lists of so many visits: words and workbooks of more take most of a run's time.
VISITS = 90
LISTS = "data/lists"


def told_late(county: fpml.County, name: str, day: str, households: slice, cost: int = 30_000) -> Path:
    """A delivery of large medical costs in November, known on a day, waiting to be taken in."""
    whom = sorted(county.at("2023-06")["household_id"].to_pylist())[households]
    path = county.workspace.deliveries / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(h, "medical_self_paid", "2023-11-15", day, cost, f"{name}-{i}") for i, h in enumerate(whom)]
    with path.open("w", encoding="utf-8", newline="") as f:
        head = ("household_id", "indicator", "event_date", "known_date", "value", "record_id")
        csv.writer(f).writerows([head, *rows])
    return path


def with_visits(root: Path, before: int, after: int) -> None:
    """Changes how many visits the county can make."""
    policy = root / "policy" / "county.yaml"
    text = policy.read_text(encoding="utf-8")
    assert f"visits: {before}\n" in text
    policy.write_text(text.replace(f"visits: {before}\n", f"visits: {after}\n"), encoding="utf-8")


@pytest.fixture(scope="module")
def waiting(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A county with November published and a delivery waiting; December is to be run. Not to be changed."""
    root = tmp_path_factory.mktemp("waiting") / "county"
    leave = shutil.ignore_patterns("*.parquet.csv", "lookback-*", "mlflow*", "lists", "reports")
    shutil.copytree(trained.workspace.root, root, ignore=leave)
    shutil.copy(trained.workspace.root / "mlflow.yaml", root)
    with_visits(root, 300, VISITS)
    county = fpml.open(root)
    shutil.rmtree(county.workspace.deliveries)
    told_late(county, "late.csv", "2023-12-28", slice(0, 300, 3))
    hidden = county.workspace.deliveries.rename(root / "hidden")
    assert fpml.run_month(county, "2023-11").new
    hidden.rename(county.workspace.deliveries)
    return root


@pytest.fixture(scope="module")
def undisturbed(waiting: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What is published where nothing goes wrong, and how many seconds it takes."""
    root = Path(shutil.copytree(waiting, tmp_path_factory.mktemp("undisturbed") / "county"))
    assert status(root, "2023-11") == 0  # warm: the delivery is not of November; the server has begun
    root = Path(shutil.copytree(waiting, tmp_path_factory.mktemp("undisturbed") / "county"))
    began = time.monotonic()
    assert status(root, MONTH) == 0
    return contents(root / LISTS), time.monotonic() - began


@pytest.fixture
def copy(waiting: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(waiting, tmp_path / "county"))


def finished(root: Path, expected: dict[str, bytes]) -> None:
    """The next run publishes the same bytes, and the record is whole."""
    assert status(root, MONTH) == 0
    assert contents(root / LISTS) == expected
    record = Record(fpml.open(root).workspace.record)
    assert record.verify().faults == ()
    published = [x["edition"] for x in record.lines() if x["did"] == "published"]
    assert sorted(published) == sorted({n.partition("/")[0] for n in expected})


# What can go wrong


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_moment_nothing_half_is_there_and_the_next_run_publishes_the_same(
    copy: Path, undisturbed: tuple[dict[str, bytes], float], seed: int
) -> None:
    expected, lasts = undisturbed
    process = begin(copy, MONTH)
    # One in each part of its time, and the last among its last steps.
    time.sleep(lasts * (seed + random.Random(seed).random()) / KILLS)
    process.kill()
    process.join()
    assert halves_seen(copy / LISTS, MONTH) == []
    finished(copy, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX's")
@pytest.mark.parametrize("limit", [0, 3_000, 300_000])
def test_a_full_disk_is_told_and_nothing_half_is_there(
    copy: Path, undisturbed: tuple[dict[str, bytes], float], limit: int
) -> None:
    assert status(copy, MONTH, limit=limit) in (0, 3)
    assert halves_seen(copy / LISTS, MONTH) == []
    finished(copy, undisturbed[0])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, where one may be made."""
    folder = tmp_path / "small"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=24m", "fpml-test", str(folder)]
    if sys.platform != "linux" or os.getuid() or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be made here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_disk_that_is_full_nothing_half_is_there(
    waiting: Path, small_disk: Path, undisturbed: tuple[dict[str, bytes], float]
) -> None:
    root = Path(shutil.copytree(waiting, small_disk / "county", ignore=shutil.ignore_patterns("cache", "truth")))
    statuses = []
    for left in (2_000_000, 100_000, 4_096):
        stuffing = small_disk / "stuffing"
        stuffing.write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - left))
        statuses.append(status(root, MONTH))
        assert halves_seen(root / LISTS, MONTH) == []
        stuffing.unlink()
        shutil.rmtree(root / LISTS / MONTH, ignore_errors=True)
    assert set(statuses) <= {0, 3}
    assert 3 in statuses
    (root / "data" / "record.jsonl").unlink(missing_ok=True)
    (root / "data" / "record.head").unlink(missing_ok=True)
    assert status(root, MONTH) == 0
    assert contents(root / LISTS) == undisturbed[0]


@pytest.mark.skipif(sys.platform != "linux", reason="rights are taken from root by a call of Linux")
@pytest.mark.parametrize("shut", ["data", LISTS])
def test_a_folder_that_may_not_be_written_to_is_told(
    copy: Path, undisturbed: tuple[dict[str, bytes], float], shut: str
) -> None:
    def give(mode: int) -> None:
        for path in (copy / shut, *(copy / shut).rglob("*")):
            path.chmod(mode if path.is_dir() else 0o600)

    give(0o500)
    assert status(copy, MONTH, bound=True) == 3
    assert halves_seen(copy / LISTS, MONTH) == []
    give(0o700)
    finished(copy, undisturbed[0])


def test_a_clock_that_jumps_changes_no_byte(copy: Path, undisturbed: tuple[dict[str, bytes], float]) -> None:
    before = contents(copy / LISTS)
    assert status(copy, MONTH, today=fpml.AsOf.parse("2020-01").date) == 3
    assert contents(copy / LISTS) == before
    process = begin(copy, MONTH, today=AsOf.parse("2099-01").date)
    time.sleep(undisturbed[1] * 0.8)
    process.kill()
    process.join()
    assert status(copy, MONTH, today=AsOf.parse("2051-03").date) == 0
    finished(copy, undisturbed[0])


@pytest.mark.parametrize(
    ("where", "fails", "error", "ended", "said_of_it"),
    [
        (Watch, "alarms", KeyError("H-000123"), 5, "health: a fault of ours (KeyError at test_month.py:"),
        (Snapshot, "keep", OSError(errno.ENOSPC, "H-000123"), 3, "health: the disk is full. See to the disk"),
    ],
)
def test_a_monitor_that_fails_keeps_no_list_from_being_published_and_is_asked_again(
    copy: Path,
    undisturbed: tuple[dict[str, bytes], float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: type,
    fails: str,
    error: Exception,
    ended: int,
    said_of_it: str,
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, fails, failing)
    argv = ["month", MONTH, "--json", "--quiet", "--workspace", str(copy)]
    assert main(argv) == ended
    said = capsys.readouterr()
    assert contents(copy / LISTS) == undisturbed[0]
    *stages, answer = map(json.loads, said.out.splitlines())
    (health,) = [s for s in stages if s["stage"] == HEALTH]
    assert health["fault"] == answer["unwatched"]
    assert answer["unwatched"].startswith(said_of_it)
    assert said_of_it in said.err
    assert (answer["done"], answer["new"]) == (True, True)
    assert "the next run tries again" in said.err
    assert "H-000123" not in said.out + said.err + (copy / "data" / "record.jsonl").read_text(encoding="utf-8")
    monkeypatch.undo()
    county = fpml.open(copy)
    assert any((county.workspace.cache / "month").iterdir()) == (fails == "keep"), "what is needed to make up for it"
    for asked, unwatched in ((True, MONTH), (False, "")):
        assert main(["status", "--json", "--workspace", str(copy)]) == 0
        assert json.loads(capsys.readouterr().out)["unwatched"] == unwatched
        assert main(argv) == 0
        *stages, again = map(json.loads, capsys.readouterr().out.splitlines())
        assert (again["new"], again["unwatched"]) == (False, "")
        assert (HEALTH in [s["stage"] for s in stages]) == asked
    (edition,) = lists.editions(county.workspace.lists, AsOf.parse(MONTH))
    assert county.watch.knows(edition)
    assert contents(copy / LISTS) == undisturbed[0]
    assert not any((county.workspace.cache / "month").iterdir())
    assert replay(county, MONTH).equal


def test_a_run_killed_between_publication_and_its_monitors_is_made_up_for(
    copy: Path, undisturbed: tuple[dict[str, bytes], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StageDone] = []
    snapshot = copy / "data" / "health" / f"{MONTH}.json"
    for step, kept in (("keep", False), ("alarms", True), ("log", True)):
        monkeypatch.setattr(Watch, step, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fpml.run_month(fpml.open(copy), MONTH)
        monkeypatch.undo()
        assert contents(copy / LISTS) == undisturbed[0]
        assert snapshot.exists() == kept
    for stages in (["intake", HEALTH], ["intake"]):
        told.clear()
        assert not fpml.run_month(fpml.open(copy), MONTH, stages=Stages(ended=told.append)).new
        assert [d.stage for d in told] == stages
    made_up = snapshot.read_bytes()
    shutil.rmtree(copy / LISTS / MONTH)
    assert fpml.run_month(fpml.open(copy), MONTH).new
    assert snapshot.read_bytes() == made_up


def test_a_reader_that_looks_all_the_time_never_finds_half_a_month(copy: Path) -> None:
    seen: list[str] = []
    numbers: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.extend(halves_seen(copy / LISTS, MONTH))
            if edition := lists.newest(copy / LISTS, AsOf.parse(MONTH)):
                numbers.append(edition.number)

    reader = threading.Thread(target=look)
    reader.start()
    assert status(copy, MONTH) == 0
    with_visits(copy, VISITS, VISITS - 10)
    assert status(copy, MONTH) == 0
    stop.set()
    reader.join()
    assert seen == []
    assert numbers == sorted(numbers)
    assert set(numbers) == {1, 2}


def test_the_second_of_two_runs_is_told_who_is_at_it(
    copy: Path, undisturbed: tuple[dict[str, bytes], float], capsys: pytest.CaptureFixture[str]
) -> None:
    county = fpml.open(copy)
    with alone(county.workspace.cache / "month.lock", "fpml month 2023-11"):
        with pytest.raises(BusyError, match=rf"fpml month 2023-11 by .* process {os.getpid()}, since 20"):
            fpml.run_month(county, MONTH)
        assert main(["month", MONTH, "--quiet", "--workspace", str(copy)]) == 4
        assert "process" in capsys.readouterr().err
        assert main(["status", "--json", "--workspace", str(copy)]) == 0
        assert "fpml month 2023-11" in json.loads(capsys.readouterr().out)["running"]
    two = [begin(copy, MONTH) for _ in range(2)]
    for process in two:
        process.join(300)
    assert sorted(p.exitcode or 0 for p in two) in ([0, 0], [0, 4])  # the second may begin after the first has ended
    assert contents(copy / LISTS) == undisturbed[0]


def test_a_ledger_that_holds_nothing_says_so_and_takes_in_what_comes_then(
    demo: fpml.County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fpml.init(tmp_path / "county").root
    argv = ["month", "2022-06", "--quiet", "--workspace", str(root)]
    assert main([*argv, "--engine", "spark"]) == 4
    assert "ledger: nothing has been taken in yet" in capsys.readouterr().err
    handed = pickle.loads(pickle.dumps(fpml.open(root).ledger))
    with pytest.raises(NotYetError, match="nothing has been taken in yet"):
        handed.shard(3)
    (root / "data" / "deliveries").mkdir(exist_ok=True)
    refused = "household_id,indicator,event_date,known_date,value\nH1,nobody_knows,2022-06-01,2022-06-02,1\n"
    (root / "data" / "deliveries" / "refused.csv").write_text(refused, encoding="utf-8")
    for _ in range(2):
        assert main(argv) == 4
        assert "No row of what came could be taken in" in capsys.readouterr().err
    assert main(["status", "--workspace", str(root)]) == 0
    assert "holds no records yet" in capsys.readouterr().out
    shutil.copy(sorted(demo.workspace.deliveries.glob("*.parquet"))[0], root / "data" / "deliveries")
    main(argv)
    assert fpml.open(root).ledger.rows > 0


# How far it is


def test_stages_are_told_and_what_is_whole_is_not_made_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[StageDone] = []
    county = fpml.open(copy)
    monkeypatch.setattr(lists, "write_lists", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(DiskError, match="the disk is full"):
        fpml.run_month(county, MONTH, stages=Stages(ended=told.append))
    assert [d.stage for d in told] == ["intake", "histories", "hits", "scores", "reasons"]
    assert not any(d.counts.get("resumed") for d in told)
    monkeypatch.undo()
    told.clear()
    (county.workspace.cache / "month-times.json").unlink()
    shown: list[tuple[str, float | None, float | None]] = []
    stages = Stages(lambda what, share=None, left=None: shown.append((what, share, left)), told.append)
    fpml.run_month(fpml.open(copy), MONTH, stages=stages)
    assert [d.stage for d in told if d.counts.get("resumed")] == ["histories", "scores"]
    assert shown[0][0] == "1/7 intake"
    assert all(left is None for _, _, left in shown)
    assert not any((county.workspace.cache / "month").iterdir())


def test_what_a_killed_run_kept_is_not_used_where_more_is_known_since(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "write_lists", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(DiskError):
        fpml.run_month(fpml.open(copy), MONTH)
    monkeypatch.undo()
    told_late(fpml.open(copy), "more.csv", "2023-12-29", slice(1, 400, 3))
    told: list[StageDone] = []
    fpml.run_month(fpml.open(copy), MONTH, stages=Stages(ended=told.append))
    assert not any(d.counts.get("resumed") for d in told)
    assert replay(fpml.open(copy), MONTH).equal


def test_time_left_is_told_by_the_last_run(copy: Path) -> None:
    (copy / "data" / "cache" / "month-times.json").write_text(json.dumps(dict.fromkeys((*STAGES, HEALTH), 10.0)))
    shown: list[tuple[str, float | None, float | None]] = []
    stages = Stages(lambda what, share=None, left=None: shown.append((what, share, left)))
    fpml.run_month(fpml.open(copy), MONTH, stages=stages)
    left = {what.partition(":")[0]: round(seconds or 0, -1) for what, _, seconds in reversed(shown)}
    assert left == {"1/7 intake": 70, "2/7 histories": 60, "3/7 hits": 50, "4/7 scores": 40, "5/7 reasons": 30,
                    "6/7 lists": 20, "7/7 health": 10}  # fmt: skip
    assert all(share is None or 0 <= share <= 1 for _, share, _ in shown)


# Corrections, and what was published made again


@pytest.fixture(scope="module")
def walked(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> fpml.County:
    """Four months run one after the other: medical insurance is a month late, and November is corrected."""
    root = fpml.init(tmp_path_factory.mktemp("walked") / "county").root
    source = trained.workspace
    for folder in ("policy", "models"):
        shutil.copytree(source.root / folder, root / folder, dirs_exist_ok=True)
    with_visits(root, 300, VISITS)
    county = fpml.open(root)
    files = sorted(source.deliveries.glob("*.parquet"))
    county.intake(files[:32])  # known to 2023-08
    late: pa.Table | None = None
    for path in files[32:]:
        month = pq.read_table(path)
        waits = pc.equal(month["indicator"].cast(pa.string()), "medical_self_paid")
        county.workspace.deliveries.mkdir(exist_ok=True)
        pq.write_table(month.filter(pc.invert(waits)), county.workspace.deliveries / path.name)
        if late is not None:
            pq.write_table(late, county.workspace.deliveries / f"late-{path.name}")
        late = month.filter(waits)
        assert fpml.run_month(county, path.stem).edition.number == 1
    told_late(county, "corrected.csv", "2023-11-30", slice(0, 60))
    assert fpml.run_month(county, "2023-11").edition.number == 2
    assert fpml.run_month(county, "2023-10").edition.number == 2  # what came late of October
    return county


def test_each_published_month_and_edition_is_made_again_byte_for_byte(walked: fpml.County) -> None:
    space = walked.workspace
    before = contents(space.lists), contents(space.issued)
    editions = lists.editions(walked.workspace.lists)
    assert [e.folder.name for e in editions] == [
        "2023-09", "2023-10", "2023-10-edition-2", "2023-11", "2023-11-edition-2", "2023-12",
    ]  # fmt: skip
    versions = []
    for edition in editions:
        done = replay(walked, edition.month, number=edition.number)
        assert done.equal, (edition.folder.name, done.differing)
        versions.append(done.read)
    assert len(set(versions)) == 5, "each from the ledger as it was then"
    assert (contents(space.lists), contents(space.issued)) == before
    assert any(n.startswith("villages/") and n.endswith(".xlsx") for n in editions[0].files)
    listed = [(e.folder / "listed.parquet").read_bytes() for e in editions[3:5]]
    assert listed[0] != listed[1], "the correction listed others"


@pytest.fixture
def mine(walked: fpml.County, tmp_path: Path) -> fpml.County:
    return fpml.open(shutil.copytree(walked.workspace.root, tmp_path / "county"))


def test_what_is_known_later_makes_no_new_edition_and_what_was_known_then_does(mine: fpml.County) -> None:
    told_late(mine, "january.csv", "2024-01-15", slice(0, 100))
    again = fpml.run_month(mine, "2023-10")
    assert (len(again.receipts), again.new, again.edition.number, again.changed) == (1, False, 2, ())
    assert replay(mine, "2023-10").equal
    late = fpml.run_month(mine, "2023-09")  # medical insurance had not delivered when it was published
    assert (late.new, late.edition.number, late.changed) == (True, 2, ("known",))
    assert late.later == ("2023-10", "2023-11", "2023-12")
    after = fpml.run_month(mine, "2023-12")
    assert (after.edition.number, after.changed) == (2, ("known", "earlier"))


def test_visits_drawn_by_lot_say_with_what_chance_and_are_drawn_again_in_a_replay(mine: fpml.County) -> None:
    policy = mine.workspace.root / "policy" / "lists.yaml"
    fpml.run_month(mine, "2023-12")
    assert not any("drawn" in r for r in rows_of(mine, "2023-12")), "none in the default profile"
    before = by_rules(mine)
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("share: 0, reach: 4, seed: 1", "share: 0.1, reach: 4, seed: 1"), encoding="utf-8")
    county = fpml.open(mine.workspace.root)
    assert fpml.run_month(county, "2023-12").changed == ("policy",)
    rows = rows_of(county, "2023-12")
    drawn = [r["drawn"] for r in rows if "drawn" in r]
    assert (len(drawn), set(drawn)) == (VISITS // 10, {0.25})
    assert [r["listed_by"] for r in rows if "drawn" in r] == ["模型拿不准，抽签走访"] * (VISITS // 10)
    assert by_rules(county) == before, "rule hits are never displaced"
    assert replay(county, "2023-12").equal
    again = policy.read_text(encoding="utf-8").replace("seed: 1", "seed: 2")
    policy.write_text(again, encoding="utf-8")
    other = fpml.open(mine.workspace.root)
    assert fpml.run_month(other, "2023-12").new
    assert {r["household"] for r in rows_of(other, "2023-12")} != {r["household"] for r in rows}


def rows_of(county: fpml.County, month: str) -> list[dict[str, Any]]:
    """The newest edition's rows, as programs read them."""
    edition = lists.newest(county.workspace.lists, AsOf.parse(month))
    assert edition
    told = json.loads((edition.folder / "warnings.json").read_text(encoding="utf-8"))
    return list(told["rows"])


def by_rules(county: fpml.County) -> set[str]:
    """Whom December's newest edition has because of a rule."""
    edition = lists.newest(county.workspace.lists, AsOf.parse("2023-12"))
    assert edition
    listed = pq.read_table(edition.folder / "listed.parquet").to_pydict()
    return {h for h, who in zip(*listed.values(), strict=True) if who in ("rule", "both")}


def test_a_replay_that_is_not_equal_says_which_files(mine: fpml.County, capsys: pytest.CaptureFixture[str]) -> None:
    (edition,) = lists.editions(mine.workspace.lists, AsOf.parse("2023-09"))
    path = edition.folder / "warnings.csv"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    done = replay(mine, "2023-09")
    assert (done.equal, done.differing, done.altered) == (False, ("warnings.csv",), ("warnings.csv",))
    argv = ["replay", "2023-09", "--workspace", str(mine.workspace.root), "--quiet"]
    assert main(argv) == 3
    assert "No longer as published: warnings.csv" in capsys.readouterr().out
    assert main([*argv, "--json"]) == 3
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["equal"] is False


def test_a_village_s_workbook_that_is_not_as_published_is_found(mine: fpml.County) -> None:
    (edition,) = lists.editions(mine.workspace.lists, AsOf.parse("2023-09"))
    path = sorted((edition.folder / "villages").glob("*.xlsx"))[0]
    path.write_bytes(path.read_bytes() + b" ")
    name = f"villages/{path.name}"
    done = replay(mine, "2023-09")
    assert (done.differing, done.altered) == ((name,), (name,))


def test_rows_signed_with_another_key_are_a_new_edition_and_no_replay(mine: fpml.County) -> None:
    space = mine.workspace
    kept = space.lists_key.read_bytes()
    space.lists_key.unlink()
    keys.make(space.lists_key)
    with pytest.raises(InputError, match=r"lists.key: it is \w{8}, and the list's rows were signed with \w{8}"):
        replay(mine, "2023-11")
    again = fpml.run_month(mine, "2023-10")
    assert (again.edition.number, again.changed) == (3, ("key",))
    assert replay(mine, "2023-10").equal
    space.lists_key.unlink()
    space.lists_key.write_bytes(kept)
    space.lists_key.chmod(0o600)
    assert replay(mine, "2023-11").equal


def test_policy_and_models_of_now_do_not_enter_a_replay(mine: fpml.County) -> None:
    space = mine.workspace
    with_visits(space.root, VISITS, 5)
    for folder in [*space.artefacts.glob("*/[0-9]*")]:
        model = RiskModel.load(folder)
        flatter = {h: dataclasses.replace(c, slope=c.slope * 0.8) for h, c in model.calibrations.items()}
        other = dataclasses.replace(model, calibrations=flatter)
        other.save(folder.with_name(f"2023-07-{other.fingerprint}"))
    changed = fpml.open(space.root)
    assert replay(changed, "2023-10").equal
    assert replay(changed, "2023-10", number=1).equal
    again = fpml.run_month(changed, "2023-10")
    assert (again.edition.number, again.changed) == (3, ("policy", "models"))
    assert replay(changed, "2023-10").equal
    assert replay(changed, "2023-10", number=2).equal


def test_a_ledger_taken_in_anew_serves_where_it_tells_the_same(mine: fpml.County, walked: fpml.County) -> None:
    """What lies in which version may be lost; what was known by the as-of is not."""
    space = mine.workspace
    shutil.rmtree(space.ledger)
    everything = walked.ledger.everything()
    shards = fpml.Ledger(space.ledger)
    shards.append(everything.drop_columns(["fact"]), "restored")
    assert replay(mine, "2023-11").equal
    with pytest.raises(InputError, match="neither version"):
        replay(mine, "2023-11", number=1)


def test_what_cannot_be_made_again_says_why(mine: fpml.County) -> None:
    space = mine.workspace
    with pytest.raises(NotYetError, match="fpml month 2023-03"):
        replay(mine, "2023-03")
    with pytest.raises(UsageError, match="Published: 1, 2"):
        replay(mine, "2023-11", number=7)
    shutil.rmtree(space.lists / "2023-09")
    with pytest.raises(InputError, match="list 2023-09: edition 1, by which households are left in peace, is missing"):
        replay(mine, "2023-10")
    shutil.rmtree(space.artefacts)
    with pytest.raises(InputError, match="a list was made with it, and it is gone"):
        replay(mine, "2023-12")
    (space.lists / "2023-12" / "stamp.json").unlink()
    with pytest.raises(InputError, match="published by an earlier fpml"):
        replay(mine, "2023-12")
    (space.lists / "2023-11-edition-2" / "stamp.json").write_text("{}")
    with pytest.raises(InputError, match="its stamp cannot be read"):
        replay(mine, "2023-11")


def test_what_another_run_takes_in_meanwhile_does_not_enter(mine: fpml.County, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that comes between histories and reasons is of the next edition."""
    with_visits(mine.workspace.root, VISITS, VISITS - 1)
    county = fpml.open(mine.workspace.root)
    other = told_late(county, "meanwhile.csv", "2023-12-29", slice(100, 200))
    other.rename(county.workspace.root / "meanwhile.csv")

    def ended(done: StageDone) -> None:
        if done.stage == "histories":
            fpml.open(mine.workspace.root).intake([mine.workspace.root / "meanwhile.csv"])

    first = fpml.run_month(county, "2023-12", stages=Stages(ended=ended))
    made = first.edition.made
    assert made is not None
    assert made.ledger == fpml.open(mine.workspace.root).ledger.version - 1
    assert replay(county, "2023-12").equal
    second = fpml.run_month(county, "2023-12")
    assert second.changed == ("known",)
    assert second.edition.number == first.edition.number + 1


# What people and programs are told


def test_status_tells_what_came_what_was_published_and_by_what(
    walked: fpml.County, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--workspace", str(walked.workspace.root)]
    assert main(["status", "--json", *here]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["published"]) == 6
    newest = told["published"][-1]
    assert set(newest["models"]) == {"new_poverty", "relapse", "renewed"}
    assert (newest["policy"], newest["edition"]) == (walked.catalogue.fingerprint, 1)
    assert told["deliveries"]["taken_in"] == 32 + 4 + 3 + 1
    assert {m["model"]: (m["months_old"], m["usable"]) for m in told["models"]} == {
        "new_poverty": (6, True), "relapse": (6, True), "renewed": (6, True),
    }  # fmt: skip
    assert main(["status", *here]) == 0
    assert "2023-11" in capsys.readouterr().out


def test_what_is_no_longer_as_it_was_is_told_everywhere(mine: fpml.County, capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold that was changed: in the month's own answer, in the status, and in MLflow."""
    rules = mine.workspace.policy / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("value: 15000}", "value: 12000}", 1), encoding="utf-8")
    settings = mine.workspace.tracking()
    tracking.log_figures(settings, name="first", params={}, metrics={})
    here = ["--workspace", str(mine.workspace.root)]
    assert main(["month", "2023-12", "--json", "--quiet", *here]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    (alarm,) = [a for a in done["alarms"] if a["monitor"] == "threshold"]
    assert (alarm["before"], alarm["now"]) == ("≥ 15,000", "≥ 12,000")
    held = fpml.open(mine.workspace.root).hits("2023-12")["rule"].value_counts()
    assert alarm["hits"] == f"{held['medical_15000']:,}"
    assert int(alarm["hits_before"]) <= int(alarm["hits"])
    assert main(["status", "--json", *here]) == 0
    told = json.loads(capsys.readouterr().out)
    assert alarm in told["alarms"]
    estimate = told["outlook"]["estimate"]
    assert (estimate["month"], estimate["listed"]) == (
        "2023-12",
        len(lists.listed_in(mine.workspace.lists, [AsOf.parse("2023-12")])[AsOf.parse("2023-12")]),
    )
    assert 0 < estimate["expected"] < estimate["with_a_chance"] <= estimate["listed"]
    assert told["outlook"]["entries"]["months"] > 0
    assert main(["status", *here]) == 0
    client = MlflowClient(tracking_uri=settings[0])
    (number,) = [e.experiment_id for e in client.search_experiments() if e.name == settings[2]]
    (run,) = [r for r in client.search_runs([number]) if r.info.run_name == "health 2023-12"]
    assert run.data.metrics["alarms_threshold"] == 1
    assert run.data.metrics["listed"] == estimate["listed"]


def test_the_record_says_who_did_what_and_names_nobody(mine: fpml.County, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--workspace", str(mine.workspace.root), "--quiet"]
    household = mine.at("2023-12")["household_id"][0].as_py()
    assert main(["explain", household, "--as-of", "2023-12", *here]) == 0
    assert main(["explain", household, "--as-of", household, *here]) == 2
    assert main(["replay", "2023-12", *here]) == 0
    capsys.readouterr()
    assert main(["record", "--json", *here]) == 0
    lines = json.loads(capsys.readouterr().out)
    did = [(x["did"], x.get("ended"), x.get("status"), x.get("as_of")) for x in lines]
    assert did[-7:] == [
        ("explain", False, None, "2023-12"), ("explain", True, 0, None),
        ("explain", False, None, None), ("explain", True, 2, None),
        ("replay", False, None, "2023-12"), ("replayed", None, None, None), ("replay", True, 0, None),
    ]  # fmt: skip
    assert {x["edition"] for x in lines if x["did"] == "published"} == {
        e.folder.name for e in lists.editions(mine.workspace.lists)
    }
    assert household not in mine.workspace.record.read_text(encoding="utf-8")
    assert main(["record", "--verify", *here]) == 0
    noted = capsys.readouterr().out.splitlines()[-1]
    assert main(["record", "--verify", "--noted", noted, *here]) == 0
    kept = mine.workspace.record.read_bytes()
    mine.workspace.record.write_bytes(kept.replace(b'"status":2', b'"status":0'))
    assert main(["record", "--verify", *here]) == 3
    assert "BROKEN" in capsys.readouterr().out
