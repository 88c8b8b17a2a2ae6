"""What leaves the building under load: a county's list written for its villages, and filled-in workbooks read back.

    python benchmarks/lists.py [--full]

Small: 600 households in 30 villages; `--full`: 6,000 in 300, each with rules, reasons and a sheet of its own. Writing
is timed twice and its bytes compared; then all villages' workbooks are filled in and taken in. Generated rows.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import measure
import numpy as np
import openpyxl
import pandas as pd

from fpml import engine, keys
from fpml.catalogue import Catalogue, load
from fpml.intake import fingerprint
from fpml.lists import Desk, WarningList, write_lists
from fpml.lists.sources import Source
from fpml.visits import Taker, VisitStore
from fpml.workspace import DEFAULT_POLICY

SMALL, FULL = (30, 600), (300, 6_000)
REASONS = (
    "自付医疗费（过去12个月合计）: 23,410.00 元\n"
    "畜禽损失（过去24个月合计），与监测线之比: 2.18 倍监测线\n持残疾证成员占人口: 0.50 比例"
)
RULES = "自付医疗费达到1.5万元 (23,410.00 元 ≥ 15,000)\n存款三个月内减半 (0.42 倍 ≤ 0.50)"


def a_list(catalogue: Catalogue, villages: int, households: int) -> WarningList:
    """A list of so many generated households, spread unevenly over villages."""
    rng = np.random.default_rng(8)
    words = catalogue.wording["zh"].words
    weight = rng.gamma(2.0, size=villages)
    at = rng.choice(villages, households, p=weight / weight.sum())
    codes = [str(360121100000 + 1000 * (v // 20) + 200 + v % 20) for v in at]
    chance = np.sort(rng.beta(1, 20, households))[::-1].round(4)
    rows = pd.DataFrame(
        {
            "rank": range(1, households + 1), "household": [f"{c[:9]}{n:06d}" for n, c in enumerate(codes)],
            "village": codes, "listed_by": words["both"], "chance_6": chance,
            "rules": RULES, "reasons": REASONS, "eases": "工资性收入（过去12个月合计），与监测线之比: 1.06 倍监测线",
            "verified": "", "cause": "", "remark": "",
        }
    )  # fmt: skip
    titles = {c: words.get(c, c) for c in rows}
    sources = (Source("医保局", 3, 3), Source("民政局", 3, 2))
    stamps = {"policy": catalogue.fingerprint, "ledger": "1", "models": "generated"}
    return WarningList(
        words["title"], date(2024, 5, 31), (), titles, rows, ("both",) * households, words, True, "zh", tuple(codes),
        sources, stamps,
    )  # fmt: skip


def digest(folder: Path) -> str:
    """One hash of every file below a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(str(path.relative_to(folder)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def written(sizes: tuple[int, int], root: Path) -> dict[str, Any]:
    """Seconds, bytes and peak memory of writing one list, twice."""
    catalogue = load(DEFAULT_POLICY, DEFAULT_POLICY)
    keys.make(root / "lists.key")
    warnings = a_list(catalogue, *sizes)
    desk = Desk(catalogue, keys.load(root / "lists.key"), root / "issued", engine.workers())
    seconds, processor, prints = [], [], set()
    for n in range(2):
        folder = root / f"written-{n}"
        folder.mkdir()
        began, used = time.perf_counter(), sum(os.times()[:4])
        write_lists(warnings, folder, desk)
        seconds.append(round(time.perf_counter() - began, 2))
        processor.append(round(sum(os.times()[:4]) - used, 2))
        prints.add(digest(folder))
    books = [p.stat().st_size for p in (root / "written-0" / "villages").glob("*.xlsx")]
    whole = sum(p.stat().st_size for p in (root / "written-0").rglob("*") if p.is_file())
    return {
        "villages": len(books), "listed": sizes[1], "seconds": seconds, "processor_seconds": processor,
        "same_bytes": len(prints) == 1,
        "peak_mb": measure.peak_mb(),
        "peak_mb_of_a_helper": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6),
        "megabytes": round(whole / 1e6, 1), "largest_workbook_kb": round(max(books) / 1e3),
        "median_workbook_kb": round(float(np.median(books)) / 1e3),
    }  # fmt: skip


def taken(root: Path) -> dict[str, Any]:
    """Seconds of reading thirty filled-in workbooks, first and again; what the ledger does is measured elsewhere."""
    catalogue = load(DEFAULT_POLICY, DEFAULT_POLICY)
    filled = [fill_in(p, root / f"filled-{p.name}", catalogue) for p in books(root)[:30]]
    told: set[str] = set()

    def into(paths: Sequence[Path]) -> list[Any]:
        told.update(map(fingerprint, paths))
        return []

    seconds, receipts = [], []
    for _ in range(2):
        store = VisitStore(root / "visits")
        key = keys.load(root / "lists.key")
        day = date(2024, 6, 20)
        taker = Taker(catalogue, store, key, root / "issued", day, "zh", into, told.__contains__)
        began = time.perf_counter()
        receipts.append(taker.take(filled))
        seconds.append(round(time.perf_counter() - began, 2))
    return {
        "workbooks": len(filled), "rows": sum(r.rows for r in receipts[0]),
        "accepted": sum(r.accepted for r in receipts[0]), "seconds": seconds,
        "same_receipts": receipts[0] == receipts[1], "peak_mb": measure.peak_mb(),
    }  # fmt: skip


def books(root: Path) -> list[Path]:
    """The villages' workbooks."""
    return sorted((root / "written-0" / "villages").glob("*.xlsx"))


def fill_in(path: Path, target: Path, catalogue: Catalogue) -> Path:
    """Fills every row of a workbook in."""
    book = openpyxl.load_workbook(path)
    sheet = book[catalogue.visiting.words["households"].zh]
    at = {c.value: c.column for c in sheet[1]}
    cells = {"verified": "属实", "cause": "因病", "visitor": "李一", "date": datetime(2024, 6, 5)}
    for row in range(2, sheet.max_row + 1):
        for name, value in cells.items():
            sheet.cell(row, at[catalogue.visiting.words[name].zh]).value = value
    book.save(target)
    return target


def main() -> None:
    """Measures, prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--part", choices=["write", "take"], help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    sizes = FULL if a.full else SMALL
    if a.part:
        print(json.dumps(written(sizes, a.root) if a.part == "write" else taken(a.root)))
        return
    root = Path(tempfile.mkdtemp(prefix="fpml-lists-"))
    try:
        asked = ["--root", root, *(["--full"] if a.full else [])]
        parts = {"written": "write", "taken": "take"}
        figures = {name: measure.apart(sys.argv[0], "--part", part, *asked) for name, part in parts.items()}
    finally:
        shutil.rmtree(root, ignore_errors=True)
    about = {"machine": measure.machine(), "versions": measure.versions("xlsxwriter", "segno", "openpyxl")}
    path = measure.write("lists" if a.full else "lists-small", {**figures, **about})
    w, t = figures["written"], figures["taken"]
    rows = [
        (f"{w['listed']:,} households in {w['villages']} villages written", w["seconds"][-1], w["peak_mb"]),
        (f"{t['workbooks']} filled-in workbooks ({t['rows']:,} rows) taken in", t["seconds"][0], t["peak_mb"]),
        ("the same again", t["seconds"][-1], t["peak_mb"]),
    ]
    measure.show(("what", "seconds", "peak MB"), rows)
    print(f"written with {w['processor_seconds'][-1]} s of processor time, all processes together")
    print(f"same bytes: {w['same_bytes']}; {w['megabytes']} MB in all; written to {path}")


if __name__ == "__main__":
    main()
