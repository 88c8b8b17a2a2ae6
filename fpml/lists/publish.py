"""Everything that leaves the building for one list: the county's, a workbook a village, summaries; CSV and JSON."""

import csv
import gc
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pyarrow as pa

from fpml.catalogue import LISTED, VERIFIED, Catalogue
from fpml.dates import AsOf
from fpml.keys import IdentityKey
from fpml.lists.issued import PRINTED, Issued, printed_hash
from fpml.lists.published import keep_listed
from fpml.lists.sheets import About
from fpml.lists.summary import MORE, counts, write_summary
from fpml.lists.tokens import Token
from fpml.lists.village import Line, VillageList, told_columns, write_village
from fpml.lists.warning_list import WarningList
from fpml.lists.workbook import harmless, write_csv, write_workbook
from fpml.vault import Contact, Vault

UNKNOWN = "unknown"
# With fewer households other processes take longer to start than they save.
WORTH = 500
SHOWN = ("level", "also", "listed_by", "rules", "reasons", "eases", "consider", "ask")
LINES = ("rule", "model", "both", "declared", "walked")


@dataclass(frozen=True)
class Desk:
    """What lists are written with: the policy, the key that signs rows, where it is kept what went out, processes.

    `vault`: where heads' names are looked up, at its version `vault_version`; None where lists show codes alone.
    """

    catalogue: Catalogue
    key: IdentityKey
    issued: Path
    workers: int = 1
    vault: Vault | None = None
    vault_version: int = 0

    def contacts(self, households: Sequence[str], day: date) -> Mapping[str, Contact]:
        """Whom to ask for, as known by a day; for villages' own workbooks and nothing else."""
        return self.vault.contacts(households, day, self.vault_version) if self.vault else {}


def write_lists(warnings: WarningList, folder: Path, desk: Desk) -> None:
    """Writes all files of a list into a folder that is there; the same list gives the same bytes.

    What went out is kept first, under the list's id: a workbook that nobody would recognise must not leave.
    """
    keep_listed(folder, pa.array(warnings.rows["household"], pa.string()), warnings.listed_by)
    write_csv(warnings, folder / "warnings.csv")
    write_workbook(warnings, folder / "warnings.xlsx")
    about = _about(warnings, desk.catalogue)
    villages = _villages(warnings, about, desk)
    _issued(warnings, about, villages, desk).keep(desk.issued)
    rows = [_plain(r) | _drawn(p) for r, p in zip(_records(warnings), _chances(warnings), strict=True)]
    _write_json(folder / "warnings.json", _stamped(about) | {"rows": rows})
    contacts = desk.contacts([line.household for v in villages for line in v.lines], warnings.as_of_date)
    named = [replace(v, contacts={h: contacts[h] for h in v.households if h in contacts}) for v in villages]
    _write_villages(named, about, folder / "villages", desk.workers)
    write_summary(about.word("county_title"), villages, about, folder / "summary.xlsx")
    _write_summaries(villages, about, folder)


def _about(warnings: WarningList, catalogue: Catalogue) -> About:
    """What all workbooks say alike; the list's id is a hash of all that it tells and was made from."""
    visiting, language = catalogue.visiting, warnings.language
    step = visiting.steps[VERIFIED]
    due = None
    if step.after == LISTED and step.working_days:
        due = catalogue.calendar.after(warnings.as_of_date, step.working_days)
    elif step.after == LISTED and step.days:
        due = warnings.as_of_date + timedelta(days=step.days)
    told: list[Any] = [str(warnings.as_of_date), language, dict(warnings.stamps), warnings.villages, warnings.listed_by]
    told += [warnings.asked] if warnings.asked else []
    told += [warnings.drawn] if warnings.drawn else []
    rows = warnings.rows.to_json(orient="values", force_ascii=False, double_precision=10)
    digest = hashlib.sha256(json.dumps([*told, rows], ensure_ascii=False).encode())
    horizons = [catalogue.county.ranking(o) for o in catalogue.county.outcomes]
    known = {k: visiting.word(f"by_{k}", language) for k in LINES}
    return About(
        language=language, visiting=visiting, list_id=digest.hexdigest()[:8].upper(), as_of=warnings.as_of_date,
        due=due,
        county=catalogue.county.name.said(language), simulated=warnings.simulated, listed=len(warnings.rows),
        sources=warnings.sources, stamps=warnings.stamps,
        lines=known | {k: visiting.word(f"by_{k}", language) for k in sorted(set(warnings.listed_by) - set(known))},
        months=min((h for h in horizons if f"chance_{h}" in warnings.rows), default=None),
    )  # fmt: skip


def _villages(warnings: WarningList, about: About, desk: Desk) -> list[VillageList]:
    """The list by villages, ascending by code; each household's token is signed on the way."""
    month = AsOf.parse(str(about.as_of))
    by_code: dict[str, list[Line]] = {}
    codes = warnings.villages or ("",) * len(warnings.rows)
    names: dict[str, str] = {}
    chances = _chances(warnings)
    for code, by, row in zip(codes, warnings.listed_by, _records(warnings), strict=True):
        token = Token(month, about.list_id, int(row["rank"])).signed(desk.key)
        told = {k: row.get(k, "") for k in SHOWN}
        told |= {"likely": row.get("cause", ""), "chance": row.get(f"chance_{about.months}")}
        at = int(row["rank"]) - 1
        asked, level, also = (of[at] if of else "" for of in (warnings.asked, warnings.levels, warnings.also))
        line = Line(at + 1, str(row["household"]), token, by, told, tuple(asked), str(level), str(also), chances[at])
        by_code.setdefault(code, []).append(line)
        names[code] = str(row["village"])
    digits = desk.catalogue.review.townships
    return [
        VillageList(
            code, names[code] or about.word("no_village"), str(int(code) // digits) if code else "", tuple(lines)
        )
        for code, lines in sorted(by_code.items())
    ]


def _issued(warnings: WarningList, about: About, villages: Iterable[VillageList], desk: Desk) -> Issued:
    lines = sorted(((v.code, line) for v in villages for line in v.lines), key=lambda pair: pair[1].row)
    printed = []
    for _, line in lines:
        told = {"household": line.household, **line.cells}
        printed.append(json.dumps({k: printed_hash(str(told[k] or "")) for k in PRINTED}))
    columns = [
        [line.household for _, line in lines],
        [code for code, _ in lines],
        [line.listed_by for _, line in lines],
        printed,
        [json.dumps(line.asked) for _, line in lines],
        ["" if line.drawn is None else repr(line.drawn) for _, line in lines],
    ]
    names = ("household_id", "village", "listed_by", "printed", "asked", "drawn")
    rows = pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)})
    return Issued(about.list_id, AsOf.parse(str(warnings.as_of_date)), desk.key.fingerprint, rows)


def _write_villages(villages: Sequence[VillageList], about: About, folder: Path, workers: int) -> None:
    """Every village's workbook, CSV and JSON; by several processes where that is quicker."""
    folder.mkdir()
    write = partial(_write_one, about=about, folder=folder)
    if workers > 1 and sum(len(v.lines) for v in villages) >= WORTH:
        # Spawned: a fork would copy threads' locks.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_beginning) as pool:
            # The largest first, so that nobody waits for one at the end.
            list(pool.map(write, sorted(villages, key=lambda v: -len(v.lines)), chunksize=4))
    else:
        for village in villages:
            write(village)


def _beginning() -> None:
    """What a process that writes workbooks does first.

    What was imported is spared garbage collection, which would take a fifth of the time.
    """
    gc.freeze()
    _ends_with_parent()


def _ends_with_parent() -> None:
    """Ends this process when the one that began it is gone: where that is killed, it would wait for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_one(village: VillageList, about: About, folder: Path) -> None:
    """One village's three files."""
    name = village.code or UNKNOWN
    write_village(village, about, folder / f"{name}.xlsx")
    heads = (*told_columns(about), "also", "consider", "ask", "token")
    rows = [
        {
            "number": n,
            "row": line.row,
            "household": line.household,
            **line.cells,
            "asked": line.asked,
            "token": line.token,
            **_drawn(line.drawn),
        }
        for n, line in enumerate(village.lines, start=1)
    ]
    titles = [about.word(h, months=about.months) if h == "chance" else about.word(h) for h in heads]
    _write_csv(folder / f"{name}.csv", titles, [[row.get(h) for h in heads] for row in rows])
    told = _stamped(about) | {"village": village.code, "name": village.name, "rows": [_plain(r) for r in rows]}
    _write_json(folder / f"{name}.json", told)


def _write_summaries(villages: Sequence[VillageList], about: About, folder: Path) -> None:
    """A workbook for each township, and the county's counts as CSV and JSON."""
    (folder / "townships").mkdir()
    for township in sorted({v.township for v in villages}):
        mine = [v for v in villages if v.township == township]
        title = f"{about.word('township_title')} {township or '-'}"
        write_summary(title, mine, about, folder / "townships" / f"{township or UNKNOWN}.xlsx")
    rows = [{"township": v.township, "village": v.code, "name": v.name, **counts([v], about)} for v in villages]
    titles = [
        *(about.word(w) for w in ("township", "village")),
        about.word("code"),
        about.word("listed"),
        *about.lines.values(),
        *(about.word(w) for w in MORE),
    ]
    cells = [[r["township"], r["name"], r["village"], *list(r.values())[3:]] for r in rows]
    _write_csv(folder / "summary.csv", titles, cells)
    _write_json(folder / "summary.json", _stamped(about) | {"villages": rows})


def _chances(warnings: WarningList) -> Sequence[float | None]:
    """Of each row the chance with which it was drawn by lot; None of all others."""
    return warnings.drawn or (None,) * len(warnings.rows)


def _drawn(chance: float | None) -> dict[str, float]:
    """What a row that was drawn by lot says of it."""
    return {} if chance is None else {"drawn": chance}


def _records(warnings: WarningList) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in r.items()} for r in warnings.rows.to_dict("records")]


def _stamped(about: About) -> dict[str, Any]:
    """By what every file says which list it is of."""
    return {
        "as_of": str(about.as_of), "county": about.county, "simulated": about.simulated, "list": about.list_id,
        "due": str(about.due) if about.due else None, **about.stamps,
        "sources": [{"name": s.name, "months": s.months, "told": s.told} for s in about.sources],
    }  # fmt: skip


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row for a program: what is not a number is null."""
    return {k: None if v != v else v for k, v in row.items()}


def _write_csv(path: Path, titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """UTF-8 with a byte order mark; what a spreadsheet would run is quoted."""
    with path.open("w", encoding="utf-8-sig", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(titles)
        writer.writerows([harmless(v) for v in row] for row in rows)


def _write_json(path: Path, told: dict[str, Any]) -> None:
    text = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
