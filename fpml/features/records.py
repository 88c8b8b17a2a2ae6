"""A shard's records as the kernel reads them: small integers, each version with the month that superseded it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.dates import months_of
from fpml.ledger import days, identities, indicator_codes, ranked

NOT_SUPERSEDED = np.int32(2**30)


@dataclass(frozen=True)
class Records:
    """One shard, one entry a version, in an order that only the records' own content decides.

    `household` is a position in `households` (ids, ascending); `event`, `known` and `superseded` are months, `day` is
    days since 1970, `value` is in stored units (fen for yuan).
    """

    households: npt.NDArray[np.object_]
    household: npt.NDArray[np.int32]
    indicator: npt.NDArray[np.int16]
    day: npt.NDArray[np.int32]
    event: npt.NDArray[np.int32]
    known: npt.NDArray[np.int32]
    superseded: npt.NDArray[np.int32]
    value: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many versions there are."""
        return int(self.value.size)


def from_ledger(table: pa.Table, catalogue: Catalogue) -> Records:
    """A shard's ledger table as `Records`; indicators that the catalogue no longer has are left aside."""
    table = table.filter(pc.is_in(table["indicator"], value_set=pa.array(list(catalogue.codes))))
    households, household = ranked(table["household_id"])
    identity = identities(table, catalogue.codes)
    known_day = days(table["known_date"])
    order = np.lexsort((known_day, identity))
    known = months_of(known_day[order].astype("datetime64[D]"))
    superseded = np.full(order.size, NOT_SUPERSEDED, np.int32)
    same = identity[order][1:] == identity[order][:-1]
    superseded[:-1][same] = known[1:][same]

    value = table["value"].combine_chunks()
    retracted = pc.is_null(value).to_numpy(zero_copy_only=False)[order]
    kept = ~retracted & (superseded > known)
    order = order[kept]
    day = days(table["event_date"])[order]
    return Records(
        households=households,
        household=household[order].astype(np.int32),
        indicator=indicator_codes(table["indicator"], catalogue.codes)[order],
        day=day,
        event=months_of(day.astype("datetime64[D]")),
        known=known[kept],
        superseded=superseded[kept],
        value=pc.fill_null(value, 0).to_numpy(zero_copy_only=False)[order],
    )
