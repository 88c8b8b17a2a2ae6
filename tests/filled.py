"""A list that went out to invented villages, and workbooks of it as cadres fill them in; no real household."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.worksheet.worksheet import Worksheet

from fpml import keys
from fpml.catalogue import Catalogue
from fpml.intake import Receipt, fingerprint
from fpml.lists import Desk, WarningList, write_lists
from fpml.lists.sources import Source
from fpml.visits import Taker, VisitReceipt, VisitStore

AS_OF, RECEIVED = date(2024, 5, 31), date(2024, 6, 20)
YES = {"verified": "属实", "cause": "因病", "visitor": "李一", "date": datetime(2024, 6, 5)}
NO = {"verified": "不属实", "visitor": "李一", "date": datetime(2024, 6, 6)}
Filling = Mapping[int, Mapping[str, Any]]


def a_list(catalogue: Catalogue, villages: Mapping[str, Sequence[str]], as_of: date = AS_OF) -> WarningList:
    """A list in Chinese with these households of each village."""
    words = catalogue.wording["zh"].words
    pairs = [(code, h) for code, households in villages.items() for h in households]
    rows = pd.DataFrame(
        [
            {
                "rank": i, "household": h, "village": code, "listed_by": words["rule"], "chance_6": 0.25,
                "rules": f"规则甲 ({i} 元 ≥ 0)", "reasons": f"情况 {i}\n又一情况", "eases": "",
                "verified": "", "cause": "", "remark": "",
            }
            for i, (code, h) in enumerate(pairs, start=1)
        ],
        columns=[
            "rank", "household", "village", "listed_by", "chance_6", "rules", "reasons", "eases", "verified", "cause",
            "remark",
        ],
    )  # fmt: skip
    titles = {c: words.get(c, c) for c in rows}
    sources = (Source("医保局", 3, 3), Source("民政局", 3, 2))
    stamps = {"policy": "p" * 16, "ledger": "7", "models": "m" * 16}
    codes = tuple(code for code, _ in pairs)
    n = len(rows)
    return WarningList(
        words["title"], as_of, (), titles, rows, ("rule",) * n, words, True, "zh", codes, sources, stamps,
        ("high",) * n, ("township",) * n, (("medical_self_paid", "income_wage"),) * n, (("illness",),) * n,
    )  # fmt: skip


class Township:
    """Publishes lists, has workbooks filled in and takes them in; what the ledger is told is noted, not kept."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self.folder, self.catalogue = folder, catalogue
        folder.mkdir(parents=True, exist_ok=True)
        keys.make(folder / "lists.key")
        self.told: dict[str, pd.DataFrame] = {}

    def publish(self, villages: Mapping[str, Sequence[str]], as_of: date = AS_OF) -> Path:
        out = self.folder / f"list-{len(list(self.folder.glob('list-*')))}"
        out.mkdir()
        key = keys.load(self.folder / "lists.key")
        write_lists(a_list(self.catalogue, villages, as_of), out, Desk(self.catalogue, key, self.folder / "issued"))
        return out

    def taker(self, received: date = RECEIVED) -> Taker:
        store = VisitStore(self.folder / "visits")
        key = keys.load(self.folder / "lists.key")
        return Taker(
            self.catalogue, store, key, self.folder / "issued", received, "zh", self._into, self.told.__contains__
        )

    def _into(self, paths: Sequence[Path]) -> list[Receipt]:
        for path in paths:
            self.told[fingerprint(path)] = pd.read_parquet(path)
        return []

    def take(self, *paths: Path, received: date = RECEIVED) -> list[VisitReceipt]:
        receipts = self.taker(received).take(paths)
        for r in receipts:
            assert r.rows == r.accepted + r.already_known + r.not_filled + sum(r.refused.values())
        return receipts

    def ledger(self) -> list[tuple[Any, ...]]:
        """All that the ledger was told, oldest first: household, day, value, when it became known."""
        return [
            (r.household_id, r.event_date, r.value, r.known_date)
            for _, told in sorted(self.told.items(), key=lambda t: t[1].known_date.min())
            for r in told.itertuples()
        ]

    def standing(self) -> dict[str, Any]:
        """What stands, by household."""
        return {s.visit.household: s.visit for s in VisitStore(self.folder / "visits").standing().values()}

    def reasons(self, receipt: VisitReceipt) -> dict[str, str]:
        """Of each refused row that is sent back the reason, by where it stood."""
        sheet = openpyxl.load_workbook(self.folder / "visits" / "returned" / receipt.returned).worksheets[0]
        heads = {c.value: c.column for c in sheet[2]}
        at = [heads[self.catalogue.visiting.words[w].zh] for w in ("where", "why")]
        return {sheet.cell(r, at[0]).value: sheet.cell(r, at[1]).value for r in range(3, sheet.max_row + 1)}


def columns(sheet: Worksheet, catalogue: Catalogue, header: int = 1) -> dict[str, int]:
    """Where each known column of a sheet stands."""
    visiting = catalogue.visiting
    names = {w.zh: n for n, w in visiting.words.items()} | {visiting.steps[s].name.zh: s for s in visiting.told_steps()}
    return {names[str(c.value)]: c.column for c in sheet[header] if str(c.value) in names}


def fill(path: Path, target: Path, filling: Filling, catalogue: Catalogue, *changes: Callable[..., None]) -> Path:
    """The workbook with some rows (from 1) filled in; steps go to their own sheet. `changes` get the whole book."""
    book = openpyxl.load_workbook(path)
    lists, steps = (book[catalogue.visiting.words[w].zh] for w in ("households", "procedure"))
    for row, cells in filling.items():
        for name, value in cells.items():
            sheet = steps if name in catalogue.visiting.told_steps() else lists
            sheet.cell(row + 1, columns(sheet, catalogue)[name]).value = value
    for change in changes:
        change(book)
    book.save(target)
    return target


def refill(path: Path, target: Path, filling: Filling, catalogue: Catalogue) -> Path:
    """A workbook that was sent back, with some rows (from 1) filled in again."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    at = columns(sheet, catalogue, header=2)
    for row, cells in filling.items():
        for name, value in cells.items():
            sheet.cell(row + 2, at[name]).value = value
    book.save(target)
    return target
