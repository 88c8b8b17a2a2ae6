"""What `fpml audit` says: the plan, what narrower costs, where the drawn files lie, what came of them; counts alone."""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from fpml.audits import Audit, ground, plan
from fpml.county import County
from fpml.errors import UsageError
from fpml.measure import Interval
from fpml.measure.audit import Estimate, costs, if_they_err

Say = Callable[..., None]
ERRING = (1.0, 0.9, 0.8, 0.6)


def add(sub: argparse.ArgumentParser) -> None:
    """The words of the command."""
    sub.add_argument("act", choices=("plan", "draw", "check", "estimate"))
    sub.add_argument("as_of", metavar="YYYY-MM")
    sub.add_argument("files", nargs="*", metavar="FILE", help="check: visitors.csv; estimate: visitors.csv county.csv")
    said = "of the 95 %% interval of the yearly recall (default: 0.10)"
    sub.add_argument("--half-width", type=float, default=0.10, metavar="X", help=said)
    said = "share of households thought below the line in the year (default: what the models say)"
    sub.add_argument("--fallen", type=float, metavar="SHARE", help=said)
    sub.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed draws the same households")


def run(county: County, a: argparse.Namespace, say: Say) -> None:
    """Plans, draws, says whom the county checks again, or estimates."""
    wanted = {"plan": 0, "draw": 0, "check": 1, "estimate": 2}[a.act]
    if len(a.files) != wanted:
        raise UsageError(f"audit {a.act}", f"{len(a.files)} files given, {wanted} asked for", "See fpml audit --help.")
    if not 0 < a.half_width < 1 or (a.fallen is not None and not 0 < a.fallen < 1):
        raise UsageError("audit", "--half-width or --fallen not between 0 and 1", "Give a share, as 0.10.")
    audit = Audit.of(county, a.as_of)
    if a.act == "check":
        path, number = audit.write_to_check(Path(a.files[0]))
        say(a, {"to_check": number, "file": str(path)}, f"{number:,} households for the county to check: {path}")
        return
    if a.act == "estimate":
        told = audit.estimate(county, *map(Path, a.files))
        _keep(county, a.as_of, told)
        say(a, asdict(told), _told(told))
        return
    over = ground(county, a.as_of, fallen=a.fallen)
    asked = plan(over.strata, a.half_width)
    answer = {**asdict(asked), "total": asked.total, "finds": asked.finds, "checks": asked.checks}
    if a.act == "draw":
        sample = audit.draw(over, asked, seed=a.seed)
        say(a, {**answer, "folder": str(audit.folder), "drawn": len(sample)}, f"{len(sample):,} drawn: {audit.folder}")
        return
    alone = Text("Fewer than ten finds are expected: a bound on the missed alone, or pool counties or years.")
    words = [_table(asked.table(), "by stratum"), _table(costs(over.strata), "what narrower costs")]
    say(
        a,
        {**answer, "costs": costs(over.strata).to_dict("records")},
        Group(*words, *([alone] if asked.bound_alone else [])),
    )


def _keep(county: County, as_of: str, told: Estimate) -> None:
    path = county.workspace.reports / f"audit-{as_of}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(told), indent=1) + "\n", encoding="utf-8")


def _told(told: Estimate) -> Group:
    table = Table("", "estimate", "95 % interval")
    estimable = not math.isnan(told.recall.estimate)
    if estimable:
        table.add_row("yearly recall", f"{told.recall.estimate:.3f}", _ends(told.recall, 3))
    else:
        table.add_row("yearly recall", "not estimable", "fewer than ten finds: pool counties or years")
    at_most = f"{_ends(told.missed)}; 95 %: at most {told.upper:,.0f}"
    table.add_row("missed by every list", f"{told.missed.estimate:,.0f}", at_most)
    table.add_row("all falls", f"{told.falls.estimate:,.0f}", _ends(told.falls))
    table.add_row("falls that visitors overlooked", f"{told.overlooked.estimate:,.0f}", _ends(told.overlooked))
    table.add_row("naive recall, of finds", f"{told.naive:.3f}", "unweighted: for comparison, not to be published")
    said = Text(f"{told.finds} falls confirmed; {told.answered:.0%} of the sample was met.")
    if not estimable:
        return Group(said, table)
    erring = if_they_err(told.recall.estimate, listed=ERRING, unlisted=ERRING)
    title = "the recall, if visitors notice such shares of listed (rows) and of unlisted falls (columns)"
    return Group(said, table, _table(erring.reset_index(), title))


def _ends(told: Interval, digits: int = 0) -> str:
    return f"{told.low:,.{digits}f} to {told.high:,.{digits}f}"


def _table(frame: pd.DataFrame, title: str) -> Table:
    table = Table(*map(str, frame.columns), title=title)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{x:,.4g}" if isinstance(x, float) else str(x) for x in row))
    return table
