"""One row of a filled-in workbook -> a visit, or the first reason why it is not taken.

First whose row it is: nothing that is written counts before the token is ours and the row is that of the token.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from fpml.catalogue import CONFIRM, LISTED, VERIFIED, Visiting
from fpml.dates import AsOf
from fpml.intake.cells import days
from fpml.intake.id_numbers import holds_id_number
from fpml.keys import IdentityKey
from fpml.lists import FILL, LONGEST, Issued, Token, printed_hash
from fpml.visits.read import PREFILLED, Row
from fpml.visits.visit import Refused, Visit

_ERROR = re.compile(r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!)", re.ASCII)
# Telephone numbers and account numbers, as they are written; of ID numbers see `holds_id_number`.
_LONG_NUMBER = re.compile(r"\d{9,}|1[3-9]\d([ -]?\d{4}){2}|0\d{2,3}[ -]\d{7,8}|\d{4}([ -]\d{4}){3}")
_SEVERAL = re.compile(r"[、，,;；/\n]+")
# Longer choices than any of ours are not compared.
_MOST = 300
Issues = Callable[[AsOf, str], Issued | None]


@dataclass(frozen=True)
class Checker:
    """What rows are held against: policy, the key of tokens, the lists that went out, and the day of receipt."""

    visiting: Visiting
    key: IdentityKey
    issued: Issues
    received: date

    def identify(self, row: Row) -> tuple[Token, Issued] | Refused:
        """Which row of which list it is."""
        text = row.cells.get("token", "").strip().upper()
        if not text:
            return Refused("no_token")
        token = Token.parse(text)
        if token is None:
            return Refused("bad_token")
        if not token.row >= 1 or token.signed(self.key) != text:
            return Refused("forged_token")
        issued = self.issued(token.month, token.list_id)
        if issued is None or token.row > issued.rows.num_rows:
            return Refused("unknown_list")
        return token, issued

    def check(self, row: Row, token: Token, issued: Issued) -> Visit | Refused:
        """What the row tells, its token being ours; the printed cells must be those of the token."""
        at = token.row - 1
        printed = issued.printed[at]
        shown = {k: printed_hash(row.cells.get(k, "")) for k in PREFILLED}
        if "household" in row.cells or VERIFIED in row.cells:
            if shown["household"] != printed["household"]:
                return Refused("torn_row")
            for name in PREFILLED:
                # A column that somebody deleted says nothing.
                if name in row.cells and name in printed and shown[name] != printed[name]:
                    return Refused("edited_row", (name,))
        cells = {k: v for k, v in row.cells.items() if k not in PREFILLED}
        return self._unreadable(cells) or self._visit(cells, token, issued, at)

    def _unreadable(self, cells: Mapping[str, str]) -> Refused | None:
        """What can be said of cells before anybody asks what they mean."""
        for name, text in cells.items():
            if _ERROR.fullmatch(text):
                return Refused("error_cell", (name,))
            if len(text) > LONGEST.get(name, _MOST):
                return Refused("too_long", (name,))
            if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\n\r\t" for c in text):
                return Refused("odd_characters", (name,))
            if name in LONGEST and holds_private_number(text):
                return Refused("private_number", (name,))
        return None

    def _visit(self, cells: Mapping[str, str], token: Token, issued: Issued, at: int) -> Visit | Refused:
        confirmed = self._confirmed(cells, issued.asked[at])
        if isinstance(confirmed, Refused):
            return confirmed
        found = self._choices(cells)
        if isinstance(found, Refused):
            return found
        answer, cause, income, measures = found
        about = {k: " ".join(cells.get(k, "").split()) for k in ("visitor", "remark")}
        visited = _day(cells["date"]) if "date" in cells else None
        faulty = self._said(cells, answer, cause) or self._wrong_date(cells, visited, token.month.date)
        if faulty:
            return faulty
        if not answer and any(k in cells for k in FILL if k != VERIFIED):
            return Refused("no_answer")
        steps = self._steps(cells)
        if isinstance(steps, Refused):
            return steps
        return Visit(
            token, issued.households[at], issued.villages[at], answer, cause, income, measures, about["visitor"],
            visited, about["remark"], steps, cells.get("replaces", "").strip().lower(), issued.asked[at], confirmed,
            issued.drawn[at],
        )  # fmt: skip

    def _confirmed(self, cells: Mapping[str, str], asked: tuple[str, ...]) -> tuple[str, ...] | Refused:
        """Of each reason that stood in the row whether it was found so; none where no cell says anything."""
        known = {_fold(w): n for n, said in self.visiting.confirmations.items() for w in (said.zh, said.en) if w}
        for at, name in enumerate(CONFIRM):
            if name in cells and at >= len(asked):
                return Refused("no_such_reason", (name,))
            if name in cells and _fold(cells[name]) not in known:
                return Refused("unknown_confirmation", (name,))
        told = tuple(known.get(_fold(cells.get(name, "")), "") for name in CONFIRM[: len(asked)])
        return told if any(told) else ()

    def _choices(self, cells: Mapping[str, str]) -> tuple[str, str, str, tuple[str, ...]] | Refused:
        """The choices by their names in policy, whichever language they are written in."""
        known = {
            column: {_fold(w): name for name, said in choices.items() for w in (said.zh, said.en) if w}
            for column, choices in self.visiting.choices().items()
        }
        reasons = {VERIFIED: "unknown_answer", "cause": "unknown_cause", "income_check": "unknown_income_check"}
        chosen = {}
        for column, reason in reasons.items():
            name = known[column].get(_fold(cells.get(column, "")), "")
            if column in cells and not name:
                return Refused(reason)
            chosen[column] = name
        parts = [p for p in map(_fold, _SEVERAL.split(cells.get("measures", ""))) if p]
        whole = known["measures"].get(_fold(cells.get("measures", "")))
        measures = [whole] if whole else [known["measures"].get(p, "") for p in parts]
        if not all(measures):
            return Refused("unknown_measure")
        order = [m for m in self.visiting.measures if m in measures]
        return chosen[VERIFIED], chosen["cause"], chosen["income_check"], tuple(order)

    def _said(self, cells: Mapping[str, str], answer: str, cause: str) -> Refused | None:
        """What an answer asks for, and what it forbids."""
        if not answer:
            return None
        definition, none = self.visiting.answers[answer], self.visiting.no_cause
        if definition.goes_on and not cause:
            return Refused("no_cause")
        if (definition.goes_on and cause == none) or (not definition.goes_on and cause not in ("", none)):
            return Refused("cause_contradicts")
        if cause == "other" and "remark" not in cells:
            return Refused("other_unsaid")
        if not definition.met and any(k in cells for k in ("income_check", "measures", *CONFIRM)):
            return Refused("not_met_and_found")
        return next((Refused(f"no_{k}") for k in ("visitor", "date") if not cells.get(k, "").strip()), None)

    def _wrong_date(self, cells: Mapping[str, str], visited: date | None, as_of: date) -> Refused | None:
        if "date" not in cells:
            return None
        if visited is None:
            return Refused("bad_date")
        if visited <= as_of:
            return Refused("date_before_list")
        return Refused("date_in_future") if visited > self.received else None

    def _steps(self, cells: Mapping[str, str]) -> dict[str, date] | Refused:
        """The days of steps: each is one, and has come."""
        out = {}
        for name in self.visiting.told_steps():
            if name in cells:
                day = _day(cells[name])
                if day is None:
                    return Refused("step_bad_date", (name,))
                if day > self.received:
                    return Refused("step_in_future", (name,))
                out[name] = day
        return out

    def out_of_order(self, visit: Visit) -> Refused | None:
        """Why a household cannot have come to a step: it was not found in need, or a step before it is not told."""
        if not visit.steps:
            return None
        if not visit.verified or not self.visiting.answers[visit.verified].goes_on or visit.date is None:
            return Refused("step_of_nobody")
        reached: dict[str, date] = {LISTED: visit.token.month.date, VERIFIED: visit.date, **visit.steps}
        for name in visit.steps:
            before = reached.get(self.visiting.steps[name].after)
            if before is None:
                return Refused("step_skipped", (name,))
            if visit.steps[name] < before:
                return Refused("step_too_early", (name,))
        return None


def holds_private_number(text: str) -> bool:
    """Whether a text holds what may be an ID, telephone or account number, whatever is put between its digits."""
    plain = unicodedata.normalize("NFKC", text)
    close = pa.array([re.sub(r"[-\s/.]", "", plain)], pa.string())
    return bool(_LONG_NUMBER.search(plain)) or bool(holds_id_number(close)[0])


def _fold(text: str) -> str:
    """A choice as it is compared: width, case and blanks do not matter."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).lower()


def _day(text: str) -> date | None:
    """The day that a cell says; None where it says none, or only a month."""
    read = days(pa.array([text], pa.string()), month_end=False)
    return date(1970, 1, 1) + timedelta(days=int(read.day[0])) if read.known[0] else None
