"""Where visits are kept: a file for each taking-in, written in one step, and what each tells the ledger beside it.

The file is the commit. What it tells the ledger is made from it, and taken in by whoever comes next where a run was
killed in between. It holds what cadres wrote, their names among it: its owner alone may read it.
"""

import json
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fpml.dates import AsOf
from fpml.errors import InputError
from fpml.lists import Token
from fpml.visits.visit import Visit

SCHEMA = pa.schema(
    [
        ("month", pa.string()), ("list_id", pa.string()), ("row", pa.int32()), ("household_id", pa.string()),
        ("village", pa.string()), ("verified", pa.string()), ("cause", pa.string()), ("income_check", pa.string()),
        ("measures", pa.list_(pa.string())), ("visitor", pa.string()), ("date", pa.date32()), ("remark", pa.string()),
        ("steps", pa.string()), ("files", pa.string()), ("known_date", pa.date32()), ("told", pa.string()),
        ("told_date", pa.date32()), ("asked", pa.list_(pa.string())), ("reasons", pa.list_(pa.string())),
        ("drawn", pa.float64()),
    ]
)  # fmt: skip
# The canonical columns of what the ledger is told.
_LEDGER = ("household_id", "indicator", "event_date", "known_date", "value", "record_id")
# Begins the name of every delivery of ours.
DELIVERY = "visits-"


@dataclass(frozen=True)
class Standing:
    """What stands of one row of a list: the visit, the day it was taken in, and which files told what of it.

    `files`: by a workbook's fingerprint, the versions that it told and whether each was accepted or corrected. `told`,
    `told_date`: what the ledger is told by this version: a code, `withdrawn`, or '' for nothing new.
    """

    visit: Visit
    known: date
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    told: str = ""
    told_date: date | None = None


@dataclass(frozen=True)
class VisitStore:
    """The folder of a county's visits."""

    folder: Path

    @property
    def receipts(self) -> Path:
        """What became of each workbook."""
        return self.folder / "receipts"

    @property
    def returned(self) -> Path:
        """Workbooks to send back."""
        return self.folder / "returned"

    def parts(self) -> list[Path]:
        """The files of all takings-in, oldest first."""
        return sorted(self.folder.glob("[0-9]*.parquet"))

    def standing(self) -> dict[Token, Standing]:
        """What stands of every row that was taken in."""
        out: dict[Token, Standing] = {}
        for path in self.parts():
            for told in _read(path):
                before = out.get(told.visit.token)
                files = {**(before.files if before else {})}
                for name, versions in told.files.items():
                    files[name] = {**files.get(name, {}), **versions}
                out[told.visit.token] = Standing(told.visit, told.known, files, told.told, told.told_date)
        return out

    def add(self, visits: Iterable[Standing]) -> Path:
        """Writes what one run takes in, in one step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        last = max((int(p.stem) for p in self.parts()), default=0)
        path = self.folder / f"{last + 1:05d}.parquet"
        rows = [_plain(s) for s in sorted(visits, key=lambda s: s.visit.token)]
        half = path.with_suffix(".part")
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), half, compression="zstd")
        with suppress(OSError):
            os.chmod(half, stat.S_IRUSR | stat.S_IWUSR)
        half.replace(path)
        return path

    def deliveries(self) -> list[Path]:
        """For each taking-in that tells the ledger anything the delivery that does, made anew where it is missing."""
        folder = self.folder / "ledger"
        found = []
        for part in self.parts():
            path = folder / f"{DELIVERY}{part.stem}.parquet"
            if not path.exists():
                rows = [_canonical(s) for s in _read(part) if s.told]
                if not rows:
                    continue
                folder.mkdir(exist_ok=True)
                half = path.with_suffix(".part")
                schema = pa.schema([(c, pa.date32() if c.endswith("_date") else pa.string()) for c in _LEDGER])
                pq.write_table(pa.Table.from_pylist(rows, schema), half)
                half.replace(path)
            found.append(path)
        return found


def _plain(s: Standing) -> dict[str, object]:
    v = s.visit
    return {
        "month": str(v.token.month), "list_id": v.token.list_id, "row": v.token.row, "household_id": v.household,
        "village": v.village, "verified": v.verified, "cause": v.cause, "income_check": v.income_check,
        "measures": list(v.measures), "visitor": v.visitor, "date": v.date, "remark": v.remark,
        "steps": json.dumps({k: str(d) for k, d in sorted(v.steps.items())}),
        "files": json.dumps(s.files, sort_keys=True),
        "known_date": s.known, "told": s.told, "told_date": s.told_date,
        "asked": list(v.asked), "reasons": list(v.reasons), "drawn": v.drawn,
    }  # fmt: skip


def _read(path: Path) -> list[Standing]:
    try:
        rows = pq.read_table(path, schema=SCHEMA, partitioning=None).to_pylist()
        return [_standing(r) for r in rows]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as e:
        problem = f"cannot be read ({type(e).__name__})"
        raise InputError(f"visits {path.name}", problem, "Restore data/visits from its safe copy.") from None


def _standing(r: dict[str, object]) -> Standing:
    steps = {k: date.fromisoformat(d) for k, d in json.loads(str(r["steps"])).items()}
    visit = Visit(
        Token(AsOf.parse(str(r["month"])), str(r["list_id"]), int(str(r["row"]))),
        str(r["household_id"]), str(r["village"]), str(r["verified"]), str(r["cause"]), str(r["income_check"]),
        tuple(r["measures"]), str(r["visitor"]), r["date"], str(r["remark"]), steps,  # type: ignore[arg-type]
        asked=tuple(r["asked"] or ()), reasons=tuple(r["reasons"] or ()),  # type: ignore[arg-type]
        drawn=r["drawn"],  # type: ignore[arg-type]
    )  # fmt: skip
    return Standing(visit, r["known_date"], json.loads(str(r["files"])), str(r["told"]), r["told_date"])  # type: ignore[arg-type]


def _canonical(s: Standing) -> dict[str, object]:
    row = (s.visit.household, "verified", s.told_date, s.known, s.told, s.visit.record)
    return dict(zip(_LEDGER, row, strict=True))
