"""The shift alarm: raised by a shift that matters, silent in quiet counties, and it says what it saw."""

import numpy as np
import pytest

from fpml.measure import Draws, Forecast, Seen, shifted

VILLAGES, ROWS = 32, 6_000
DRAWS = Draws.of(VILLAGES, times=200)


def sides(seed: int, *, now: float = 1.0, expected: float = 1.0) -> tuple[Seen, Forecast]:
    """A county learnt from with one fall in ten, villages unlike each other; then `now` times as many falls."""
    rng = np.random.default_rng(seed)
    own = 0.1 * np.exp(rng.normal(-0.02, 0.2, VILLAGES))
    then, village = rng.integers(0, VILLAGES, (2, ROWS))
    risk = np.clip(own[village] * np.exp(rng.normal(-0.125, 0.5, ROWS)), 0, 0.4)
    seen = Seen(rng.random(ROWS) < own[then], then)
    return seen, Forecast(risk * expected, rng.random(ROWS) < np.clip(risk * now, 0, 1), village)


def test_a_crisis_raises_both_alarms_and_says_what_was_seen() -> None:
    told = shifted(*sides(1, now=1.6), DRAWS)
    assert told.raised
    assert len(told.alarms) == 2
    assert "base rate" in told.alarms[0]
    assert "expected over observed" in told.alarms[1]
    assert told.rates.low > 1.1
    assert told.ratio.high < 0.9
    assert "SHIFT" in str(told)


def test_figures_are_those_of_plain_sums() -> None:
    seen, now = sides(2)
    told = shifted(seen, now, DRAWS)
    assert told.rate_learnt == pytest.approx(seen.fell.mean())
    assert told.rate_now == pytest.approx(now.fell.mean())
    assert told.rates.estimate == pytest.approx(now.fell.mean() / seen.fell.mean())
    assert told.ratio.estimate == pytest.approx(now.probability.sum() / now.fell.sum())
    assert told.rates.low < told.rates.estimate < told.rates.high


def test_quiet_counties_stay_quiet() -> None:
    raised = [shifted(*sides(seed), DRAWS).raised for seed in range(60)]
    assert sum(raised) <= 3


def test_probabilities_too_high_are_told_even_where_the_base_rate_stayed() -> None:
    told = shifted(*sides(3, expected=1.6), DRAWS)
    assert [a.partition(" is")[0] for a in told.alarms] == ["expected over observed"]


def test_a_shift_within_its_band_or_told_by_few_is_no_alarm() -> None:
    assert not shifted(*sides(4, now=1.05), DRAWS).raised
    seen, now = sides(5, now=1.6)
    few = np.arange(ROWS) < 60
    small = Forecast(now.probability[few], now.fell[few], now.village[few])
    assert not shifted(seen, small, DRAWS).raised


def test_without_falls_nothing_is_claimed() -> None:
    seen, now = sides(6)
    told = shifted(seen, Forecast(now.probability, np.zeros(ROWS, bool), now.village), DRAWS)
    assert "expected over observed" not in " ".join(told.alarms)
