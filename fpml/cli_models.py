"""What `fpml train`, `tune`, `backtest`, `worth` and `challenge` say: of models, and never of a household."""

import argparse
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from fpml.backtests import Backtest
from fpml.county import County
from fpml.errors import NotYetError
from fpml.measure.skill import OURS
from fpml.risk import LEAST_FALLEN, Budget

Say = Callable[..., None]


def train(county: County, a: argparse.Namespace, say: Say, warn: Callable[[str], None]) -> None:
    """Trains the models that can be, and says what is to be known of them. Raises NotYetError where none could."""
    table = Table("model", "learnt up to", "rows", "positive labels", "households", "fingerprint")
    answer: list[dict[str, Any]] = []
    not_yet: list[NotYetError] = []
    warnings: list[str] = []
    for name in a.models or county.model_names():
        try:
            m = county.train(name, a.as_of)
        except NotYetError as e:
            not_yet.append(e)
            continue
        n = m.learnt
        suspects = [str(d) for d in county.disguised(name, a.as_of)]
        answer.append({"model": name, "fingerprint": m.fingerprint, **vars(n), "outcome_in_disguise": suspects})
        warnings += [
            f"{name}: {said}. Is it written after the fall? Leave it out, or say why not." for said in suspects
        ]
        if n.own_falls is not None and n.own_falls < LEAST_FALLEN:
            who = f"{n.own_falls} households at risk of it have fallen so far"
            warnings.append(f"{name}: {who}: calibrated by all who are at risk of any outcome.")
        table.add_row(name, n.origin, f"{n.rows:,}", f"{n.positive_labels:,}", f"{n.households:,}", m.fingerprint)
    if not_yet and not answer:
        raise not_yet[0]
    unasked = set(county.catalogue.county.outcomes) - {county.definition(m).outcome for m in county.model_names()}
    warnings += [f"{o}: no model in models/ is of it; households at risk of it get no score." for o in sorted(unasked)]
    for said in (*map(str, not_yet), *warnings):
        warn(said)
    say(a, answer, table)


def tune(county: County, a: argparse.Namespace, say: Say) -> None:
    """The parameters as they are beside the best that was tried."""
    budget = Budget(a.budget, a.trials)
    told = county.tune(a.model, a.as_of, origins=a.origins, budget=budget, write=a.write)
    first, best = told.trials[0], told.best
    table = Table("parameters", "average precision", "log loss", title=f"{a.model}: {len(told.trials)} trials")
    for name, trial in (("as they are", first), ("best", best)):
        table.add_row(name, f"{trial.average_precision:.4f}", f"{trial.log_loss:.5f}")
    answer = {
        "model": a.model,
        "labels_known_by": str(told.ahead.end),
        "origins": [str(o) for o in told.ahead.origins],
        "trials": len(told.trials),
        "tried_now": told.tried,
        "trees": best.trees.model_dump(),
        "average_precision": {"as_they_are": first.average_precision, "best": best.average_precision},
        "log_loss": {"as_they_are": first.log_loss, "best": best.log_loss},
        "written": a.write,
    }
    note = f"# models/{a.model}.yaml" + (", written" if a.write else "") + "\n"
    say(a, answer, Group(table, Text(note + told.as_yaml())))


def backtest(county: County, a: argparse.Namespace, say: Say) -> None:
    """Every method, held against what came."""
    told = county.backtest(*a.models, first=a.first, last=a.last, times=a.draws)
    say(a, told.as_json(), Group(*_tables(told)), wide=True)


def worth(county: County, a: argparse.Namespace, say: Say) -> None:
    """What the ranking owes to each part."""
    told = county.worth(*a.models, last=a.last, origins=a.origins, times=a.draws)
    simulated = " (simulated)" if told.about["simulated"] else ""
    found = _figures(told.found, ("method", "found", "found_gain"),
                     f"Found at {told.about['visits']} visits; gain: all of it, less it{simulated}")  # fmt: skip
    parts = told.skill.groupby(["kind", "outcome", "horizon"], sort=False)
    skill = [_figures(part, ("method", "average_precision", "gain"),
                      f"{o}, {kind} within {h} months: {part.iloc[0]['events']:,} events{simulated}")
             for (kind, o, h), part in parts]  # fmt: skip
    say(a, told.as_json(), Group(found, *skill), wide=True)


def challenge(county: County, a: argparse.Namespace, say: Say) -> None:
    """Whether the challenger takes the place."""
    told = county.challenge(a.model, a.definition, last=a.last, promote=a.promote)
    lines = [f"found: champion {told.champion}, challenger {told.challenger}, gain {told.gain}"]
    lines += [f"{told.falls} falls, {len(told.origins)} origins: {told.origins[0]} to {told.origins[-1]}"]
    lines += [f"not promoted: {reason}" for reason in told.reasons]
    lines += ["promoted" if a.promote else "to be promoted (--promote)"] * told.promoted
    say(a, told.as_json(), "\n".join(lines))


def _tables(told: Backtest) -> Iterator[Table]:
    """A backtest for a terminal: what was found, by whom, and whether probabilities hold."""
    simulated = " (simulated)" if told.about["simulated"] else ""
    visits = told.about["visits"]
    found = told.found[told.found["visits"] == visits]
    yield _figures(found, ("method", "found", "lead", "precision", "found_gain"),
                   f"Found at {visits} visits an as-of; lead in months; gain: ours less it{simulated}")  # fmt: skip
    yield _figures(told.rules, ("rule", "visits", "found", "found_ours", "ratio", "lead_gain"),
                   f"Rules at their own visits, ours at as many{simulated}")  # fmt: skip
    yield _figures(told.groups, ("grouping", "group", "falls", "found_rules", "found_ours", "found_gain"),
                   f"By cause and outcome: any rule that pushes, ours at as many visits{simulated}")  # fmt: skip
    for (kind, outcome, horizon), part in told.skill.groupby(["kind", "outcome", "horizon"]):
        columns = ("method", "auc", "average_precision", "gain", "brier", "log_loss", "expected_over_observed")
        one = part.iloc[0]
        of = f"{one['events']:,} events in {one['rows']:,} rows of {one['origins']} origins"
        yield _figures(part, columns, f"{outcome}, {kind} within {horizon} months: {of}{simulated}")
    yield _figures(told.calibration[told.calibration["method"] == OURS],
                   ("kind", "outcome", "horizon", "events", "ratio", "verdict"),
                   f"Calibration of ours{simulated}")  # fmt: skip
    if len(told.bound):
        yield _figures(told.bound, ("visits", "missed", "upper"),
                       f"Share of falls that one list misses, and what the next stays below{simulated}")  # fmt: skip


def _figures(told: pd.DataFrame, columns: Sequence[str], title: str) -> Table:
    """Some columns of a data frame for a terminal; where one has its ends beside it, with its 95 % interval."""
    table = Table(*columns, title=title)
    for row in told.to_dict("records"):
        table.add_row(*(_cell(row, name) for name in columns))
    return table


def _cell(row: Mapping[Hashable, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if value != value:
        return "-"
    inside = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return inside if low is None or low != low else f"{inside} [{low:.3f}, {high:.3f}]"
