"""What a county's audits, register and lists tell of who is looked at, as known at an origin: see `fpml.risk.seen`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml import lists
from fpml.dates import AsOf
from fpml.errors import InputError
from fpml.ledger import Ledger
from fpml.measure.metrics import Bools, Floats
from fpml.risk import MONTHS_LISTED, Finds, Seen
from fpml.workspace import Workspace

# Everybody whom an audit met, in its folder, written by `fpml audit estimate`: household_id, its stratum and how many
# households that has (`size`), the month in which it was `visited`, the month by which that was `known`, whether it was
# `found` and confirmed, the month in which it `fell` (else -1), and whether a list had it before.
ANSWERS = "answers.parquet"
REGISTER = "monitored"
# Months of lists that are looked at: those before the oldest label that is learnt may be left out.
BACK = 48


def seen(space: Workspace, ledger: Ledger, origin: AsOf) -> Seen | None:
    """Entries in the register for each fall, by the last audit that had told of enough by the origin; None: by none.

    Falls are those after the audit's as-of, up to each visit: whom it asks were at risk then, and who was in the
    register before is not among them. A month's entries count by the share of visits that could have found its falls.
    """
    audits = sorted((p for p in space.audits.glob("[0-9]*") if (p / ANSWERS).is_file()), reverse=True)
    months = [origin.shift(-n) for n in range(BACK)] if audits else []
    had = {month.month: names for month, names in lists.listed_in(space.lists, months).items()}
    for path in audits:
        told = _told(path, origin)
        if told["found"].any() and (found := _counted(told, AsOf.parse(path.name), ledger, origin, had)):
            return found
    return None


def _counted(told: pd.DataFrame, as_of: AsOf, ledger: Ledger, origin: AsOf, had: Mapping[int, pa.Array]) -> Seen | None:
    met = told.groupby("stratum")["household_id"].transform("size")
    finds = told["found"] & (told["fell"] > as_of.month) & (told["fell"] <= told["visited"])
    entered = _entered(ledger, origin, as_of, told)
    of_list, share = _listed(entered, had), entered["share"].to_numpy()
    entries = float(share[of_list].sum()), float(share[~of_list].sum())
    if not sum(entries):
        return None  # nobody tells of monitoring
    weight = (told["size"] / met)[finds].to_numpy(np.float64)
    met_in = {str(h): int(v) for h, v in zip(told["household_id"], told["visited"], strict=True)}
    return Seen.of(Finds(weight, told.loc[finds, "listed"].to_numpy(bool), entries), had, met_in)


def _entered(ledger: Ledger, origin: AsOf, as_of: AsOf, told: pd.DataFrame) -> pd.DataFrame:
    """Entries after the as-of, each with the `share` of visits in its month or later; the audit's own left out."""
    table = ledger.standing(origin.date, REGISTER).select(["household_id", "event_date"]).to_pandas()
    table["household_id"] = table["household_id"].astype(str)
    table["month"] = table["event_date"].to_numpy().astype("datetime64[M]").astype(int) + 1970 * 12
    visited = np.sort(told["visited"].to_numpy())
    table = table[(table["month"] > as_of.month) & (table["month"] <= visited[-1])]
    asked = table["household_id"].map(told.set_index("household_id")["visited"])
    table = table[~(table["month"] >= asked)].reset_index(drop=True)
    share: Floats = 1 - np.searchsorted(visited, table["month"].to_numpy()) / visited.size
    return table.assign(share=share)


def _listed(entered: pd.DataFrame, had: Mapping[int, pa.Array]) -> Bools:
    """Which entries were of households that a list of the twelve months before had."""
    out = np.zeros(len(entered), bool)
    month, household = entered["month"].to_numpy(), pa.array(entered["household_id"], pa.string())
    for listed, names in had.items():
        when = (month > listed) & (month <= listed + MONTHS_LISTED)
        out |= when & np.asarray(pc.is_in(household, value_set=names), bool)
    return out


def _told(audit: Path, origin: AsOf) -> pd.DataFrame:
    """Whom an audit had met, as was known by the origin; one row a household."""
    try:
        told = pd.read_parquet(audit / ANSWERS)
        return told[told[["visited", "known"]].max(axis=1) <= origin.month]
    except (OSError, ValueError, KeyError) as e:
        remedy = f"Run `fpml audit estimate {audit.name}` again."
        raise InputError(f"audit {audit.name}", f"{ANSWERS} is damaged ({type(e).__name__})", remedy) from None
