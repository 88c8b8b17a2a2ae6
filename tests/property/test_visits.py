"""Visits, found and lead against plain loops: see `fpml.measure.visits` and `fpml.measure.lead`."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml.errors import UsageError
from fpml.measure import Draws, Ground, Method, Queue, judged, judged_at
from fpml.measure.visits import ENDLESS

FEW = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class World:
    """A handful of households over some as-ofs, every row of them: hit or not, a new fact or not, scored or not."""

    months: list[int]
    village: list[int]
    unit: list[int]
    hit: list[list[bool]]
    fresh: list[list[bool]]
    score: list[list[float | None]]
    quota: list[list[int]]
    falls: list[tuple[int, int]]

    def rows(self) -> list[tuple[int, int]]:
        return [(h, m) for h in range(len(self.village)) for m in range(len(self.months))]

    def ground(self) -> Ground:
        rows = self.rows()
        return Ground(
            household=np.array([h for h, _ in rows], np.int32),
            month=np.array([self.months[m] for _, m in rows], np.int64),
            fresh=np.array([self.fresh[h][m] for h, m in rows], bool),
            months=np.array(self.months, np.int64),
            fell=np.array([h for h, _ in self.falls], np.int32),
            fell_in=np.array([t for _, t in self.falls], np.int64),
            unit=np.array(self.unit, np.int32),
            village=np.array(self.village, np.int32),
        )

    def method(self) -> Method:
        rows = self.rows()
        at = np.array([m for _, m in rows], np.int8)
        hit = np.array([self.hit[h][m] for h, m in rows], bool)
        score = np.array([np.nan if self.score[h][m] is None else self.score[h][m] for h, m in rows], float)
        best = Queue.of(~np.isnan(score), at, len(self.months), score=score)
        units = len(self.quota[0])
        unit = np.array([self.unit[h] for h, _ in rows], np.int32)
        always = Queue.of(hit, at, len(self.months))
        return Method(always, best.divided(unit, units), np.array(self.quota, np.int64))

    def walked(self, drawn: list[int]) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        """Listings (household, as-of), visits by as-of and the lead of each fall: no arrays."""
        listed: list[tuple[int, int]] = []
        visits = []
        for m, month in enumerate(self.months):
            left = list(self.quota[m])
            made = 0
            best = [h for h in range(len(self.village)) if self.score[h][m] is not None]
            best.sort(key=lambda h: (-self.score[h][m], h))  # type: ignore[operator]
            for h, always in [(h, True) for h in range(len(self.village)) if self.hit[h][m]] + [
                (h, False) for h in best
            ]:
                times = drawn[self.village[h]]
                before = [self.months[k] for g, k in listed if g == h]
                rests = bool(before) and month - before[-1] < 6 and not self.fresh[h][m]
                if not times or (h, m) in listed or rests or (not always and left[self.unit[h]] < times):
                    continue
                listed.append((h, m))
                made += times
                left[self.unit[h]] -= times
            visits.append(made)
        leads = []
        for h, t in self.falls:
            ahead = [t - self.months[m] for g, m in listed if g == h and 1 <= t - self.months[m] <= 12]
            leads.append(max(ahead, default=0))
        return listed, visits, leads


@st.composite
def worlds(draw: st.DrawFn) -> World:
    homes, as_ofs, units = draw(st.integers(1, 7)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    step = draw(st.sampled_from([1, 1, 3, 7]))

    def grid(of: st.SearchStrategy) -> st.SearchStrategy:
        return st.lists(st.lists(of, min_size=as_ofs, max_size=as_ofs), min_size=homes, max_size=homes)

    return World(
        months=[24_000 + step * m for m in range(as_ofs)],
        village=draw(st.lists(st.integers(0, 2), min_size=homes, max_size=homes)),
        unit=draw(st.lists(st.integers(0, units - 1), min_size=homes, max_size=homes)),
        hit=draw(grid(st.sampled_from([False, False, True]))),
        fresh=draw(grid(st.booleans())),
        score=draw(grid(st.sampled_from([None, 0.1, 0.2, 0.2, 0.9]))),
        quota=draw(
            st.lists(st.lists(st.integers(0, 4), min_size=units, max_size=units), min_size=as_ofs, max_size=as_ofs)
        ),
        falls=draw(st.lists(st.tuples(st.integers(0, homes - 1), st.integers(23_999, 24_030)), max_size=5)),
    )


@FEW
@given(worlds(), st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), max_size=3))
def test_a_walk_equals_the_plain_loops_in_every_draw(world: World, drawn: list[list[int]]) -> None:
    draws = Draws(np.array([[1, 1, 1], *drawn], np.int32))
    o = judged(world.method(), world.ground(), draws)
    for walked, times in zip(o.walked, draws.times.tolist(), strict=True):
        listed, visits, leads = world.walked(times)
        # Within a month one unit after another is listed; the plain loops take the county's order.
        assert sorted(world.rows()[r] for r in walked.rows) == sorted(listed)
        assert (walked.visits.tolist(), walked.lead.tolist()) == (visits, leads)


@FEW
@given(worlds())
def test_at_another_methods_visits_nobody_makes_more(world: World) -> None:
    draws = Draws.of(3, times=5)
    ground, method = world.ground(), world.method()
    rules = judged(Method(method.always, Queue.nobody(len(world.months)), np.full((len(world.months), 1), ENDLESS)),
                   ground, draws)  # fmt: skip
    county = replace(ground, unit=np.zeros(len(world.village), np.int32))
    best = replace(world, unit=[0] * len(world.unit), quota=[[0]] * len(world.quota)).method().best
    model = Method(Queue.nobody(len(world.months)), best, rules.visits[0][:, None])
    same = judged_at(model, county, draws, visits=rules.visits)
    # The last village of a draw may be visited as often as it was drawn.
    assert (same.visits <= np.maximum(rules.visits + draws.times.max() - 1, 0) * (rules.visits > 0)).all()
    assert (same.visits[0] <= rules.visits[0]).all()


def test_sums_over_draws_are_those_of_the_villages_drawn() -> None:
    world = World([24_000], [0, 1, 2], [0, 0, 0], [[True], [False], [True]], [[False]] * 3, [[None]] * 3, [[0]],
                  [(0, 24_005), (1, 24_005), (2, 24_012)])  # fmt: skip
    o = judged(world.method(), world.ground(), Draws(np.array([[1, 1, 1], [2, 1, 0], [0, 3, 0]], np.int32)))
    assert o.falls().tolist() == [3, 3, 3]
    assert o.found().tolist() == [2, 2, 0]
    assert o.months_ahead().tolist() == [17, 10, 0]
    assert o.of_listed(np.array([1.0, 10.0, 100.0])).tolist() == [101, 2, 0]
    assert o.draws.ratio(o.found(), o.falls()).estimate == pytest.approx(2 / 3)


def test_more_as_ofs_than_one_walk_holds_are_refused() -> None:
    with pytest.raises(UsageError, match="65 as-ofs"):
        World([24_000 + m for m in range(65)], [], [], [], [], [], [], []).ground()
