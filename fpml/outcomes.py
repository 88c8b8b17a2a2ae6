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

UNKNOWN = np.int8(-1)
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

    `histories` must hold the later as-ofs too, sorted by as-of and household.
    """
    fallen, known = condition_holds(outcome.fall, histories, catalogue)
    state = np.where(known, fallen.astype(np.int8), UNKNOWN)
    months = as_of_months(histories)
    household = household_codes(histories)
    held = np.unique(months)
    complete = np.isin(months + horizon, held)
    later = range(1, horizon + 1) if outcome.observed == "within" else (horizon,)
    label = _state_after(household, months, state, horizon)
    for month in later:
        # A fall seen counts whatever came after it; no fall is believed only where the end of the horizon was seen.
        if np.isin(held + month, held).any():
            label = np.where(_state_after(household, months, state, month) == 1, np.int8(1), label)
    return np.where(complete, label, UNKNOWN)


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


def _state_after(household: npt.NDArray[np.int64], months: npt.NDArray[np.int64], state: Labels, later: int) -> Labels:
    """The state of each row's household `later` months on; -1 where it has no row then."""
    key = household * 100_000 + months
    order = np.argsort(key)
    sought = household * 100_000 + months + later
    at = np.searchsorted(key[order], sought)
    at = np.minimum(at, key.size - 1)
    found = key[order][at] == sought
    return np.where(found, state[order][at], UNKNOWN)
