"""What a run of intake did, for a terminal: one table, and the few lines below it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from fpml.catalogue import Language
from fpml.intake import Receipt
from fpml.review.deliveries import Source, reason, total

_HEADS: dict[Language, tuple[str, ...]] = {
    "zh": ("单位", "文件", "行数", "入库", "其中更正", "早已入库", "隔离（按原因）", "月份", "与平时不同"),
    "en": ("source", "files", "rows", "accepted", "corrected", "known", "quarantined", "months", "unusual"),
}
_LINES: dict[Language, dict[str, str]] = {
    "zh": {
        "refused": "{0}\n退回{1}份", "waiting": "{0:,}行待登记库更新后自动入库。", "page": "报送情况：{0}",
        "corrections": "退回各单位的工作簿：{0}（{1}份）", "more": "……另有{0}项，见报送情况页。",
        "nothing": "没有待接收的文件：{0}",
    },
    "en": {
        "refused": "{0}\n{1} refused", "waiting": "{0:,} rows wait for the register, and are taken in when it knows.",
        "corrections": "Workbooks to send back: {0} ({1})", "page": "Page of deliveries: {0}",
        "more": "... and {0} more, on the page of deliveries.", "nothing": "Nothing waits to be taken in: {0}",
    },
}  # fmt: skip
# The least width of each of these.
_LEAST = (9, 4, 4, 4, 4, 4, 14, 8, 10)
# So many findings are told below the table.
FEW = 12


def intake_table(rows: Sequence[Source], all_of_them: Source, language: Language) -> Table:
    """A row for each source, and one for all of them."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_footer=False)
    for n, head in enumerate(_HEADS[language]):
        # Figures and months are never broken; words are, where the terminal is narrow.
        whole = {"justify": "right", "no_wrap": True} if 1 <= n <= 5 else {"no_wrap": n == 7}
        table.add_column(head, overflow="fold", min_width=_LEAST[n], **whole)
    for row in rows:
        table.add_row(*_cells(row, language), end_section=row is rows[-1])
    table.add_row(*_cells(all_of_them, language), style="bold")
    return table


def _cells(row: Source, language: Language) -> Iterator[str]:
    yield escape(row.name.said(language))
    files = f"{row.files:,}"
    yield _LINES[language]["refused"].format(files, row.refused) if row.refused else files
    yield from (f"{n:,}" for n in (row.rows, row.accepted, row.corrected, row.already_known))
    # Words of Chinese have no blanks to break at: the number stays with its reason.
    times = "×" if language == "zh" else " "
    yield "\n".join(f"{n:,}{times}{escape(reason(name, language))}" for name, n in row.quarantined.items() if n)
    yield row.months.replace("…", "…\n")
    found = Counter(f.short(language) for f in row.findings)
    yield "\n".join(f"{kind} ×{n}" if n > 1 else kind for kind, n in found.items())


def findings_below(rows: Sequence[Source], language: Language) -> str:
    """The latest findings in sentences, each with what to do; refused files are told elsewhere."""
    found = sorted((f for r in rows for f in r.findings if f.kind != "refused"), key=lambda f: f.month, reverse=True)
    lines = [f"{f.said(language)}{'。' if language == 'zh' else '. '}{f.remedy(language)}" for f in found[:FEW]]
    more = [_LINES[language]["more"].format(len(found) - FEW)] if len(found) > FEW else []
    return "\n".join([*lines, *more])


def places_below(history: Sequence[Receipt], corrections: Path, page: Path, language: Language) -> str:
    """What waits for the register, and where the workbooks to send back and the page lie."""
    said, lines = _LINES[language], []
    if waiting := total(history).waiting:
        lines.append(said["waiting"].format(waiting))
    if books := list(corrections.rglob("*.xlsx")):
        lines.append(said["corrections"].format(corrections, len(books)))
    return "\n".join([*lines, said["page"].format(page)])


def nothing_waits(folder: Path, language: Language) -> str:
    """The one line of a run that had nothing to take in."""
    return _LINES[language]["nothing"].format(folder)
