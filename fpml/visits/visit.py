"""What one visit found, as a cadre wrote it down: of one row of one list that went out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date as Date

from fpml.catalogue import CONFIRM
from fpml.lists import Token

# What is compared between two versions, and told by its column's name where they differ.
TOLD = ("verified", "cause", "income_check", "measures", "visitor", "date", "remark")


@dataclass(frozen=True)
class Visit:
    """One row filled in: choices by their names in policy, '' or nothing where a cell is empty.

    `steps`: the day of each step of the procedure that the row tells of. `replaces`: the version of what was taken in
    before that this is meant to put right, as a workbook that was sent back says. `asked`: the indicators whose reasons
    stood in the row; `reasons`: of each whether it was found so, '' where that is not told. `drawn`: the chance with
    which the list drew the row by lot, None where it did not: whoever learns from visits weights by one over it.
    """

    token: Token
    household: str
    village: str
    verified: str = ""
    cause: str = ""
    income_check: str = ""
    measures: tuple[str, ...] = ()
    visitor: str = ""
    date: Date | None = None
    remark: str = ""
    steps: Mapping[str, Date] = field(default_factory=dict)
    replaces: str = ""
    asked: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    drawn: float | None = None

    @property
    def cells(self) -> dict[str, str]:
        """What each cell says, as text; '' where it is empty."""
        told = {name: getattr(self, name) for name in TOLD}
        told = {k: "、".join(v) if isinstance(v, tuple) else str(v or "") for k, v in told.items()}
        told |= {k: a for k, a in zip(CONFIRM, self.reasons, strict=False) if a}
        return told | {k: str(day) for k, day in sorted(self.steps.items())}

    @property
    def version(self) -> str:
        """Eight hex digits of all that it says."""
        return hashlib.sha256(json.dumps(self.cells, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:8]

    @property
    def record(self) -> str:
        """The number under which the ledger has it: a corrected one is a later version of the same record."""
        return f"visit-{self.token.month}-{self.token.list_id}-{self.token.row:05d}"

    def differences(self, other: "Visit") -> list[str]:
        """The names of the cells in which two say different things; an empty one says nothing."""
        mine, its = self.cells, other.cells
        return [k for k in {**mine, **its} if mine.get(k) and its.get(k) and mine[k] != its[k]]

    def completes(self, other: "Visit") -> bool:
        """Whether it says all that another one says, and perhaps more."""
        return all(self.cells.get(k) == v for k, v in other.cells.items() if v)


@dataclass(frozen=True)
class Refused:
    """Why a row is not taken: a reason of policy (visits.yaml: refusals), and the columns that it is about."""

    reason: str
    columns: tuple[str, ...] = ()
