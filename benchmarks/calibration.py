"""Simulated counties held against published figures: tables, plots and the page docs/simulation.md.

python benchmarks/calibration.py [--full]

Both profiles are lived through in memory, 36 months from January 2021, with several seeds so that chance is shown.
Small: 20,000 households; full: 220,000.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import page
import simulated
from measure import write
from rich.console import Console
from rich.table import Table

from fpml.simulate import Plan, Profile, load_profile
from fpml.simulate.causes import CAUSES

PROFILES = ("jiangxi", "baoshan")
Counts = Counter[str]
Figure = Callable[[Counts], float]
TYPES = tuple(simulated.TYPES.values())


def _percent(part: str, whole: str, times: float = 1.0) -> Figure:
    return lambda c: 100 * times * c[part] / max(c[whole], 1)


def _cause(*names: str) -> Figure:
    return lambda c: 100 * sum(c[f"cause/{n}"] for n in names) / max(c["registered"], 1)


def _monitored(c: Counts) -> int:
    return sum(c[f"monitored/{t}"] for t in TYPES)


def _income(year: int) -> Figure:
    return lambda c: c[f"income/{year}"] / max(c[f"people/{year}"], 1) / 100


def _type(kind: str) -> Figure:
    return lambda c: 100 * c[f"monitored/{kind}"] / max(_monitored(c), 1)


def _size(kind: str) -> Figure:
    return lambda c: c[f"monitored_people/{kind}"] / max(c[f"monitored/{kind}"], 1)


def _slower(c: Counts) -> float:
    """Cleared within a year of entering: sudden-shock households' share over that of the others."""
    rest = TYPES[:2]
    of = sum(c[f"out_in_a_year/{t}"] for t in rest) / max(sum(c[f"entered_before/{t}"] for t in rest), 1)
    sudden = c[f"out_in_a_year/{TYPES[2]}"] / max(c[f"entered_before/{TYPES[2]}"], 1)
    return sudden / of if of else float("nan")


FIGURES: dict[str, tuple[str, Figure]] = {
    "household_size": ("people a household", lambda c: c["person_months"] / c["household_months"]),
    "monitored_people": ("in monitoring, % of people, mean over months", _percent("monitored_people", "person_months")),
    "new_people": ("newly monitored, % of people a year", _percent("registered_people", "person_months", 12)),
    "monitored_size": ("people a monitored household", lambda c: c["monitored_people"] / max(_monitored(c), 1)),
    "cleared": ("cleared, % of households ever monitored, June 2021", _percent("mid_out", "mid_ever")),
    "cleared_end": ("cleared, % of households ever monitored, at the end", _percent("out", "ever")),
    "cleared_slower": ("cleared in a year: sudden shock over other types", _slower),
    "pushes": ("pushes a month for 220,000 households", lambda c: 220_000 * c["pushes"] / c["household_months"]),
    "pushes_township": ("pushes a month, township of 9,000", lambda c: 9_000 * c["pushes"] / c["household_months"]),
    "alerts_end": ("alerted households that end in monitoring, %", _percent("alerts_registered", "alerts")),
    "catastrophic": ("catastrophic health spending, % of poor households", _percent("catastrophic/poor", "asked/poor")),
    **{f"income_{y}": (f"income a head {y}, yuan", _income(y))
       for y in (2021, 2022, 2023)},
    **{f"cause_{n}": (f"main cause {n.replace('_', ' ')}, % of new households", _cause(n)) for n in CAUSES},
    "cause_disaster_business": ("main cause disaster or business, %", _cause("natural_disaster", "business_failure")),
    **{f"type_{t}": (f"{t.replace('_', ' ')}, % of monitored households", _type(t)) for t in TYPES},
    **{f"size_{t}": (f"people a household, {t.replace('_', ' ')}", _size(t)) for t in TYPES},
    "falls": ("falls, % of households a year", _percent("falls", "apart_months", 12)),
    "falls_pushed": ("falls that a push of the county came before, %", _percent("falls_pushed", "falls")),
    "falls_below": ("falls below the line (others: a guarantee fails), %", _percent("falls_below", "falls")),
}  # fmt: skip


def held(profile: Profile, counts: Sequence[Counts]) -> list[dict[str, Any]]:
    """Each figure with its published range, where it has one, and the simulated value by seed."""
    rows = []
    targets = {t.figure: t for t in profile.targets}
    for key, (label, figure) in FIGURES.items():
        values = [figure(c) for c in counts]
        mean = float(np.mean(values))
        row: dict[str, Any] = {"figure": key, "label": label, "simulated": mean, "by_seed": values}
        if target := targets.get(key):
            row |= target.model_dump(mode="json") | {"within": bool(target.low <= mean <= target.high)}
        rows.append(row)
    return rows


def shown(name: str, rows: Sequence[dict[str, Any]]) -> Table:
    """One profile's table for a terminal."""
    table = Table("figure", "published", "mark", "simulated", "by seed", "", title=f"SIMULATED: {name}")
    for r in rows:
        by_seed = " ".join(page.number(v) for v in r["by_seed"])
        if "low" in r:
            verdict = "within" if r["within"] else f"outside: {r['reason'] or 'no reason given'}"
            table.add_row(r["label"], page.span(r), r["mark"], page.number(r["simulated"]), by_seed, verdict)
        else:
            table.add_row(r["label"], "", "", page.number(r["simulated"]), by_seed, "came out")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Lives both profiles through, prints their tables, writes results/calibration.json and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="220,000 households")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--households", type=int, default=20_000)
    asked = parser.parse_args(arguments)
    households = 220_000 if asked.full else asked.households
    told: dict[str, Any] = {"simulated": True, "households": households, "months": 36, "profiles": {}}
    for name in PROFILES:
        profile = load_profile(name)
        counts = [simulated.live(Plan(profile, households, seed=1 + s)) for s in range(asked.seeds)]
        told["profiles"][name] = held(profile, counts)
        Console(width=160).print(shown(name, told["profiles"][name]))
    write("calibration", told)
    page.write(told)


if __name__ == "__main__":
    main()
