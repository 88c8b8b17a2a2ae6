"""When a challenger takes a champion's place, and when not."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fpml import backtests, challenge
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import NotYetError, UsageError
from fpml.measure import Interval
from fpml.measure.skill import OURS

PASSES = pd.DataFrame({"horizon": [1, 6], "verdict": ["passed", "passed"]})


def months(*said: str) -> tuple[AsOf, ...]:
    return tuple(AsOf.parse(m) for m in said)


def test_origins_lie_a_horizon_apart_and_their_labels_are_known() -> None:
    as_ofs = tuple(AsOf.parse("2021-01").shift(n) for n in range(48))  # to 2024-12
    told = challenge.mature(as_ofs, 6, 1)
    assert told == months("2021-05", "2021-11", "2022-05", "2022-11", "2023-05", "2023-11", "2024-05")
    quarters = tuple(a for a in as_ofs if a.month % 3 == 2)
    assert all(b.month - a.month >= 4 for a, b in pairwise(told))
    assert challenge.apart(quarters, 4)[-2:] == months("2024-06", "2024-12")
    with pytest.raises(NotYetError, match="a verdict takes 6"):
        challenge.mature(as_ofs[:36], 6, 1)


@pytest.mark.parametrize(
    ("low", "verdicts", "against"),
    [
        (0.01, ["passed", "passed"], 0),
        (0.0, ["passed", "passed"], 1),
        (np.nan, ["passed", "passed"], 1),
        (0.01, ["passed", "failed"], 1),
        (0.01, ["passed", "too few events"], 1),
        (-0.1, ["failed", "failed"], 3),
        (0.01, [], 1),
    ],
)
def test_a_lower_bound_above_nothing_and_calibration_at_every_horizon_promote(
    low: float, verdicts: list[str], against: int
) -> None:
    calibration = pd.DataFrame({"horizon": range(len(verdicts)), "verdict": verdicts})
    assert len(challenge._against(Interval(0.05, low, 0.1), calibration)) == against


@pytest.fixture(scope="module")
def champion(trained: County) -> backtests.Tested:
    origins = [AsOf.parse("2023-04").shift(n) for n in range(6)]
    return trained.rolling("new_poverty").tested(origins, times=50, warm=0)


def test_who_ranks_better_gains_and_who_says_the_same_does_not(champion: backtests.Tested) -> None:
    same = challenge.decided("new_poverty", "new_poverty", champion, champion)
    assert (same.gain.estimate, same.gain.low, same.promoted) == (0, 0, False)
    by_chance = [replace(s, score={**s.score, OURS: np.roll(s.score[OURS], 7, axis=0)}) for s in champion.said]
    worse = challenge.decided("new_poverty", "new_poverty", replace(champion, said=by_chance), champion)
    assert worse.gain.estimate > 0
    assert worse.challenger.estimate == same.champion.estimate
    assert worse.as_json()["origins"] == [f"2023-{m:02}" for m in range(4, 10)]
    fewer = replace(champion, panel=replace(champion.panel, as_ofs=champion.panel.as_ofs[1:], lists=5))
    with pytest.raises(NotYetError, match="a verdict takes 6"):
        challenge.decided("new_poverty", "new_poverty", champion, fewer)


def test_a_challenger_of_another_outcome_is_refused(trained: County) -> None:
    with pytest.raises(UsageError, match="it is of relapse"):
        trained.challenge("new_poverty", trained.workspace.definitions / "relapse.yaml")


def test_the_one_before_is_kept_when_a_challenger_takes_its_place(trained: County, tmp_path: Path) -> None:
    from fpml.workspace import init

    space = init(tmp_path / "county")
    own = (space.definitions / "relapse.yaml").read_bytes()
    (tmp_path / "new.yaml").write_bytes(own + b"folds: 3\n")
    space.promote("relapse", tmp_path / "new.yaml")
    assert (space.definitions / "relapse.yaml").read_bytes() == own + b"folds: 3\n"
    assert (space.definitions / "relapse.yaml.before").read_bytes() == own
    assert not list(space.definitions.glob(".part*"))
