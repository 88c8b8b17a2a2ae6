"""The bound on the missed: never below the share, never greater with more visits, kept, and watched."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.measure import bound
from fpml.measure.bound import Bound, Curve, Falls, NoBound

VISITS = [1, 50, 200, 500, 900, 1_000]


def falls(seed: int, *, n: int = 200, origins: int = 8, villages: int = 40, weighted: bool = True) -> Falls:
    rng = np.random.default_rng(seed)
    weight = rng.choice([1.0, 2.0, 5.0], n) if weighted else np.ones(n)
    return Falls(rng.integers(1, 1_001, n) / 1_000, weight, rng.integers(0, villages, n), np.arange(n) % origins)


def bounds(told: Falls, visits: list[int] = VISITS) -> tuple[Bound, ...]:
    drawn = bound.curve(told, visits, ranked=1_000)
    assert isinstance(drawn, Curve), drawn
    return drawn.bounds


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(100, 400), weighted=st.booleans())
def test_bounds_are_never_below_the_share_missed_and_fall_with_visits(seed: int, n: int, weighted: bool) -> None:
    told = falls(seed, n=n, villages=1_000, weighted=weighted)
    for b in bounds(told):
        left = sum(w for p, w in zip(told.place, told.weight, strict=True) if round(p * 1_000) > b.visits)
        assert b.missed == pytest.approx(left / sum(told.weight))
        assert b.missed < b.upper <= 1 or b.missed == b.upper == 1
    upper = [b.upper for b in bounds(told, VISITS[::-1])]
    assert upper == sorted(upper, reverse=True)


def test_a_bound_allows_for_the_next_origins_own_sampling() -> None:
    """A confidence bound of 4,000 falls is narrow; 10 falls of the next origin scatter all the same."""
    rng = np.random.default_rng(1)
    n, origins = 4_000, 400
    told = Falls(rng.random(n), np.ones(n), np.arange(n), np.arange(n) % origins)
    b = bounds(told, [500])[0]
    assert b.missed == pytest.approx(0.5, abs=0.03)
    assert b.upper >= 0.75


def test_where_nothing_was_missed_the_bound_is_that_of_three_in_n() -> None:
    n = 300
    told = Falls(np.full(n, 0.001), np.ones(n), np.arange(n), np.arange(n) % 100)
    assert bounds(told, [1])[0].upper == pytest.approx(1 - 0.05 ** (1 / n), rel=0.05)


def test_falls_that_come_together_in_villages_or_origins_widen_the_bound() -> None:
    rng = np.random.default_rng(2)
    n = 600
    apart = Falls(rng.random(n), np.ones(n), np.arange(n), np.arange(n) % 12)
    same = rng.integers(0, 40, n)
    in_villages = replace(apart, place=np.clip(rng.random(40)[same] + rng.normal(0, 0.01, n), 0.001, 1), village=same)
    in_origins = replace(apart, place=np.clip(rng.random(12)[apart.origin] + rng.normal(0, 0.01, n), 0.001, 1))
    loose = bounds(apart, [500])[0]
    assert apart.design_effect(apart.village) == pytest.approx(1, abs=0.05)
    assert in_villages.effective < 60 < 500 < apart.effective
    assert in_origins.effective_next < 5 < 20 < apart.effective_next
    for clustered in (in_villages, in_origins):
        b = bounds(clustered, [500])[0]
        assert b.upper - b.missed > 1.5 * (loose.upper - loose.missed)


def test_a_design_effect_is_that_of_a_plain_loop() -> None:
    told = falls(3, n=60, villages=7)
    between = within = 0.0
    for reach in np.quantile(told.place, np.arange(1, 10) / 10):
        share = sum(w for p, w in zip(told.place, told.weight, strict=True) if p > reach) / sum(told.weight)
        for village in set(told.village.tolist()):
            rows = np.flatnonzero(told.village == village)
            between += sum(told.weight[i] * ((told.place[i] > reach) - share) for i in rows) ** 2 * 7 / 6
        within += sum(w**2 for w in told.weight) * share * (1 - share)
    assert told.design_effect(told.village) == pytest.approx(between / within)


def test_weights_cost_effective_falls() -> None:
    assert bound.kish(np.ones(30)) == 30
    assert bound.kish(np.array([9.0, 1.0])) == pytest.approx(100 / 82)
    assert bound.kish(np.array([])) == 0


def test_too_few_falls_are_promised_nothing_and_told_why() -> None:
    few = bound.curve(falls(4, n=15), VISITS, ranked=1_000)
    assert isinstance(few, NoBound)
    assert "15 falls are worth" in few.reason
    one_heavy = replace(falls(5, n=100), weight=np.where(np.arange(100) == 0, 1_000.0, 1.0))
    assert isinstance(bound.curve(one_heavy, VISITS, ranked=1_000), NoBound)
    repeated = falls(6, n=18, weighted=False)
    twelve_times = Falls(
        *(np.repeat(a, 12) for a in (repeated.place, repeated.weight, np.arange(18))), np.arange(216) % 12
    )
    told = bound.curve(twelve_times, VISITS, ranked=1_000)
    assert isinstance(told, NoBound), "one fall told at twelve origins is one fall"
    assert isinstance(bound.curve(falls(7, origins=2), VISITS, ranked=1_000), NoBound)
    nobody = Falls(np.empty(0), np.empty(0), np.empty(0, int), np.empty(0, int))
    assert isinstance(bound.curve(nobody, VISITS, ranked=1_000), NoBound)


def test_a_place_outside_the_ranking_is_refused() -> None:
    told = falls(8)
    for wrong in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="place"):
            replace(told, place=np.where(np.arange(200) == 3, wrong, told.place))
    with pytest.raises(ValueError, match="weight"):
        replace(told, weight=np.zeros(200))


def test_promises_are_kept_in_95_of_100_counties() -> None:
    exceeded = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, origin = 130, np.arange(130) % 13
        place = np.clip(rng.beta(0.4, 1, n) + rng.normal(0, 0.05, 13)[origin], 0.001, 1)
        village = rng.integers(0, 50, n)
        past = origin < 12
        told = Falls(place[past], np.ones(past.sum()), village[past], origin[past])
        exceeded.append((place[~past] > 0.1).mean() > bounds(told, [100])[0].upper)
    assert np.mean(exceeded) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_promised_against_achieved() -> None:
    promised = [Bound(300, 0.5, 0.7), Bound(300, 0.5, 0.7), Bound(300, 0.4, 0.6), Bound(300, 0.4, 0.6)]
    told = bound.kept(promised, [0.7, 0.71, 0.3, 0.2])
    assert told.rows["exceeded"].tolist() == [False, True, False, False]
    assert list(told.rows.columns) == ["visits", "missed", "upper", "achieved", "exceeded"]
    assert (told.exceeded, told.rate.estimate) == (1, 0.25)
    assert (told.rate.low, told.rate.high) == pytest.approx((0.0063, 0.8059), abs=1e-4)


def test_a_watch_speaks_after_a_shift_and_not_before() -> None:
    quiet = np.zeros(24, bool)
    quiet[[3, 15]] = True
    assert bound.watched(quiet).alarm is None
    shifted = np.concatenate([np.zeros(8, bool), np.ones(6, bool)])
    alarm = bound.watched(shifted).alarm
    assert alarm is not None
    assert 8 <= alarm <= 11
    early = bound.watched(shifted[: alarm + 1])
    assert early.alarm == alarm
    assert early.evidence[:alarm].max() < early.enough <= early.evidence[alarm]


def test_quiet_watches_alarm_no_oftener_than_they_say() -> None:
    rng = np.random.default_rng(9)
    told = [bound.watched(rng.random(24) < 0.05).alarm is not None for _ in range(2_000)]
    assert np.mean(told) <= 0.05


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_evidence_is_a_fair_bet(before: list[bool]) -> None:
    """Whatever came before, evidence is not expected to rise while promises are exceeded as often as they may be."""
    now = bound.watched(np.array(before)).evidence[-1]
    lost, won = (bound.watched(np.array([*before, e])).evidence[-1] for e in (False, True))
    assert 0.95 * lost + 0.05 * won == pytest.approx(now)


def test_a_watch_is_over_after_24_origins() -> None:
    with pytest.raises(ValueError, match="after 24"):
        bound.watched(np.zeros(25, bool))
