"""Forward in time: at each origin every method learns what had matured by then, and is held against what came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.features import as_of_months, matrix, natural
from fpml.measure import baselines, metrics
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.outcomes import labels, matured, risk_set
from fpml.risk import ModelDefinition, RiskModel, fit
from fpml.rules import any_hit, hits, pushed

OURS, OURS_WITH_RULES = "fpml", "fpml with rules"
LOGISTIC, PLAIN, MEAN_OF_TWO = "logistic regression", "LightGBM, default", "mean of the two"
ANY = "any rule"
PROBABILITIES = (OURS, LOGISTIC, PLAIN, MEAN_OF_TWO)


@dataclass(frozen=True)
class Occasion:
    """One origin and horizon: the rows at risk then whose label is known, every method's score, every rule's hits,
    and whom the departments' rules that push list."""

    origin: AsOf
    horizon: int
    village: Ints
    label: Ints
    scores: dict[str, Floats]
    rule_hits: dict[str, Bools]
    listed: Bools


def backtest(
    definition: ModelDefinition, histories: pa.Table, catalogue: Catalogue, origins: Iterable[AsOf]
) -> list[Occasion]:
    """Every origin and horizon that can be judged; raises NotYetError where there is none."""
    occasions: list[Occasion] = []
    for origin in origins:
        try:
            model = fit(definition, histories, catalogue, origin=origin)
        except NotYetError:
            continue
        occasions.extend(_judge(definition, model, histories, catalogue, origin))
    if not occasions:
        raise NotYetError(
            f"backtest {definition.outcome}",
            "no origin has both enough known falls before and labels after",
            "Take in more months.",
        )
    return occasions


def _judge(
    definition: ModelDefinition, model: RiskModel, histories: pa.Table, catalogue: Catalogue, origin: AsOf
) -> Iterable[Occasion]:
    outcome = catalogue.county.outcomes[definition.outcome]
    months = as_of_months(histories)
    risks = risk_set(outcome, histories, catalogue)
    village = np.nan_to_num(natural(histories, f"{catalogue.county.village}__last__ever", catalogue), nan=-1).astype(
        np.int64
    )
    x = matrix(histories, model.features, catalogue)
    fall = outcome.fall
    column = natural(histories, fall.feature, catalogue).astype(np.float32)[:, None]
    for h in sorted(model.calibrations):
        label = labels(outcome, histories, catalogue, h).astype(np.int64)
        now = np.flatnonzero(risks.at_risk & (months == origin.month) & (label >= 0))
        past = np.flatnonzero(risks.at_risk & (label >= 0) & matured(months, h, outcome, origin.month))
        if not now.size or not label[now].any() or not label[past].any():
            continue
        ours = model.probability(x[now], h)
        hit = hits(histories.take(pa.array(now)), catalogue)
        listed = any_hit({n: hit[n] for n in pushed(catalogue)}, now.size)
        logistic = baselines.logistic_regression(x[past], label[past], x[now])
        plain = baselines.plain_lightgbm(x[past], label[past], x[now], seed=definition.seed)
        yield Occasion(
            origin,
            h,
            village[now],
            label[now],
            {
                OURS: ours,
                OURS_WITH_RULES: ours + listed,
                LOGISTIC: logistic,
                PLAIN: plain,
                MEAN_OF_TWO: (logistic + plain) / 2,
                f"one column: {fall.feature}": baselines.one_column(
                    column[now], 0, high_is_bad=fall.comparison in ("at_least", "above")
                ),
                "village mean": baselines.village_mean(village[past], label[past], village[now]),
                "chance": baselines.chance(now.size, seed=definition.seed + origin.month),
            },
            hit,
            listed,
        )


def summary(occasions: Sequence[Occasion], horizon: int, visits: int, *, times: int = 500) -> pd.DataFrame:
    """One row a method: skill, what it finds at the same visits an as-of, and its gain over ours with a 95 % interval.

    Intervals draw whole villages, paired between methods, given these months.
    """
    chosen = [o for o in occasions if o.horizon == horizon]
    y = np.concatenate([o.label for o in chosen])
    village = np.concatenate([o.village for o in chosen])
    occasion = np.concatenate([np.full(o.label.size, o.origin.month) for o in chosen])
    ours = np.concatenate([o.scores[OURS] for o in chosen])
    rows = []
    for method in chosen[0].scores:
        score = np.concatenate([o.scores[method] for o in chosen])
        top = metrics.visited(score, occasion, visits)
        gain = metrics.interval(partial(_gain, y, ours, score), village, times=times)
        probable = method in PROBABILITIES
        rows.append(
            {
                "method": method,
                "AUC": metrics.auc(y, score),
                "average precision": metrics.average_precision(y, score),
                "precision at visits": metrics.precision(y, top),
                "found at visits": metrics.found(y, top),
                "Brier": metrics.brier(y, score) if probable else np.nan,
                "expected/observed": metrics.expected_over_observed(y, score) if probable else np.nan,
                "ours minus it": gain.estimate,
                "low": gain.low,
                "high": gain.high,
            }
        )
    return pd.DataFrame(rows).set_index("method")


def rules_beside(occasions: Sequence[Occasion], horizon: int, *, times: int = 500) -> pd.DataFrame:
    """One row a rule, and any that pushes: its own visits, what it finds, and what ours finds with as many."""
    chosen = [o for o in occasions if o.horizon == horizon]
    y = np.concatenate([o.label for o in chosen])
    village = np.concatenate([o.village for o in chosen])
    names = [*chosen[0].rule_hits, ANY]
    rows = []
    for name in names:
        hit = [o.listed if name == ANY else o.rule_hits[name] for o in chosen]
        same = np.concatenate(
            [
                metrics.visited(o.scores[OURS], np.zeros(o.label.size, np.int64), int(h.sum()))
                for o, h in zip(chosen, hit, strict=True)
            ]
        )
        by_rule = np.concatenate(hit)
        ratio = metrics.interval(partial(_found_ratio, y, same, by_rule), village, times=times)
        rows.append(
            {
                "rule": name,
                "visits": int(by_rule.sum()),
                "precision": metrics.precision(y, by_rule),
                "found": metrics.found(y, by_rule),
                "found by ours": metrics.found(y, same),
                "ours / rule": ratio.estimate,
                "low": ratio.low,
                "high": ratio.high,
            }
        )
    return pd.DataFrame(rows).set_index("rule")


def _gain(y: Ints, ours: Floats, other: Floats, rows: Ints) -> float:
    return metrics.average_precision(y[rows], ours[rows]) - metrics.average_precision(y[rows], other[rows])


def _found_ratio(y: Ints, ours: Bools, other: Bools, rows: Ints) -> float:
    by_other = y[rows][other[rows]].sum()
    return float(y[rows][ours[rows]].sum() / by_other) if by_other else float("nan")
