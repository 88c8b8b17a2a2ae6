"""The month on Spark: on this machine, by Spark Connect, and on a cluster of two workers of which one dies."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from month_runs import contents
from object_store import object_store
from pyarrow.fs import FileSelector, FileSystem
from spark_parts import failing

import fpml
from fpml import engine
from fpml.cli import main
from fpml.engine import Local, Spark, engine_of, packed, unpacked
from fpml.errors import FpmlError, InputError, LedgerError, UsageError
from fpml.workspace import signing_key

MONTH, LISTS, HERE = "2023-12", "data/lists", "127.0.0.1"
REASON = "no pyspark (pip install 'fpml[spark]')" if find_spec("pyspark") is None else "no Java"
needs_spark = pytest.mark.skipif(find_spec("pyspark") is None or not shutil.which("java"), reason=REASON)


@pytest.fixture(scope="module")
def start(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A county whose last month is to be run, with the key that its lists are signed with. Not to be changed."""
    root = tmp_path_factory.mktemp("start") / "county"
    leave = shutil.ignore_patterns("deliveries", "truth", "lookback-*", "mlflow*", "lists", "reports", "cache")
    shutil.copytree(trained.workspace.root, root, ignore=leave)
    shutil.copy(trained.workspace.root / "mlflow.yaml", root)
    signing_key(fpml.open(root).workspace)
    return root


@pytest.fixture(scope="module")
def expected(start: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What this process publishes."""
    root = Path(shutil.copytree(start, tmp_path_factory.mktemp("local") / "county"))
    fpml.run_month(fpml.open(root), MONTH)
    return contents(root / LISTS)


@pytest.fixture(scope="module")
def as_executors_see_it() -> Iterator[None]:
    """Nothing listens but on this machine; executors find the fpml that is tested, and this module."""
    with pytest.MonkeyPatch.context() as patch:
        places = [Path(fpml.__file__).parents[1], Path(__file__).parents[1]]
        patch.setenv("PYTHONPATH", os.pathsep.join([*map(str, places), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("SPARK_LOCAL_IP", HERE)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        yield


def spark_class(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process of Spark's, leader of a group of its own."""
    import pyspark

    spark = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(spark), f"org.apache.spark.deploy.{name}", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """As if its machine died: with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An object store, whose keys whoever is started later knows too."""
    with object_store() as address:
        yield address


@pytest.fixture
def connect(as_executors_see_it: None, store: str) -> Iterator[str]:
    """The server of Spark Connect that comes with pyspark, on two of this machine's processors: its URL."""
    port = free_port()
    settings = {"grpc.binding.address": HERE, "grpc.binding.port": port}
    words = [w for name, value in settings.items() for w in ("--conf", f"spark.connect.{name}={value}")]
    server = "org.apache.spark.sql.connect.service.SparkConnectServer"
    quiet = ("--conf", "spark.ui.enabled=false", "--master", "local[2]")
    process = spark_class("SparkSubmit", "--class", server, *quiet, *words, "spark-internal")
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            with suppress(OSError), socket.create_connection((HERE, int(port)), 1):
                break
            time.sleep(0.2)
        yield f"sc://{HERE}:{port}"
    finally:
        kill(process)


@pytest.fixture
def cluster(as_executors_see_it: None, tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """A master and two workers of one processor each: the master's URL, and the workers."""
    port = free_port()
    url, hosts = f"spark://{HERE}:{port}", ("--host", HERE, "--webui-port", "0")
    started = [spark_class("master.Master", *hosts, "--port", port)]
    size = ("--cores", "1", "--memory", "1g")
    started += [spark_class("worker.Worker", *hosts, *size, "--work-dir", str(tmp_path / n), url) for n in ("a", "b")]
    try:
        yield url, started[1:]
    finally:
        for process in reversed(started):
            kill(process)


def kill_in_the_middle(spark: Spark, worker: "subprocess.Popen[bytes]", killed: list[tuple[int, int]]) -> None:
    """Kills a worker when some parts of a run are done and most are not; how many were, and of how many."""
    until = time.monotonic() + 300
    while time.monotonic() < until and not killed:
        if spark._session is not None:
            tracker = spark._session.sparkContext.statusTracker()
            for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()):
                if stage and stage.numTasks == 16 and 2 <= stage.numCompletedTasks <= 8:
                    kill(worker)
                    killed.append((stage.numCompletedTasks, stage.numTasks))
        time.sleep(0.01)


@needs_spark
@pytest.mark.skipif(find_spec("grpc") is None, reason="no part of Spark Connect (pip install 'fpml[spark]')")
def test_a_month_by_spark_connect_from_an_object_store_publishes_the_same_bytes_and_is_replayed_here(
    start: Path, expected: dict[str, bytes], connect: str, store: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = Path(shutil.copytree(start, tmp_path / "county"))
    words = ["--quiet", "--workspace", str(root)]
    asked = ["--engine", "spark", "--master"]
    assert main(["month", MONTH, *words, *asked, f"{connect}/;user_id=a-clerk", "--ledger-copy", store]) == 0
    files, folder = FileSystem.from_uri(store)
    assert len(files.get_file_info(FileSelector(folder, recursive=True))) > 0
    assert contents(root / LISTS) == expected
    assert main(["replay", MONTH, *words]) == 0
    capsys.readouterr()
    assert main(["replay", MONTH, *words, *asked, f"sc://{HERE}:{free_port()}/;token=secret"]) == 3
    assert "nobody listens there (ConnectionRefusedError)" in (said := capsys.readouterr().err)
    assert "secret" not in said


@needs_spark
def test_a_worker_that_dies_costs_time_only(start: Path, cluster: tuple[str, list["subprocess.Popen[bytes]"]]) -> None:
    """Histories alone, a task a shard: `benchmarks/spark.py` kills a worker of a whole month."""
    (url, workers), killed = cluster, list[tuple[int, int]]()
    with closing(Spark(url)) as spark:
        killer = threading.Thread(target=kill_in_the_middle, args=(spark, workers[0], killed))
        killer.start()
        told = fpml.open(start, engine=spark).histories(MONTH)
        killer.join()
    assert killed
    assert workers[0].returncode == -signal.SIGKILL
    assert told.equals(fpml.open(start).histories(MONTH))


@needs_spark
@pytest.mark.usefixtures("as_executors_see_it")
def test_what_goes_wrong_on_an_executor_is_told_and_names_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Spark("local[2]")) as spark:
        assert spark.run(failing, []) == []
        assert spark.run(failing, [0, 3]) == [0, 3]
        with pytest.raises(LedgerError, match="gone"):
            spark.run(failing, [0, 2])
        with pytest.raises(InputError, match=r"ValueError at spark_parts.py:\d+") as told:
            spark.run(failing, [0, 1])
    assert "Wang" not in str(told.value) + "".join(capfd.readouterr())


# What needs no Spark


def test_other_code_on_an_executor_is_refused() -> None:
    driver = {**engine.code(), "numpy": "1.0", "fpml": "lies on the path"}
    answer = unpacked(engine._answer(packed(abs), driver, packed(-1)))
    assert isinstance(answer, InputError)
    assert answer.problem == "other code or libraries than here: numpy"
    assert unpacked(engine._answer(packed(abs), {**engine.code(), "fpml": ""}, packed(-1))) == 1


def test_an_answer_in_many_pieces_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BYTES", 7)
    part = pa.RecordBatch.from_pylist([{"number": 3, "part": packed(b"0123456789" * 9)}], engine._PART)
    rows = list(engine._on_executor(packed(bytes.upper), engine.code(), iter([part])))
    assert len(rows) > 2
    assert {r["number"][0].as_py() for r in rows} == {3}
    assert unpacked(b"".join(r["answer"][0].as_py() for r in rows)) == b"0123456789" * 9


def test_what_is_handed_on_comes_out_as_it_was() -> None:
    table = pa.table({"a": pa.array(["x", "y", None, "y"]).dictionary_encode(), "b": [1.5, None, float("nan"), 2.0]})
    for whole in (table, table.slice(1, 2), pa.concat_tables([table, table.slice(2)]), table.slice(0, 0)):
        there, number = unpacked(packed((whole, 7)))
        assert there.equals(whole) or there.to_pydict().__repr__() == whole.to_pydict().__repr__()
        assert there.schema == whole.schema
        assert number == 7
    assert len(packed(pa.table({"a": range(10**6)}).slice(5, 1))) < 2_000


def test_a_ledger_handed_on_stays_at_its_version(demo: fpml.County, tmp_path: Path) -> None:
    there = pickle.loads(pickle.dumps(demo.ledger))
    assert there.version == demo.ledger.version
    assert there.shard(3).equals(demo.ledger.shard(3))
    root = Path(shutil.copytree(demo.workspace.root, tmp_path / "county"))
    handed = pickle.dumps(fpml.open(root).ledger.shard)
    shutil.rmtree(root)
    with pytest.raises(LedgerError, match="Share the workspace's folder"):
        pickle.loads(handed)


def test_errors_come_through_as_what_they_are() -> None:
    for error in (FpmlError("here", "wrong", "Do."), UsageError("a", "b", "C.")):
        again = unpacked(packed(error))
        assert (type(again), str(again), again.remedy) == (type(error), str(error), error.remedy)


def test_a_machine_without_spark_is_told_so(
    monkeypatch: pytest.MonkeyPatch, demo: fpml.County, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(UsageError, match=r"pyspark is not installed. Run `pip install 'fpml\[spark\]'`"):
        Spark("local[2]").run(abs, [1])
    with pytest.raises(UsageError, match="the engine is local"):
        engine_of("local", "spark://a:1")
    assert isinstance(engine_of("local"), Local)
    words = ["--quiet", "--workspace", str(demo.workspace.root)]
    for alone in ("--master", "local[2]"), ("--ledger-copy", "s3://county/ledger"):
        assert main(["month", "2022-06", *alone, *words]) == 2
        assert "Add `--engine spark`" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("pyspark") is None, reason="no pyspark")
def test_a_machine_without_java_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="Install Java 17"):
        Spark("local[2]").run(partial(abs), [1])
