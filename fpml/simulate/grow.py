"""One township lived month by month: what becomes known, who lives where, and, kept apart, what is true."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.simulate import township
from fpml.simulate.causes import main_cause
from fpml.simulate.draws import Bools, Draws, Ints
from fpml.simulate.identity import Issued, names, place_names
from fpml.simulate.office import Office, days_of, table
from fpml.simulate.plan import Plan, Spot, serial
from fpml.simulate.state import Township
from fpml.simulate.township import Lived


@dataclass
class Growing:
    """A township that lives on, one `step` a month."""

    plan: Plan
    spot: Spot
    catalogue: Catalogue
    place: Township
    office: Office
    issued: Issued
    heads: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    numbers: list[pa.Array] = field(default_factory=list)

    @classmethod
    def begin(cls, plan: Plan, spot: Spot, catalogue: Catalogue, *, line: int) -> "Growing":
        """The township at the end of the month before the first that is told of; `line` in fen a head and year."""
        place = township.settled(spot, plan.first.month, plan.seed, plan.of(spot), line=line)
        issued = Issued(spot.lane, spot.lanes)
        return cls(plan, spot, catalogue, place, Office(catalogue, Draws(plan.seed, 0, 0)), issued)

    def step(self, *, line: int, listed: Bools | None = None) -> tuple[pa.Table, pa.Table]:
        """Lives a month; returns what became known in it, and the true states at its end (`states`).

        `listed`: households, by row, that a list from outside asks to visit.
        """
        place, plan = self.place, self.plan
        self.office.draws = Draws(plan.seed, 1 + place.number, place.month + 1)
        lived = township.step(place, plan.seed, plan.of(self.spot), line=line, office=self.office, listed=listed)
        told = self.office.known_now()
        for name in ("household", "person"):
            told[name] = serial(place.number, told[name])
        self._register()
        return table(told, list(self.catalogue.indicators)), states(place, lived, line)

    def twin(self) -> "Growing":
        """The same township from now on, had the county helped nobody.

        It shares weather and markets, and births, illness and deaths but where help itself leads to others (who works
        is at other risks): compare totals, not household by household, where counties are large.
        """
        dials = self.plan.profile.dials.model_copy(update={"help": False})
        plan = replace(self.plan, profile=self.plan.profile.model_copy(update={"dials": dials}))
        return replace(self.unlisted(), plan=plan)

    def unlisted(self) -> "Growing":
        """The same township from now on, for `live`: whatever lists this one gets, that one gets none."""
        return Growing(self.plan, self.spot, self.catalogue, self.place.copy(), self.office, self.issued)

    def live(self, *, line: int) -> pa.Table:
        """Lives a month that nobody is told of; returns the true states at its end."""
        return states(self.place, township.step(self.place, self.plan.seed, self.plan.of(self.spot), line=line), line)

    def with_codes(self, rows: pa.Table) -> pa.Table:
        """States with the register's codes in the place of serials."""
        at = pa.array(
            rows["household"].to_numpy() - int(serial(self.place.number, np.zeros(1, np.int64))[0]), pa.int32()
        )
        return rows.set_column(0, "household_id", pa.DictionaryArray.from_arrays(at, self.codes()))

    def codes(self) -> pa.Array:
        """The register's code of each household that ever was, by row: it keeps it wherever it moves."""
        area = self.plan.of(self.spot).county_code
        code = (area * 1000 + 100 + self.spot.lane) * 1_000_000 + np.arange(len(self.place.homes))
        return pa.array(code).cast(pa.string())

    def _register(self) -> None:
        """Gives ID numbers to those who are new, and keeps each household's head; of one that is no more, its last."""
        people = self.place.people
        new = slice(sum(map(len, self.numbers)), len(people))
        area = np.full(new.stop - new.start, self.plan.of(self.spot).county_code)
        born = days_of(people.born, people.born_day)[new]
        given, self.issued = self.issued.issue(area, born, people.male[new].astype(bool))
        self.numbers.append(given)
        heads = np.full(len(self.place.homes), -1, np.int64)
        heads[: self.heads.size] = self.heads
        now = np.flatnonzero(people.present & (people.relation == 1))
        heads[people.home[now]] = now
        self.heads = heads

    def people(self) -> pa.Table:
        """Everybody who ever was: one row per person."""
        place, people = self.place, self.place.people
        rows = np.arange(len(people))
        family = (place.number << 20) + np.where(people.married_in, (1 << 19) + rows, people.first_home)
        male = people.male.astype(bool)
        return pa.table(
            {
                "person": serial(place.number, rows),
                **self._of_people(),
                "id_number": pa.chunked_array(self.numbers).combine_chunks(),
                "name": names(serial(place.number, rows), male, family=family, seed=self.plan.seed),
                "male": male,
                "born": pa.array(days_of(people.born, people.born_day).astype(np.int32)).cast(pa.date32()),
            }
        )

    def homes(self) -> pa.Table:
        """Every household that ever was: one row each."""
        place, spot = self.place, self.spot
        town = place_names(spot.lanes, "镇", self.plan.seed)[spot.lane]
        return pa.table(
            {
                "household": serial(place.number, np.arange(len(place.homes))),
                "household_id": self.codes(),
                **self._of_homes(),
                "township_name": pa.repeat(pa.scalar(town), len(place.homes)),
            }
        )

    def moving(self) -> tuple[pa.Table, pa.Table]:
        """The columns of `people` and of `homes` that change from month to month."""
        return pa.table(self._of_people()), pa.table(self._of_homes())

    def _of_people(self) -> dict[str, Any]:
        people = self.place.people
        return {
            "household": serial(self.place.number, people.home),
            "disability_grade": people.disability.astype(np.int64),
        }

    def _of_homes(self) -> dict[str, Any]:
        place = self.place
        at = pa.array(place.homes.village)
        mine = place_names(len(place.villages), "村", self.plan.seed + 1 + self.spot.number)
        return {
            "head": serial(place.number, self.heads),
            "village": pa.array(place.villages.code).cast(pa.string()).take(at),
            "village_name": pa.array(mine).take(at),
        }


def states(place: Township, lived: Lived, line: int) -> pa.Table:
    """What is true at a month's end: one row per household that is.

    `income`: of twelve months and a head, in lines, with what nobody records; `below`: under the line; `failing`:
    guarantees that fail (bits of finding.FAILS_*); `cause`, `causes`: what struck it (bits of causes.CAUSES).
    """
    homes, found = place.homes, lived.found
    rows = np.flatnonzero(homes.active)
    size = np.maximum(place.members(), 1)[rows]
    income = homes.income[rows, :12].sum(axis=1) / (line * size)
    return pa.table(
        {
            "household": serial(place.number, rows),
            "month": np.full(rows.size, place.month, np.int32),
            "village": place.villages.code[homes.village[rows]],
            "members": size.astype(np.uint8),
            "income": income.astype(np.float32),
            "below": homes.below[rows],
            "failing": homes.failing[rows].astype(np.uint8),
            "cause": main_cause(homes.strike[rows]).astype(np.uint16),
            "causes": homes.strike[rows].astype(np.uint16),
            "formerly_poor": homes.formerly_poor[rows],
            "monitored": homes.monitored[rows].astype(np.uint8),
            "cleared": homes.cleared[rows] > 0,
            "pushed": found.pushed[rows],
            "declared": found.declared[rows],
            "walked": found.walked[rows],
            "visited": found.visited[rows],
            "confirmed": found.confirmed[rows],
            "registered": found.registered[rows],
        }
    )
