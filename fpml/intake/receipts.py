"""What became of each delivery, kept as one small JSON file each: no row of it, and nothing about a person."""

import hashlib
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

Counts = dict[str, int]


@dataclass(frozen=True)
class Receipt:
    """What became of one delivery: rows = accepted + already_known + the sum of `quarantined`.

    `corrected` of the accepted rows tell a known fact anew; `later` were taken in when the register knew whom they tell
    of. `returned` of those already known were refused at first, and put right by their sender in another file: `mends`
    says which rows a file of corrections stands for. `again_on`: the first day on which rows that were told for a day
    to come may be taken in; '' where there are none. A row may tell several facts: `facts` of them, `new_facts` new to
    the ledger. `filled`: by item, how many rows (`*`), and how many cells of each column say something; `months`: how
    many facts happened in each month. `refused`: why the whole file was, if it was. `place`: name, size and time of
    change of the file; `runs`: the transactions by which the ledger has it.
    """

    file: str
    delivery: str
    rows: int = 0
    accepted: int = 0
    corrected: int = 0
    already_known: int = 0
    quarantined: Counts = field(default_factory=dict)
    later: int = 0
    returned: int = 0
    facts: int = 0
    new_facts: int = 0
    sender: str = ""
    department: str = ""
    month: str = ""
    day: str = ""
    filled: dict[str, Counts] = field(default_factory=dict)
    months: Counts = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: str = ""
    taken_on: str = ""
    policy: str = ""
    key: str = ""
    place: tuple[str, int, int] = ("", 0, 0)
    runs: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    again_on: str = ""

    def plus(self, other: "Receipt") -> "Receipt":
        """This and another piece of the same delivery."""
        numbers = ("rows", "accepted", "corrected", "already_known", "later", "returned", "facts", "new_facts")
        items = {i: _sum(self.filled.get(i, {}), other.filled.get(i, {})) for i in {**self.filled, **other.filled}}
        added: dict[str, Any] = {n: getattr(self, n) + getattr(other, n) for n in numbers}
        return replace(
            self,
            **added,
            quarantined=_sum(self.quarantined, other.quarantined),
            filled=items,
            months=_sum(self.months, other.months),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            mends=(*self.mends, *other.mends),
            again_on=min(filter(None, (self.again_on, other.again_on)), default=""),
        )

    def after(self, again: "Receipt") -> "Receipt":
        """This, after its refused rows were taken in once more: `again` tells of those alone."""
        return replace(
            self,
            accepted=self.accepted + again.accepted,
            corrected=self.corrected + again.corrected,
            already_known=self.already_known + again.already_known,
            quarantined=again.quarantined,
            later=self.later + again.accepted,
            new_facts=self.new_facts + again.new_facts,
            policy=again.policy,
            place=again.place,
            again_on=again.again_on,
        )

    def once_more(self, again: "Receipt") -> "Receipt":
        """What a run that took the same file in once more did: of all its rows, what was not new was known already."""
        known = self.rows - again.accepted - sum(again.quarantined.values())
        return replace(again, rows=self.rows, already_known=known)

    def settled(self, quarantined: Counts) -> "Receipt":
        """This, when of its refused rows only these, by reason, are left: the others have been taken in."""
        taken = sum(self.quarantined.values()) - sum(quarantined.values())
        return replace(self, quarantined=quarantined, accepted=self.accepted + taken, later=self.later + taken)

    def put_right(self, quarantined: Counts) -> "Receipt":
        """This, when of its refused rows only these, by reason, are left: the others came in another file."""
        returned = sum(self.quarantined.values()) - sum(quarantined.values())
        known = self.already_known + returned
        return replace(self, quarantined=quarantined, already_known=known, returned=self.returned + returned)

    def as_json(self) -> str:
        """All of it, for a program."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Receipt":
        """What `as_json` wrote; raises ValueError for anything else."""
        told = json.loads(text)
        if not isinstance(told, dict) or not {"file", "delivery"} <= set(told):
            raise ValueError("not a receipt")
        known = {f.name for f in fields(cls)}
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items() if k in known}
        return cls(**kept)


def _sum(a: Counts, b: Counts) -> Counts:
    return dict(Counter(a) + Counter(b) | {k: 0 for k in {**a, **b} if not a.get(k, 0) + b.get(k, 0)})


@lru_cache(maxsize=2**16)
def _read(path: Path, *_state: int) -> Receipt:
    """The receipt in a file of this state: a run asks for all of them several times."""
    return Receipt.from_json(path.read_text(encoding="utf-8"))


def place_of(path: Path) -> tuple[str, int, int]:
    """A hash of a file's name (which may be somebody's), its size and time of change; zeros where it is not there."""
    name = hashlib.sha256(path.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    try:
        state = path.stat()
    except OSError:
        return name, 0, 0
    return name, state.st_size, state.st_mtime_ns


def shown_name(name: str) -> str:
    """A file's name as it may be kept: long numbers are left out."""
    return re.sub(r"\d{11,}[0-9Xx]*", "*", name)


def receipts_in(folder: Path) -> list[Receipt]:
    """Every receipt in a folder, oldest delivery first; one that cannot be read is left out."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            state = path.stat()
            found.append(_read(path, state.st_size, state.st_mtime_ns, state.st_ino))
    return sorted(found, key=lambda r: (r.day, r.month, r.sender, r.file))
