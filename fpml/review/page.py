"""A review as its page shows it: cards, pictures, tables, cases and what it does not know, in both languages."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from fpml.catalogue import Words
from fpml.review.charts import PICTURES, runtime, specs
from fpml.review.columns import SHAPES, Cell, Column, choices, chosen, columns_of, kind_of, number, rows_of, words_of
from fpml.review.pages import script
from fpml.review.said import LANGUAGES, of_value, say, say_pair

# Which figure stands in which group of cards, in the order of the page.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "found": ("falls", "found_rules", "found_model", "found_ratio", "found_in_force", "never_seen_by_rules"),
    "early": ("lead_rules", "lead_model", "lead_gain"),
    "precise": ("precision_rules", "precision_model", "detected_rules", "detected_model"),
    "corners": ("both", "rule_only", "model_only"),
    "people": ("watched", "visits_rules", "visits_model", "visits_in_force"),
}
STAMPS = ("policy", "ledger", "models", "visits", "horizon", "draws", "audited")


@dataclass(frozen=True)
class Card:
    """One figure: its name, its value with unit and interval, what it means, and whose cases are behind it."""

    key: str
    name: Words
    meaning: Words
    cell: Cell
    unit: Words | None
    cases: str
    behind: int


@dataclass(frozen=True)
class Choice:
    """One way of narrowing a table: the column, its head, and the values to choose from."""

    key: str
    head: Words
    values: tuple[tuple[str, Words], ...]
    chosen: str


@dataclass(frozen=True)
class Table:
    """One table: its name, what it holds, its columns, and its rows with the values they are chosen by."""

    key: str
    name: Words
    meaning: Words
    columns: tuple[Column, ...]
    choices: tuple[Choice, ...]
    rows: tuple[tuple[Mapping[str, str], tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Case:
    """One household by its code: when it was listed and by whom, what became of it, and what rules and model said."""

    household: str
    corner: str
    listed: Words
    where: tuple[Words, ...]
    why: tuple[Words, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    about: Mapping[str, object]
    groups: tuple[tuple[Words, tuple[Card, ...]], ...]
    charts: tuple[tuple[str, Words, Words, bool], ...]
    tables: tuple[Table, ...]
    cases: tuple[Case, ...]
    corners: tuple[tuple[str, Words], ...]
    unknown: tuple[Words, ...]
    stamps: tuple[tuple[Words, str], ...]
    specs: Markup
    alarms: tuple[tuple[str, Words, Words], ...] = ()

    @property
    def title(self) -> Words:
        """What the window is called: the page and the month."""
        name, month = say("title"), self.about["as_of"]
        return Words(zh=f"{name.zh} {month}", en=f"{name.en}, {month}")

    @property
    def county(self) -> Words:
        """The county's name."""
        return Words(zh=str(self.about["county_zh"]), en=str(self.about["county_en"]))

    @property
    def where(self) -> Words:
        """The months and how many households and villages they are of."""
        keys = ("first", "last", "as_ofs", "households", "villages")
        return say("where", **{k: _plain(self.about[k]) for k in keys})

    @property
    def scripts(self) -> tuple[Markup, ...]:
        """The scripts of the page in their order: the charts' runtime, and the page's own."""
        return Markup(runtime()), script("review.js")

    @property
    def allowed(self) -> str:
        """The page's security policy: these scripts and its own styles, and nothing from anywhere."""
        told = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in self.scripts)
        hashes = " ".join(f"'sha256-{h}'" for h in told)
        return (
            f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        )


def page(
    about: Mapping[str, object], figures: pd.DataFrame, tables: Mapping[str, pd.DataFrame], cases: pd.DataFrame
) -> Page:
    """The page of some numbers; a figure or table that no words are known of raises KeyError."""
    drawn = {language: specs(tables, language) for language in LANGUAGES}
    return Page(
        about=about,
        groups=tuple(_groups(figures, cases)),
        charts=tuple((key, *say_pair("charts", key), key in drawn["zh"]) for key in PICTURES),
        tables=tuple(_table(key, frame) for key, frame in tables.items()),
        cases=tuple(_cases(cases)),
        corners=tuple((c, of_value("corner", c)) for c in cases.get("corner", pd.Series(dtype=str)).unique()),
        unknown=tuple(_unknown(about)),
        stamps=tuple((say("stamps", key), _plain(about[key])) for key in STAMPS if about.get(key)),
        specs=embedded(drawn),
        alarms=tuple(_alarms(about)),
    )


def embedded(value: object) -> Markup:
    """JSON that can stand inside a script element whatever its words are; raises ValueError where it holds NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _groups(figures: pd.DataFrame, cases: pd.DataFrame) -> Iterator[tuple[Words, tuple[Card, ...]]]:
    placed = {key for keys in GROUPS.values() for key in keys}
    if strange := [str(k) for k in figures.index if k not in placed]:
        raise KeyError(f"figures without a place on the page: {strange}")
    rows = {str(k): {str(c): v for c, v in row.items()} for k, row in figures.to_dict("index").items()}
    for group, keys in GROUPS.items():
        if cards := tuple(_card(key, rows[key], cases) for key in keys if key in rows):
            yield say("figures", "groups", group), cards


def _card(key: str, row: Mapping[str, object], cases: pd.DataFrame) -> Card:
    kind, corner = str(row["kind"]), str(row["cases"] or "")
    value, low, high = (float(str(row[c])) for c in ("estimate", "low", "high"))
    told = number(kind, value, (low, high))
    unit = None if told.missing or kind not in ("months", "ratio") else say("units", kind)
    behind = int((cases["corner"] == corner).sum()) if corner and len(cases) else 0
    return Card(key, *say_pair("figures", key), told, unit, corner if behind else "", behind)


def _table(key: str, frame: pd.DataFrame) -> Table:
    columns = columns_of(key, frame)
    keys = [c.key for c in columns]
    shape = SHAPES[key]
    told = [
        Choice(c.key, c.head, choices(key, frame, c.key), shape.chosen if c.key == shape.choose[0] else "")
        for c in columns
        if c.key in shape.choose
    ]
    told = [c for c in told if len(c.values) > 1]
    kept = [keys.index(c.key) for c in told]
    carried = ({str(k): v for k, v in row.items()} for row in frame.to_dict("records"))
    by = ({k: chosen(k, kind_of(key, k), row) for k in (keys[n] for n in kept)} for row in carried)
    rows = tuple(zip(by, rows_of(columns, frame), strict=True)) if columns else ()
    return Table(key, *say_pair("tables", key), columns, tuple(told), rows)


def _cases(cases: pd.DataFrame) -> Iterator[Case]:
    for row in cases.to_dict("records"):
        told = {str(k): v for k, v in row.items()}
        lead = number("count", float(told["lead"]) if told["lead"] is not None else float("nan"))
        where = [
            say("case", "place", township=told["township"], village=told["village"]),
            say("case", "listed", as_of=told["as_of"]),
            words_of("outcome", "name", told),
            *([] if lead.missing else [say("case", "lead", lead=lead.said.zh)]),
        ]
        lines = zip(str(told["why_zh"]).split("\n"), str(told["why_en"]).split("\n"), strict=False)
        why = tuple(Words(zh=zh or "–", en=en or "–") for zh, en in lines)
        yield Case(str(told["household"]), str(told["corner"]), words_of("corner", "name", told), tuple(where), why)


def _unknown(about: Mapping[str, object]) -> Iterator[Words]:
    """What the page does not know, by what it was made from."""
    yield say("unknown", "truth" if about.get("truth") else "no_truth")
    if about.get("simulated"):
        yield say("unknown", "simulated")
    asked, counted = int(str(about["asked"])), int(str(about["as_ofs"]))
    if asked > counted:
        yield say("unknown", "without_model", months=_plain(asked - counted), of=_plain(asked), first=about["first"])
    yield say("unknown", "before", before=_plain(about["before"]), with_model=_plain(about["before_with_model"]))
    audited = about.get("audited")
    yield say("unknown", "audited", audited=_plain(audited)) if audited else say("unknown", "no_audit")
    yield from (say("unknown", key) for key in ("recent", "helped", "small", "past", "reasons"))


def _alarms(about: Mapping[str, object]) -> Iterator[tuple[str, Words, Words]]:
    """What is not as it was: the month, what is said, and what to do; see `fpml.health`."""
    told = about.get("alarms")
    for alarm in told if isinstance(told, list) else []:
        said, remedy = (Words(**{lang: alarm[lang][k] for lang in LANGUAGES}) for k in ("said", "remedy"))
        yield str(alarm["month"]), said, remedy


def _plain(value: object) -> str:
    """A number with its thousands, a list with its parts, anything else as it is."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
