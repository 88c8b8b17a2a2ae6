"""What on record does not fit together: the findings of policy's checks, and how many there are.

Shown apart from rules and risk: a finding lists nobody, refuses nothing, and asks that somebody look at the record.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue, Check, Language
from fpml.households import hold_together

Bools = npt.NDArray[np.bool_]
# A township is the first nine digits of a village's code.
TOWNSHIP = 9


@dataclass(frozen=True)
class Verdict:
    """A check on each history row: `found`, out of those it concerns and could be `judged`; or `unknown`.

    A row is unknown where what is missing could make it a finding.
    """

    found: Bools
    judged: Bools
    unknown: Bools


def verdict(check: Check, histories: pa.Table, catalogue: Catalogue) -> Verdict:
    """A check on each history row, with the thresholds in force at the row's as-of."""
    concerned, _ = hold_together(check.among, (), histories, catalogue)
    found, known = hold_together((*check.among, *check.all), check.any, histories, catalogue)
    return Verdict(found, concerned & known, ~known)


def findings(histories: pa.Table, catalogue: Catalogue) -> dict[str, Bools]:
    """For each check, which history rows it finds. What is unknown makes no finding."""
    return {name: verdict(check, histories, catalogue).found for name, check in catalogue.checks.items()}


def summary(histories: pa.Table, catalogue: Catalogue, *, language: Language = "en") -> pd.DataFrame:
    """One row per check: what it says, rows found, out of how many judged, how many not to be judged, and the share.

    Where nobody could be judged, the share is not a number.
    """
    everywhere = np.zeros(histories.num_rows, np.int64)
    told = _counts(histories, catalogue, everywhere).droplevel("place").reindex(list(catalogue.checks), fill_value=0)
    told.insert(0, "sentence", [c.name.said(language) for c in catalogue.checks.values()])
    return told.assign(share=told["found"] / told["judged"])


def by_place(histories: pa.Table, catalogue: Catalogue, *, digits: int = TOWNSHIP) -> pd.DataFrame:
    """One row per check and place (the first so many digits of the village's code): as `summary`, without its words.

    Rows whose village is not known are at place -1.
    """
    village = pc.fill_null(histories[f"{catalogue.county.village}__last__ever"].cast(pa.int64()), -1)
    places = pc.utf8_slice_codeunits(village.cast(pa.string()), 0, digits).cast(pa.int64()).to_numpy()
    told = _counts(histories, catalogue, places)
    return told.assign(share=told["found"] / told["judged"])


def _counts(histories: pa.Table, catalogue: Catalogue, places: npt.NDArray[np.int64]) -> pd.DataFrame:
    """How many rows of each place are found, judged and unknown, check by check."""
    keys, parts = list[str](), [pd.DataFrame({f.name: pd.Series(dtype=np.int64) for f in fields(Verdict)})]
    for name, check in catalogue.checks.items():
        rows = pd.DataFrame(vars(verdict(check, histories, catalogue))).astype(np.int64)
        keys.append(name)
        parts.append(rows.groupby(places).sum())
    return pd.concat(parts[1:] or parts, keys=keys or [""], names=["check", "place"])
