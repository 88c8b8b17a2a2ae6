"""How near ours comes to what the records allow, and whether its probabilities hold, over several counties.

    python benchmarks/ceiling.py [--full] [--at DIR]

Ten simulated counties, frozen first, are taken in and backtested over a year of monthly origins, models learnt anew
every quarter. Twelve others were measured before; what they told has been learnt from (docs/experiments.md).
What is learnt is entries in the register; what is judged is true falls, without lists. Beside them a county with ten
times the households of each teaches every method the same way, twice a year: the best average precision of any that
learnt from it is the data ceiling (of one such county: its own luck is not in the intervals).
Figures are pooled over counties, intervals (95 %) drawn over all their villages.
`--at DIR`: counties are grown there, and kept: a further call goes on. Small: two counties of 1,500 over 40 months.
"""

import argparse
import gc
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import apart, machine, show, versions, write
from scipy.stats import t as student

import fpml
from fpml import engine, measure
from fpml.backtests import FALL, IDENTIFIED, Tested
from fpml.dates import AsOf
from fpml.measure import Draws
from fpml.measure.backtest import PLAIN, PROBABLE, Learners, Said
from fpml.measure.metrics import Ints
from fpml.measure.skill import OURS, Judged, told
from fpml.outcomes import risk_set
from fpml.simulate import Dials, Plan, load_profile

FIRST, TIMES, HORIZON = AsOf.parse("2021-01"), 10, 6
# The pool teaches anew after so many origins: it takes its time, and loses little by half a year.
ANEW = 6
TENFOLD = "ten times the households: "
# Renewed spells of the cleared are too few in counties of this size to judge anything by.
MODELS = ("new_poverty", "relapse")


@dataclass(frozen=True)
class Asked:
    """What is run: households of a county, months told of, the first of twelve origins, and seeds."""

    households: int
    months: int
    first_origin: str
    seeds: tuple[int, ...]
    pool: int
    draws: int
    profile: str = "baoshan"
    base_rate: float = 0.9
    precursors: str = "strong"

    @property
    def origins(self) -> list[AsOf]:
        """A year of them."""
        return [AsOf.parse(self.first_origin).shift(n) for n in range(12)]

    @property
    def frozen(self) -> str:
        """Sixteen hex digits of everything here."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    def plan(self, seed: int) -> Plan:
        """The county of a seed; the pool's has ten times the households, and ends with the last origin."""
        dials = Dials(base_rate=self.base_rate, precursors=self.precursors)  # type: ignore[arg-type]
        months = self.origins[-1].month - FIRST.month + 1 if seed == self.pool else self.months
        size = self.households * (TIMES if seed == self.pool else 1)
        return Plan(load_profile(self.profile, dials), size, first=FIRST, months=months, seed=seed)


# Development used seeds 1 to 101 and, once they had been measured, 9101 to 9127; the grid 9001 to 9009.
SIZES = {
    "small": Asked(1_500, 40, "2023-04", (9111, 9112), 9110, 50),
    "full": Asked(20_000, 72, "2025-01", tuple(range(9131, 9141)), 9100, 500),
}


def county(asked: Asked, seed: int, at: Path) -> fpml.County:
    """The county of a seed, grown and taken in where it is not there yet."""
    root = at / f"{asked.frozen}-{seed}"
    if not (root / "whole").is_file():
        shutil.rmtree(root, ignore_errors=True)
        grown = fpml.open(fpml.init(root).root)
        grown.simulate(asked.plan(seed))
        grown.intake()
        (root / "whole").touch()
    return fpml.open(root)


def tested(asked: Asked, of: fpml.County) -> Tested:
    """What a county's own methods said; kept in its cache."""
    return of.rolling(*MODELS).tested(asked.origins, times=2)


def learnt(asked: Asked, pool: fpml.County) -> Iterator[tuple[AsOf, dict[str, Learners]]]:
    """Every method at each refit, as it learns from the pool."""
    refits = asked.origins[::ANEW]
    rolling = pool.rolling(*MODELS)
    lessons = rolling.learn(refits)
    pool.past.built.told = None  # a hundred million of months that nobody asks for again
    gc.collect()
    for origin in refits:
        taught = {
            name: Learners.at(d, lessons[name], pool.catalogue, origin, run=engine.run)
            for name, d in rolling.definitions.items()
        }
        yield origin, taught


def said_by(learners: Mapping[AsOf, Mapping[str, Learners]], asked: Asked, of: fpml.County) -> list[Said]:
    """What learners of another county say of this one."""
    rolling, out = of.rolling(*MODELS), []
    for i, origin in enumerate(asked.origins):
        seen = rolling.at(origin)
        for name, learner in learners[asked.origins[i - i % ANEW]].items():
            outcome = rolling.definitions[name].outcome
            chosen = risk_set(of.catalogue.county.outcomes[outcome], seen, of.catalogue).at_risk
            out.append(learner.say(seen.filter(chosen), outcome, origin, of.catalogue))
    return out


def both(own: Tested, other: Tested, kind: str) -> Iterator[Judged]:
    """What methods said by their own county's lessons, with what they said by the pool's beside."""
    for mine, theirs in zip(own.judged(kind), other.judged(kind), strict=True):
        assert (mine.outcome, mine.horizon) == (theirs.outcome, theirs.horizon)
        assert np.array_equal(mine.fell, theirs.fell)
        assert np.array_equal(mine.village, theirs.village)
        more = {TENFOLD + m: s for m, s in theirs.score.items() if m in PROBABLE}
        yield replace(mine, score=dict(mine.score) | more)


def pooled(parts: Sequence[Judged], villages: Ints) -> Judged:
    """Several counties' as one; the villages of each after those of the one before."""
    start = np.concatenate([[0], np.cumsum(villages)[:-1]])
    return replace(
        parts[0],
        score={m: np.concatenate([p.score[m] for p in parts]) for m in parts[0].score},
        fell=np.concatenate([p.fell for p in parts]),
        village=np.concatenate([p.village + s for p, s in zip(parts, start, strict=True)]),
    )


def to_ceiling(judged: Judged, draws: Draws) -> dict[str, Any]:
    """Average precision: the best single ranking, ours, the ceiling, and the share of the way from one to the other."""
    by = {m: measure.skill.precisions(judged.label, s, judged.village, draws) for m, s in judged.score.items()}
    single = max((m for m in by if m not in PROBABLE and not m.startswith(TENFOLD)), key=lambda m: by[m][0])
    ceiling = max((m for m in by if m.startswith(TENFOLD)), key=lambda m: by[m][0])
    share = (by[OURS] - by[single]) / (by[ceiling] - by[single])
    return {
        "outcome": judged.outcome, "horizon": judged.horizon, "events": int(judged.fell.sum()),
        "single": single, **told("of_single", draws.interval(by[single])), **told("ours", draws.interval(by[OURS])),
        "best": ceiling, **told("ceiling", draws.interval(by[ceiling])), **told("share", draws.interval(share)),
        **told("over_plain", draws.interval(by[OURS] - by[PLAIN])),
    }  # fmt: skip


def among(ratios: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The 95 % interval of expected over observed of counties together, as they differ from each other.

    Each county left out in turn (jackknife), on the logarithm, by Student's t; without bounds where there is but one.
    """
    expected, observed = np.array(ratios).T
    n, whole = len(ratios), np.log(expected.sum() / observed.sum())
    without = np.log((expected.sum() - expected) / (observed.sum() - observed)) if n > 1 else np.zeros(0)
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()) if n > 1 else np.inf
    low, high = np.exp(whole + np.array([-1, 1]) * student.ppf(0.975, max(n - 1, 1)) * error)
    return {"among_low": float(low), "among_high": float(high)}


def figures(of: Mapping[int, Judged], villages: Ints, asked: Asked) -> dict[str, Any]:
    """One outcome at one horizon, over those of the counties where somebody fell so soon."""
    whole, draws = pooled(list(of.values()), villages[list(of)]), Draws.of(villages[list(of)].sum(), times=asked.draws)
    mine = replace(whole, score={m: s for m, s in whole.score.items() if not m.startswith(TENFOLD)})
    calibration = []
    for method in (OURS, PLAIN):
        verdict = mine.calibration(method, draws)
        said = [(float(p.score[method].sum()), float(p.fell.sum())) for p in of.values()]
        calibration.append(
            {"method": method, "verdict": verdict.verdict, "reasons": "; ".join(verdict.reasons),
             "events": verdict.events, **told("ratio", verdict.overall), **among(said),
             "by_county": [e / o for e, o in said]}
        )  # fmt: skip
    skill = json.loads(mine.skill(draws).to_json(orient="records"))
    way = [to_ceiling(whole, draws)] if whole.horizon == HORIZON else []
    return {"calibration": calibration, "skill": skill, "ceiling": way}


def measured(asked: Asked, at: Path) -> dict[str, Any]:
    """All figures, of all counties together."""
    learners = dict(learnt(asked, county(asked, asked.pool, at)))
    parts: dict[tuple[str, str, int], dict[int, Judged]] = {}
    villages = np.zeros(len(asked.seeds), np.int64)
    for n, seed in enumerate(asked.seeds):
        one = county(asked, seed, at)
        own = tested(asked, one)
        other = one.rolling(*MODELS).beside(said_by(learners, asked, one), times=2, warm=0)
        villages[n] = own.panel.villages[0].size
        for kind in (FALL, IDENTIFIED):
            for judged in both(own, other, kind):
                parts.setdefault((kind, judged.outcome, judged.horizon), {})[n] = judged
    found: dict[str, list[dict[str, Any]]] = {"ceiling": [], "calibration": [], "skill": []}
    for (kind, outcome, horizon), by in parts.items():
        which = {"number": len(by), "kind": kind, "outcome": outcome, "horizon": horizon}
        for name, rows in figures(by, villages, asked).items():
            found[name] += [which | row for row in rows]
    return {"simulated": True, "asked": asdict(asked), "frozen": asked.frozen, "policy": one.catalogue.fingerprint,
            **found}  # fmt: skip


def printed(found: Mapping[str, Any]) -> None:
    """The tables."""
    show(("falls or entries", "outcome", "events", "best single", "ours", "ceiling", "of the way",
          "over plain"),
         [(w["kind"], w["outcome"], w["events"], f"{w['of_single']:.3f} ({w['single']})",
           f"{w['ours']:.3f}", f"{w['ceiling']:.3f} ({w['best'].removeprefix(TENFOLD)})",
           f"{w['share']:.0%} [{w['share_low']:.0%}, {w['share_high']:.0%}]",
           f"{w['over_plain']:+.3f} [{w['over_plain_low']:+.3f}, {w['over_plain_high']:+.3f}]")
          for w in found["ceiling"]])  # fmt: skip
    show(("falls or entries", "outcome", "months", "method", "events", "expected / observed",
          "as counties differ", "by county", "verdict"),
         [(c["kind"], c["outcome"], c["horizon"], c["method"], c["events"],
           f"{c['ratio']:.2f} [{c['ratio_low']:.2f}, {c['ratio_high']:.2f}]",
           f"[{c['among_low']:.2f}, {c['among_high']:.2f}]",
           " ".join(f"{r:.2f}" for r in c["by_county"]), c["verdict"] + f" {c['reasons']}")
          for c in found["calibration"]])  # fmt: skip


def main() -> None:
    """Grows what is missing, measures, prints, keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--at", type=Path, help="where counties are kept")
    parser.add_argument("--grow", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--test", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    asked = SIZES["full" if a.full else "small"]
    if a.grow is not None or a.test is not None:
        county(asked, a.test if a.grow is None else a.grow, a.at)
        if a.test is not None:
            tested(asked, county(asked, a.test, a.at))
        print("{}")
        return
    with tempfile.TemporaryDirectory() as folder:
        at = a.at or Path(folder)
        apart(__file__, *["--full"] * a.full, "--grow", asked.pool, "--at", at)
        for seed in asked.seeds:
            apart(__file__, *["--full"] * a.full, "--test", seed, "--at", at)
        found = measured(asked, at)
    printed(found)
    write("ceiling" if a.full else "ceiling-small", found | {"machine": machine(), "versions": versions("lightgbm")})


if __name__ == "__main__":
    main()
