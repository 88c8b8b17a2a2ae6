"""Figures that mean what they say, and leakage checks that see a planted leak."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml import measure
from fpml.backtests import Backtest
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.measure import leakage
from fpml.review import Card
from fpml.rolling import LANGUAGES

AS_OF = AsOf.parse("2023-06")


def records(county: County) -> pa.Table:
    return county.ledger.everything()


def test_visits_take_the_highest_scores_of_each_occasion() -> None:
    score = np.array([0.1, 0.9, 0.5, 0.4, 0.3, 0.8])
    occasion = np.array([0, 0, 0, 1, 1, 1])
    assert measure.visited(score, occasion, 1).tolist() == [False, True, False, False, False, True]
    y = np.array([1, 1, 0, 0, 1, 1])
    assert measure.found(y, measure.visited(score, occasion, 1)) == 0.5
    assert measure.precision(y, measure.visited(score, occasion, 1)) == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_draws_take_whole_villages(seed: int) -> None:
    village = np.random.default_rng(seed).integers(0, 5, 40)
    whole = {v: int((village == v).sum()) for v in np.unique(village)}
    for rows in measure.draws(village, times=5, seed=seed):
        for v, n in zip(*np.unique(village[rows], return_counts=True), strict=True):
            assert n % whole[v] == 0


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for i in range(200):
        village = np.repeat(np.arange(60), 10)
        x = rng.normal(0, 1, 60)[village] + rng.normal(0, 1, 600)
        told = measure.interval(lambda r, x=x: float(x[r].mean()), village, times=200, seed=i)  # type: ignore[misc]
        covered += told.low <= 0 <= told.high
    assert 0.90 <= covered / 200 <= 0.985


def test_calibration_cells_hold_every_row_once() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 0.3, 5000)
    y = (rng.random(5000) < p).astype(np.int64)
    cells = measure.calibration_table(y, p, least_events=50)
    assert sum(c["rows"] for c in cells) == 5000
    assert sum(c["events"] for c in cells) == y.sum()
    assert all(c["events"] >= 50 for c in cells)
    assert sum(c["expected"] for c in cells) == pytest.approx(p.sum())


def test_swapping_futures_is_seen_only_by_a_leak(trained: County) -> None:
    model = trained.models(AS_OF)["new_poverty"]
    clean = leakage.check_swap(records(trained), trained.catalogue, model, AS_OF, seed=1)
    assert clean.bit_equal
    assert clean.clean, str(clean)
    planted = leakage.check_swap(
        records(trained), trained.catalogue, model, AS_OF, seed=1, build=leakage.built_with_a_leak(3)
    )
    assert not planted.bit_equal
    assert not planted.clean


def test_a_swap_keeps_every_record_and_what_was_known(trained: County) -> None:
    before, after = (t.to_pandas() for t in (records(trained), leakage.swapped_after(records(trained), AS_OF, seed=3)))
    early = pd.to_datetime(before["known_date"]) <= pd.Timestamp(AS_OF.date)
    assert (before.loc[early, "household_id"].astype(str) == after.loc[early, "household_id"].astype(str)).all()
    assert (
        before.loc[~early, "household_id"].astype(str) != after.loc[~early, "household_id"].astype(str)
    ).mean() > 0.9
    assert before["value"].equals(after["value"])


def test_corrections_known_later_are_seen_only_by_a_leak(trained: County) -> None:
    assert leakage.check_late_records(records(trained), trained.catalogue, AS_OF, seed=2).clean
    planted = leakage.built_with_a_leak(3)
    assert not leakage.check_late_records(records(trained), trained.catalogue, AS_OF, seed=2, build=planted).clean


def test_shuffled_labels_teach_nothing_unless_rows_overlap(trained: County) -> None:
    histories = trained.histories(*trained.as_ofs())
    as_of = AsOf.parse("2023-06")

    def check(overlap: bool) -> leakage.Verdict:
        return leakage.check_shuffled_labels(
            histories, trained.catalogue, "new_poverty", 3, as_of, seed=1, overlap=overlap
        )

    assert check(False).clean, str(check(False))
    assert not check(True).clean


@pytest.fixture(scope="module")
def tested(trained: County) -> Backtest:
    """All models over four origins, the first of them and the fourth learnt at."""
    return trained.backtest(first="2023-06", last="2023-09", times=50)


def test_a_backtest_ranks_chance_last_and_judges_only_what_came_later(trained: County, tested: Backtest) -> None:
    assert set(tested.skill["kind"]) == {"fall", "identified"}
    mine = (tested.skill["outcome"] == "new_poverty") & (tested.skill["kind"] == "identified")
    skill = tested.skill[mine].set_index(["horizon", "method"])
    assert skill.loc[(3, "fpml"), "auc"] > 0.6
    assert abs(skill.loc[(3, "chance"), "auc"] - 0.5) < 0.25
    assert (skill.xs("fpml", level="method")["gain"] == 0).all()
    # The ledger ends in 2023-12: a label of three months is known of four origins, of six of one, of twelve of none.
    assert skill.xs("fpml", level="method")["origins"].to_dict() == {1: 4, 3: 4, 6: 1}
    found = tested.found.set_index(["visits", "method"])
    visits = trained.catalogue.county.visits
    assert found.loc[(visits, "fpml"), "found"] >= found.loc[(visits, "chance"), "found"]
    assert np.isnan(found.loc[(visits, "fpml"), "chance"])
    everyone = tested.found.groupby("visits")["method"].nunique()
    assert everyone[visits] == everyone.max()


def test_a_rule_is_held_against_ours_at_its_own_visits(trained: County, tested: Backtest) -> None:
    rules = tested.rules.set_index("rule")
    every = rules.loc["any rule that pushes"]
    assert every["visits"] <= rules.drop(index="any rule that pushes")["visits"].sum()
    assert (rules["falls"] == every["falls"]).all()
    ratio = rules["found_ours"] / rules["found"]
    assert np.allclose(ratio[rules["found"] > 0], rules["ratio"][rules["found"] > 0])
    of_outcomes = tested.groups[tested.groups["grouping"] == "outcome"]
    assert 0 < of_outcomes["falls"].sum() <= every["falls"]


def test_a_backtest_that_was_stopped_goes_on_and_comes_to_the_same(trained: County, tested: Backtest) -> None:
    (said,) = trained.workspace.cache.glob("backtest-*/2023-09-relapse.parquet")  # other files' tests backtest as well
    for lost in (said, said.parent / "2023-09.json"):
        lost.unlink()
    again = trained.backtest(first="2023-06", last="2023-09", times=50)
    assert again.as_json() == tested.as_json()


def test_a_backtest_is_kept_and_names_nobody(trained: County, tested: Backtest) -> None:
    report = (trained.workspace.reports / "backtest.json").read_text(encoding="utf-8")
    assert json.loads(report) == tested.as_json()
    assert tested.about["simulated"]
    households = trained.at("2023-06")["household_id"].to_pylist()
    assert not [h for h in households if f'"{h}"' in report]
    assert all(np.isfinite(v) for v in tested.metrics().values())


def test_a_backtest_writes_the_cards_of_its_models_in_both_languages(trained: County, tested: Backtest) -> None:
    households = trained.at("2023-06")["household_id"].to_pylist()
    for model in trained.model_names():
        card = Card.of(trained.definition(model).outcome, tested.as_json())
        for language in LANGUAGES:
            text = (trained.workspace.reports / f"card-{model}.{language}.md").read_text(encoding="utf-8")
            assert text == card.text(trained.catalogue, language)
            assert not any(h in text for h in households)


def test_a_backtest_of_months_without_falls_before_them_says_so(trained: County) -> None:
    with pytest.raises(NotYetError, match="enough falls known"):
        trained.backtest("relapse", first="2021-02", last="2021-03", times=10)
