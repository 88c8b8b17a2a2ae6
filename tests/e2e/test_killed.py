"""Intake killed by the operating system, at instants of its own choosing (`benchmarks/ledger.py`: 50 of them)."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import fpml

KILLS = 1  # benchmarks/ledger.py kills it fifty times


def intake(folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "fpml.cli", "intake", "--quiet", "--workspace", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def answer(folder: Path) -> pa.Table:
    return fpml.open(folder).histories("2022-02").combine_chunks()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, generate: Callable[..., list[Path]]) -> Path:
    """A year of 200 households taken in, and three months more waiting."""
    root = fpml.init(tmp_path_factory.mktemp("killed") / "county").root
    county = fpml.open(root)
    files = generate(county.workspace.deliveries, households=100, months=14)
    county.intake(files[:12])
    return root


def test_killed_at_any_moment_the_ledger_is_whole_and_the_next_run_gives_the_same_answer(
    start: Path, tmp_path: Path
) -> None:
    undisturbed = shutil.copytree(start, tmp_path / "undisturbed")
    began = time.perf_counter()
    assert intake(undisturbed).wait() == 0
    lasts = time.perf_counter() - began
    expected = answer(undisturbed)
    rows = fpml.open(undisturbed).ledger.rows
    rng = random.Random(1)
    for i in range(KILLS):
        folder = shutil.copytree(start, tmp_path / str(i))
        process = intake(folder)
        time.sleep(rng.uniform(0.3, 1) * lasts)
        process.kill()
        process.wait()
        county = fpml.open(folder)
        held = county.ledger.everything()
        assert held.num_rows == county.ledger.rows <= rows
        assert intake(folder).wait() == 0
        assert fpml.open(folder).ledger.rows == rows
        assert answer(folder).equals(expected)
        assert fpml.open(folder).inbox.waiting() == []
