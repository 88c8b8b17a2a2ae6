"""Single cells of departments' files: what each form says, and that what says two things says nothing.

The ID numbers are made here, of an area and a serial: nobody's.
"""

import random
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fpml.intake.cells import CODE_FAULTS, DAY_FAULTS, KEY_FAULTS, NUMBER_FAULTS, codes, days, keys, numbers, plain
from fpml.intake.id_numbers import ID_FAULTS, holds_id_number, id_numbers, masks
from fpml.simulate.identity import check_character

EPOCH = date(1970, 1, 1)
few = settings(max_examples=40, deadline=None)


def column(*cells: str | None) -> pa.StringArray:
    return pa.array(cells, pa.string())


def full(text: str) -> str:
    """Text in full width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def whole(first: str) -> str:
    """Seventeen digits with their check character."""
    return first + check_character(first)


def wrong(number: str) -> str:
    return number[:17] + "0123456789X"[("0123456789X".index(number[17]) + 1) % 11]


# ---- readers that say what one column says, cell by cell: a value, "withdrawn", None (empty) or the name of a fault


def told_days(cells: pa.Array, **how: bool) -> list[Any]:
    read = days(cells, **how)
    assert not (read.day[~read.known]).any()
    assert not (read.loose & ~read.known).any()
    return [
        DAY_FAULTS[f - 1] if f else (EPOCH + timedelta(int(d)), "month")[: 1 + loose] if k else None
        for d, k, f, loose in zip(read.day, read.known, read.fault, read.loose, strict=True)
    ]


def told_numbers(cells: pa.Array, **how: Any) -> list[Any]:
    return _told(numbers(cells, **({"decimals": 2} | how)), NUMBER_FAULTS)


def told_codes(cells: pa.Array, words: dict[int, tuple[str, ...]]) -> list[Any]:
    return _told(codes(cells, words), CODE_FAULTS)


def _told(read: Any, names: tuple[str, ...]) -> list[Any]:
    # Never two of these at once, and nothing but a value has one.
    assert ((read.known.astype(int) + read.withdrawn + (read.fault > 0)) <= 1).all()
    assert not read.value[~read.known].any()
    return [
        names[f - 1] if f else int(v) if k else "withdrawn" if w else None
        for v, k, w, f in zip(read.value, read.known, read.withdrawn, read.fault, strict=True)
    ]


def told_ids(cells: pa.Array, *, certificate: bool = False) -> list[Any]:
    read = id_numbers(cells, certificate=certificate)
    assert [n is None for n in read.number.to_pylist()] == list(read.fault > 0)
    return [ID_FAULTS[f - 1] if f else n for n, f in zip(read.number.to_pylist(), read.fault, strict=True)]


def told_keys(cells: pa.Array) -> list[Any]:
    read = keys(cells)
    assert not any(t is not None and f for t, f in zip(read.text.to_pylist(), read.fault, strict=True))
    return [KEY_FAULTS[f - 1] if f else t for t, f in zip(read.text.to_pylist(), read.fault, strict=True)]


WORDS = {1: ("A级", "一级"), 2: ("II级", "Ⅱ类"), 3: ("其他", "作废")}
READERS: dict[str, Callable[[pa.Array], list[Any]]] = {
    "days": told_days,
    "last days": lambda c: told_days(c, endless=True),
    "whole days": lambda c: told_days(c, month_end=False),
    "amounts": told_numbers,
    "in 10,000": lambda c: told_numbers(c, factor=10_000),
    "counts": lambda c: told_numbers(c, decimals=0, money=False),
    "codes": lambda c: told_codes(c, WORDS),
    "ids": told_ids,
    "certificates": lambda c: told_ids(c, certificate=True),
    "keys": told_keys,
    "plain": lambda c: plain(c).to_pylist(),
    "masks": lambda c: masks(c).to_pylist(),
}

# ---- days

DAY = (date(2024, 3, 5),)
MARCH = (date(2024, 3, 31), "month")
DAYS: dict[str, Any] = {
    "2024-03-05": DAY, "2024-3-5": DAY, "2024/3/5": DAY, "2024/03/05": DAY, "2024.3.5": DAY, "20240305": DAY,
    "2024年3月5日": DAY, "2024年03月05日": DAY, "2024 年 3 月 5 日": DAY, "45356": DAY, "45356.0": DAY,
    "2024-03-05 10:20:00": DAY, "2024-03-05T10:20": DAY, "2024-03-05 00:00:00.000": DAY, "2024/3/5 0:00:00": DAY,
    "20240305 10:20:00": DAY, "2024年3月5日 8:05": DAY, "２０２４－０３－０５": DAY, "２０２４年３月５日": DAY,
    " 2024-03-05 ": DAY, "\u30002024-03-05\u200b": DAY, "\ufeff2024-03-05": DAY, "'2024-03-05": DAY,
    "2024-03-05\r\n": DAY,
    "2024-02-29": (date(2024, 2, 29),), "1900-01-01": (date(1900, 1, 1),), "2099-12-31": (date(2099, 12, 31),),
    "18264": (date(1950, 1, 1),), "73050": (date(2099, 12, 31),),
    "2024年3月": MARCH, "2024-03": MARCH, "202403": MARCH, "2024/3": MARCH, "2024年 3 月": MARCH,
    "2000-02": (date(2000, 2, 29), "month"), "1900-02": (date(1900, 2, 28), "month"),
    "200002": (date(2000, 2, 29), "month"),
    "": None, "   ": None, "\u3000\u200b": None, "'": None,
}  # fmt: skip
BAD_DAYS = [
    "0000-00-00", "0000-01-01", "2024-02-30", "2023-02-29", "2100-02-29", "1900-02-29", "2024-00-05", "2024-13-01",
    "2024-03-00", "2024-03-32", "24-3-5", "24/3/5", "3/5/2024", "05.03.2024", "05/03/24", "1899-12-31", "2100-01-01",
    "9999-12-31", "长期", "至今", "18263", "73051", "45356.5", "0", "1", "60", "2024", "2024年", "2024-3-5-6",
    "2024-3/5",
    "2024.3", "2024.10", "201203", "190512", "202413", "202400", "20240230", "20241301", "2024030", "202403051",
    "-45356",
    "2024-03-05 24:00", "2024-03-05 10:60", "2024-03-05T10:20Z", "2024-03-05T20:20+08:00", "2024-03-05 10",
    "2024-03 10:20",
    "45356 10:20", "2024-03-0\u0665", "٢٠٢٤-٠٣-٠٥", "२०२४-०३-०५", "2024-03-⁰5", "2024-03-0⑤", "2024‐03‐05",
    "2024−03−05",
    "2024\u200b-03-05x", "\u202e50-30-4202", "2024-03-05\x00", "\x002024-03-05", "2024-03-05\u200f", "五月", "#N/A",
    "无",
    "作废", "二〇二四年三月五日", "1e5", "4.5356E+04", "9" * 401, "2024-03-05" * 10_000, "-", "=TODAY()", "Mar 5 2024",
]  # fmt: skip


@pytest.mark.parametrize(("cell", "says"), DAYS.items())
def test_a_day_in_each_form(cell: str, says: Any) -> None:
    assert told_days(column(cell)) == [says]


@pytest.mark.parametrize("cell", BAD_DAYS, ids=lambda c: ascii(c)[:24])
def test_what_is_no_day_or_two_days_is_refused(cell: str) -> None:
    assert told_days(column(cell)) == ["bad_date"]


@pytest.mark.parametrize(
    "cell", ["9999-12-31", "99991231", "9999/12/31", "9999年12月31日", "9999-12-31 00:00:00", "2099-12-31", "73050",
             "2099-12", "长期", "至今", " 长期\u3000", "2958465", "９９９９-１２-３１", ""]
)  # fmt: skip
def test_what_goes_on_has_no_last_day(cell: str) -> None:
    assert told_days(column(cell), endless=True) == [None]


def test_other_last_days_are_days() -> None:
    cells = column("2099-12-30", "2024-03-05", "9999-12-30", "永远")
    assert told_days(cells, endless=True) == [(date(2099, 12, 30),), DAY, "bad_date", "bad_date"]


@pytest.mark.parametrize("cell", [c for c, says in DAYS.items() if says and len(says) > 1])
def test_a_month_can_be_refused(cell: str) -> None:
    assert told_days(column(cell), month_end=False) == ["bad_date"]


FORMS: list[Callable[[date], str]] = [
    date.isoformat,
    lambda d: f"{d.year}-{d.month}-{d.day}",
    lambda d: f"{d.year}/{d.month}/{d.day}",
    lambda d: f"{d.year}.{d.month:02d}.{d.day:02d}",
    lambda d: d.isoformat().replace("-", ""),
    lambda d: f"{d.year}年{d.month}月{d.day}日",
    lambda d: f"{d.year}年{d.month:02d}月{d.day:02d}日",
    lambda d: f"{d.isoformat()} 23:59:59.999",
    lambda d: full(d.isoformat()),
    lambda d: f"\u3000{d.isoformat()}\xa0",
    lambda d: str((d - date(1899, 12, 30)).days) if d.year >= 1950 else d.isoformat(),
]
SOME_DAYS = st.lists(st.dates(date(1900, 1, 1), date(2099, 12, 31)), min_size=1, max_size=20)


@few
@given(SOME_DAYS, st.randoms(use_true_random=False))
def test_days_come_back_from_every_form(told: list[date], chance: random.Random) -> None:
    cells = column(*(chance.choice(FORMS)(d) for d in told))
    assert told_days(cells) == [(d,) for d in told]


@few
@given(st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=30))
def test_days_at_once_are_as_the_calendar_has_them(parts: list[tuple[int, int, int]]) -> None:
    def oracle(y: int, m: int, d: int) -> Any:
        try:
            return (date(y, m, d),) if 1900 <= y <= 2099 else "bad_date"
        except ValueError:
            return "bad_date"

    says = [oracle(*p) for p in parts]
    assert told_days(column(*(f"{y:04d}-{m:02d}-{d:02d}" for y, m, d in parts))) == says
    assert told_days(column(*(f"{y:04d}{m:02d}{d:02d}" for y, m, d in parts))) == says
    assert told_days(column(*(f"{y:04d}年{m:02d}月{d:02d}日" for y, m, d in parts))) == says


def test_every_day_is_read_at_once() -> None:
    told = [date(1900, 1, 1) + timedelta(n) for n in range(73_049)]
    assert told[-1] == date(2099, 12, 31)
    read = days(column(*map(date.isoformat, told)))
    assert read.known.all()
    assert (read.day == [(d - EPOCH).days for d in told]).all()


# ---- numbers, in hundredths

NUMBERS: dict[str, Any] = {
    "0": 0, "1": 100, "-1": -100, "+5": 500, "-0": 0, "-0.00": 0, "12.5": 1250, "12.50": 1250, "12.5000000000000": 1250,
    "007": 700, "00012.50": 1250, ".5": 50, "-.5": -50, "1,234": 123_400, "1,234,567.89": 123_456_789,
    "-1,234.5": -123_450,
    "¥120": 12_000, "￥120": 12_000, "¥ 1,234.50": 123_450, "120元": 12_000, "120 元": 12_000, "CNY 120": 12_000,
    "120CNY": 12_000, "rmb120": 12_000, "RMB 120.00": 12_000, "¥120元": 12_000, "-¥120": -12_000, "¥-120": -12_000,
    "1.5万元": 1_500_000, "1.5万": 1_500_000, "0.00015万元": 150, "0.000001万": 1, "(1,234.50)": -123_450,
    "（1234）": -123_400, "( 5 )": -500, "(¥5)": -500, "(0)": 0, "- 5": -500, "１２３．４５": 12_345,
    "１，２３４": 123_400, "－５": -500,
    "5E-02": 5, "5e-2": 5, "1.25E+00": 125, "1.20000E+05": 12_000_000, "1.2345E+02": 12_345, " 12.5 ": 1250,
    "\u300012.5\u200b": 1250, "'12.5": 1250, "\u202a12.5\u202c": 1250, "999999999999.99": 99_999_999_999_999,
    "-999999999999.99": -99_999_999_999_999, "0" * 400 + "7": 700, "": None, "  ": None, "\ufeff": None,
    "作废": "withdrawn", "撤销": "withdrawn", "withdrawn": "withdrawn", " 作废\u3000": "withdrawn",
    "作 废": "withdrawn",
    "1000000000000": "out_of_range", "-1000000000000": "out_of_range", "9" * 19: "out_of_range",
    "9" * 401: "out_of_range",
    "1" + "0" * 400: "out_of_range", "100000000万": "out_of_range", "1,000,000,000,000": "out_of_range",
    "9223372036854775808": "out_of_range", "-9223372036854775809": "out_of_range",
    "18446744073709551617": "out_of_range",
    "340282366920938463463374607431768211457": "out_of_range", "1000000000000.001": "out_of_range",
    "0.001": "too_many_decimals", "0.30000000000000004": "too_many_decimals", "1.0000000001": "too_many_decimals",
    "0.0000001万": "too_many_decimals", "5E-03": "too_many_decimals", "1E-400": "too_many_decimals",
    "1E-99": "too_many_decimals",
    "#N/A": "formula_error", "#REF!": "formula_error", "#VALUE!": "formula_error", "#DIV/0!": "formula_error",
    "####": "formula_error", "＃N/A": "formula_error",
}  # fmt: skip
NO_NUMBERS = [
    "-", "--", "—", "/", "无", "N/A", "NULL", "null", "nan", "inf", "-inf", "Infinity", "None", "True", "x", "1x", "x1",
    "=1+1",
    "=SUM(A1)", "1,23", "12,34", "1,2345", "1234,567", "0,123", ",123", "1,234,", "1,,234", "1.234,56", "1.234.567",
    "1 234",
    "1 234,5", "1'234", "5.", ".", "-.", "+", "5-", "5 -", "+-5", "--5", "-¥-5", "(-5)", "(5", "5)", "((5))", "()", "¥",
    "元", "万元",
    "1.2E+05", "1E+11", "1.23457E+11", "1E400", "1,234E-02", "E5", "1e", "0x10", "0b1", "1_000", "1亿", "5千元", "$5",
    "€5", "5%", "5人",
    "1.5万5", "1万2千", "三", "十五", "1/2", "½", "1½", "10⁵", "5²", "①", "⑴", "⒈", "₅", "٣", "१२", "১", "𝟝²", "−5",
    "–5", "‐5", "l23", "O",
    "1\x002", "1\x00", "\x001", "1\u200b2", "1\n2", "1\t2", "\u202e321", "\u200f-5", "5\u200f", "1\u00ad2", "1\u0301",
    "\ufffd",
    "9" * 100_000, "1," * 50_000, "-" * 100_000, "(" + " " * 498 + "x", "a\u0301\u0327" * 33_000, "作废2", "未作废",
    "WITHDRAWN?",
]  # fmt: skip


@pytest.mark.parametrize(("cell", "says"), NUMBERS.items(), ids=lambda c: ascii(c)[:24])
def test_an_amount_in_each_form(cell: str, says: Any) -> None:
    assert told_numbers(column(cell)) == [says]


@pytest.mark.parametrize("cell", NO_NUMBERS, ids=lambda c: ascii(c)[:24])
def test_what_is_no_number_or_two_numbers_is_refused(cell: str) -> None:
    assert told_numbers(column(cell)) == ["not_a_number"]


@pytest.mark.parametrize(
    ("cell", "says"),
    {"1.5": 1_500_000, "¥1.5": 1_500_000, "1,234.5": 1_234_500_000, "0.000001": 1, "0.0000010": 1, "(1.5)": -1_500_000,
     "0.0000001": "too_many_decimals", "99999999.999999": 99_999_999_999_999, "100000000": "out_of_range",
     "1.5万": "not_a_number", "1.5万元": "not_a_number", "1.5元": "not_a_number", "元1.5": "not_a_number"}.items(),
)  # fmt: skip
def test_an_amount_in_ten_thousands(cell: str, says: Any) -> None:
    assert told_numbers(column(cell), factor=10_000) == [says]


@pytest.mark.parametrize(
    ("cell", "says"),
    {"3": 3, "3.0": 3, "3.00": 3, "1,234": 1234, "-3": -3, "999999999999": 999_999_999_999,
     "360121001001": 360_121_001_001,
     "3.5": "too_many_decimals", "1000000000000": "out_of_range", "¥3": "not_a_number", "3元": "not_a_number",
     "3万": "not_a_number", "(3)": "not_a_number", "3次": "not_a_number", "3E+00": 3, "3E-01": "too_many_decimals",
     "作废": "withdrawn"}.items(),
)  # fmt: skip
def test_a_count_is_no_money(cell: str, says: Any) -> None:
    assert told_numbers(column(cell), decimals=0, money=False) == [says]


@pytest.mark.parametrize("how", [{"factor": 3}, {"factor": 0}, {"factor": -10}, {"decimals": 7}, {"decimals": -1}])
def test_a_unit_is_a_power_of_ten(how: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a power of ten"):
        told_numbers(column("1"), **how)


def stored(text: str, decimals: int, factor: int) -> Any:
    """What a plain number says, by exact decimals one at a time."""
    try:
        value = Decimal(text) * factor
    except InvalidOperation:
        return "not_a_number"
    if abs(value) >= 10**12:
        return "out_of_range"
    scaled = value * 10**decimals
    return int(scaled) if scaled == int(scaled) else "too_many_decimals"


PLAIN_NUMBERS = st.from_regex(r"\A[+-]?[0-9]{1,16}(\.[0-9]{1,9})?\Z")


@few
@given(st.lists(PLAIN_NUMBERS, min_size=1, max_size=20), st.integers(0, 6), st.sampled_from([1, 10, 100, 10_000]))
@example(["0" * 12, "-" + "9" * 12, "1" * 12 + ".0"], 0, 1)
def test_numbers_are_as_decimals_have_them(texts: list[str], decimals: int, factor: int) -> None:
    says = [stored(t, decimals, factor) for t in texts]
    how = {"decimals": decimals, "factor": factor}
    assert told_numbers(column(*texts), **how) == says
    # The slow way, where the fast one will not do.
    assert told_numbers(column(*(f"¥{t}" for t in texts)), **how) == says
    assert told_numbers(column(*(f"\u3000{full(t)} " for t in texts)), **how) == says


@few
@given(st.lists(st.integers(-(10**14) + 1, 10**14 - 1), min_size=1, max_size=20))
def test_amounts_come_back_from_every_form(values: list[int]) -> None:
    amounts = [Decimal(v) / 100 for v in values]
    forms: list[Callable[[Decimal], str]] = [
        str, lambda a: f"{a:,.2f}", lambda a: f"¥{a:,}", lambda a: f"{a}元", lambda a: f"{a / 10_000:f}万元",
        lambda a: f"({-a:,.2f})" if a < 0 else f"+{a}", lambda a: full(f"{a:,.2f}"), lambda a: f"CNY {a}",
        lambda a: f"{a:.15E}" if a and -3 < a.adjusted() < 12 else str(a),
    ]  # fmt: skip
    for form in forms:
        assert told_numbers(column(*map(form, amounts))) == values


# ---- codes


@pytest.mark.parametrize(
    ("cell", "says"),
    {"A级": 1, "a级": 1, "Ａ级": 1, " A 级": 1, "A\u3000级": 1, "A\u200b级": 1, "一级": 1, "Ⅱ级": 2, "II级": 2,
     "ii 级": 2,
     "Ⅱ类": 2, "II类": 2, "其他": 3, "撤销": "withdrawn", "withdrawn": "withdrawn", "": None, "1": "unknown_word",
     "作废": "unknown_word", "А级": "unknown_word", "A级级": "unknown_word", "A": "unknown_word",
     "\ufffd": "unknown_word",
     "A级\x00": "unknown_word", "\u202eA级": "unknown_word", "a" * 100_000: "unknown_word"}.items(),
    ids=lambda c: ascii(c)[:24],
)  # fmt: skip
def test_a_code_by_its_words(cell: str, says: Any) -> None:
    assert told_codes(column(cell), WORDS) == [says]


def test_a_word_of_two_codes_says_neither() -> None:
    words = {1: ("A级", "甲"), 2: ("ａ 级", "乙"), 3: ("①",)}
    cells = column("A级", "甲", "乙", "①", "\ufffd")
    assert told_codes(cells, words) == ["unknown_word", 1, 2, "unknown_word", "unknown_word"]


# ---- ID numbers

GOOD = whole("36012119800101123")
ENDS_IN_X = next(n for k in range(999) if (n := whole(f"36012119800101{k:03d}"))[17] == "X")
BY_CHANCE = next(n for d in range(28) if (n := whole(f"360121198001{d + 1:02d}000"[:17]))[15:] == "000")
OLD = GOOD[:6] + GOOD[8:17]
IDS: dict[str, Any] = {
    GOOD: GOOD, ENDS_IN_X: ENDS_IN_X, ENDS_IN_X.lower(): ENDS_IN_X, full(ENDS_IN_X): ENDS_IN_X,
    full(ENDS_IN_X.lower()): ENDS_IN_X, f" {GOOD} ": GOOD, f"\u3000{GOOD}": GOOD, f"{GOOD}\xa0": GOOD,
    f"\ufeff{GOOD}": GOOD,
    f"{GOOD[:6]} {GOOD[6:14]} {GOOD[14:]}": GOOD, "\u200b".join(GOOD): GOOD, f"'{GOOD}": GOOD, f"＇{GOOD}": GOOD,
    f" '{GOOD}": GOOD, f"\u202d{GOOD}\u202c": GOOD, f"{GOOD}\t": GOOD, OLD: GOOD, full(OLD): GOOD, f"'{OLD} ": GOOD,
    GOOD + "1234": GOOD, ENDS_IN_X + "1234": ENDS_IN_X, ENDS_IN_X.lower() + "0000": ENDS_IN_X, BY_CHANCE: BY_CHANCE,
    "": "no_id_number", "  ": "no_id_number", "\u200b": "no_id_number", "'": "no_id_number",
    wrong(GOOD): "wrong_check_digit", wrong(ENDS_IN_X): "wrong_check_digit", wrong(GOOD) + "1234": "wrong_check_digit",
    GOOD[:15] + "0001234": "wrong_check_digit",
    GOOD[:17]: "wrong_length", GOOD + "1": "wrong_length", GOOD + "43": "wrong_length",
    ENDS_IN_X + "43": "wrong_length",
    "1": "wrong_length", "12345": "wrong_length", GOOD[:14] + "X": "wrong_length", GOOD * 2: "wrong_length",
    GOOD[:15] + "000"[: 18 - 15]: "rounded_id_number", GOOD[:15] + "00000": "rounded_id_number",
    GOOD[:15] + "0000000": "rounded_id_number", full(GOOD[:15] + "000"): "rounded_id_number",
    "3.60121E+17": "rounded_id_number", "3.60121198001011E+17": "rounded_id_number", "3.6e+17": "rounded_id_number",
    "３．６０１２１Ｅ＋１７": "rounded_id_number", "3.60121E+19": "rounded_id_number",
    "3.60121E17": "rounded_id_number",
    whole("36012119800230123"): "bad_birth_date", whole("36012100000000123"): "bad_birth_date",
    whole("36012118791231123"): "bad_birth_date", whole("36012121010101123"): "bad_birth_date",
    whole("36012119801301123"): "bad_birth_date", "360121800230123": "bad_birth_date",
    whole("36012118800101123"): whole("36012118800101123"), whole("36012121001231123"): whole("36012121001231123"),
    whole("10012119800101123"): "not_an_id_number", whole("92012119800101123"): "not_an_id_number",
    whole("00000019800101123"): "not_an_id_number", whole("11012119800101123"): whole("11012119800101123"),
    whole("91012119800101123"): whole("91012119800101123"),
    ENDS_IN_X[:17] + "Х": "not_an_id_number", ENDS_IN_X[:17] + "Χ": "not_an_id_number", ENDS_IN_X[:17] + "Ⅹ": ENDS_IN_X,
    ENDS_IN_X[:17] + "×": "not_an_id_number", "٣" + GOOD[1:]: "not_an_id_number", "३" + GOOD[1:]: "not_an_id_number",
    "³" + GOOD[1:]: "not_an_id_number", "③" + GOOD[1:]: "not_an_id_number", "O" + GOOD[1:]: "not_an_id_number",
    GOOD[:9] + "X" + GOOD[10:]: "not_an_id_number", "abc": "not_an_id_number", "无": "not_an_id_number",
    "-": "not_an_id_number",
    f"-{GOOD}": "not_an_id_number", f"+{GOOD}": "not_an_id_number", f'="{GOOD}"': "not_an_id_number",
    GOOD + ".0": "not_an_id_number",
    GOOD[:6] + "-" + GOOD[6:]: "not_an_id_number", f"\u202e{GOOD[::-1]}": "not_an_id_number",
    GOOD + "\x00": "not_an_id_number",
    GOOD[:17] + "\x00": "not_an_id_number", GOOD[:6] + "********" + GOOD[14:]: "not_an_id_number",
    "\x00" * 18: "not_an_id_number",
    "9" * 100_000: "not_an_id_number", "1" * 400: "wrong_length", "#N/A": "not_an_id_number",
    "身份证": "not_an_id_number",
}  # fmt: skip


@pytest.mark.parametrize(("cell", "says"), IDS.items(), ids=lambda c: ascii(c)[:30])
def test_an_id_number_in_each_form(cell: str, says: Any) -> None:
    assert told_ids(column(cell)) == [says]


@pytest.mark.parametrize(
    ("cell", "says"),
    {GOOD: GOOD, GOOD + "11": GOOD, ENDS_IN_X + "74": ENDS_IN_X, ENDS_IN_X.lower() + "43": ENDS_IN_X,
     full(GOOD + "43"): GOOD,
     GOOD + "1234": GOOD, GOOD + "01": "not_an_id_number", GOOD + "81": "not_an_id_number",
     GOOD + "10": "not_an_id_number",
     GOOD + "15": "not_an_id_number", wrong(GOOD) + "43": "wrong_check_digit", GOOD[:15] + "00000": "rounded_id_number",
     BY_CHANCE + "43": BY_CHANCE, "3.60121E+19": "rounded_id_number", GOOD + "1": "wrong_length",
     "": "no_id_number"}.items(),
)  # fmt: skip
def test_a_certificate_begins_with_the_id_number(cell: str, says: Any) -> None:
    assert told_ids(column(cell), certificate=True) == [says]


def test_what_passes_though_it_looks_rounded_is_suspect() -> None:
    cells = column(BY_CHANCE, GOOD, f" {BY_CHANCE}", BY_CHANCE + "1234", GOOD[:15] + "000", "")
    assert id_numbers(cells).suspect.tolist() == [True, False, True, False, False, False]


PEOPLE = st.builds(
    lambda area, born, serial: whole(f"{area:06d}{born:%Y%m%d}{serial:03d}"),
    st.integers(110_000, 919_999), st.dates(date(1900, 1, 1), date(1999, 12, 31)), st.integers(1, 999),
)  # fmt: skip
ID_FORMS: list[Callable[[str], str]] = [
    str, str.lower, full, lambda n: f"{n[:6]} {n[6:]}", lambda n: f"\u3000{n}", lambda n: f"'{n}",
    lambda n: n[:6] + n[8:17],
    lambda n: n + "0107",
]  # fmt: skip


@few
@given(st.lists(PEOPLE, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_id_numbers_come_back_from_every_form(people: list[str], chance: random.Random) -> None:
    assert told_ids(column(*(chance.choice(ID_FORMS)(n) for n in people))) == people


@few
@given(PEOPLE, st.integers(0, 17), st.integers(1, 9))
def test_a_single_wrong_digit_is_found(number: str, at: int, by: int) -> None:
    digit = "0123456789".find(number[at])
    mistaken = number[:at] + str((max(digit, 0) + by) % 10) + number[at + 1 :]
    if mistaken != number:
        assert told_ids(column(mistaken))[0] in ID_FAULTS


# ---- keys, masks, plain text

KEYS: dict[str, Any] = {
    "1234567": "1234567", "123.0": "123", "123.00": "123.00", "12.30": "12.30", "a.0": "a.0",
    "JZ-2024_01/3#(2):1.5": "JZ-2024_01/3#(2):1.5",
    "单据1号": "单据1号", "１２３": "123", "（2024）第3号": "(2024)第3号", " 7 ": "7", "'0012": "0012", "\ufeff7": "7",
    "x" * 63 + "1": "x" * 63 + "1", "x" * 64: "bad_key", "x" * 64 + "1": "bad_key", "1" + "x" * 64: "bad_key",
    "x" * 40 + "1" + "x" * 40: "bad_key",
    "": None, " ": None, "x" * 65: "bad_key", "a b": "bad_key", "a,b": "bad_key", "=1+1": "bad_key", "a;b": "bad_key",
    "3.6E+17": "bad_key",
    "А1": "bad_key", "é": "bad_key", "٣": "bad_key", "①": "bad_key", "a\x00": "bad_key", "a\nb": "bad_key",
    "\u202ea": "bad_key", "a|b": "bad_key",
    "x" * 100_000: "bad_key", GOOD: "id_number_as_key", ENDS_IN_X.lower(): "id_number_as_key",
    full(GOOD): "id_number_as_key",
    f"'{GOOD}": "id_number_as_key", GOOD + ".0": "id_number_as_key", f"MZ{GOOD}": "id_number_as_key",
    f"单{GOOD}-1": "id_number_as_key",
    f"2024{GOOD}": "id_number_as_key", GOOD + "001": "id_number_as_key", f"A-{ENDS_IN_X}B": "id_number_as_key",
    # Fifteen digits are a household's code as well: an area, a township and a serial.
    OLD: OLD, f"12-{OLD}-1": f"12-{OLD}-1", wrong(GOOD): wrong(GOOD),
    OLD + "1": OLD + "1",
    "360121800230123": "360121800230123",
}  # fmt: skip


@pytest.mark.parametrize(("cell", "says"), KEYS.items(), ids=lambda c: ascii(c)[:30])
def test_a_key_is_short_and_no_id_number(cell: str, says: Any) -> None:
    assert told_keys(column(cell)) == [says]


@few
@given(PEOPLE, st.text("0123456789XAB-.单", max_size=22), st.text("0123456789XAB-.单", max_size=22))
def test_no_key_holds_an_id_number(number: str, before: str, behind: str) -> None:
    assert told_keys(column(before + number + behind)) == ["id_number_as_key"]


def test_an_id_number_is_found_in_any_length_of_text_but_not_across_two() -> None:
    cells = [
        "1" * 100_000 + GOOD,
        GOOD[:9],
        GOOD[9:],
        None,
        "",
        f"单{ENDS_IN_X.lower()}号",
        GOOD + "x",
        wrong(GOOD),
        "1" * 18,
    ]
    assert holds_id_number(column(*cells)).tolist() == [True, False, False, False, False, True, True, False, False]
    assert holds_id_number(column(*cells).slice(2, 4)).tolist() == [False, False, False, True]
    assert not holds_id_number(column()).size


@pytest.mark.parametrize(
    ("cell", "says"),
    {"360121198001011234": "3601************34", "36012119800101123x": "3601************3x",
     "360121800101123": "3601*********23",
     "3601211980010112341234": "3601****************34", "12345": "*****", "张三": "**", "3.60121E+17": "*" * 11,
     "": "",
     "36012119800101 1234": "3601************34", "３６０１２１１９８００１０１１２３４": "3601************34",
     "9" * 100_000: "*" * 18,
     "Х" * 20: "*" * 18, "a360121198001011234": "*" * 18, "36012119800101": "*" * 14}.items(),
    ids=lambda c: ascii(c)[:24],
)  # fmt: skip
def test_what_is_shown_of_a_number(cell: str, says: str) -> None:
    assert masks(column(cell)).to_pylist() == [says]


@few
@given(PEOPLE, st.sampled_from([*ID_FORMS, lambda n: n + "43", lambda n: f"x{n}"]))
def test_no_number_is_shown_whole(number: str, form: Callable[[str], str]) -> None:
    shown = masks(column(form(number)))[0].as_py()
    assert len(shown.replace("*", "")) <= 6
    assert number[6:14] not in shown


@pytest.mark.parametrize(
    ("cell", "says"),
    {" ａｂ　": "ab", "张 三": "张 三", "a\x00b\u200bc\u202e": "abc", "\u200b \x00": None, "": None, "abc": "abc",
     "Ⅱ": "II"}.items(),
    ids=ascii,
)  # fmt: skip
def test_plain_text(cell: str, says: str | None) -> None:
    assert plain(column(cell)).to_pylist() == [says]


# ---- whatever comes

KNOWN = [*DAYS, *BAD_DAYS[:40], *NUMBERS, *NO_NUMBERS[:80], *list(IDS)[:90], *KEYS, *WORDS[1]]
KNOWN = [c for c in KNOWN if len(c) < 1000]
ODD = st.text("0123456789Xx.,-+/年月日元万¥()eE%#' \u3000\u200b\u202e\x00:TＸ０５²Х", max_size=24)
CELLS = st.lists(st.none() | st.sampled_from(KNOWN) | ODD | st.text(max_size=30), max_size=25)


@pytest.mark.parametrize("reader", READERS)
@few
@given(CELLS, st.randoms(use_true_random=False))
def test_each_cell_says_one_thing_wherever_it_stands(
    reader: str, cells: list[str | None], chance: random.Random
) -> None:
    read = READERS[reader]
    says = read(column(*cells))
    assert says == [read(column(c))[0] for c in cells]
    order = chance.sample(range(len(cells)), len(cells))
    assert read(column(*(cells[i] for i in order))) == [says[i] for i in order]
    assert read(pa.chunked_array([column(*cells), column(*cells)], pa.string())) == says + says
    assert read(column("x", None, *cells, "2024-03-05").slice(2, len(cells))) == says
    assert read(column(*cells).dictionary_encode()) == says


@pytest.mark.parametrize("reader", [r for r in READERS if r not in ("masks", "plain")])
@few
@given(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=25))
def test_blanks_around_and_full_width_change_nothing(reader: str, cells: list[str]) -> None:
    read = READERS[reader]
    says = read(column(*cells))
    assert read(column(*(f"\u3000{c} " for c in cells))) == says
    if all(unicodedata.is_normalized("NFKC", c) for c in cells):
        assert read(column(*map(full, cells))) == says


@pytest.mark.parametrize("reader", READERS)
def test_columns_of_nothing(reader: str) -> None:
    read = READERS[reader]
    assert read(column()) == []
    assert read(pa.chunked_array([], pa.string())) == []
    assert set(read(pa.nulls(3, pa.string()))) <= {None, "no_id_number"}


@pytest.mark.parametrize("reader", READERS)
def test_a_long_cell_takes_no_longer_than_its_length(reader: str) -> None:
    """A thousand of the worst short cells, and one very long one: any square of their length would be minutes."""
    worst = ["(" + " " * 498 + "x", "1," * 249, "年 " * 240, "a\u0301\u0327" * 166, "0" * 499, "1 " * 249]
    READERS[reader](column(*(f"{w}{i % 10}" for w in worst for i in range(170))))
    READERS[reader](column(*(w * 200 for w in worst)))


def test_faults_are_numbered_from_one() -> None:
    assert id_numbers(column(GOOD[:15] + "000", GOOD)).fault.tolist() == [1, 0]
    assert numbers(column("x", "1"), decimals=0).fault.dtype == np.int8
    assert days(column("x")).day.dtype == np.int32
