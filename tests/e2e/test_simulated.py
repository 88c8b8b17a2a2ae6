"""A simulated county seen through fpml: what departments told, taken in, comes close to what is true."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import fpml
from fpml.catalogue import Catalogue
from fpml.cli import main
from fpml.dates import AsOf
from fpml.simulate import Live, Places, Plan, Style, load_profile

LAST = "2022-08"


@pytest.fixture(scope="module")
def truth(demo: fpml.County) -> pd.DataFrame:
    states = pq.read_table(demo.workspace.truth / "states.parquet").to_pandas()
    return states[states.month == AsOf.parse(LAST).month].set_index("household_id")


@pytest.fixture(scope="module")
def seen(demo: fpml.County) -> pd.DataFrame:
    return demo.frame(demo.histories(LAST)).set_index("household_id")


def test_not_a_row_is_refused(demo: fpml.County) -> None:
    assert not list(demo.workspace.quarantine.glob("*.parquet"))


def test_the_register_says_who_there_is(truth: pd.DataFrame, seen: pd.DataFrame) -> None:
    assert len(truth.index.symmetric_difference(seen.index)) <= 0.03 * len(truth)
    both = truth.index.intersection(seen.index)
    assert (truth.members[both] == seen.members__last__ever[both]).mean() > 0.95
    told = (seen.formerly_poor__last__ever[both] == 1).to_numpy()
    assert (truth.formerly_poor[both].to_numpy() == told).mean() > 0.99


def test_what_is_told_of_income_is_near_the_truth_and_not_the_truth(truth: pd.DataFrame, seen: pd.DataFrame) -> None:
    both = truth.index.intersection(seen.index[seen.income.notna()])
    assert len(both) > 0.8 * len(truth)
    assert 0.6 < truth.income[both].corr(seen.income[both], method="spearman") < 0.999


def test_a_county_lives_month_by_month_as_it_does_at_once(
    catalogue: Catalogue, tmp_path: Path, demo: fpml.County
) -> None:
    """Given no lists, stopping at each month's end changes nothing."""
    told = json.loads((demo.workspace.truth / "plan.json").read_text())
    plan = Plan(load_profile("jiangxi"), 200, months=3, seed=told["seed"])
    live = Live(plan, Places(tmp_path / "live", tmp_path / "truth"), catalogue, style=Style.CLEAN)
    for _ in range(plan.months):
        ended = live.step()
        assert ended.states.equals(ended.twin)
    county = fpml.open(fpml.init(tmp_path / "county").root)
    county.simulate(plan, style=Style.CLEAN)
    files = [p for p in (tmp_path / "live").rglob("*") if p.is_file()]
    assert len(files) > 50
    for path in files:
        assert path.read_bytes() == (county.workspace.deliveries / path.relative_to(tmp_path / "live")).read_bytes()


def test_who_is_listed_is_visited_and_the_twin_is_not(catalogue: Catalogue, tmp_path: Path) -> None:
    live = Live(Plan(load_profile("jiangxi"), 400, seed=11), Places(tmp_path / "d", tmp_path / "t"), catalogue)
    states = live.step().states.to_pandas()
    listed = states.household_id[states.monitored == 0].astype(str).head(1).tolist()
    ended = live.step(listed)
    for table, visited in ((ended.states, True), (ended.twin, False)):
        rows = table.to_pandas().set_index("household_id")
        assert bool(rows.visited[listed[0]]) == visited


def test_a_workspace_with_records_of_its_own_is_not_simulated_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    county = fpml.open(fpml.init(tmp_path / "county").root)
    path = tmp_path / "d.csv"
    path.write_text("household_id,indicator,event_date,known_date,value\nH1,members,2021-01-15,2021-01-31,3\n")
    county.intake([path])
    assert main(["simulate", "--households", "200", "--months", "1", "--workspace", str(county.workspace.root)]) == 2
    assert "not said to be simulated" in capsys.readouterr().err
    assert not county.workspace.deliveries.exists() or not list(county.workspace.deliveries.iterdir())


def test_simulate_marks_the_policy_and_rolls_the_future_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fpml.init(tmp_path / "county").root
    argv = ["simulate", "--households", "200", "--months", "4", "--oracles", "2021-02", "--roll-outs", "3", "--json"]
    assert main([*argv, "--quiet", "--workspace", str(root)]) == 0
    assert json.loads(capsys.readouterr().out)["households"] == 200
    county = fpml.open(root)
    assert county.catalogue.county.simulated
    assert "模拟" in county.catalogue.county.name.zh
    assert (root / "policy" / "county.yaml").read_text(encoding="utf-8").count("# ") > 2, "comments are kept"
    oracles = pq.read_table(county.workspace.truth / "oracles.parquet").to_pandas()
    assert (oracles.full_1 <= oracles.full_12).all()
