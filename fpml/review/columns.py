"""What kind of number each column holds, and a table's rows as cells that a page can show and sort."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from fpml.catalogue import Words
from fpml.review.said import of_column, of_value, say, words_in

# `table.column` goes before `column`. name: a word of the page's; words: told in both languages; text: as it is.
KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("split", "corner", "method", "event", "figure", "channel", "severity", "colour", "outcome"), "name"
    ),
    **dict.fromkeys(("group", "grouping", "rule", "department", "other", "proposal", "why", "name"), "words"),
    **dict.fromkeys(("as_of", "band", "code", "household", "township", "village"), "text"),
    **dict.fromkeys(("fires", "supported", "testable", "pushes"), "flag"),
    **dict.fromkeys(("confirmed_share", "fell_share", "audit_fell_share", "found", "precision", "recall"), "share"),
    **dict.fromkeys(
        ("share_of_rule", "share_of_other", "near_cut_confirmed_share", "found_now", "found_then"), "share"
    ),
    **dict.fromkeys(("found_rules", "found_model", "groups.found_in_force", "detected"), "share"),
    **dict.fromkeys(("lead", "median_lead"), "months"),
    **dict.fromkeys(("difference", "gap"), "points"),
    **dict.fromkeys(("ratio", "visits_per_found"), "ratio"),
    **dict.fromkeys(("now", "then", "what_if.difference"), "by_figure"),
    **dict.fromkeys(("months.found_rules", "found_in_force", "rules.found"), "count"),
    "expected": "decimal",
}
# What a proposal changes, and the kind of the change: that of a share is told in points.
BY_FIGURE = {"visits": "count", "missed": "count", "found": "share", "lead": "months", "precision": "share"}
LEFT = ("text", "words", "name")
# A small number of these differs much: two decimals.
FORMS = {"count": "{:,.0f}", "months": "{:.1f}", "ratio": "{:.2f}", "decimal": "{:,.1f}", "share": "{:.1%}"}
NOT_ESTIMABLE = ("recall", "audit_fell_share")


@dataclass(frozen=True)
class Shape:
    """How a table is laid out: the column that names a row, those to choose from and what is chosen, those hidden."""

    first: str
    choose: tuple[str, ...] = ()
    chosen: str = ""
    hidden: tuple[str, ...] = ()


SHAPES: Mapping[str, Shape] = {
    "corners": Shape("group", ("split", "corner"), "all"),
    "capacity": Shape("visits", ("method",)),
    "months": Shape("as_of"),
    "lead": Shape("method", ("event", "method")),
    "rules": Shape("rule", ("department",), hidden=("rule",)),
    "duplicates": Shape("rule"),
    "what_if": Shape("proposal", ("figure",), hidden=("proposal",)),
    "what_if_groups": Shape("group", ("proposal", "grouping")),
    "groups": Shape("group", ("grouping",)),
    "bands": Shape("group", ("grouping", "band")),
    "townships": Shape("name", ("colour",)),
    "villages": Shape("name", ("colour",)),
}


@dataclass(frozen=True)
class Cell:
    """One cell: what it says, its interval, what it is sorted by, and why it says nothing where it does not."""

    said: Words
    between: str = ""
    sort: float | str = ""
    missing: Words | None = None


@dataclass(frozen=True)
class Column:
    """One column: its key, its kind, its head and what it means."""

    key: str
    kind: str
    head: Words
    meaning: Words

    @property
    def left(self) -> bool:
        """Whether it holds words, which stand to the left; numbers stand to the right."""
        return self.kind in LEFT


def kind_of(table: str, column: str) -> str:
    """The kind of a table's column; a number of something where nothing else is said."""
    return KINDS.get(f"{table}.{column}", KINDS.get(column, "count"))


def columns_of(table: str, frame: pd.DataFrame) -> tuple[Column, ...]:
    """A table's columns as the page has them: an interval or a name in two languages is one; the row's name first."""
    shape = SHAPES[table]
    there = [str(c) for c in frame.columns]
    keys = [c.removesuffix("_zh") for c in there if _stands_alone(c, there)]
    keys = [k for k in keys if k not in shape.hidden or f"{k}_zh" in there]
    if {"code", "name_zh"} <= set(there) and frame["code"].equals(frame["name_zh"]):
        keys.remove("code")  # places without names are called by their code
    keys = sorted(dict.fromkeys(keys), key=lambda k: k != shape.first)
    return tuple(Column(k, kind_of(table, k), *of_column(table, k)) for k in keys)


def _stands_alone(column: str, there: list[str]) -> bool:
    if column.endswith("_en"):
        return False
    base = column.removesuffix("_low").removesuffix("_high")
    return base == column or base not in there


def rows_of(columns: tuple[Column, ...], frame: pd.DataFrame) -> Iterator[tuple[Cell, ...]]:
    """Each row as cells."""
    for row in frame.to_dict("records"):
        named = {str(k): v for k, v in row.items()}
        yield tuple(cell(c.key, c.kind, named) for c in columns)


def cell(key: str, kind: str, row: Mapping[str, object]) -> Cell:
    """One cell of a row."""
    if kind == "by_figure":
        kind = BY_FIGURE[str(row["figure"])]
        kind = f"{kind}_change" if key == "difference" else kind
    if kind in LEFT:
        said = words_of(key, kind, row)
        return Cell(said)
    if kind == "flag":
        return Cell(say("yes" if row[key] else "no"), sort=float(bool(row[key])))
    value, low, high = (_float(row.get(k)) for k in (key, f"{key}_low", f"{key}_high"))
    return number(kind, value, (low, high), rare=key in NOT_ESTIMABLE)


def words_of(key: str, kind: str, row: Mapping[str, object]) -> Words:
    """The words of a cell, whether told in both languages, a word of the page's or as they are."""
    if kind == "name":
        return of_value(key, str(row[key]))
    both = (row.get(f"{key}_zh", row.get(key)), row.get(f"{key}_en", row.get(key)))
    zh, en = (str(said) if said else "–" for said in both)
    return Words(zh=zh, en=en)


def number(kind: str, value: float, around: tuple[float, float] = (math.nan, math.nan), *, rare: bool = False) -> Cell:
    """A number with its interval, as the page writes it; where there is none, the bound that is known, or a dash."""
    if not math.isfinite(value):
        if math.isfinite(around[0]) != math.isfinite(around[1]):
            bound = f"≥ {written(kind, around[0])}" if math.isfinite(around[0]) else f"≤ {written(kind, around[1])}"
            return Cell(_same(bound), missing=say("bound"))
        return Cell(_same("–"), missing=say("not_estimable" if rare else "not_told"))
    said = written(kind, value)
    if kind in ("points", "share_change"):
        unit = say("units", "points")
        return Cell(Words(zh=said + unit.zh, en=f"{said} {unit.en}"), between(kind, *around), value)
    return Cell(_same(said), between(kind, *around), value)


def written(kind: str, value: float) -> str:
    """A number in digits: shares in per cent, differences with their sign.

    >>> written("share", 0.1234), written("points", -0.02)
    ('12.3%', '−2.0')
    """
    if kind == "points" or kind.endswith("_change"):
        plain = {"points": "share", "share_change": "share"}.get(kind, kind.removesuffix("_change"))
        digits = FORMS[plain].format(abs(value)).removesuffix("%")
        nothing = not digits.strip("0.,")
        return digits if nothing else f"{'−' if value < 0 else '+'}{digits}"
    return FORMS[kind].format(value).replace("-", "−")


def between(kind: str, low: float, high: float) -> str:
    """An interval in digits, or nothing: `10.1–14.8`, and `−1.2, +0.4` where there are signs."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    signed = kind == "points" or kind.endswith("_change")
    low_said, high_said = (written(kind, v).removesuffix("%") for v in (low, high))
    return f"{low_said}, {high_said}" if signed else f"{low_said}–{high_said}"


def choices(table: str, frame: pd.DataFrame, key: str) -> tuple[tuple[str, Words], ...]:
    """What a column may be narrowed to, in the order of the rows: the value that rows carry, and its words."""
    kind = kind_of(table, key)
    if not len(frame):
        return ()
    carried = frame[key if kind != "words" else f"{key}_zh"]
    first = frame.loc[~carried.duplicated()]
    rows = ({str(k): v for k, v in row.items()} for row in first.to_dict("records"))
    return tuple((chosen(key, kind, row), words_of(key, kind, row)) for row in rows)


def chosen(key: str, kind: str, row: Mapping[str, object]) -> str:
    """The value by which a row is chosen."""
    return str(row[key if kind != "words" else f"{key}_zh"])


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _same(text: str) -> Words:
    return Words(zh=text, en=text)


def known_columns() -> frozenset[str]:
    """Every column that has words of its own."""
    return frozenset(words_in("zh")["columns"])
