"""Labels: who was at risk at an as-of, and who fell; what is not known stays unknown.

A state is read from the household's own history at the later month, as known then, so a label can never be better
informed than its own day. Help after the as-of neither censors nor enters.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fpml.catalogue import Catalogue, OutcomeDefinition
from fpml.features import as_of_months
from fpml.households import condition_holds

UNKNOWN, GONE = np.int8(-1), np.int8(-2)
Labels = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RiskSet:
    """For each history row: at risk of the outcome, already fallen, or (neither) not known."""

    at_risk: Bools
    fallen: Bools
    state_known: Bools


def risk_set(outcome: OutcomeDefinition, histories: pa.Table, catalogue: Catalogue) -> RiskSet:
    """Who is at risk at each row's as-of: every condition of `at_risk` holds."""
    at_risk = np.ones(histories.num_rows, bool)
    for condition in outcome.at_risk:
        held, _ = condition_holds(condition, histories, catalogue)
        at_risk &= held
    fallen, known = condition_holds(outcome.fall, histories, catalogue)
    return RiskSet(at_risk, fallen, known)


def labels(outcome: OutcomeDefinition, histories: pa.Table, catalogue: Catalogue, horizon: int) -> Labels:
    """Each row's label at a horizon in months: 1 fell, 0 did not, -1 not known (not looked at, or still to come).

    Where any fall `within` the horizon counts, a household that has died out, left or merged by its end has not fallen:
    these are competing events (cumulative incidence), no censoring.

    `histories` must hold the later as-ofs too; of features only those that the outcome's conditions read.
    """
    fallen, known = condition_holds(outcome.fall, histories, catalogue)
    months, household = as_of_months(histories), household_codes(histories)
    if not months.size:
        return np.zeros(0, np.int8)
    first, last = int(months.min()), int(months.max())
    state = np.full((int(household.max()) + 1, last - first + horizon + 1), GONE)
    state[household, months - first] = np.where(known, fallen.astype(np.int8), UNKNOWN)
    # A month in which nobody at all was watched is no as-of: what would have been told then stays unknown.
    complete = np.isin(np.arange(first, last + 1) + horizon, months)
    label = state[household, months - first + horizon]
    later = range(1, horizon + 1) if outcome.observed == "within" else ()
    for month in later:
        # A fall seen counts whatever came after it; no fall is believed only where the end of the horizon was seen.
        label[state[household, months - first + month] == 1] = 1
    label[label == GONE] = 0 if later else UNKNOWN
    label[~complete[months - first]] = UNKNOWN
    return label


def told_by(catalogue: Catalogue) -> tuple[str, ...]:
    """The features that outcomes read: of these alone histories must be made to tell who was at risk, and who fell."""
    county = catalogue.county
    conditions = [c for o in county.outcomes.values() for c in (*o.at_risk, o.fall)]
    # A threshold may be one of a household type or of a region.
    conditions += [c for group in county.cohort.values() for c in group.all]
    names = {c.feature for c in conditions} | {f"{r}__last__ever" for r in [county.line.region] if r}
    return tuple(n for n in catalogue.names() if n in names)


def household_codes(histories: pa.Table) -> npt.NDArray[np.int64]:
    """Each row's household as an integer."""
    encoded = histories["household_id"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes: npt.NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def matured(months: npt.NDArray[np.int64], horizon: int, outcome: OutcomeDefinition, origin: int) -> Bools:
    """Which rows' labels may be used at an origin: as-of + horizon + the time until it is known has passed.

    One rule for positives and negatives: keeping the positives that are known early would bias the risk upward.
    """
    return np.asarray(months + horizon + outcome.known_after_months <= origin, bool)
