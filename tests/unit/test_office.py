"""What an office copies (`examples/office`) calls fpml as it is, and what it is told on the way is shown."""

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from fpml.cli import _parser
from fpml.month import HEALTH, REVIEW, STAGES
from fpml.screen import Screen
from fpml.stages import Stages


def calls(text: str) -> list[list[str]]:
    """The words of every call of fpml in a unit or a table of cron."""
    found = re.findall(r"^(?!#).*?\S*/bin/fpml ([^>;|\n]+)", text, flags=re.MULTILINE)
    return [shlex.split(words) for words in found]


@pytest.mark.parametrize(("file", "number"), [("fpml-month.service", 1), ("fpml.cron", 2)])
def test_units_call_commands_that_there_are(repository: Path, file: str, number: int) -> None:
    text = (repository / "examples" / "office" / file).read_text(encoding="utf-8")
    assert "NUMBA_CACHE_DIR" in text
    assert "027" in text
    found = calls(text)
    # In a table of cron one line holds one call.
    assert len(found) == number
    for words in found:
        asked = _parser().parse_args(words)
        assert (asked.command, asked.quiet) in (("month", True), ("record", True))


def test_every_stage_and_status_is_told_of_in_the_manual(repository: Path) -> None:
    manual = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    assert all(f"| {stage} |" in manual for stage in (*STAGES, HEALTH, REVIEW))
    files = {p.name for p in (repository / "examples" / "office").iterdir()}
    assert {n for n in files if n not in ("install.sh",)} <= set(re.findall(r"[\w.-]+", manual)) | {"fpml-month.timer"}


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_the_installer_is_sound_and_refuses_another_python(repository: Path, tmp_path: Path) -> None:
    script = shutil.copy(repository / "examples" / "office" / "install.sh", tmp_path)
    (tmp_path / "MADE_FOR").write_text("2.7 Plan9 pdp11\n")
    ran = subprocess.run(["sh", script, str(tmp_path / "to")], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "2.7 Plan9 pdp11" in ran.stderr
    assert not (tmp_path / "to").exists()


def test_a_bar_shows_the_stage_and_the_time_left() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with Screen(console) as screen:
        screen.show("2/6 histories", 0.4, 75.4)
        screen._bar.refresh()  # type: ignore[union-attr]
    assert "2/6 histories" in out.getvalue()
    assert "1:15 left" in out.getvalue()
    assert "40%" in out.getvalue()


def test_a_log_shows_no_time_left_and_no_bar() -> None:
    out = io.StringIO()
    with Screen(Console(file=out)) as screen:
        screen.show("2/6 histories", 0.4, 75.4)
    assert out.getvalue() == "· 2/6 histories (40%)\n"


def test_a_stage_that_fails_is_not_told_as_ended(tmp_path: Path) -> None:
    ended: list[str] = []
    stages = Stages(ended=lambda d: ended.append(d.stage))
    stages.plan(("a", "b"), tmp_path / "times.json")
    with stages.stage("a"):
        pass
    with pytest.raises(ValueError, match="x"), stages.stage("b"):
        raise ValueError("x")
    assert ended == ["a"]
    (tmp_path / "times.json").write_text("[1")
    stages.plan(("a", "b"), tmp_path / "times.json")  # a damaged file of times is no reason to stop
