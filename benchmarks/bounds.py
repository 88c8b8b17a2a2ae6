"""Whether the bound on the missed is kept, the watch speaks, and calibration's verdict is right: many light counties.

python benchmarks/bounds.py [--full]

Outcome layer only. Promises: villages that differ in how often households fall and in how well scores see it, origins
that differ too, some of history and one to come. A bound passes with an exceedance of at most 5 % plus two
Monte Carlo errors, at any capacity; its slack is the bound less the share missed. Watch: 24 origins after history,
in quiet and after a shift. Calibration: probabilities that are right, and wrong in several ways.
Small: 200 counties; full: 1,000.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from measure import machine, show, write
from rich.progress import track
from scipy.special import expit, logit
from scipy.stats import beta, norm
from scipy.stats import t as student_t

from fpml.measure import Draws
from fpml.measure.bound import LEVEL, Curve, Falls, curve, kish, watched
from fpml.measure.calibration import Forecast, calibrated

RANKED, VISITS = 20_000, (200, 600, 2_000, 6_000)
LAG = 2
WATCHED, SHIFT = 24, 6


@dataclass(frozen=True)
class World:
    """A kind of county. `falls`: expected at an origin; `signal`: how far above others' scores theirs are.

    Others' scores have a standard deviation of 1. `uneven`, `luck`: that of villages, and of origins. `slow`: how much
    of an origin's luck stays for the next; `horizon`: months that an origin looks ahead. `audited`: only some falls are
    known, with weights.
    """

    falls: float = 12
    origins: int = 12
    villages: int = 60
    signal: float = 1.2
    uneven: float = 0.3
    luck: float = 0.15
    slow: float = 0.0
    horizon: int = 1
    audited: bool = False


WORLDS = {
    "plain": World(),
    "few falls": World(falls=3),
    "many falls": World(falls=150),
    "few origins": World(origins=5, falls=20),
    "24 origins": World(origins=24),
    "good scores": World(signal=2.4, falls=20),
    "strong villages": World(uneven=0.8, villages=20, falls=20),
    "strong origins": World(luck=0.4, falls=40),
    "slow origins": World(luck=0.3, slow=0.7, falls=40, origins=24),
    "audited": World(falls=60, audited=True),
    "overlapping": World(horizon=6, origins=24, falls=30),
}

STEADY = World(falls=40)
# Name, world, and how much less scores see from the seventh origin of the watch on.
WATCHES = (
    ("quiet", STEADY, 0.0),
    ("quiet, few falls", World(falls=3), 0.0),
    ("quiet, strong origins", World(luck=0.4, falls=40), 0.0),
    ("quiet, slow origins", World(luck=0.3, slow=0.7, falls=40, origins=24), 0.0),
    ("30 % less found", STEADY, 0.35),
    ("half as many found", STEADY, 0.7),
    ("half, 12 falls", World(), 0.7),
)


def luck(rng: np.random.Generator, world: World, months: int) -> np.ndarray:
    """How much better or worse scores see falls at each origin."""
    out = rng.normal(0, 1, months)
    for m in range(1, months):
        out[m] = world.slow * out[m - 1] + np.sqrt(1 - world.slow**2) * out[m]
    return world.luck * out


def county(rng: np.random.Generator, world: World, *, coming: int, shift: float = 0.0) -> Falls:
    """The falls of the origins of history, 0 and on, and of `coming` later ones whose horizons no earlier ones touch.

    `shift`: how much less scores see after the first six of the later ones.
    """
    first = world.origins - 1 + world.horizon + LAG
    months = first + coming + world.horizon + 1
    rate = rng.gamma(4, 1 / 4, world.villages)[None, :] * rng.gamma(10, 1 / 10, months)[:, None]
    counts = rng.poisson(world.falls / world.horizon / world.villages * rate)
    month, village = (np.repeat(i, counts.ravel()) for i in map(np.ravel, np.indices(counts.shape)))
    seen = rng.normal(0, world.uneven, world.villages)[village] + rng.normal(0, np.sqrt(0.7), month.size)
    at = luck(rng, world, months)
    local = rng.normal(0, world.uneven / 2, (months, world.villages))
    rows, origin = [], []
    for o in [*range(world.origins), *range(first, first + coming)]:
        here = np.flatnonzero((month > o) & (month <= o + world.horizon))
        rows.append(here)
        origin.append(np.full(here.size, o))
    row, when = np.concatenate(rows), np.concatenate(origin)
    score = world.signal + seen[row] + at[when] + local[when, village[row]] + rng.normal(0, np.sqrt(0.3), row.size)
    score -= shift * (when >= first + SHIFT)
    noticed = rng.random(month.size) < expit(1.1 + 0.5 * seen)
    chance = np.where(noticed, 0.6, 0.15)[row] if world.audited else np.ones(row.size)
    told = np.where(when < first, when, when - first + world.origins)
    return Falls(np.clip(norm.sf(score), 1e-12, 1), 1 / chance, village[row], told)


def some(falls: Falls, chosen: np.ndarray) -> Falls:
    """The chosen falls."""
    return Falls(falls.place[chosen], falls.weight[chosen], falls.village[chosen], falls.origin[chosen])


def audit(rng: np.random.Generator, falls: Falls) -> Falls:
    """The falls that an audit of these chances saw."""
    return some(falls, rng.random(falls.place.size) < 1 / falls.weight)


def shares(falls: Falls, reach: float) -> np.ndarray:
    """The share missed at each origin."""
    return np.array([some(falls, falls.origin == o).missed(reach) for o in np.unique(falls.origin)])


def exact(share: float, n: float) -> float:
    """The Clopper-Pearson upper bound of a share of n."""
    return float(beta.ppf(1 - LEVEL, share * n + 1, n - share * n)) if share < 1 else 1.0


def confidence_only(falls: Falls, reach: float) -> float:
    """An exact confidence bound on the weighted falls: neither villages nor the next origin's own sampling."""
    return exact(falls.missed(reach), kish(falls.weight))


def one_size(falls: Falls, reach: float) -> float:
    """An exact bound with the one size at which a share varies as the next origin's less history's does."""
    n = min(falls.effective, falls.origins * falls.effective_next)
    return exact(falls.missed(reach), 1 / (1 / n + 1 / falls.effective_next))


def students_t(falls: Falls, reach: float) -> float:
    """Student's t prediction bound of the origins' shares."""
    told = shares(falls, reach)
    return float(min(1, told.mean() + _t(told.size) * told.std(ddof=1)))


def t_of_log_odds(falls: Falls, reach: float) -> float:
    """The same on log-odds, half a miss and half a find being added to each origin."""
    n = np.array([kish(falls.weight[falls.origin == o]) for o in np.unique(falls.origin)])
    odds = logit((shares(falls, reach) * n + 0.5) / (n + 1))
    return float(expit(odds.mean() + _t(odds.size) * odds.std(ddof=1)))


def _t(n: int) -> float:
    return float(student_t.ppf(1 - LEVEL, n - 1) * np.sqrt(1 + 1 / n))


def greatest(falls: Falls, reach: float) -> float:
    """An order statistic of the origins' shares (split-conformal): exact if origins are exchangeable, 1 below 19."""
    told = np.sort(shares(falls, reach))
    rank = int(np.ceil((1 - LEVEL) * (told.size + 1)))
    return float(told[rank - 1]) if rank <= told.size else 1.0


OTHERS: dict[str, Callable[[Falls, float], float]] = {
    "confidence only": confidence_only, "one size": one_size, "Student's t": students_t,
    "t of log-odds": t_of_log_odds, "order statistic": greatest,
}  # fmt: skip


def promised(seed: int, world: World) -> dict[str, np.ndarray] | str:
    """One county's bounds by method and capacity, with the share that then was missed; or why none is issued.

    The last origin is judged by all its falls ("came"), and by those that its own audit saw ("audited").
    """
    rng = np.random.default_rng(seed)
    drawn = county(rng, world, coming=1)
    past, coming = (some(drawn, c) for c in (drawn.origin < world.origins, drawn.origin >= world.origins))
    seen = audit(rng, coming)
    past = audit(rng, past)
    told = curve(past, VISITS, ranked=RANKED)
    if not isinstance(told, Curve):
        return told.reason
    reaches = [n / RANKED for n in VISITS]
    out = {name: np.array([other(past, r) for r in reaches]) for name, other in OTHERS.items()}
    out["fpml"] = np.array([b.upper for b in told.bounds])
    alike = replace(coming, weight=np.ones(coming.weight.size))
    # Where nobody fell nobody was missed: the county counts as one in which the promise was kept.
    out["came"] = np.array([alike.missed(r) if alike.place.size else 0.0 for r in reaches])
    out["audited"] = np.array([seen.missed(r) if seen.place.size else 0.0 for r in reaches])
    return out


def promises(counties: int) -> Iterator[dict[str, object]]:
    """One row a world, method and capacity."""
    for number, (name, world) in enumerate(WORLDS.items()):
        told = [promised(1_000_000 * number + s, world) for s in track(range(counties), name)]
        issued = [x for x in told if not isinstance(x, str)]
        by = {key: np.stack([x[key] for x in issued]) for key in issued[0]}
        for method in ("fpml", *OTHERS):
            for i, visits in enumerate(VISITS):
                bound, came = by[method][:, i], by["came"][:, i]
                told = {
                    "missed": came.mean(), "bound": bound.mean(), "slack": (bound - came).mean(),
                    "exceeded": (came > bound).mean(), "exceeded, audited": (by["audited"][:, i] > bound).mean(),
                }  # fmt: skip
                head = {"world": name, "issued": len(issued), "method": method, "visits": visits}
                yield head | {k: round(float(v), 4) for k, v in told.items()}


def against_the_best(rows: list[dict[str, object]], counties: int) -> list[dict[str, object]]:
    """One row a world and method: the worst exceedance over capacities, and slack beside the best valid method's."""
    out: list[dict[str, object]] = []
    for world in WORLDS:
        found = {}
        for method in ("fpml", *OTHERS):
            here = [r for r in rows if (r["world"], r["method"]) == (world, method)]
            most = LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / max(int(str(here[0]["issued"])), 1))
            worst = max(max(float(str(r["exceeded"])), float(str(r["exceeded, audited"]))) for r in here)
            found[method] = (worst, worst <= most, float(np.mean([float(str(r["slack"])) for r in here])))
        best = min((slack for _, valid, slack in found.values() if valid), default=float("nan"))
        out += [
            {"world": world, "issued": here[0]["issued"], "of": counties, "method": m, "worst exceedance": w,
             "valid": bool(v), "mean slack": round(s, 3), "to the best valid": round(s / best, 2)}
            for m, (w, v, s) in found.items()
        ]  # fmt: skip
    return out


def watches(counties: int) -> Iterator[dict[str, object]]:
    """One row a world, shift and kind of promise: how many watches alarmed before and after it, and how soon.

    Quiet worlds have no shift: there every alarm is a false one.
    """
    for name, world, shift in WATCHES:
        told: dict[str, list[np.ndarray]] = {"kept for the watch": [], "renewed": []}
        found = []
        for s in track(range(counties), f"watch, {name}"):
            drawn = county(np.random.default_rng(90_000_000 + s), world, coming=WATCHED, shift=shift)
            coming = range(world.origins, world.origins + WATCHED)
            came = np.array([_came(drawn, o) for o in coming])
            told["kept for the watch"].append(came > _promise(drawn, world.origins))
            if world == STEADY:
                told["renewed"].append(came > np.array([_promise(drawn, o) for o in coming]))
            found.append(1 - came)
        for promise, over in told.items():
            if over:
                half = np.mean(np.array(found)[:, :SHIFT]), np.mean(np.array(found)[:, SHIFT:])
                head = {"world": name, "promise": promise, "found before": round(float(half[0]), 3)}
                yield head | {"found after": round(float(half[1]), 3)} | spoken(np.array(over))


def spoken(over: np.ndarray) -> dict[str, object]:
    """How often promises were exceeded and watches alarmed, before and after the shift, and origins to the alarm."""
    alarms = [watched(o).alarm for o in over]
    when = np.array([WATCHED if a is None else a for a in alarms])
    late = when[(when >= SHIFT) & (when < WATCHED)] - SHIFT + 1
    return {
        "exceeded before": round(float(over[:, :SHIFT].mean()), 4),
        "exceeded after": round(float(over[:, SHIFT:].mean()), 4),
        "alarms before": round(float((when < SHIFT).mean()), 4), "alarms after": round(late.size / len(over), 4),
        "median delay": float(np.median(late)) if late.size else None,
        "90 % within": float(np.quantile(late, 0.9)) if late.size else None,
    }  # fmt: skip


def _promise(drawn: Falls, origin: int) -> float:
    """What is promised for an origin from all that went before it, at 2,000 visits; 1 where nothing is promised."""
    told = curve(some(drawn, drawn.origin < origin), [VISITS[2]], ranked=RANKED)
    return told.bounds[0].upper if isinstance(told, Curve) else 1.0


def _came(drawn: Falls, origin: int) -> float:
    """The share missed at an origin with 2,000 visits; 0 where nobody fell."""
    here = drawn.origin == origin
    return some(drawn, here).missed(VISITS[2] / RANKED) if here.any() else 0.0


def probabilities(rng: np.random.Generator, villages: int) -> Forecast:
    """Right probabilities in a county whose villages fall more or less often than anything recorded tells."""
    rows = 40_000
    village = rng.integers(0, villages, rows)
    right = np.clip(0.05 * np.exp(rng.normal(-0.5, 1, rows)), 0, 0.5)
    unseen = rng.gamma(25, 1 / 25, villages)[village]
    return Forecast(right, rng.random(rows) < np.clip(right * unseen, 0, 1), village)


def tilted(told: Forecast, *, by: float) -> np.ndarray:
    """Right on the whole, too high by so much in the riskier half and as much too low in the other."""
    upper = told.probability > np.quantile(told.probability, 0.8)
    rest = 1 - (by - 1) * told.probability[upper].sum() / told.probability[~upper].sum()
    return told.probability * np.where(upper, by, rest)


MODELS: dict[str, Callable[[Forecast], np.ndarray]] = {
    "right": lambda told: told.probability,
    "1.2 times too high": lambda told: told.probability * 1.2,
    "1.4 times too high": lambda told: told.probability * 1.4,
    "tilted by 1.2": lambda told: tilted(told, by=1.2),
    "tilted by 1.4": lambda told: tilted(told, by=1.4),
}


def verdicts(counties: int) -> Iterator[dict[str, object]]:
    """One row a number of villages and model: how often each verdict, and coverage of the cells' intervals."""
    for villages in (20, 60, 150):
        told = {name: {"passed": 0, "failed": 0, "too few events": 0} for name in MODELS}
        held, whole, cells = [], [], []
        for s in track(range(counties), f"calibration, {villages} villages"):
            right = probabilities(np.random.default_rng(70_000_000 + s), villages)
            draws = Draws.of(villages, times=300, seed=s)
            for name, model in MODELS.items():
                forecast = replace(right, probability=np.clip(model(right), 0, 1))
                judged = calibrated({6: forecast}, draws)[6]
                told[name][judged.verdict] += 1
                if name == "right":
                    held += [c.ratio.low <= 1 <= c.ratio.high for c in judged.cells]
                    whole.append(judged.overall.low <= 1 <= judged.overall.high)
                    cells.append(len(judged.cells))
        for name, counts in told.items():
            yield {"villages": villages, "model": name, **{k: round(v / counties, 4) for k, v in counts.items()},
                   "coverage, cells": round(float(np.mean(held)), 4) if name == "right" else "",
                   "coverage, whole": round(float(np.mean(whole)), 4) if name == "right" else "",
                   "cells": round(float(np.mean(cells)), 1) if name == "right" else ""}  # fmt: skip


def main() -> None:
    """Prints exceedance and slack, alarms and delay, verdicts and coverage, and keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    counties = 1_000 if parser.parse_args().full else 200
    rows = list(promises(counties))
    tables = {"methods": against_the_best(rows, counties), "watch": list(watches(counties)),
              "calibration": list(verdicts(counties))}  # fmt: skip
    for table in tables.values():
        show(tuple(table[0]), [tuple(row.values()) for row in table])
        print()
    name = "bounds" if counties == 1_000 else "bounds-small"
    write(name, {"counties": counties, "ranked": RANKED, "machine": machine(), **tables, "bounds": rows})


if __name__ == "__main__":
    main()
