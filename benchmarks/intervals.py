"""Whether the intervals of found, lead and precision hold what they should: many light counties, outcome layer only.

python benchmarks/intervals.py [--full]

Each replicate is a county drawn anew: villages that differ in how often households fall and in how much rules see,
falls, rule hits and scores, month by month. The true value is the ratio of means over very many such counties. Small:
200 replicates; full: 1,000. Passed: at least 93.5 % of the intervals hold it, at a mean width of at most 1.25 times the
best valid one.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from measure import machine, show, write
from rich.progress import track
from scipy.stats import t as student_t

from fpml.measure import Draws, Ground, Interval, Method, Outcome, Queue, judged, judged_at
from fpml.measure.visits import ENDLESS

MONTHS, HOMES, RATE, VISITS = 12, 80, 0.045, 0.03
VILLAGES = (17, 40, 120)
DRAWS, TRUTH = 300, 3_000
FIGURES = (
    "found by rules", "found by the model", "lead of the model", "gain in lead", "found, model to rules",
    "precision of rules", "precision of the model",
)  # fmt: skip
SHARES = ("found by rules", "found by the model", "precision of rules", "precision of the model")
Sums = dict[str, tuple[np.ndarray, np.ndarray]]


def county(rng: np.random.Generator, villages: int) -> tuple[Ground, Method, Method, np.ndarray]:
    """A light county: the ground, the rules' method, the model's, and for each row whether a fall came."""
    n = villages * HOMES
    village = np.repeat(np.arange(villages, dtype=np.int32), HOMES)
    risk = RATE * np.exp(rng.normal(0, 0.5, villages)[village] + rng.normal(0, 1.0, n) - 0.6)
    falls = rng.random(n) < np.clip(risk, 0, 0.9)
    when = np.where(falls, rng.integers(1, MONTHS + 1, n), 10_000)
    seen = falls & (rng.random(n) < np.clip(rng.normal(0.45, 0.15, villages), 0.05, 0.95)[village])
    warned = when - rng.integers(1, 6, n)
    month = np.arange(MONTHS)
    hit = (seen[:, None] & (month >= warned[:, None]) & (month < when[:, None])) | (rng.random((n, MONTHS)) < 0.01)
    near = (when[:, None] - month > 0) & (when[:, None] - month <= 6)
    score = np.log(risk)[:, None] + 1.2 * near * rng.random((n, 1)) + rng.normal(0, 0.5, (n, MONTHS))
    free = month < when[:, None]
    household = np.repeat(np.arange(n, dtype=np.int32), MONTHS)
    at = np.tile(np.arange(MONTHS, dtype=np.int8), n)
    fresh = hit & ~np.pad(hit, ((0, 0), (1, 0)))[:, :-1]
    ground = Ground(
        household=household, month=24_000 + at.astype(np.int64), fresh=fresh.ravel(),
        months=24_000 + np.arange(MONTHS, dtype=np.int64), fell=np.flatnonzero(falls).astype(np.int32),
        fell_in=24_000 + when[falls].astype(np.int64), unit=np.zeros(n, np.int32), village=village,
    )  # fmt: skip
    rules = Method(Queue.of((hit & free).ravel(), at, MONTHS), Queue.nobody(MONTHS), np.full((MONTHS, 1), ENDLESS))
    quota = np.full((MONTHS, 1), round(VISITS * n))
    model = Method(Queue.nobody(MONTHS), Queue.of(free.ravel(), at, MONTHS, score=score.ravel()), quota)
    return ground, rules, model, np.repeat(falls, MONTHS).astype(float)


def sums(rules: Outcome, model: Outcome, fell: np.ndarray) -> Sums:
    """Each figure's numerator and denominator, by draw."""
    ones = np.ones(fell.size)
    return {
        "found by rules": (rules.found(), rules.falls()),
        "found by the model": (model.found(), model.falls()),
        "lead of the model": (model.months_ahead(), model.falls()),
        "gain in lead": (model.months_ahead() - rules.months_ahead(), rules.falls()),
        "found, model to rules": (model.found(), rules.found()),
        "precision of rules": (rules.of_listed(fell), rules.of_listed(ones)),
        "precision of the model": (model.of_listed(fell), model.of_listed(ones)),
    }


def walked(seed: int, villages: int, draws: Draws) -> Sums:
    """The sums of one county: rules at their own visits; found and lead of the model at as many, else at its own."""
    ground, rules, model, fell = county(np.random.default_rng(seed), villages)
    told = judged(rules, ground, draws)
    return sums(told, judged_at(model, ground, draws, visits=told.visits), fell)


def reported(figure: str, part: np.ndarray, whole: np.ndarray, draws: Draws) -> Interval:
    """As fpml reports it."""
    return draws.share(part, whole) if figure in SHARES else draws.ratio(part, whole)


def plain(figure: str, part: np.ndarray, whole: np.ndarray, draws: Draws) -> Interval:
    """The middle 95 % of the draws, as they are."""
    value = part / np.where(whole > 0, whole, np.nan)
    drawn = value[1:][np.isfinite(value[1:])]
    return Interval(float(value[0]), *(float(x) for x in np.quantile(drawn, [0.025, 0.975])))


def normal(figure: str, part: np.ndarray, whole: np.ndarray, draws: Draws) -> Interval:
    """The estimate and Student's t times the draws' standard deviation."""
    value = part / np.where(whole > 0, whole, np.nan)
    n = draws.villages
    half = student_t.ppf(0.975, n - 1) * np.nanstd(value[1:], ddof=1) * np.sqrt(n / (n - 1))
    return Interval(float(value[0]), float(value[0] - half), float(value[0] + half))


KINDS: dict[str, Callable[[str, np.ndarray, np.ndarray, Draws], Interval]] = {
    "fpml": reported, "middle of the draws": plain, "Student's t": normal,
}  # fmt: skip


def truth(villages: int) -> dict[str, float]:
    """The ratio of means over counties that no interval is made from."""
    alone = Draws(np.ones((1, villages), np.int32))
    told = [walked(10_000_000 + s, villages, alone) for s in track(range(TRUTH), f"truth, {villages} villages")]
    return {f: float(sum(x[f][0][0] for x in told) / sum(x[f][1][0] for x in told)) for f in FIGURES}


def cells(replicates: int) -> Iterator[dict[str, object]]:
    """One row a number of villages, figure and kind of interval."""
    for villages in VILLAGES:
        right = truth(villages)
        told: dict[tuple[str, str], list[Interval]] = {(f, k): [] for f in FIGURES for k in KINDS}
        events = []
        for seed in track(range(replicates), f"{villages} villages"):
            draws = Draws.of(villages, times=DRAWS, seed=seed)
            drawn = walked(seed, villages, draws)
            events.append(float(drawn["found by rules"][1][0]))
            for figure, kind in told:
                told[figure, kind].append(KINDS[kind](figure, *drawn[figure], draws))
        for (figure, kind), intervals in told.items():
            held = np.mean([i.low <= right[figure] <= i.high for i in intervals])
            width = np.mean([i.high - i.low for i in intervals])
            yield {"villages": villages, "events": round(float(np.mean(events))), "figure": figure, "interval": kind,
                   "coverage": round(float(held), 4), "width": round(float(width), 4)}  # fmt: skip


def main() -> None:
    """Prints coverage and width, and keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    replicates = 1_000 if parser.parse_args().full else 200
    rows = list(cells(replicates))
    show(tuple(rows[0]), [tuple(row.values()) for row in rows])
    name = "intervals" if replicates == 1_000 else "intervals-small"
    write(name, {"replicates": replicates, "draws": DRAWS, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
