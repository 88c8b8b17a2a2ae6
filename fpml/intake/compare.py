"""Facts told now against the ledger: what is new, what corrects, what is known already, what contradicts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue
from fpml.intake.reasons import ACCEPTED, ALREADY_KNOWN, CODES, CORRECTION, Codes
from fpml.ledger import Ledger, fact_keys, indicator_codes, words_of

# Tags under which persons and households are hashed apart.
_PERSON, _HOUSEHOLD = np.uint64(1), np.uint64(2)


@dataclass(frozen=True)
class Told:
    """Facts told now, the reasons found against them before, and the month that each one's file is of (0: none)."""

    facts: pa.Table
    reason: Codes
    month: npt.NDArray[np.int64]


def compare(told: Told, ledger: Ledger, catalogue: Catalogue) -> Codes:
    """The reasons with those that the ledger gives: ALREADY_KNOWN, CORRECTION, and the two kinds of contradiction.

    A version that says what stood already, whenever it is said again, is already known. Two values for a fact that
    became known on one day contradict each other; but where a late file comes together with the next month's, which
    puts it right, it is the later month's that counts, and the other is as good as known.
    """
    facts, reason = told.facts, told.reason.copy()
    candidates = np.flatnonzero(reason == ACCEPTED)
    if not candidates.size:
        return reason
    new = facts if candidates.size == facts.num_rows else facts.take(pa.array(candidates))
    old = ledger.versions_of(new) if ledger.version >= 0 else new.slice(0, 0)
    both = _Versions.of(old, new, catalogue.county.membership)
    order = both.order()
    # A numbered record belongs to whom it was told of first: in the ledger, or else in this delivery.
    begins = np.ones(order.size, bool)
    begins[1:] = both.fact[order][1:] != both.fact[order][:-1]
    owner = both.who[np.minimum.reduceat(order, np.flatnonzero(begins))][np.cumsum(begins) - 1]
    elsewhere = (order >= both.old) & (both.who[order] != owner)
    reason[candidates[order[elsewhere] - both.old]] = CODES["other_household"]
    order = order[~elsewhere]
    outdone = _outdone(both, order, told.month[candidates])
    reason[candidates[order[outdone] - both.old]] = ALREADY_KNOWN
    order = order[~outdone]
    conflict = _contradicting(both, order)
    reason[candidates[order[conflict] - both.old]] = CODES["conflict"]
    order = order[~conflict]
    again = np.zeros(order.size, bool)
    again[1:] = both.same(order[1:], order[:-1])
    known = again & (order >= both.old)
    reason[candidates[order[known] - both.old]] = ALREADY_KNOWN
    later = np.zeros(order.size, bool)
    later[1:] = both.fact[order][1:] == both.fact[order][:-1]
    corrects = later & ~known & (order >= both.old)
    reason[candidates[order[corrects] - both.old]] = CORRECTION
    return reason


def _days(both: "_Versions", order: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row of the order the number of its fact and day of knowing, and where in the order these begin."""
    fact, known = both.fact[order], both.known[order]
    starts = np.ones(order.size, bool)
    starts[1:] = (fact[1:] != fact[:-1]) | (known[1:] != known[:-1])
    group = np.cumsum(starts) - 1
    return group, np.flatnonzero(starts)[group]


def _outdone(both: "_Versions", order: npt.NDArray[np.int64], month: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which rows of the order, among those told now, a file of a later month tells too, known on the same day."""
    if month.size == 0 or (month == month[0]).all():
        return np.zeros(order.size, bool)
    group, _ = _days(both, order)
    fresh = order >= both.old
    of_row = np.where(fresh, month[np.maximum(order - both.old, 0)], -1)
    groups = group.max(initial=-1) + 1
    latest = np.full(groups, -1, np.int64)
    np.maximum.at(latest, group, of_row)
    top = np.flatnonzero(of_row == latest[group])
    first = np.full(groups, order.size, np.int64)
    np.minimum.at(first, group[top], top)
    # Where the later month's rows contradict each other none of them counts, and nothing is outdone.
    unsure = np.zeros(groups, bool)
    unsure[group[top][~both.same(order[top], order[first[group[top]]])]] = True
    return fresh & (of_row < latest[group]) & ~unsure[group]


def _contradicting(both: "_Versions", order: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which rows of the order, among those told now, give a fact another value than one known on the same day."""
    fresh = order >= both.old
    group, first = _days(both, order)
    same = both.same(order, order[first])
    quarrel = np.zeros(group.max(initial=-1) + 1, bool)
    quarrel[group[~same]] = True
    return fresh & np.where(~fresh[first], ~same, quarrel[group])


@dataclass(frozen=True)
class _Versions:
    """The ledger's versions of the facts told now, then the rows told now, as numbers."""

    old: int
    fact: npt.NDArray[np.int64]
    known: npt.NDArray[np.int32]
    value: npt.NDArray[np.int64]
    event: npt.NDArray[np.int32]
    until: npt.NDArray[np.int32]
    who: npt.NDArray[np.int64]
    home: npt.NDArray[np.int64]

    @classmethod
    def of(cls, old: pa.Table, new: pa.Table, membership: str | None) -> "_Versions":
        fact = np.concatenate([old["fact"].to_numpy(), fact_keys(new)]) if old.num_rows else fact_keys(new)
        parts = [t for t in (old, new) if t.num_rows]

        def numbers(name: str, none: int, dtype: type) -> npt.NDArray[Any]:
            """A column of both as integers."""
            columns = [t[name].cast(pa.int32() if name.endswith("date") else pa.int64()) for t in parts]
            return np.concatenate([pc.fill_null(c, none).to_numpy() for c in columns]).astype(dtype)

        return cls(
            old.num_rows,
            fact,
            numbers("known_date", 0, np.int32),
            numbers("value", np.iinfo(np.int64).min, np.int64),
            numbers("event_date", 0, np.int32),
            numbers("until_date", np.iinfo(np.int32).max, np.int32),
            np.concatenate([_who(t) for t in parts]),
            np.concatenate([_home(t, membership) for t in parts]),
        )

    def same(self, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether rows say the same of one fact, whenever that became known."""
        equal = self.fact[rows] == self.fact[others]
        for told in (self.value, self.event, self.until, self.home):
            equal &= told[rows] == told[others]
        return equal

    def order(self) -> npt.NDArray[np.int64]:
        """By fact, then by when it became known, then as they came: the ledger's before those told now."""
        by_fact = np.argsort(self.fact, kind="stable")
        fact = self.fact[by_fact]
        several = np.zeros(fact.size + 1, bool)
        several[1:-1] = fact[1:] == fact[:-1]
        # Nearly every fact has one version: only where there are more must they be put in order.
        more = np.flatnonzero(several[1:] | several[:-1])
        rows = by_fact[more]
        by_fact[more] = rows[np.lexsort((rows, self.known[rows], self.fact[rows]))]
        return by_fact


def _who(table: pa.Table) -> npt.NDArray[np.int64]:
    """Whom each row tells of, the person or else the household, as a number that is the same in every table."""
    person, household = words_of(table["person_id"]), words_of(table["household_id"])
    return np.where(person.at >= 0, person.hashes(_PERSON), household.hashes(_HOUSEHOLD)).view(np.int64)


def _home(table: pa.Table, membership: str | None) -> npt.NDArray[np.int64]:
    """The household that a statement of membership names, as a number; 0 for all else, where it is but a fallback."""
    codes = indicator_codes(table["indicator"], {membership: 0} if membership else {})
    return np.where(codes == 0, words_of(table["household_id"]).hashes(_HOUSEHOLD).view(np.int64), 0)
