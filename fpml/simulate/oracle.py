"""The two oracles: P(fall within h months, under the usual rules and help) by rolling the county's future out anew.

`full` starts from everything there is, `observable` from what perfect records would show: what is hidden (an illness
that nobody has named, how long a slide or a failing firm will last, cracks in a wall, income and reserves that nobody
records) is drawn anew from its distribution given the records. That distribution is exact for what no record depends
on, and approximate for reserves, for the illness to come (a filter over visits and bills that takes its duration as
without memory) and for slides (the time left given the time gone by). No method that reads records can do better than
`observable` but by chance; `full` knows more.
"""

from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np

from fpml.simulate.draws import Draws, Floats, Ints
from fpml.simulate.health import COMING, FELT, WELL
from fpml.simulate.profile import Profile
from fpml.simulate.shocks import SOON
from fpml.simulate.state import Township
from fpml.simulate.township import step

Knows = Literal["full", "observable"]
_APART = {"full": 1, "observable": 2}


def first_falls(
    place: Township, rows: Ints, *, lines: tuple[int, ...], times: int, seed: int, profile: Profile, knows: Knows
) -> Floats:
    """The share of roll-outs in which each household of `rows` has fallen within 1, 2 ... months.

    Shape: households x months. `place` is left as it is; `lines`, fen a head and year: the one in force now, and then
    that of each month to come. A household that is no more has not fallen.
    """
    many = _repeated(place, rows, times)
    apart = 1 + (place.month * 2 + _APART[knows])
    if knows == "observable":
        _forget(many, Draws(seed, 1_000_000 * apart + 500_000 + place.number, place.month), profile, lines[0])
    fallen = np.zeros(rows.size * times, bool)
    curve = np.zeros((rows.size, len(lines) - 1))
    for h, line in enumerate(lines[1:]):
        apart_already = many.homes.monitored[: fallen.size] > 0
        step(many, seed, profile, line=line, apart=apart)
        homes = many.homes
        below = (homes.below | (homes.failing > 0))[: fallen.size] & homes.active[: fallen.size]
        # Who was in monitoring before the month began falls no more in the sense of the outcome.
        fallen |= below & ~apart_already
        curve[:, h] = fallen.reshape(times, rows.size).mean(axis=0)
    return curve


def _repeated(place: Township, rows: Ints, times: int) -> Township:
    """The households of `rows` with their people, so many times over, each time in a world of its own."""
    people, homes, villages = place.people, place.homes, place.villages
    where = np.full(len(homes), -1)
    where[rows] = np.arange(rows.size)
    who = np.flatnonzero(people.present & (where[np.maximum(people.home, 0)] >= 0))
    copies = np.arange(times)
    some = _tiled(people.take(who), times)
    some.home = (where[people.home[who]][None, :] + copies[:, None] * rows.size).ravel()
    several = _tiled(homes.take(rows), times)
    several.village = (homes.village[rows][None, :] + copies[:, None] * len(villages)).ravel()
    worlds = _tiled(villages.take(np.arange(len(villages))), times)
    worlds.world = np.repeat(copies, len(villages))
    return replace(place, people=some, homes=several, villages=worlds, markets=_tiled(place.markets, times))


def _tiled(columns: Any, times: int) -> Any:
    """Columns so many times over."""
    tiled = {f.name: np.concatenate([getattr(columns, f.name)] * times) for f in fields(columns)}
    return type(columns)(**tiled)


def _forget(place: Township, draws: Draws, profile: Profile, line: int) -> None:
    """Draws what no record shows anew, given what records show."""
    people, homes = place.people, place.homes
    n, m = len(people), len(homes)
    undecided = np.isin(people.health, (WELL, COMING))
    coming = undecided & draws.chance("coming", people.suspect, n)
    people.health[undecided] = WELL
    people.health[coming] = COMING
    residual = 1 + np.floor(draws.uniform("felt for", n) * draws.uniform("felt in all", n) * FELT[1])
    people.health_left[undecided] = np.where(coming, residual, 0)[undecided]
    people.frailty[undecided] = np.exp(profile.frailty * draws.normal("frailty", n))[undecided]
    fading = people.job == 2
    people.job_months[fading] = -1 - np.floor(draws.uniform("fading for", n) * 4)[fading].astype(np.int64)
    sliding = homes.slide < 0
    gone = np.where(sliding, np.rint(homes.slump / np.where(sliding, homes.slide, 1.0)), 0)
    whole = np.maximum(6 + np.floor(draws.uniform("slides for", m) * 24), gone + 1)
    homes.slide_left[sliding] = (whole - gone)[sliding].astype(np.int64)
    rate = profile.decay * homes.grade.astype(float) ** 2
    cracked = draws.chance("cracks", np.minimum(rate * 4, 1), m) & (homes.grade < 3)
    homes.decay = np.where(cracked, 1 + np.floor(draws.uniform("cracks for", m) * 7), 0).astype(np.int64)
    _forget_reserves(place, draws, profile, line)
    if not profile.dials.strength:
        # One sign in twenty is followed, some months on.
        wait = SOON[0] + np.floor(draws.uniform("how soon", m) * SOON[1]).astype(np.int64)
        ahead = homes.announced + wait - place.month
        true = (homes.announced > 0) & (ahead > 0) & draws.chance("omen", 0.05, m)
        homes.omen = np.where(true, ahead, 0)
    _forget_cash(place, draws, profile, line)


def _forget_reserves(place: Township, draws: Draws, profile: Profile, line: int) -> None:
    """What is kept out of sight, and what relatives would lend, as at the start; who banks nothing has added since.

    Who has much to pay and stands all the same is known to have something left.
    """
    homes, size = place.homes, np.maximum(place.members(), 1)
    m, income = len(homes), homes.income[:, :12].sum(axis=1)
    saved = homes.in_cash * 0.15 * income * draws.uniform("years saved", m) * 3
    homes.kept = np.rint(100 * profile.kept * draws.of("kept").lognormal(0, 1.3, m) + saved).astype(np.int64)
    homes.backing = np.rint(100 * profile.backing * draws.of("backing").lognormal(0, 1.2, m)).astype(np.int64)
    costs = (homes.medical + homes.hurt + homes.taught)[:, 1:].sum(axis=1)
    stands = (income - costs < line * size) & (costs > income // 4) & (homes.failing == 0)
    homes.kept = np.where(stands, np.maximum(homes.kept, line * size // 2), homes.kept)


def _forget_cash(place: Township, draws: Draws, profile: Profile, line: int) -> None:
    """Cash work anew, for the year past and the month: all that is known is that it is not below the line."""
    homes = place.homes
    m = len(homes)
    told = homes.income[:, :12].sum(axis=1) - homes.unseen[:, :12].sum(axis=1)
    size = np.maximum(place.members(), 1)
    rng = draws.of("cash")
    casual = np.where(rng.random(m) < profile.casual, 100 * np.rint(rng.gamma(1.5, 500, m)), 0).astype(np.int64)
    there = rng.random(m) < 0.6
    months = np.where(casual > 0, np.clip(rng.normal(7.2, 3.5, m), 0, 12), 0)
    drawn = np.rint(casual * months).astype(np.int64)
    # Who would be below without more is drawn so that the household is not: it is known to stand above the line.
    least = np.where(homes.below, 0, np.maximum(line * size - told, 0))
    lifted = drawn < least
    casual = np.where(lifted, np.maximum(casual, least // 8), casual)
    drawn = np.where(lifted, least + rng.exponential(0.1, m) * line * size, drawn).astype(np.int64)
    homes.income -= homes.unseen
    homes.income += (drawn // 12)[:, None]
    homes.unseen[:] = (drawn // 12)[:, None]
    homes.casual, homes.hidden = casual, np.where(there, casual, 0)
