"""The step of `make check` that looks at what is installed: without network, and where PyPI tells nothing."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def audit(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_audit", repository / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def constraints(tmp_path: Path, audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, of which one is installed as pinned and one is not."""
    path = tmp_path / "constraints.txt"
    path.write_text(
        "# made by uv\nnumpy==2.0.0 ; python_version < '3.12'\nnumpy==2.1.0\nPy_YAML==6.0\n", encoding="utf-8"
    )
    monkeypatch.setattr("sys.argv", ["audit.py", str(path)])
    return path


class Installed:
    def __init__(self, name: str, version: str) -> None:
        self.metadata, self.version = {"Name": name}, version


def installed(audit: ModuleType, monkeypatch: pytest.MonkeyPatch, *packages: tuple[str, str]) -> None:
    monkeypatch.setattr(audit, "distributions", lambda: [Installed(*p) for p in packages])


def answers(audit: ModuleType, monkeypatch: pytest.MonkeyPatch, *dependencies: dict[str, Any]) -> None:
    """What pip-audit says; PyPI can be reached."""
    monkeypatch.setattr(audit, "unreachable", lambda name, version: "")
    said = json.dumps({"dependencies": dependencies})
    done = subprocess.CompletedProcess([], 0, said, "")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(audit.shutil, "which", lambda *_, **__: "uv")


def test_what_is_not_pinned_is_told_and_fails_without_network(
    audit: ModuleType, constraints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "unreachable", lambda name, version: "no network")
    installed(audit, monkeypatch, ("numpy", "2.1.0"), ("py-yaml", "6.0"), ("fpml", "0.1"), ("pip", "24"))
    assert audit.main() == 0
    assert "SKIPPED, not reached: no network" in capsys.readouterr().out
    installed(audit, monkeypatch, ("numpy", "2.2.0"), ("left-pad", "1.0"))
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "numpy 2.2.0 is installed; pinned: 2.0.0, 2.1.0" in said
    assert "left-pad 1.0 is installed; pinned: not at all" in said


def test_an_audit_that_knew_no_package_is_no_audit(
    audit: ModuleType, constraints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(audit, monkeypatch)
    answers(audit, monkeypatch, {"name": "numpy", "skip_reason": "not found"})
    assert audit.main() == 0
    said = capsys.readouterr().out
    assert "advisories SKIPPED: 1 of 1 are not known there" in said
    assert "no advisory" not in said
    answers(audit, monkeypatch, {"name": "numpy", "version": "2.1.0", "vulns": []})
    assert audit.main() == 0
    assert "no advisory against 1 pinned versions" in capsys.readouterr().out


def test_an_advisory_is_told_and_fails_where_that_is_asked_for(
    audit: ModuleType, constraints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(audit, monkeypatch)
    answers(audit, monkeypatch, {"name": "numpy", "version": "2.1.0", "vulns": [{"id": "PYSEC-1"}]})
    assert audit.main() == 0
    assert "ADVISORY numpy 2.1.0: PYSEC-1" in capsys.readouterr().out
    monkeypatch.setattr(audit.sys, "argv", [*audit.sys.argv, "--strict"])
    assert audit.main() == 1
