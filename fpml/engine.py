"""Who works on the parts of one pure function: this process's threads (`Local`), or Spark's executors (`Spark`).

Both give the same results in the same order; which of them it was is no part of a list. `docs/scale.md` says how a
cluster is set up. Nothing else in fpml knows Spark.
"""

import ctypes
import gc
import io
import os
import pickle
import re
import shutil
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa

from fpml.errors import FpmlError, InputError, UsageError, place_of
from fpml.version import code

Part = TypeVar("Part")
Result = TypeVar("Result")

# Rows are cut into so many pieces for executors, each of no fewer and no more rows than these.
PIECES, LEAST, MOST = 16, 64, 2**16
# An answer comes back in rows of so many bytes, so many of them at a time: neither Java nor a message holds all of it.
_BYTES, _AT_A_TIME = 2**22, 8
_PART = pa.schema([("number", pa.int32()), ("part", pa.binary())])
_ANSWER = pa.schema([("number", pa.int32()), ("at", pa.int64()), ("answer", pa.binary())])
# Of `code()`: it is empty where fpml is not installed but lies on the path; the source's digest says the same and more.
_INSTALLED = "fpml"
_SETTINGS = {
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.ui.enabled": "false",  # it would open a port
    "spark.driver.maxResultSize": "0",
    # What a lost machine held is worked out again rather than waited for.
    "spark.shuffle.io.maxRetries": "1",
    "spark.shuffle.io.retryWait": "1s",
}
# The port of a server of Spark Connect that is not told, and seconds for it to answer.
_CONNECT, _PATIENCE = 15002, 20
_HERE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


class Engine(Protocol):
    """Applies a function to parts. What is handed to it must be plain values: a part may be worked on elsewhere.

    `ledger_copy`: the address of an object store in which those who work find the ledger; None: in its own folder.
    """

    @property
    def ledger_copy(self) -> str | None:
        """See above."""

    def run(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """The function's results in the order of the parts; an error stops the run."""

    def over(self, function: Callable[[pa.Table], Result], rows: pa.Table) -> list[Result]:
        """The function's results on pieces of a table's rows, in order; of a function that works row by row."""

    def close(self) -> None:
        """Lets go of what it holds."""


def workers() -> int:
    """How many shards are worked on at once: FPML_WORKERS where it is set, else one a processor."""
    return int(os.environ.get("FPML_WORKERS") or os.cpu_count() or 1)


def give_back() -> None:
    """Gives freed memory back to the system.

    The GNU library keeps what threads let go of, an arena each: after some calls that is more than a call itself needs.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def spared() -> Iterator[None]:
    """Spares garbage collection what is there already, above all what was imported: all of it outlives the work.

    Work that makes many objects, as lists in words and workbooks do, has it looked through again and again.
    """
    ours = not gc.get_freeze_count()
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def run(function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """The function's results in the order of the parts; the first error stops the run."""
    with ThreadPoolExecutor(workers()) as pool:
        return list(pool.map(function, parts))


@dataclass(frozen=True)
class Local:
    """This process. Threads: the kernel, Arrow and Parquet all let go of the interpreter's lock, and threads share what
    they read, where processes would copy it. Functions of rows have threads of their own: one piece."""

    ledger_copy: None = None

    def run(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """See `Engine`."""
        return run(function, parts)

    def over(self, function: Callable[[pa.Table], Result], rows: pa.Table) -> list[Result]:
        """See `Engine`."""
        return [function(rows)]

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Spark:
    """The executors of a Spark cluster, each part a task: a task whose executor is lost is done again elsewhere.

    `master`: `local[2]`, `spark://HOST:7077`, `sc://HOST:15002` (Spark Connect). Spark starts with the first run.
    `ledger_copy`: see `Engine`.
    """

    master: str = field(default="local[*]", repr=False)
    ledger_copy: str | None = field(default=None, repr=False)
    _session: Any = field(default=None, repr=False)

    def run(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """See `Engine`. Raises InputError where the cluster fails, or holds other code than this process."""
        handed = [packed(p) for p in parts]
        if not handed:
            return []
        table = pa.table([range(len(handed)), handed], schema=_PART)
        told = self._told(partial(_on_executor, packed(function), code()), table)
        answers: list[list[tuple[int, bytes]]] = [[] for _ in handed]
        for number, at, some in zip(*(told[c].to_pylist() for c in ("number", "at", "answer")), strict=True):
            answers[number].append((at, some))
        done = [unpacked(b"".join(some for _, some in sorted(a))) for a in answers]
        for answer in done:
            if isinstance(answer, FpmlError):
                raise answer
        return done

    def over(self, function: Callable[[pa.Table], Result], rows: pa.Table) -> list[Result]:
        """See `Engine`."""
        n = rows.num_rows
        pieces = max(1, min(PIECES, n // LEAST), -(-n // MOST))
        edges = [n * i // pieces for i in range(pieces + 1)]
        return self.run(function, [rows.slice(a, b - a) for a, b in pairwise(edges)])

    def close(self) -> None:
        """Ends the application that it began on the cluster."""
        if self._session is not None:
            self._session.stop()
            self._session = None
            # Spark Connect leaves behind that this process has a session of it: no other Spark would start here.
            os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)

    def _told(self, work: Callable[..., Any], table: pa.Table) -> pa.Table:
        """What the executors answer: the number of the part, and where in its answer these bytes stand."""
        session = self._open()
        with _as_it_is(), _failing(self.master):
            # A range a part, so that each is a task of its own; rows dealt out by chance would share some.
            dealt = session.createDataFrame(table).repartitionByRange(table.num_rows, "number")
            return dealt.mapInArrow(work, "number int, at long, answer binary").toArrow()

    def _open(self) -> Any:
        if self._session is None:
            self._session = _session(self.master)
        return self._session


def engine_of(name: str, master: str | None = None, ledger_copy: str | None = None) -> Engine:
    """The engine of a name: local or spark; `master`: Spark's (None: all processors of this machine)."""
    if name == "spark":
        return Spark(master, ledger_copy) if master else Spark(ledger_copy=ledger_copy)
    for option, given in (("--master", master), ("--ledger-copy", ledger_copy)):
        if given:
            raise UsageError(option, "it is Spark's, and the engine is local", "Add `--engine spark`.")
    return Local()


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Spark warns of pandas 3, which nothing here hands to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


@contextmanager
def _failing(master: str) -> Iterator[None]:
    """Tells what a run failed of: raises InputError with no more of Spark's own words than say where to look."""
    try:
        yield
    except Exception as e:
        found = re.search(r"RuntimeError: (\w+ at [\w.]+:\d+)", str(e))
        problem = f"a part failed on an executor ({found[1]})" if found else f"it failed ({type(e).__name__})"
        remedy = "See the executors' logs; with `--engine local` the cluster is left aside."
        if "No module named 'fpml'" in str(e):
            problem = "the executors' Python has no fpml"
            remedy = "Install fpml there, or set PYSPARK_PYTHON to a Python that has it."
        if "Java heap space" in str(e):
            problem, remedy = "Java had too little memory", "Give Spark more (`spark.driver.memory`; docs/scale.md)."
        raise InputError(f"spark {_said(master)}", problem, remedy) from None


def _session(master: str) -> Any:
    """A session of Spark; raises UsageError where this machine has no pyspark or no Java."""
    try:
        with _as_it_is():
            from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError("--engine spark", "pyspark is not installed", "Run `pip install 'fpml[spark]'`.") from None
    connect = master.startswith("sc://")
    if not connect and not shutil.which("java", path=_java()):
        raise UsageError("--engine spark", "there is no Java on this machine", "Install Java 17, or set JAVA_HOME.")
    if connect:
        _listened_to(master)
    # The executors' Python: the same as this one, unless somebody has said which.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("fpml")
    builder = builder.remote(master) if connect else builder.master(master)
    for name, value in {} if connect else {**_SETTINGS, **(_HERE if master.startswith("local") else {})}.items():
        builder = builder.config(name, value)
    try:
        with _as_it_is():
            session = builder.getOrCreate()
        session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_AT_A_TIME))
    except ImportError as e:
        problem = f"a part of Spark Connect is not installed ({e.name})"
        raise UsageError("--engine spark", problem, "Run `pip install 'fpml[spark]'`.") from None
    except Exception as e:
        problem = f"Spark could not be started, or does not answer ({type(e).__name__})"
        raise InputError(f"spark {_said(master)}", problem, "It needs Java 17 here, and a master there.") from None
    return session


def _listened_to(master: str) -> None:
    """Raises InputError where nobody listens at a server of Spark Connect: pyspark itself would try for ten minutes."""
    told = urlsplit(master)
    try:
        with socket.create_connection((told.hostname or "", told.port or _CONNECT), _PATIENCE):
            pass
    except (OSError, ValueError) as e:
        problem, remedy = f"nobody listens there ({type(e).__name__})", "Start the server, or mend the address."
        raise InputError(f"spark {_said(master)}", problem, remedy) from None


def _said(master: str) -> str:
    """A master's address without what follows it: that may hold a token."""
    return master.partition(";")[0]


def _java() -> str | None:
    """Where Spark looks for Java: in JAVA_HOME where that is set, else on the path (None)."""
    home = os.environ.get("JAVA_HOME")
    return os.path.join(home, "bin") if home else None


def _on_executor(work: bytes, driver: Mapping[str, str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Answers parts, on an executor."""
    for batch in batches:
        for number, part in zip(batch["number"].to_pylist(), batch["part"].to_pylist(), strict=True):
            answer = _answer(work, driver, part)
            for at in range(0, len(answer), _BYTES):
                row = {"number": number, "at": at, "answer": answer[at : at + _BYTES]}
                yield pa.RecordBatch.from_pylist([row], _ANSWER)


def _answer(work: bytes, driver: Mapping[str, str], part: bytes) -> bytes:
    """What the function gives of one part, or the error that a person can put right.

    Of another error only its kind and place go into Spark's logs: its message could hold a household's data.
    """
    try:
        other = [n for n, told in code().items() if n != _INSTALLED and driver.get(n) != told]
        if other:
            problem = f"other code or libraries than here: {', '.join(other)}"
            raise InputError(f"executor {socket.gethostname()}", problem, "Install the same there.")
        return packed(_function(work)(unpacked(part)))
    except FpmlError as e:
        return packed(e)
    except Exception as e:
        raise RuntimeError(f"{type(e).__name__} at {place_of(e)}") from None


@lru_cache(maxsize=1)
def _function(work: bytes) -> Callable[[Any], Any]:
    """The function of a run, once for all parts that a process works on: with it what it holds, as a model's trees."""
    function: Callable[[Any], Any] = unpacked(work)
    _set_aside()
    return function


@lru_cache(maxsize=1)
def _set_aside() -> None:
    """Spares garbage collection what has been imported: Spark collects after every part, a fifth of a second each."""
    gc.freeze()


class _Packer(pickle.Pickler):
    """Tables as Arrow's streams: of a slice only its own rows are written."""

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, pa.Table):
            return NotImplemented
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, thing.schema) as out:
            out.write_table(thing)
        return _table, (sink.getvalue().to_pybytes(),)


def _table(stream: bytes) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()


def packed(thing: object) -> bytes:
    """Code's own values as bytes, compressed; nothing that is kept."""
    out = io.BytesIO()
    _Packer(out, pickle.HIGHEST_PROTOCOL).dump(thing)
    told = out.getbuffer()
    return len(told).to_bytes(8, "big") + pa.compress(told, "zstd", asbytes=True)


def unpacked(told: bytes) -> Any:
    """What `packed` packed."""
    return pickle.loads(pa.decompress(told[8:], int.from_bytes(told[:8], "big"), "zstd"))
