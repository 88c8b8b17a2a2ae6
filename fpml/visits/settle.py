"""Rows told now against each other and against what stands: what is new, what completes, what corrects, what quarrels.

A row that says all that another one says, and more, completes it. One that says something else is taken only where it
was sent back for that (it then names the version that it replaces), or where nobody was met before and somebody later.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from fpml.catalogue import Visiting
from fpml.lists import Token
from fpml.visits.check import Checker
from fpml.visits.store import Standing
from fpml.visits.visit import Refused, Visit

ACCEPTED, CORRECTED, ALREADY_KNOWN = "accepted", "corrected", "already_known"
Outcome = str | Refused


@dataclass(frozen=True)
class Told:
    """A visit that a row of a workbook tells; `file` is the workbook's fingerprint."""

    visit: Visit
    file: str


def settle(
    told: Sequence[Told], standing: Mapping[Token, Standing], checker: Checker
) -> tuple[list[Outcome], list[Standing]]:
    """What becomes of each row, in order, and what is to be kept; whatever the order, the same is kept."""
    groups: dict[Token, list[int]] = defaultdict(list)
    for n, one in enumerate(told):
        groups[one.visit.token].append(n)
    outcomes: list[Outcome] = [ALREADY_KNOWN] * len(told)
    kept = []
    for token, rows in groups.items():
        mine, new = _of_one([told[n] for n in rows], standing.get(token), checker)
        for n, outcome in zip(rows, mine, strict=True):
            outcomes[n] = outcome
        kept += [new] if new else []
    return outcomes, kept


def _of_one(told: list[Told], before: Standing | None, checker: Checker) -> tuple[list[Outcome], Standing | None]:
    """The same for the rows of one household of one list."""
    outcomes: list[Outcome] = [_known(t, before) for t in told]
    # Those that nobody knows yet, in an order that does not depend on how they came.
    new = sorted((n for n, o in enumerate(outcomes) if not o), key=lambda n: (told[n].visit.version, told[n].file, n))
    if not new:
        return outcomes, None
    fault, whole = _whole([told[n].visit for n in new], before, checker)
    if fault or not whole:
        for n in new:
            outcomes[n] = fault or ALREADY_KNOWN
        return outcomes, None
    kind = CORRECTED if before else ACCEPTED
    files: dict[str, dict[str, str]] = {}
    so_far: Visit | None = None
    for n in new:
        visit = told[n].visit
        again = so_far is not None and so_far.completes(visit)
        outcomes[n] = ALREADY_KNOWN if again else kind
        if not again:
            files.setdefault(told[n].file, {})[visit.version] = kind
        so_far = _together(so_far, visit) if so_far else visit
    for n in new:
        # The same row once more in the same file is no other row of it.
        files.setdefault(told[n].file, {}).setdefault(told[n].visit.version, ALREADY_KNOWN)
    return outcomes, Standing(whole, checker.received, files, *_for_ledger(whole, before, checker.visiting))


def _known(told: Told, before: Standing | None) -> Outcome:
    """What a row was counted as where it is known; '' where it is not."""
    if before is None or (told.visit.replaces and told.visit.replaces == before.visit.version):
        return ""
    if (kind := before.files.get(told.file, {}).get(told.visit.version)) is not None:
        return kind
    versions = {v for told_by in before.files.values() for v in told_by}
    return ALREADY_KNOWN if told.visit.version in versions or before.visit.completes(told.visit) else ""


def _whole(new: Sequence[Visit], before: Standing | None, checker: Checker) -> tuple[Refused | None, Visit | None]:
    """What new rows of one household say together with what stands, or why they are not taken."""
    differ = sorted({c for i, a in enumerate(new) for b in new[:i] for c in a.differences(b)})
    if differ or len({v.replaces for v in new if v.replaces}) > 1:
        return Refused("two_versions", tuple(differ)), None
    whole = new[0]
    for visit in new[1:]:
        whole = _together(whole, visit)
    if before:
        fault, whole = _upon(whole, before, checker)
        if fault:
            return fault, None
    return checker.out_of_order(whole), whole


def _upon(new: Visit, before: Standing, checker: Checker) -> tuple[Refused | None, Visit]:
    """A row told now upon what stands."""
    old = before.visit
    differ = new.differences(old)
    if not differ and not new.replaces:
        whole = _together(old, new)
    elif new.replaces == old.version:
        whole = replace(new, steps={**old.steps, **new.steps}) if new.verified else _together(old, new)
    elif new.replaces:
        return Refused("stale"), new
    elif _again(old, new, checker.visiting):
        whole = new
    else:
        return Refused("differs", tuple(differ)), new
    value, _ = _for_ledger(whole, before, checker.visiting)
    if value and before.known >= checker.received and _record(old, checker.visiting) is not None:
        # Two values that became known on one day contradict each other.
        return Refused("changed_today"), new
    return None, whole


def _again(old: Visit, new: Visit, visiting: Visiting) -> bool:
    """Whether somebody came a second time, having met nobody the first."""
    missed = bool(old.verified) and not visiting.answers[old.verified].met
    return missed and bool(new.verified) and old.date is not None and new.date is not None and new.date > old.date


def _together(old: Visit, new: Visit) -> Visit:
    """What two rows that do not differ say together."""
    cells = {
        k: getattr(new, k) or getattr(old, k)
        for k in ("verified", "cause", "income_check", "measures", "visitor", "date", "remark", "replaces")
    }
    return replace(new, **cells, steps={**old.steps, **new.steps})


def _record(visit: Visit, visiting: Visiting) -> tuple[int, date] | None:
    """What the ledger knows by a visit: a code, and its day."""
    code = visiting.answers[visit.verified].records if visit.verified else None
    return None if code is None or visit.date is None else (code, visit.date)


def _for_ledger(new: Visit, before: Standing | None, visiting: Visiting) -> tuple[str, date | None]:
    """What the ledger is told: the code and its day, that an earlier one is withdrawn, or '' where nothing is new."""
    old = _record(before.visit, visiting) if before else None
    now = _record(new, visiting)
    if now == old:
        return "", None
    if now is None:
        return ("withdrawn", old[1]) if old else ("", None)
    return str(now[0]), now[1]
