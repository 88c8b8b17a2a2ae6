"""A county that can be stopped at each month's end, and told which households to visit in the next.

For closed loops: fpml draws up a list from what was delivered, the simulated cadres walk it, and what they found comes
back with the next deliveries. Beside it lives a twin that nobody gives lists to. All in memory and in this process, so
for small counties.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.simulate.county import Places, line_on
from fpml.simulate.draws import Bools
from fpml.simulate.files import Month, Sending, Style, write_month
from fpml.simulate.grow import Growing
from fpml.simulate.plan import Plan


@dataclass(frozen=True)
class Ended:
    """A month's end: what is true, in the county with lists and in its twin without (`grow.states`)."""

    states: pa.Table
    twin: pa.Table


class Live:
    """A simulated county, a month at a time."""

    def __init__(self, plan: Plan, places: Places, catalogue: Catalogue, *, style: Style = Style.RECORDS) -> None:
        self.plan, self.places, self.catalogue, self.style = plan, places, catalogue, style
        self.month = plan.first
        line = line_on(plan, catalogue, plan.first)
        self.townships = [Growing.begin(plan, spot, catalogue, line=line) for spot in plan.townships()]
        self.twins = [t.unlisted() for t in self.townships]
        places.deliveries.mkdir(parents=True, exist_ok=True)

    def step(self, listed: Collection[str] = ()) -> Ended:
        """Lives a month in which the households listed (by register code) are visited first; writes its deliveries."""
        line = line_on(self.plan, self.catalogue, self.month)
        wanted = pa.array(sorted(listed), pa.string())
        lived = [t.step(line=line, listed=_rows(t, wanted)) for t in self.townships]
        twins = [t.with_codes(t.live(line=line)) for t in self.twins]
        month = Month(
            self.month,
            *(
                pa.concat_tables(parts)
                for parts in ([told for told, _ in lived], *zip(*map(_who, self.townships), strict=True))
            ),
        )
        write_month(self.places.deliveries, month, sending=Sending(self.catalogue, self.style, self.plan.seed))
        self.month = self.month.shift(1)
        states = [t.with_codes(s) for t, (_, s) in zip(self.townships, lived, strict=True)]
        return Ended(pa.concat_tables(states).unify_dictionaries(), pa.concat_tables(twins).unify_dictionaries())


def _who(township: Growing) -> tuple[pa.Table, pa.Table]:
    return township.people(), township.homes()


def _rows(township: Growing, wanted: pa.Array) -> Bools:
    return np.asarray(pc.is_in(township.codes(), value_set=wanted), bool)
