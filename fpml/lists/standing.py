"""How every watched household stands at one as-of: its probabilities, whether it is below the line, what hits it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.features import Over, in_one, matrix
from fpml.households import condition_holds
from fpml.lists.rank import Bools, Floats
from fpml.outcomes import risk_set
from fpml.risk import RiskModel, rearranged
from fpml.rules import hits

Models = Mapping[str, RiskModel]


@dataclass(frozen=True)
class Standing:
    """How every watched household stands at one as-of: the outcome it is told by ('' when not at risk), that outcome's
    probability at the horizon that lists are ranked by, all probabilities, whether it is below the line, and the rules
    that hit it."""

    outcome: npt.NDArray[np.object_]
    score: Floats
    probability: Mapping[tuple[str, int], Floats]
    below: Bools
    state_known: Bools
    hits: Mapping[str, Bools]


def scores(
    histories: pa.Table, models: Models, catalogue: Catalogue, *, over: Over = in_one
) -> dict[tuple[str, int], Floats]:
    """For each outcome and horizon every row's probability, NaN for who is not at risk.

    Non-decreasing in the horizon where the outcome counts any fall within it. `over` applies a function to pieces of
    the rows.
    """
    out: dict[tuple[str, int], Floats] = {}
    for name, model in models.items():
        outcome = catalogue.county.outcomes[name]
        at_risk = risk_set(outcome, histories, catalogue).at_risk
        rows = histories.select(model.features).filter(pa.array(at_risk))
        told = np.concatenate(over(partial(_probabilities, model, catalogue), rows))
        told = rearranged(told) if outcome.observed == "within" else told
        for j, h in enumerate(model.horizons):
            out[name, h] = np.full(histories.num_rows, np.nan)
            out[name, h][at_risk] = told[:, j]
    return out


def _probabilities(model: RiskModel, catalogue: Catalogue, rows: pa.Table) -> Floats:
    return model.probabilities(matrix(rows, model.features, catalogue))


def standing(
    histories: pa.Table,
    models: Models,
    catalogue: Catalogue,
    *,
    probability: Mapping[tuple[str, int], Floats] | None = None,
    held: Mapping[str, Bools] | None = None,
) -> Standing:
    """The standing of every row. Who is at risk of two outcomes is told by the one that stands last in county.yaml.

    `probability`, `held`: what `scores` and `rules.hits` give, where that has been reckoned.
    """
    probability = scores(histories, models, catalogue) if probability is None else probability
    outcome = np.full(histories.num_rows, "", object)
    score = np.full(histories.num_rows, np.nan)
    for name in catalogue.county.outcomes:
        if name in models:
            first = probability[name, catalogue.county.ranking(name)]
            outcome[~np.isnan(first)] = name
            score = np.where(np.isnan(first), score, first)
    below, known = condition_holds(catalogue.county.below_already, histories, catalogue)
    return Standing(outcome, score, probability, below, known, hits(histories, catalogue) if held is None else held)
