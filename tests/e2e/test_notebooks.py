"""Every notebook runs from top to bottom on a generated county, and none is committed with an output."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import fpml

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_committed_without_outputs(path: Path) -> None:
    assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)


@pytest.fixture(scope="module")
def root(trained: fpml.County, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained county for all of them: three hold the same backtest, which is made once and kept."""
    return Path(shutil.copytree(trained.workspace.root, tmp_path_factory.mktemp("notebooks") / "county"))


@pytest.mark.filterwarnings("default")  # of the notebook server's own libraries
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_and_shows_no_household(
    path: Path, root: Path, trained: fpml.County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPML_WORKSPACE", str(root))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    households = set(trained.at("2023-06")["household_id"].to_pylist())
    assert "image/png" in shown
    assert not [h for h in households if h in shown]
