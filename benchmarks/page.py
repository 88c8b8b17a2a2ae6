"""The page docs/simulation.md: what was set and what came out, with tables and plots from benchmarks/results/."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from measure import RESULTS

from fpml.catalogue import load
from fpml.workspace import DEFAULT_POLICY

mpl.use("Agg")
from matplotlib import pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
BEGIN = "<!-- from here on written by benchmarks/calibration.py -->\n"


def number(value: float) -> str:
    """A figure with as many digits as it bears."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def span(row: dict[str, Any]) -> str:
    """A published range."""
    return f"{number(row['low'])}–{number(row['high'])}"


def write(told: dict[str, Any]) -> Path:
    """Rewrites what follows the mark in the page, and its plots."""
    path = DOCS / "simulation.md"
    before = path.read_text(encoding="utf-8").partition(BEGIN)[0] if path.exists() else ""
    parts = [_tables(told), _difficulty()]
    path.write_text(before + BEGIN + "\n".join(parts), encoding="utf-8")
    return path


def _tables(told: dict[str, Any]) -> str:
    out = [
        f"## Published figures beside simulated ones\n\n**Simulated**: {told['households']:,} households, "
        f"{told['months']} months, {len(next(iter(told['profiles'].values()))[0]['by_seed'])} seeds.\n"
    ]
    for name, rows in told["profiles"].items():
        out.append(f"### {name} (simulated)\n\n{_table(rows)}\n![{name}, simulated](simulation-{name}.png)\n")
        _plot(name, [r for r in rows if "low" in r])
    return "\n".join(out)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    out = ["| figure | published | mark, source | simulated | by seed | |\n|---|---|---|---|---|---|\n"]
    for r in rows:
        by_seed = ", ".join(number(v) for v in r["by_seed"])
        if "low" in r:
            verdict = "within" if r["within"] else f"**outside**: {r['reason'] or 'no reason is known'}"
            where = f"{r['mark']}, {r['source']}"
            out.append(f"| {r['label']} | {span(r)} | {where} | {number(r['simulated'])} | {by_seed} | {verdict} |\n")
        else:
            out.append(f"| {r['label']} | – | – | {number(r['simulated'])} | {by_seed} | came out |\n")
    return "".join(out)


def _plot(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Each figure against its published range, laid on 0 to 1."""
    figure, axes = plt.subplots(figsize=(8, 0.28 * len(rows) + 1))
    for i, r in enumerate(reversed(rows)):
        middle, half = (r["low"] + r["high"]) / 2, max((r["high"] - r["low"]) / 2, 1e-9)
        at = [max(-4, min(4, (v - middle) / half)) for v in r["by_seed"]]
        axes.plot([-1, 1], [i, i], color="0.8", linewidth=7, solid_capstyle="butt")
        axes.plot(at, [i] * len(at), "o", color="tab:blue" if r["within"] else "tab:red", markersize=4)
    axes.set_yticks(range(len(rows)), [r["label"] for r in reversed(rows)], fontsize=7)
    axes.set_xticks([-4, -1, 0, 1, 4], ["", "low", "middle", "high", ""])
    axes.set_title(f"SIMULATED, {name}: seeds (dots) and published ranges (bars)", fontsize=9)
    figure.tight_layout()
    figure.savefig(DOCS / f"simulation-{name}.png", dpi=110)
    plt.close(figure)


def _difficulty() -> str:
    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(RESULTS.glob("difficulty-*.json"))]
    if not found:
        return ""
    out = ["## How hard falls are to foresee\n", *_of_other_rules(found)]
    for r in found:
        out.append(
            f"### {r['profile']}: {r['world']} (simulated)\n\n{r['households']:,} households, seed {r['seed']}; "
            f"{r['events_trained']} falls within 6 months learnt from, {r['events_tested']} tested on "
            f"{r['rows_tested']:,} rows; {r['visits']} visits of the rules.\n\n"
            "| method | AUC | average precision | found at its visits | times any rule, 95 % by village |\n"
            "|---|---|---|---|---|\n"
        )
        for name, m in r["methods"].items():
            e, low, high = m["times_any_rule"]
            out[-1] += (
                f"| {name} | {m['auc']:.3f} | {m['ap']:.3f} | {m['found']:.0%} | {e:.2f} [{low:.2f}, {high:.2f}] |\n"
            )
    return "\n".join(out)


def _of_other_rules(found: Sequence[dict[str, Any]]) -> list[str]:
    """That the tables were measured with other rules than the policy now holds; nothing where they were not."""
    now = {f"rule: {name}" for name in load(DEFAULT_POLICY, DEFAULT_POLICY).rules}
    then = {name for r in found for name in r["methods"] if name.startswith("rule: ")}
    if then == now:
        return []
    return [
        f"**Measured when the policy held {len(then)} rules; it now holds {len(now)}.** `any rule`, the visits and "
        "what is found at them are of those rules and of the features of that time: not yet measured anew.\n"
    ]
