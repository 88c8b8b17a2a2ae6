"""How departments' files go wrong, and how often: rates, the look of a file, and blemishes of single cells.

The kinds are those seen in the field (ID numbers rounded by Excel, days in five forms, headers that drift); every rate
is assumed. A blemish that loses a fact says so, all others leave it to be told exactly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import WITHDRAWN, Catalogue, Column, Layout
from fpml.simulate.files.damage import Damage, Effect
from fpml.simulate.files.forms import DAY_FORMS, Form, day_texts
from fpml.simulate.files.rows import Rows
from fpml.simulate.files.sheets import Dialect
from fpml.simulate.identity import LENGTH, check_character

Change = Callable[[str, int], str | None]


@dataclass(frozen=True)
class Mess:
    """How often what goes wrong: shares of files, of their columns, of cells that could, or of rows. All assumed.

    `largest_sheet` rows at most go into a workbook.
    """

    # Of a sender's months, files or columns.
    late: float = 0.02
    cut_off: float = 0.004
    workbook: float = 0.4
    largest_sheet: int = 3_000
    gb18030: float = 0.5
    byte_order_mark: float = 0.2
    tab: float = 0.1
    semicolon: float = 0.05
    titles: float = 0.3
    other_header: float = 0.15
    other_unit: float = 0.15
    other_days: float = 0.4
    other_words: float = 0.2
    empty_column: float = 0.002
    # Of rows.
    twice: float = 0.002
    # Of cells.
    lower_x: float = 0.02
    spaces: float = 0.002
    full_width: float = 0.001
    rounded: float = 0.0005
    scientific: float = 0.0001
    wrong_check: float = 0.0003
    old_form: float = 0.0005
    long_form: float = 0.0003
    thousands: float = 0.004
    currency: float = 0.001
    empty_value: float = 0.0002
    day_form: float = 0.003
    day_lost: float = 0.0003
    empty_day: float = 0.0001
    remark: float = 0.005


@dataclass(frozen=True)
class Look:
    """How one file looks as a whole; `damages` are those of its columns' forms."""

    dialect: Dialect
    titles: int
    forms: Mapping[str, Form]
    damages: tuple[Damage, ...] = ()

    @classmethod
    def tidy(cls, layout: Layout) -> "Look":
        """UTF-8, commas, the standard header at the top."""
        return cls(Dialect(), 0, {c.header: Form.standard(c) for c in layout.columns})

    @classmethod
    def messy(cls, layout: Layout, mess: Mess, rng: np.random.Generator) -> "Look":
        """One of the ways in which files come."""
        gb, mark, tab, semicolon, titles = rng.random(5) < (
            mess.gb18030, mess.byte_order_mark, mess.tab, mess.semicolon, mess.titles,
        )  # fmt: skip
        delimiter = "\t" if tab else ";" if semicolon else ","
        dialect = Dialect("gb18030" if gb else "utf-8-sig" if mark else "utf-8", delimiter, "\r\n" if gb else "\n")
        drawn = {c.header: _form(c, mess, rng) for c in layout.columns}
        damages = tuple(d for _, found in drawn.values() for d in found)
        number = int(rng.integers(1, 3)) if titles else 0
        return cls(dialect, number, {header: form for header, (form, _) in drawn.items()}, damages)


def dialect_damages(dialect: Dialect) -> list[Damage]:
    """What of a CSV file's dialect a reader must find out."""
    kinds = {"gb18030": "gb18030", "utf-8-sig": "byte_order_mark", "\t": "tab", ";": "semicolon"}
    return [Damage(kinds[k]) for k in (dialect.encoding, dialect.delimiter) if k in kinds]


def _form(column: Column, mess: Mess, rng: np.random.Generator) -> tuple[Form, list[Damage]]:
    """A column's form in one file. The same numbers are drawn whatever comes of them."""
    chance, pick = rng.random(4), rng.integers(0, 2**16, 4).tolist()
    header = column.header
    kinds: list[str] = []
    if column.also and chance[0] < mess.other_header:
        header = column.also[pick[0] % len(column.also)]
        kinds.append("other_header")
    units, unit = list(column.units), next(iter(column.units), None)
    if len(units) > 1 and chance[1] < mess.other_unit:
        unit = units[1 + pick[1] % (len(units) - 1)]
        kinds.append("other_unit")
    form = Form.of(column, header, unit)
    days, word = "iso", 0
    if column.role in ("date", "until") and chance[2] < mess.other_days:
        days = list(DAY_FORMS)[1 + pick[2] % (len(DAY_FORMS) - 1)]
        kinds.append("other_days")
    if any(len(w) > 1 for w in column.words.values()) and chance[3] < mess.other_words:
        word = 1 + pick[3] % (max(map(len, column.words.values())) - 1)
        kinds.append("other_words")
    form = Form(form.header, form.factor, days, word)
    return form, [Damage(kind, column=form.header) for kind in kinds]


def _lower_x(text: str, _: int) -> str | None:
    return text.replace("X", "x") if "X" in text else None


def _spaced(text: str, n: int) -> str:
    return (f" {text}", f"{text} ", f"\u3000{text}", f"{text[:6]} {text[6:]}")[n % 4]


def _edged(text: str, n: int) -> str:
    return (f" {text}", f"{text} ", f"\u3000{text}")[n % 3]


_WIDE = {ord(c): ord(c) + 0xFEE0 for c in "0123456789."}


def _full_width(text: str, _: int) -> str:
    return text.translate(_WIDE)


def _rounded(text: str, _: int) -> str | None:
    as_number = text[:15] + "0" * (len(text) - 15)
    return None if as_number == text else as_number


def _scientific(text: str, _: int) -> str:
    return f"{text[0]}.{text[1:6]}E+{len(text) - 1}"


def _wrong_check(text: str, n: int) -> str:
    last, digits = text[LENGTH - 1], "0123456789X"
    wrong = digits[(digits.index(last) + 1 + n % 10) % 11]
    return text[: LENGTH - 1] + wrong + text[LENGTH:]


def _old_form(text: str, _: int) -> str | None:
    """Fifteen digits, without century and check character: they come back for whoever was born before 2000."""
    same = len(text) == LENGTH and text[6:8] == "19" and check_character(text[:17]) == text[17]
    return text[:6] + text[8:17] if same else None


def _long_form(text: str, n: int) -> str | None:
    """Twenty-two characters: the ID number and four digits more. What these say is not known."""
    return f"{text}{n % 10_000:04d}" if len(text) == LENGTH else None


def _thousands(text: str, _: int) -> str | None:
    whole, point, rest = text.partition(".")
    grouped = f"{int(whole):,}" + point + rest
    return grouped if "," in grouped else None


def _currency(text: str, n: int) -> str | None:
    return None if text.startswith("-") else "¥￥"[n % 2] + text


def _emptied(text: str, _: int) -> str:
    return ""


def _other_day(text: str, n: int) -> str | None:
    day = int(np.datetime64(text, "D").astype(np.int64))
    return day_texts(np.array([day]), list(DAY_FORMS)[n % len(DAY_FORMS)])[0].as_py()


def _day_lost(text: str, _: int) -> str:
    return f"{text[:4]}年{int(text[5:7])}月"


_REMARKS = ("=1+1", '=HYPERLINK("http://example.invalid","详情")', "+86", "-", "@SUM(1,2)", "已核对", "代报, 见附件")


def _remark(text: str, n: int) -> str:
    return _REMARKS[n % len(_REMARKS)]


@dataclass(frozen=True)
class Blemish:
    """What may happen to a cell; its rate is the field of Mess of the same name."""

    kind: str
    change: Change
    effect: Effect = "untidy"


_KEY = (
    Blemish("lower_x", _lower_x), Blemish("spaces", _spaced), Blemish("full_width", _full_width),
    Blemish("old_form", _old_form), Blemish("long_form", _long_form), Blemish("rounded", _rounded, "unreadable"),
    Blemish("scientific", _scientific, "unreadable"), Blemish("wrong_check", _wrong_check, "unreadable"),
)  # fmt: skip
_NUMBER = (
    Blemish("spaces", _edged), Blemish("full_width", _full_width), Blemish("empty_value", _emptied, "unreadable"),
)  # fmt: skip
_AMOUNT = (*_NUMBER, Blemish("thousands", _thousands), Blemish("currency", _currency))
_UNTIL = (Blemish("day_form", _other_day), Blemish("day_lost", _day_lost, "degraded"))
_DAY = (*_UNTIL, Blemish("empty_day", _emptied, "unreadable"))
_TEXT = (Blemish("spaces", _edged),)


def _blemishes(column: Column, catalogue: Catalogue) -> tuple[Blemish, ...]:
    match column.role:
        case "id_number" | "certificate" | "head_id_number":
            return _KEY
        case "date" | "until":
            return _DAY if column.role == "date" else _UNTIL
        case "value" if not column.words:
            return _AMOUNT if catalogue.indicators[column.of[0]].kind == "amount" else _NUMBER
        case "value" | "household" | "name":
            return _TEXT
        case "remark":
            return (Blemish("remark", _remark),)
    return ()


def spoil(
    cells: Mapping[str, pa.StringArray], rows: Rows, *, by: tuple[Look, Mess, Catalogue], rng: np.random.Generator
) -> tuple[dict[str, pa.StringArray], list[Damage]]:
    """The cells with blemishes, by standard header, and what was done; rows counted from 0 here."""
    look, mess, catalogue = by
    spoilt, damages = dict(cells), []
    for column in rows.layout.columns:
        header = look.forms[column.header].header
        possible = [(b, getattr(mess, b.kind)) for b in _blemishes(column, catalogue)]
        source = cells[column.header]
        if column.role in ("date", "until"):
            source = day_texts(rows.days[column.header], "iso")
        spare = column.role == "head_id_number" and bool(rows.layout.of_role("household"))
        changed = _changed(source, possible, rng)
        for blemish, at, texts in changed:
            spoilt[column.header] = _replaced(spoilt[column.header], at, texts)
            effect = "untidy" if spare else blemish.effect
            damages.append(Damage(blemish.kind, effect, at, header))
        if column.role in ("value", "name") and rng.random() < mess.empty_column:
            spoilt[column.header] = pa.nulls(len(rows), pa.string())
            damages = [d for d in damages if d.column != header]
            effect = "unreadable" if column.role == "value" else "untidy"
            damages.append(Damage("empty_column", effect, column=header))
    return spoilt, damages


def _changed(
    source: pa.StringArray, possible: list[tuple[Blemish, float]], rng: np.random.Generator
) -> list[tuple[Blemish, np.ndarray, list[str]]]:
    """For each blemish that befalls cells: which, in order, and what they then say. A cell suffers one at most."""
    share = sum(rate for _, rate in possible)
    if not share or not len(source):
        return []
    # Not each cell is asked: so many of them are met, some of them twice.
    hit = np.unique(rng.integers(0, len(source), rng.binomial(len(source), min(share, 1.0))))
    which = rng.choice(len(possible), hit.size, p=[rate / share for _, rate in possible])
    picks = rng.integers(0, 2**16, hit.size).tolist()
    texts = source.take(pa.array(hit)).to_pylist()
    found: list[tuple[list[int], list[str]]] = [([], []) for _ in possible]
    for row, kind, n, text in zip(hit.tolist(), which.tolist(), picks, texts, strict=True):
        blemish = possible[kind][0]
        # What is empty, or takes a record back, stays as it is; but a remark is written where none is.
        told = text not in (None, WITHDRAWN[0]) or blemish.kind == "remark"
        after = blemish.change(text or "", n) if told else None
        if after is not None and after != text:
            found[kind][0].append(row)
            found[kind][1].append(after)
    befallen = zip(possible, found, strict=True)
    return [(b, np.array(at, np.int64), after) for (b, _), (at, after) in befallen if at]


def _replaced(cells: pa.StringArray, at: np.ndarray, texts: list[str]) -> pa.StringArray:
    mask = np.zeros(len(cells), bool)
    mask[at] = True
    return pc.replace_with_mask(cells, pa.array(mask), pa.array([t or None for t in texts], pa.string()))
