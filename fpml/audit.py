"""An audit's rows as they come in, checked before they count: whom it drew, how probably, and what it found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml.dates import AsOf
from fpml.errors import InputError, UsageError
from fpml.measure import Panel
from fpml.measure.metrics import Bools, Ints
from fpml.review import Audited

COLUMNS = ("household_id", "as_of", "probability", "confirmed", "fell")
REMEDY = f"Write CSV with the columns {', '.join(COLUMNS)}."
_YES, _NO = ("yes", "true", "1", "是"), ("no", "false", "0", "否")


def read_audit(path: Path) -> pd.DataFrame:
    """An audit's rows from a CSV file, every cell as it is written; raises InputError where it cannot be read."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as e:
        raise InputError(f"audit {path.name}", f"not to be read ({type(e).__name__})", REMEDY) from None


def audited(panel: Panel, audit: pd.DataFrame) -> Audited:
    """An audit's rows as the panel has them, one a household drawn at an as-of that is counted.

    `probability`: of having been drawn; `confirmed`: yes or no; `fell`: of a confirmed one the month in which it fell,
    as 2024-05. Raises InputError with how many rows have which fault: nothing is guessed, and no row is left out.
    """
    if missing := [c for c in COLUMNS if c not in audit.columns]:
        raise InputError("audit", f"no column {', '.join(missing)}", REMEDY)
    text = audit[list(COLUMNS)].fillna("").astype(str).apply(lambda column: column.str.strip())
    row, chance = _rows(panel, text), pd.to_numeric(text["probability"], errors="coerce").to_numpy(np.float64)
    said = text["confirmed"].str.lower()
    confirmed, fell = said.isin(_YES).to_numpy(), _months(text["fell"])
    as_of = _months(text["as_of"])
    first, last = panel.counted[0], panel.counted[-1]
    faults = {
        f"of nobody watched then, or of no as-of from {first} to {last}": row < 0,
        "drawn twice at one as-of": text.assign(as_of=as_of).duplicated(["household_id", "as_of"]).to_numpy(),
        "without a probability above 0 and up to 1": ~((chance > 0) & (chance <= 1)),
        "in which `confirmed` is neither yes nor no": ~said.isin((*_YES, *_NO)).to_numpy(),
        "not confirmed, and with a month of a fall": said.isin(_NO).to_numpy() & (text["fell"] != "").to_numpy(),
        "confirmed, without the month of the fall (at most that of the as-of)": confirmed
        & ~((fell >= 0) & (fell <= as_of)),
    }
    found = [f"{int(rows.sum())} rows {name}" for name, rows in faults.items() if rows.any()]
    if found:
        raise InputError("audit", "; ".join(found), "Mend these rows; none of the audit was counted.")
    return Audited(row, 1 / chance, confirmed, fell)


def _rows(panel: Panel, text: pd.DataFrame) -> Ints:
    """The panel's row of each; -1 where it has none that is counted."""
    home, months = panel.position(pa.array(text["household_id"])), _months(text["as_of"])
    counted = np.array([a.month for a in panel.counted], np.int64)
    at = np.minimum(np.searchsorted(counted, months), counted.size - 1)
    inside: Bools = (home >= 0) & (counted[at] == months)
    return np.where(inside, panel.row[home, at + panel.first], -1).astype(np.int64)


def _months(text: "pd.Series[str]") -> Ints:
    """Months counted from year 0; -1 of what is no month."""
    return np.array([_month(t) for t in text], np.int64)


def _month(text: str) -> int:
    try:
        return AsOf.parse(text).month
    except UsageError:
        return -1
