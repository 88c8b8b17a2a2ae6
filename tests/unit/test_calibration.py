"""Calibration: cells as a plain loop makes them, verdicts that mean what they say, scores that add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.measure import Draws, Interval, calibration
from fpml.measure.calibration import Forecast
from fpml.risk import rearranged

VILLAGES = 40


def forecast(seed: int, *, rows: int = 40_000, off: float = 1.0, rate: float = 0.04) -> Forecast:
    """Probabilities that are `off` times what they should be."""
    rng = np.random.default_rng(seed)
    right = np.clip(rate * np.exp(rng.normal(-0.5, 1, rows)), 0, 0.5)
    return Forecast(right * off, rng.random(rows) < right, rng.integers(0, VILLAGES, rows))


DRAWS = Draws.of(VILLAGES, times=200)


def pooled_by_hand(events: list[float], least: float) -> list[list[int]]:
    """Positions pooled from the first upward; the rest joins the last pool."""
    pools: list[list[int]] = [[]]
    for i in range(len(events)):
        pools[-1].append(i)
        if sum(events[j] for j in pools[-1]) >= least:
            pools.append([])
    if len(pools) > 1 and sum(events[j] for j in pools[-1]) < least:
        rest = pools.pop()
        pools[-1] += rest
    return pools


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 20))
def test_pools_are_those_of_a_plain_loop(events: list[int], least: int) -> None:
    by_hand = pooled_by_hand([float(e) for e in events], least)
    assert calibration._pools(np.array(events, float), least) == [pool[-1] for pool in by_hand]


def test_cells_hold_what_a_plain_loop_finds_in_them() -> None:
    told = forecast(1)
    judged = calibration.judge(told, DRAWS, horizon=6, cut=calibration.cell_edges(told.probability))
    assert len(judged.cells) > 3
    assert judged.cells[0].above == 0
    assert len(judged.as_frame()) == len(judged.cells)
    for cell in judged.cells:
        rows = [i for i, p in enumerate(told.probability) if cell.above < p <= cell.up_to]
        assert cell.rows == len(rows)
        assert cell.events == sum(told.fell[rows]) >= 250
        assert cell.expected == pytest.approx(sum(told.probability[rows]))


def test_sums_by_draw_are_those_of_the_drawn_rows() -> None:
    told = forecast(1, rows=500)
    cell = (told.probability > 0.03).astype(int)
    drawn = told.drawn(told.probability, cell, DRAWS)
    for d in range(3):
        rows = [i for i in range(500) for _ in range(DRAWS.times[d][told.village[i]])]
        for c in (0, 1):
            assert drawn[c, d] == pytest.approx(sum(told.probability[i] for i in rows if cell[i] == c))


def test_cells_cut_without_outcomes_do_not_depend_on_them() -> None:
    told = forecast(2)
    cut = calibration.cell_edges(told.probability)
    assert (np.diff(cut) > 0).all()
    assert cut[-1] == 1
    expected = np.bincount(np.searchsorted(cut, told.probability), weights=told.probability)
    assert (expected >= calibration.CELL_EXPECTED - 1e-3).all()
    earlier = forecast(3)
    by_outcome = calibration.cell_edges(earlier.probability, earlier.fell)
    assert (np.bincount(np.searchsorted(by_outcome, earlier.probability), weights=earlier.fell) >= 250).all()


def test_at_most_ten_cells_and_no_probability_is_parted() -> None:
    told = forecast(4, rows=300_000)
    assert calibration.cell_edges(told.probability).size == 10
    assert calibration.cell_edges(np.full(100_000, 0.05)).tolist() == [1]


def test_a_calibrated_model_passes_and_one_off_by_two_fifths_fails_saying_where() -> None:
    right, off = calibration.calibrated({3: forecast(5), 6: forecast(5, off=1.4)}, DRAWS).values()
    assert (right.verdict, right.reasons) == ("passed", ())
    assert off.verdict == "failed"
    assert f"{off.overall.estimate:.2f} on the whole" in off.reasons[0]


def test_a_model_right_on_the_whole_and_wrong_in_its_cells_fails() -> None:
    told = forecast(6, rows=300_000)
    middle = np.median(told.probability[told.fell])
    tilted = np.where(told.probability > middle, told.probability * 1.6, told.probability * 0.4)
    judged = calibration.calibrated({6: Forecast(tilted, told.fell, told.village)}, DRAWS)[6]
    assert 0.9 < judged.overall.estimate < 1.1
    assert judged.verdict == "failed"
    assert any("after Holm" in r for r in judged.reasons)


@pytest.mark.parametrize(
    ("whole", "low", "high", "p", "reasons"),
    [(1.0, 1.25, 1.5, 0.2, 0), (1.0, 1.26, 1.5, 0.2, 1), (1.0, 0.6, 0.79, 0.2, 1), (1.0, 0.6, 0.8, 0.2, 0),
     (1.0, 1.0, 1.1, 0.04, 1), (1.11, 1.0, 1.1, 1.0, 1), (0.89, 1.0, 1.1, 1.0, 1), (1.11, 1.3, 1.4, 0.01, 3)],
)  # fmt: skip
def test_each_clause_of_the_verdict(whole: float, low: float, high: float, p: float, reasons: int) -> None:
    cell = calibration.Cell(0, 1, 10_000, 500, 500, Interval(1.0, low, high), p)
    verdict, told = calibration._verdict(Interval(whole, whole, whole), (cell,))
    assert len(told) == reasons
    assert verdict == ("failed" if reasons else "passed")


def test_with_fewer_than_500_events_no_verdict_is_given() -> None:
    judged = calibration.calibrated({6: forecast(7, rows=5_000)}, DRAWS)[6]
    assert judged.events < 500
    assert judged.verdict == "too few events"
    assert str(judged.events) in judged.reasons[0]
    nothing = Forecast(np.full(50, 0.1), np.zeros(50, bool), np.zeros(50, int))
    assert calibration.calibrated({6: nothing}, DRAWS)[6].verdict == "too few events"


@given(st.lists(st.integers(0, 60).map(lambda n: n / 1_000), min_size=1, max_size=6))
def test_holm_steps_down_as_by_hand(p: list[float]) -> None:
    corrected = calibration.holm(np.array(p))
    rejected, left = set(), len(p)
    for i in sorted(range(len(p)), key=lambda i: p[i]):
        if p[i] * left > 0.05:
            break
        rejected.add(i)
        left -= 1
    assert {i for i in range(len(p)) if corrected[i] <= 0.05} == rejected


@pytest.mark.parametrize("loss", [calibration.squared, calibration.logarithmic])
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 30))
def test_a_score_is_the_sum_of_its_parts(loss: calibration.Loss, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    told = np.round(rng.random(200) * steps) / steps
    parts = calibration.decomposition(Forecast(told, rng.random(200) < told**2, np.zeros(200, int)), loss)
    assert parts.score == pytest.approx(parts.miscalibration - parts.discrimination + parts.uncertainty, abs=1e-12)
    assert min(parts.miscalibration, parts.discrimination, parts.uncertainty) >= -1e-12


def test_parts_of_a_score_by_hand() -> None:
    """Rates of 1 in 2 and 0 in 1 pool to 1 in 3; rows count, not probabilities told."""
    told = Forecast(np.array([0.2, 0.2, 0.4, 0.6]), np.array([False, True, False, True]), np.zeros(4, int))
    parts = calibration.decomposition(told)
    assert parts.score == pytest.approx((0.04 + 0.64 + 0.16 + 0.16) / 4)
    assert parts.score - parts.miscalibration == pytest.approx((1 / 9 + 4 / 9 + 1 / 9) / 4)
    assert parts.uncertainty == pytest.approx(0.25)


def test_a_sure_forecast_that_errs_has_a_finite_log_loss() -> None:
    told = calibration.logarithmic(np.array([0.0, 1.0, 0.0, 0.5]), np.array([True, False, False, True]))
    assert told == pytest.approx([36.04, 36.04, 0, np.log(2)], abs=0.01)


def test_the_better_method_has_the_lower_score_on_the_same_rows() -> None:
    right, off = forecast(8), forecast(8, off=1.8)
    for loss in (calibration.squared, calibration.logarithmic):
        gap = calibration.difference(right, off, DRAWS, loss=loss)
        assert gap.estimate == pytest.approx(
            (loss(right.probability, right.fell) - loss(off.probability, off.fell)).mean()
        )
        assert gap.low <= gap.estimate <= gap.high < 0
    with pytest.raises(ValueError, match="same rows"):
        calibration.difference(right, forecast(9), DRAWS)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=20))
def test_rearranged_horizons_are_coherent_and_keep_each_rows_probabilities(rows: list[list[float]]) -> None:
    table = np.array(rows)
    told = rearranged(table)
    assert not calibration.incoherent(told).any()
    assert [sorted(r) for r in rows] == told.tolist()
    assert calibration.incoherent(table).tolist() == [not (a <= b <= c) for a, b, c in rows]


def test_a_forecast_without_a_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="missing or outside"):
        Forecast(np.array([0.1, np.nan]), np.array([True, False]), np.array([0, 1]))
