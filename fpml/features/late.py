"""The same records as if some departments had told of each a month later: what a late delivery costs is asked so."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def read_later(
    read: Callable[[int, Sequence[str]], pa.Table], indicators: Collection[str], shard: int, columns: Sequence[str]
) -> pa.Table:
    """A shard's rows of the ledger, told later: see `told_later`."""
    return told_later(read(shard, columns), indicators)


def told_later(records: pa.Table, indicators: Collection[str]) -> pa.Table:
    """Ledger rows in which all that is known of some indicators became known on the same day of the month after.

    A day that month does not have is its last. What is known of the others stays.
    """
    if not indicators:
        return records
    chosen = pc.is_in(records["indicator"].cast(pa.string()), value_set=pa.array(sorted(indicators)))
    known = records["known_date"].to_numpy().astype("datetime64[D]")
    month = known.astype("datetime64[M]")
    last = (month + 2).astype("datetime64[D]") - np.timedelta64(1, "D")
    after = np.minimum((month + 1).astype("datetime64[D]") + (known - month.astype("datetime64[D]")), last)
    told = pa.array(np.where(chosen.to_numpy(), after, known), pa.date32())
    return records.set_column(records.column_names.index("known_date"), "known_date", told)
