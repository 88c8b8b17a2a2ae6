"""Average precision over draws of villages as scikit-learn has it; skill tables that add up; what was said, kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from fpml.dates import AsOf
from fpml.measure import Draws
from fpml.measure.backtest import PROBABLE, Said
from fpml.measure.skill import OURS, Judged, precisions

VILLAGES = 7


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 120), steps=st.integers(1, 40), rate=st.floats(0, 1))
def test_average_precision_of_every_draw_is_scikit_learns(seed: int, rows: int, steps: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < rate).astype(np.int64)
    score = rng.integers(0, steps, rows).astype(np.float64)  # with many equal scores
    village = rng.integers(0, VILLAGES, rows)
    draws = Draws.of(VILLAGES, times=5, seed=seed)
    told = precisions(label, score, village, draws)
    for value, times in zip(told, draws.times, strict=True):
        weight = times[village]
        if not (weight * label).sum():
            assert np.isnan(value)
            continue
        drawn = weight > 0  # scikit-learn warns of nothing where nobody was drawn
        expected = average_precision_score(label[drawn], score[drawn], sample_weight=weight[drawn])
        assert value == pytest.approx(expected, abs=1e-12)


def judged(seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    right = np.clip(0.05 * np.exp(rng.normal(-0.5, 1, 20_000)), 0, 0.9)
    score = {OURS: right, "blunt": np.full(right.size, right.mean()), "twice": right * 2, "chance": rng.random(20_000)}
    fell, village = rng.random(right.size) < right, rng.integers(0, VILLAGES, right.size)
    return Judged("new_poverty", 6, score, frozenset({OURS, "blunt", "twice"}), fell, village, 3)


def test_a_skill_table_says_which_is_better_and_by_how_much() -> None:
    told = judged().skill(Draws.of(VILLAGES, times=100)).set_index("method")
    assert told.loc[OURS, "gain"] == told.loc[OURS, "brier_gain"] == 0
    for worse in ("blunt", "twice"):
        assert told.loc[worse, "log_gain_low"] > 0
    assert told.loc["twice", "gain"] == pytest.approx(0, abs=1e-12)  # it ranks alike
    assert told.loc["chance", "gain_low"] > 0
    assert np.isnan(told.loc["chance", "brier"])
    assert told.loc["twice", "expected_over_observed"] == pytest.approx(2, rel=0.1)
    events = judged().fell
    assert (told["events"] == events.sum()).all()
    uncertainty = events.mean() * (1 - events.mean())
    parts = told["miscalibration"] - told["discrimination"] + uncertainty
    assert parts[list(judged().probable)].to_numpy() == pytest.approx(told["brier"][list(judged().probable)].to_numpy())


def test_the_verdict_on_calibration_is_of_the_method_asked_for() -> None:
    draws = Draws.of(VILLAGES, times=100)
    assert judged().calibration(OURS, draws).verdict == "passed"
    assert judged().calibration("twice", draws).verdict == "failed"


def test_what_was_said_is_kept_and_read_back_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    score = {m: rng.random((3, 2)).astype(np.float32) for m in sorted(PROBABLE)}
    score["one column: income"] = rng.random((3, 1)).astype(np.float32)
    said = Said("relapse", AsOf.parse("2023-05"), AsOf.parse("2023-03"), pa.array(["a", "b", "c"]), (3, 12), score)
    said.save(tmp_path / "s.parquet")
    back = Said.load(tmp_path / "s.parquet")
    assert (back.outcome, back.origin, back.learnt, back.horizons) == (said.outcome, said.origin, said.learnt, (3, 12))
    assert back.households.equals(said.households)
    for method in score:
        assert (back.at(method, 12) == said.at(method, 12)).all()
    assert (said.at(OURS, 12) == score[OURS][:, 1]).all()
