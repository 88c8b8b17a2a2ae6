"""Whether the audit's intervals hold each county's realised recall, and whether its visits are those of the plan.

python benchmarks/audit.py [--full]

Each replicate is a county drawn anew (outcome layer only): who fell in the year, who of them was on a list before, what
the village's walk noticed, in which band of score each stands. It is audited as `fpml audit` does, by visitors who err
and a county that checks again. Small: 150 replicates a world; full: 1,000. Passed: at least 93.5 % of the intervals
hold the recall, at a mean width of at most 1.25 times that of the best method that is valid in every world. In three
worlds what was thought beforehand is wrong.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from measure import machine, show, write
from rich.progress import track
from scipy.special import expit, logit

from fpml.measure.audit import CHECKED_AGAIN, LEAST_FINDS, Answers, Stratum, by_formula, estimated, plan

BANDS = ("highest", "middle", "rest")
FALLS_IN, OTHERS_IN, LISTED_OF = (0.35, 0.35, 0.30), (0.02, 0.18, 0.80), (0.85, 0.50, 0.15)
LISTED_MEAN = sum(f * r for f, r in zip(FALLS_IN, LISTED_OF, strict=True))
VALID = 0.935


@dataclasses.dataclass(frozen=True)
class World:
    """A kind of county: households, share fallen, what walks notice, true recall; and what is thought of it."""

    name: str
    households: int
    fallen: float
    notices: float
    false_alarms: float
    recall: float
    half_width: float
    thought_fallen: float = 1.0
    thought_notices: float | None = None

    def strata(self) -> list[Stratum]:
        """The six strata, walk by score, as they are thought to be; recall is always thought to be a half."""
        notices = self.notices if self.thought_notices is None else self.thought_notices
        fallen = self.fallen * self.thought_fallen
        out = []
        for noticed in (True, False):
            of_falls, of_others = (notices, self.false_alarms) if noticed else (1 - notices, 1 - self.false_alarms)
            for band, f, o, r in zip(BANDS, FALLS_IN, OTHERS_IN, LISTED_OF, strict=True):
                falls = self.households * fallen * f * of_falls
                others = self.households * (1 - fallen) * o * of_others
                name = f"{'noticed' if noticed else 'not noticed'}, {band}"
                out.append(Stratum(name, round(falls + others), falls / (falls + others), r))
        return out


# Shares are those of the question "below the line now or in the last 12 months": about twice a year's new falls.
WORLDS = (
    World("county, 0.5 % a year, walks notice 75 %", 220_000, 0.0102, 0.75, 0.005, 0.50, 0.10),
    World("county, 0.5 % a year, walks notice 90 %", 220_000, 0.0102, 0.90, 0.005, 0.50, 0.10),
    World("county, recall 0.8", 220_000, 0.0102, 0.75, 0.005, 0.80, 0.10),
    World("county, 0.1 % a year, walks notice 90 %", 220_000, 0.0021, 0.90, 0.005, 0.50, 0.15),
    World("small county", 30_000, 0.0100, 0.75, 0.010, 0.50, 0.20),
    World("small county, recall 0.2", 30_000, 0.0100, 0.75, 0.010, 0.20, 0.20),
    World("small county, walks notice half", 30_000, 0.0100, 0.50, 0.010, 0.80, 0.25),
    World("walks that cry wolf, recall 0.9", 60_000, 0.0050, 0.75, 0.050, 0.90, 0.25),
    World("thought wrong: walks notice 55 %, not 75 %", 220_000, 0.0102, 0.55, 0.005, 0.50, 0.10, 1.0, 0.75),
    World("thought wrong: half as many falls", 220_000, 0.0102, 0.75, 0.005, 0.50, 0.10, 2.0, 0.75),
    World("thought wrong: twice the falls, walks 60 %, not 90 %", 220_000, 0.005, 0.60, 0.005, 0.70, 0.10, 0.5, 0.9),
)  # fmt: skip
NOTICED, TRUE_NEGATIVE, MET = 0.9, 0.99, 0.93


def audited(world: World, visits: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    """One county and its audit: the realised recall, the estimate, and the intervals of the other methods."""
    n = world.households
    fell = rng.random(n) < world.fallen
    band = np.where(fell, rng.choice(3, n, p=FALLS_IN), rng.choice(3, n, p=OTHERS_IN))
    chance = np.clip(np.array(LISTED_OF) + world.recall - LISTED_MEAN, 0.02, 0.98)[band]
    listed = fell & (rng.random(n) < chance)
    noticed = rng.random(n) < np.where(fell, world.notices, world.false_alarms)
    stratum = band + 3 * ~noticed
    size = np.bincount(stratum, minlength=6)
    asked = np.minimum(visits, size)
    rows = np.concatenate([rng.choice(np.flatnonzero(stratum == h), asked[h], replace=False) for h in range(6)])
    met = rng.random(rows.size) < MET
    said = met & (rng.random(rows.size) < np.where(fell[rows], NOTICED, 1 - TRUE_NEGATIVE))
    checked = said | (met & (rng.random(rows.size) < CHECKED_AGAIN))
    answers = Answers(stratum[rows], met, said, checked, checked & fell[rows], listed[rows])
    strata = [dataclasses.replace(s, households=int(k)) for s, k in zip(world.strata(), size, strict=True)]
    told = estimated(answers, strata)
    # What visitors overlook no audit counts: the missed are held against those that they would notice.
    truth, missed = listed.sum() / fell.sum(), int(rng.binomial((fell & ~listed).sum(), NOTICED))
    right = said & fell[rows]
    weight = (size / np.maximum(np.bincount(stratum[rows][met], minlength=6), 1))[stratum[rows]][right]
    mine = listed[rows][right]
    visited = listed.sum() + rng.binomial((fell & ~listed).sum(), 0.05)
    answer = {"finds": told.finds, "truth": truth, "missed": missed, "told": told, "naive": listed.sum() / visited,
              "unchecked": float((said & listed[rows]).sum() / max(said.sum(), 1))}  # fmt: skip
    if told.finds >= LEAST_FINDS:
        answer |= {"intervals": {"fpml": (told.recall.low, told.recall.high), **others(weight, mine)}}
    return answer


def others(weight: np.ndarray, listed: np.ndarray) -> dict[str, tuple[float, float]]:
    """Wald's interval, Wald's on the log-odds, and Wilson's with Kish's effective number of finds."""
    share = float((weight * listed).sum() / weight.sum())
    error = float(np.sqrt((weight**2 * (listed - share) ** 2).sum()) / weight.sum())
    kish = float(weight.sum() ** 2 / (weight**2).sum())
    inner = float(np.clip(share, 0.5 / kish, 1 - 0.5 / kish))
    half = 1.96 * max(error, np.sqrt(inner * (1 - inner) / kish) / 4) / (inner * (1 - inner))
    middle, z = (share + 1.92 / kish) / (1 + 3.84 / kish), 1.96 / (1 + 3.84 / kish)
    wilson = z * np.sqrt(share * (1 - share) / kish + 0.96 / kish**2)
    return {
        "Wald": (share - 1.96 * error, share + 1.96 * error),
        "Wald, log-odds": (float(expit(logit(inner) - half)), float(expit(logit(inner) + half))),
        "Wilson, Kish": (middle - wilson, middle + wilson),
    }


def held(told: list[tuple[float, float, float]]) -> float:
    """How often the middle one lies between the others."""
    return round(float(np.mean([low <= x <= high for low, x, high in told])), 4)


def measured(world: World, replicates: int, seed: int) -> Iterator[dict[str, object]]:
    """One row a kind of interval."""
    wanted = plan(world.strata(), world.half_width)
    formula = int(by_formula(world.strata(), world.half_width).sum())
    told = [
        audited(world, wanted.visits, np.random.default_rng([seed, i]))
        for i in track(range(replicates), world.name, transient=True)
    ]
    ten = [t for t in told if "intervals" in t]
    common = {
        "world": world.name, "visits": wanted.total, "by_formula": formula,
        "half_width_wanted": world.half_width, "half_width_planned": round(wanted.half_width, 4),
        "finds": round(float(np.mean([t["finds"] for t in told])), 1), "replicates": replicates,
        "fewer_than_ten": replicates - len(ten),
        "recall": round(float(np.mean([t["truth"] for t in told])), 4),
        "estimate": round(float(np.mean([t["told"].recall.estimate for t in ten])), 4),
        "naive": round(float(np.mean([t["naive"] for t in told])), 4),
        "visitors_word_alone": round(float(np.mean([t["unchecked"] for t in told])), 4),
        "missed_held": held([(t["told"].missed.low, t["missed"], t["told"].missed.high) for t in told]),
        "upper_held": held([(0, t["missed"], t["told"].upper) for t in told]),
    }  # fmt: skip
    for kind in ten[0]["intervals"]:
        ends = np.array([t["intervals"][kind] for t in ten])
        truth = np.array([t["truth"] for t in ten])
        covered = held(list(zip(ends[:, 0], truth, ends[:, 1], strict=True)))
        yield {**common, "interval": kind, "coverage": covered,
               "width": round(float((ends[:, 1] - ends[:, 0]).mean()), 4)}  # fmt: skip


def main() -> None:
    """Prints coverage and width, and keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    a = parser.parse_args()
    replicates = 1_000 if a.full else 150
    rows = [row for world in WORLDS for row in measured(world, replicates, 0)]
    kinds = sorted({str(r["interval"]) for r in rows})
    valid = [k for k in kinds if all(float(str(r["coverage"])) >= VALID for r in rows if r["interval"] == k)]
    heads = ("world", "interval", "coverage", "width", "half_width_wanted", "visits", "by_formula", "finds", "recall",
             "estimate", "naive", "visitors_word_alone", "missed_held", "upper_held", "fewer_than_ten")  # fmt: skip
    show(heads, [tuple(r[h] for h in heads) for r in rows])
    print(f"Valid in every world (at least {VALID:.1%}): {', '.join(valid) or 'none'}")
    name = "audit" if a.full else "audit-small"
    path = write(name, {"replicates": replicates, "valid": valid, "machine": machine(), "rows": rows})
    print(json.dumps({"written": path.name}))


if __name__ == "__main__":
    main()
