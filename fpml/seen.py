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
from fpml.measure.metrics import Bools
from fpml.risk import MONTHS_LISTED, Finds, Seen
from fpml.workspace import Workspace

# An audit's confirmed finds, and everybody who was met; written by `fpml audit estimate`.
FINDS, MET = "finds.parquet", "met.parquet"
REGISTER = "monitored"
# Months of lists that are looked at: those before the oldest label that is learnt may be left out.
BACK = 48


def seen(space: Workspace, ledger: Ledger, origin: AsOf) -> Seen | None:
    """Entries in the register for each fall, by the last audit whose answers were in by the origin; None: too few."""
    told = [pair for path in sorted(space.audits.glob("[0-9]*")) if len((pair := _told(path, origin))[1])]
    if not told:
        return None
    met, found = told[-1]
    months = [origin.shift(-n) for n in range(BACK)]
    had = {month.month: names for month, names in lists.listed_in(space.lists, months).items()}
    year = found[found["fell"] > found["visited"] - MONTHS_LISTED]
    entered = _entered(ledger, origin, int(met["visited"].max()), met)
    of_list = _listed(entered, had)
    finds = Finds(year["weight"].to_numpy(np.float64), year["listed"].to_numpy(bool), (of_list.sum(), (~of_list).sum()))
    return Seen.of(finds, had)


def _entered(ledger: Ledger, origin: AsOf, last: int, met: pd.DataFrame) -> pd.DataFrame:
    """The entries of the year up to a month; what an audit itself led to left out: it was not seen without it."""
    table = ledger.standing(origin.date, REGISTER).select(["household_id", "event_date"]).to_pandas()
    table["household_id"] = table["household_id"].astype(str)
    table["month"] = table["event_date"].to_numpy().astype("datetime64[M]").astype(int) + 1970 * 12
    table = table[(table["month"] > last - MONTHS_LISTED) & (table["month"] <= last)]
    asked = table["household_id"].map(met.set_index("household_id")["visited"])
    return table[~(table["month"] >= asked)].reset_index(drop=True)


def _listed(entered: pd.DataFrame, had: Mapping[int, pa.Array]) -> Bools:
    """Which entries were of households that a list of the twelve months before had."""
    out = np.zeros(len(entered), bool)
    month, household = entered["month"].to_numpy(), pa.array(entered["household_id"], pa.string())
    for listed, names in had.items():
        when = (month > listed) & (month <= listed + MONTHS_LISTED)
        out |= when & np.asarray(pc.is_in(household, value_set=names), bool)
    return out


def _told(audit: Path, origin: AsOf) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whom an audit had met by the origin, and whom of them it had found; one row a household, none before it began."""
    parts = []
    for name in (MET, FINDS):
        try:
            part = pd.read_parquet(audit / name) if (audit / name).exists() else pd.DataFrame({"visited": []})
        except (OSError, ValueError) as e:
            remedy = f"Run `fpml audit estimate {audit.name}` again."
            raise InputError(f"audit {audit.name}", f"{name} is damaged ({type(e).__name__})", remedy) from None
        parts.append(part[part["visited"] <= origin.month])
    return parts[0], parts[1]
