"""Grows a county (or several) by townships in as many processes as there are processors, and writes its files.

Two steps: each township lives through all months and spools what becomes known; then each month's files are put
together from all townships' spools. Both are pure functions of the plan, so that the same seed gives the same bytes at
any number of processes; whatever a killed run left is made anew by the next.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import UsageError
from fpml.simulate.files import Month, Sending, Style, write_month
from fpml.simulate.grow import Growing
from fpml.simulate.plan import Plan, Spot

Work = TypeVar("Work")
KINDS = ("people", "homes")
# Household-months below which one process is done before others have started.
_SMALL = 400_000


@dataclass(frozen=True)
class Places:
    """Where a simulated county is written: what is delivered, and the truth, which nothing but evaluation may open."""

    deliveries: Path
    truth: Path

    @property
    def spool(self) -> Path:
        """What lies between the two steps; deleted at the end."""
        return self.truth / ".spool"


def simulate(
    plan: Plan, places: Places, catalogue: Catalogue, *, style: Style = Style.RECORDS,
    progress: Callable[[str, float], None] = lambda _what, _share: None, processes: int | None = None,
) -> None:  # fmt: skip
    """Grows the plan's county and writes its deliveries and its truth.

    `states.parquet` in the truth: see `grow.states`; `states-without-help.parquet`: the same county, had it helped
    nobody from the first month on. `progress` is told what is done and its share, 0 to 1. Raises UsageError where
    another county lies, or the plan has no line for one of its months.
    """
    lines = tuple(line_on(plan, catalogue, plan.first.shift(m)) for m in range(plan.months))
    begin(plan, places, style)
    shutil.rmtree(places.spool, ignore_errors=True)
    places.spool.mkdir(parents=True)
    places.deliveries.mkdir(parents=True, exist_ok=True)
    months = [(county, m) for m in range(plan.months) for county in range(plan.counties)]
    spots = plan.townships()
    with Hands(processes or wanted_processes(plan), len(spots)) as hands:
        hands.all(partial(_grow, plan, catalogue, lines, places.spool), spots, partial(progress, "growing"))
        damaged = hands.all(partial(_write, plan, catalogue, places, style), months, partial(progress, "writing"))
    for name in ("states", "states-without-help"):
        _joined([places.spool / f"{name}-{s.number:05d}.parquet" for s in spots], places.truth / f"{name}.parquet")
    if any(d.num_rows for d in damaged):
        pq.write_table(pa.concat_tables(damaged), places.truth / "damage.parquet")
    shutil.rmtree(places.spool)
    path = places.truth / "plan.json"
    _note(path, json.loads(path.read_text(encoding="utf-8")) | {"whole": True})


def line_on(plan: Plan, catalogue: Catalogue, month: AsOf) -> int:
    """The monitoring line in force at a month's end, fen a head and year: the profile's own, or else the policy's."""
    steps = [(s.from_, int(s.value)) for s in catalogue.county.line.values.get("all", ())]
    wanted = sorted((plan.own_line or dict(steps)).items(), reverse=True)
    earlier = sorted(plan.profile.line.items(), reverse=True)
    value = next((v for day, v in (*wanted, *earlier) if day <= month.date), None)
    if value is None:
        raise UsageError(f"simulate: {month}", "no monitoring line for it", "Begin later, or add an earlier value.")
    return 100 * value


def begin(plan: Plan, places: Places, style: Style) -> None:
    """Refuses to put a county beside another one, or beside deliveries that are not this one's; else notes the plan.

    The same county may be made again, and for more months. `whole` in plan.json says whether it was finished.
    """
    profile = hashlib.sha256(plan.profile.model_dump_json().encode()).hexdigest()[:16]
    told = {
        "profile": profile,
        "households": plan.households,
        "first": str(plan.first),
        "seed": plan.seed,
        "style": style,
    }
    path = places.truth / "plan.json"
    remedy = "Make another workspace with `fpml init DIR`."
    if path.exists():
        noted = json.loads(path.read_text(encoding="utf-8"))
        if {k: noted.get(k) for k in told} != told:
            raise UsageError("simulate", "another simulated county lies here already", remedy)
        if noted["months"] > plan.months:
            raise UsageError(f"simulate: {plan.months} months", f"{noted['months']} lie here already", remedy)
    elif places.deliveries.is_dir() and any(places.deliveries.iterdir()):
        raise UsageError("simulate", "deliveries lie here that no plan tells of", remedy)
    _note(path, told | {"months": plan.months, "whole": False})


def _note(path: Path, told: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(json.dumps(told), encoding="utf-8")
    half.replace(path)


def wanted_processes(plan: Plan) -> int:
    """How many processes: FPML_WORKERS where it is set, else one a processor; one for a small county."""
    small = plan.households * plan.months < _SMALL
    return 1 if small else int(os.environ.get("FPML_WORKERS") or os.cpu_count() or 1)


class Hands:
    """Processes that share work; this one alone where one is enough."""

    def __init__(self, processes: int, most: int) -> None:
        wanted = min(processes, most)
        self.pool = ProcessPoolExecutor(wanted, mp_context=get_context("spawn")) if wanted > 1 else None

    def __enter__(self) -> "Hands":
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def all(
        self, work: Callable[[Work], pa.Table], things: Sequence[Work], progress: Callable[[float], None]
    ) -> list[pa.Table]:
        """The results of all, in order."""
        done: list[pa.Table] = []
        for result in (self.pool.map if self.pool else map)(work, things):
            done.append(result)
            progress(len(done) / len(things))
        return done


def _grow(plan: Plan, catalogue: Catalogue, lines: tuple[int, ...], spool: Path, spot: Spot) -> None:
    """Grows one township into the spool: what became known month by month, its people, and its truth."""
    township = Growing.begin(plan, spot, catalogue, line=lines[0])
    unhelped = township.twin()
    truth = []
    for month, line in enumerate(lines):
        told, states = township.step(line=line)
        truth.append(states)
        _keep(spool / f"{month:03d}-{spot.number:05d}-told.arrow", told)
        for kind, moving in zip(KINDS, township.moving(), strict=True):
            _keep(spool / f"{month:03d}-{spot.number:05d}-{kind}.arrow", moving)
    for kind, moving, rows in zip(KINDS, township.moving(), (township.people(), township.homes()), strict=True):
        _keep(spool / f"{kind}-{spot.number:05d}.arrow", rows.drop_columns(moving.column_names))
    twin = [unhelped.live(line=line) for line in lines]
    for name, lived, months in (("states", township, truth), ("states-without-help", unhelped, twin)):
        with _Writer(spool / f"{name}-{spot.number:05d}.parquet") as writer:
            writer.write(lived.with_codes(pa.concat_tables(months)))


def _write(plan: Plan, catalogue: Catalogue, places: Places, style: Style, which: tuple[int, int]) -> pa.Table:
    """One county's files of one month."""
    county, month = which
    spots = [s for s in plan.townships() if s.county == county]
    told = pa.concat_tables([_kept(places.spool / f"{month:03d}-{s.number:05d}-told.arrow") for s in spots])
    people, homes = (pa.concat_tables([_then(places.spool, name, s, month) for s in spots]) for name in KINDS)
    folder = places.deliveries if plan.counties == 1 else places.deliveries / str(plan.profile.county_code + county)
    folder.mkdir(parents=True, exist_ok=True)
    sending = Sending(catalogue, style, plan.seed, county)
    return write_month(folder, Month(plan.first.shift(month), told, people, homes), sending=sending)


def _then(spool: Path, name: str, spot: Spot, month: int) -> pa.Table:
    """The people, or the households, of a township as they were in a month."""
    moving = _kept(spool / f"{month:03d}-{spot.number:05d}-{name}.arrow")
    rows = _kept(spool / f"{name}-{spot.number:05d}.arrow").slice(0, moving.num_rows)
    for column in moving.column_names:
        rows = rows.append_column(column, moving[column])
    return rows


class _Writer:
    """A Parquet file that is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path, self.half = path, path.with_suffix(".part")
        self.writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Writer":
        return self

    def write(self, rows: pa.Table) -> None:
        """Adds rows."""
        self.writer = self.writer or pq.ParquetWriter(self.half, rows.schema, compression="zstd", compression_level=1)
        self.writer.write_table(rows)

    def __exit__(self, kind: object, *_: object) -> None:
        if self.writer:
            self.writer.close()
            if kind is None:
                self.half.replace(self.path)


def _joined(parts: Sequence[Path], path: Path) -> None:
    """Puts the townships' tables into one file, a row group at a time."""
    with _Writer(path) as whole:
        for part in parts:
            source = pq.ParquetFile(part)
            for group in range(source.num_row_groups):
                whole.write(source.read_row_group(group))


def _keep(path: Path, rows: pa.Table) -> None:
    half = path.with_suffix(".part")
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(half), "wb") as sink, pyarrow.ipc.new_file(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    half.replace(path)


def _kept(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pyarrow.ipc.open_file(source).read_all()
