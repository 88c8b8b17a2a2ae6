"""Which step of the procedure each listed household has reached, when, and what is overdue by a day.

Steps and their deadlines are policy (visits.yaml). The visit and the dates that villages and townships write into the
list come from filled-in workbooks; that a household was registered, and that its risk was cleared, from the register.
"""

import csv
import shutil
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from fpml.catalogue import CLEARED, LISTED, REGISTERED, VERIFIED, Catalogue, Language, Step
from fpml.lists import Issued, Token
from fpml.visits.store import Standing
from fpml.visits.visit import Visit

COLUMNS = ("month", "household_id", "village", "step", "reached", "due", "overdue_days")
# A spell in the register: its first day, and its last where it has ended.
Spells = Mapping[str, list[tuple[date, date | None]]]


def procedure(
    issued: Iterable[Issued], standing: Mapping[Token, Standing], spells: Spells, catalogue: Catalogue, day: date
) -> pd.DataFrame:
    """One row per month, listed household and step that it has reached or is to reach next: when, and by when.

    A household that two editions of a month's list have is one. Nothing that was taken in, or happened, after the day
    counts. `overdue_days` of a step that is still to come and whose day has passed, else 0.
    """
    wanted: dict[tuple[str, str], tuple[date, str, list[Visit]]] = {}
    for one in issued:
        for at, (household, village) in enumerate(zip(one.households, one.villages, strict=True), start=1):
            mine = wanted.setdefault((str(one.month), household), (one.month.date, village, []))
            told = standing.get(Token(one.month, one.list_id, at))
            if told and told.known <= day:
                mine[2].append(told.visit)
    rows = []
    for (month, household), (as_of, village, visits) in sorted(wanted.items()):
        if as_of <= day:
            steps = _steps(as_of, visits, spells.get(household, []), catalogue, day)
            rows += [(month, household, village, *step) for step in steps]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _steps(
    as_of: date, visits: list[Visit], spells: list[tuple[date, date | None]], catalogue: Catalogue, day: date
) -> list[tuple[str, date | None, date | None, int]]:
    """The steps of one household: those reached, and the next of those that are still to come."""
    answers = catalogue.visiting.answers
    met = sorted((v for v in visits if v.verified and answers[v.verified].met and v.date), key=lambda v: str(v.date))
    reached: dict[str, date] = {LISTED: as_of}
    goes_on = True
    if met:
        last = met[-1]
        goes_on = answers[last.verified].goes_on
        reached[VERIFIED] = last.date or as_of
        reached |= {k: d for v in met for k, d in v.steps.items() if d <= day}
    entered = [s for s in spells if as_of < s[0] <= day]
    if entered:
        reached[REGISTERED] = entered[-1][0]
        if entered[-1][1] and entered[-1][1] <= day:
            reached[CLEARED] = entered[-1][1]
    out: list[tuple[str, date | None, date | None, int]] = []
    for name, step in catalogue.visiting.steps.items():
        due = _due(step, reached, catalogue)
        if name in reached:
            out.append((name, reached[name], due, 0))
        elif step.after in reached and (goes_on or name == VERIFIED) and REGISTERED not in reached:
            out.append((name, None, due, max(0, (day - due).days) if due else 0))
    return out


def _due(step: Step, reached: Mapping[str, date], catalogue: Catalogue) -> date | None:
    """By when a step is to be done; None where nobody says, or the step before has not been reached."""
    before = reached.get(step.after)
    if before is None or not (step.working_days or step.days):
        return None
    if step.working_days:
        return catalogue.calendar.after(before, step.working_days)
    return before + timedelta(days=step.days or 0)


def overdue(steps: pd.DataFrame) -> pd.DataFrame:
    """Of a procedure the steps whose day has passed, the longest overdue first."""
    late = steps[steps["overdue_days"] > 0]
    return late.sort_values(["overdue_days", "household_id"], ascending=[False, True], ignore_index=True)


def write_overdue(late: pd.DataFrame, folder: Path, catalogue: Catalogue, language: Language) -> list[Path]:
    """Writes a CSV for each village with its own overdue steps; a folder of an earlier run is replaced."""
    visiting = catalogue.visiting
    half = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    heads = [visiting.word(w, language) for w in ("list", "household", "step", "due_on", "days_over")]
    names = []
    for village in sorted(set(late["village"])):
        mine = late[late["village"] == village]
        names.append(f"{village or 'unknown'}.csv")
        with (half / names[-1]).open("w", encoding="utf-8-sig", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(heads)
            for row in mine.itertuples():
                said = visiting.steps[str(row.step)].name.said(language)
                writer.writerow([row.month, row.household_id, said, row.due, row.overdue_days])
    shutil.rmtree(folder, ignore_errors=True)
    half.replace(folder)
    return [folder / n for n in names]
