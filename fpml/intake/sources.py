"""Whose file it is, of which month and known on which day: what its name says, held against policy and folder."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fpml.catalogue import Catalogue, DeliveryName, Layout, layouts
from fpml.errors import DeliveryError, did_you_mean

# The item that a workbook of corrected rows names.
CORRECTIONS = ("更正", "corrections")
_HABIT = "Name it as 医保局-住院-2021-01_2021-01-25: who delivers, what, of which month, and on which day."


@dataclass(frozen=True)
class Source:
    """Where a delivery comes from. `layouts`: the kinds of file that it may be; more than one for a workbook."""

    file: str
    sender: str
    department: str
    month: str
    day: date
    layouts: tuple[Layout, ...]
    several: bool
    corrects: bool = False

    def prefix(self, catalogue: Catalogue) -> str:
        """What stands before the record numbers of a sender that is one of several: each numbers its own."""
        return f"{self.sender}:" if len(catalogue.departments[self.department].sent_by) > 1 else ""


def is_named(path: Path) -> bool:
    """Whether a file's name says whose it is: a department's, and no file of canonical records."""
    return DeliveryName.parse(path.stem) is not None


def source_of(path: Path, catalogue: Catalogue, *, today: date) -> Source:
    """What a file's name says; raises DeliveryError where that cannot be, with the nearest name that could."""
    name = DeliveryName.parse(path.stem)
    if name is None:
        raise DeliveryError(path.name, "its name does not say whose it is", _HABIT)
    _check_times(path, name, today)
    senders = {
        said: key for key, d in catalogue.departments.items() for w in d.sent_by for said in (w.zh, w.en) if said
    }
    if name.sender not in senders:
        raise DeliveryError(path.name, "of nobody who delivers here", did_you_mean(name.sender, senders))
    department = senders[name.sender]
    said = next(w for w in catalogue.departments[department].sent_by if name.sender in (w.zh, w.en))
    known = layouts({department: catalogue.departments[department]})
    corrects = name.item in CORRECTIONS
    if name.item and not corrects:
        items = {w: a for a in known for w in (a.name.zh, a.name.en) if w}
        if name.item not in items:
            raise DeliveryError(path.name, "of no kind that its sender delivers", did_you_mean(name.item, items))
        known = (items[name.item],)
    if not known:
        raise DeliveryError(path.name, "its sender has no kinds of file", "Describe them in policy/departments.yaml.")
    several = name.item is None or corrects
    return Source(path.name, said.said("zh"), department, name.month, name.day, known, several, corrects)


def _check_times(path: Path, name: DeliveryName, today: date) -> None:
    """Refuses a month that does not exist, lies after the folder's or the day's, and a day that has not come."""
    year, month = map(int, name.month.split("-"))
    if not 1 <= month <= 12:
        raise DeliveryError(path.name, f"of the month {name.month}", "Mend the month in its name.")
    if name.day < date(year, month, 1):
        problem = f"of another month: delivered on {name.day}, before {name.month} began"
        raise DeliveryError(path.name, problem, "Mend the month or the day in its name.")
    folder = path.parent.name
    if re.fullmatch(r"\d{4}-\d{2}", folder) and folder < name.month:
        problem = f"of another month: {name.month} in the folder of {folder}"
        raise DeliveryError(path.name, problem, "Move it, or mend the month in its name.")
    if name.day > today:
        raise DeliveryError(path.name, f"its day, {name.day}, has not come", "Mend the day, or take it in then.")
