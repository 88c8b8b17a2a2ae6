"""The record of who did what: whole it verifies, and whoever touches a line is found out."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fpml.errors import DiskError
from fpml.record import Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    made = Record(tmp_path / "record.jsonl")
    for n in range(1, 8):
        made.add("month", as_of=f"2023-0{n}")
    return made


Lines = list[bytes]


def altered(lines: Lines) -> Lines:
    return [x.replace(b"2023-03", b"2023-04") for x in lines]


def last_altered(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1].replace(b"2023-07", b"2023-01")]


def renumbered(lines: Lines) -> Lines:
    """One removed, and the numbers of the others put right."""
    kept = [json.loads(x) for x in lines[:2] + lines[3:]]
    return [json.dumps(x | {"n": n}, separators=(",", ":")).encode() + b"\n" for n, x in enumerate(kept, start=1)]


@pytest.mark.parametrize(
    "hand",
    [
        altered,
        last_altered,
        renumbered,
        lambda lines: lines[:2] + lines[3:],
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: lines[:-3],
        lambda _: [],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:3], b"\n", *lines[3:]],
        lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")],
        lambda lines: [*lines[:3], b'{"n": 4}\n', *lines[4:]],
        lambda lines: [*lines[:3], b"[]\n", *lines[4:]],
    ],
)
def test_a_line_altered_removed_added_or_moved_is_found(record: Record, hand: Callable[[Lines], Lines]) -> None:
    assert record.verify().faults == ()
    record.path.write_bytes(b"".join(hand(record.path.read_bytes().splitlines(keepends=True))))
    assert record.verify().faults
    # What is done afterwards does not cover it up.
    record.add("month", as_of="2023-12")
    record.add("month", as_of="2023-12")
    assert record.verify().faults


def test_a_whole_record_tells_its_lines_and_the_hash_to_note(record: Record) -> None:
    found = record.verify()
    assert (found.lines, found.faults) == (7, ())
    noted = found.head
    record.add("replay", as_of="2023-01")
    assert record.verify(noted).faults == ()
    assert [x["did"] for x in record.lines()][-1] == "replay"


def test_a_record_written_anew_does_not_hold_the_noted_hash(record: Record) -> None:
    noted = record.verify().head
    record.path.unlink()
    record.head.unlink()
    for n in range(2, 9):
        record.add("month", as_of=f"2023-0{n}")
    assert record.verify().faults == ()
    assert "noted hash" in record.verify(noted).faults[0]


def test_what_a_killed_run_leaves_is_no_fault_and_is_put_right(record: Record) -> None:
    whole, head = record.path.read_bytes(), record.head.read_text()
    with record.path.open("ab") as file:
        file.write(b'{"n":8,"at":"2024')  # killed in the middle of a line
    assert record.verify().faults == ()
    record.add("month", as_of="2023-08")
    assert (record.verify().lines, record.verify().faults) == (8, ())
    assert record.path.read_bytes().startswith(whole)
    record.head.write_text(head)  # killed between the line and its hash
    assert record.verify().faults == ()
    record.add("month", as_of="2023-09")
    assert (record.verify().lines, record.verify().faults) == (9, ())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX's")
def test_a_disk_that_takes_half_a_line_is_told_and_leaves_none(record: Record) -> None:
    import resource

    whole = record.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, limits[1]))
    try:
        with pytest.raises(DiskError, match="may not grow"):
            record.add("month")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert record.path.read_bytes() == whole
    assert record.verify().faults == ()


def test_no_record_is_whole_and_its_missing_end_is_told(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    assert (record.verify().lines, record.verify().faults) == (0, ())
    record.add("month")
    record.head.unlink()
    record.add("month")
    assert record.verify().faults == ()  # the end of one line alone may be missing: a run killed before it
    record.head.unlink()
    assert record.verify().faults


def test_two_at_once_make_one_chain(record: Record) -> None:
    def add() -> None:
        for _ in range(10):
            record.add("explain", as_of="2023-01")

    threads = [threading.Thread(target=add) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (record.verify().lines, record.verify().faults) == (27, ())
