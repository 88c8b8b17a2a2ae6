"""The page and the table of deliveries: what they show, and what they never do."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from rich.console import Console

import fpml
from fpml import review
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.intake import REASONS, Receipt
from fpml.intake.expected import expected
from fpml.review.pages import rendered
from fpml.screen import Screen

FIRST = AsOf.parse("2021-01")
ID_NUMBER = "360199199001011234"


def receipts(months: int = 6, senders: tuple[str, ...] = ("农商银行", "医保局")) -> list[Receipt]:
    return [
        Receipt(
            f"{sender}-存款-{FIRST.shift(n)}_{FIRST.shift(n)}-10.csv", f"{sender}{n}", rows=103, accepted=90,
            corrected=7, already_known=10, quarantined={"unknown_person": 2, "no_date": 1},
            sender=sender, month=str(FIRST.shift(n)), day=f"{FIRST.shift(n)}-10", filled={"savings": {"*": 103}},
            notes=("gb18030", "header 证件号 for 身份证号"),
        )
        for n in range(months)
        for sender in senders
    ]  # fmt: skip


def page(told: list[Receipt], catalogue: Catalogue, language: str = "zh") -> str:
    return review.deliveries(told, expected(told, catalogue), catalogue, language).html()  # type: ignore[arg-type]


class Text(HTMLParser):
    """The words of a page, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_it_tells_what_came_in_both_languages(catalogue: Catalogue) -> None:
    said = " ".join(Text(page(receipts(), catalogue)).words)
    for words in ("数据报送情况", "1,236", "登记库中没有此人", "按“身份证号”读取", "编码GB18030", "2021-06 报送"):
        assert words in said
    english = page([replace(r, file=f"{r.month}.csv", notes=(), sender="") for r in receipts()], catalogue, "en")
    assert not re.search(r"[\u4e00-\u9fff]", " ".join(Text(english.partition("</style>")[2]).words).replace("江西", ""))


def test_only_a_simulated_county_is_called_one(catalogue: Catalogue) -> None:
    for simulated in (False, True):
        county = catalogue.county.model_copy(update={"simulated": simulated})
        assert ("模拟数据" in page(receipts(), replace(catalogue, county=county))) is simulated


def test_names_of_files_and_headers_are_no_markup_and_no_numbers_of_people(catalogue: Catalogue) -> None:
    evil = '<script>alert("x")</script>'
    why = f"no column {evil} {ID_NUMBER}. Add it."
    bad = Receipt(f"{evil}{ID_NUMBER}.csv", "bad", refused=why, taken_on="2021-06-01")
    odd = replace(receipts()[0], notes=(f"header {evil} for 身份证号", f"column {ID_NUMBER} ignored"), delivery="odd")
    html = page([*receipts(), odd, bad], catalogue)
    assert "script" not in Text(html).tags
    assert evil in " ".join(Text(html).words)
    assert ID_NUMBER not in html


def test_findings_stand_first_with_what_to_do(catalogue: Catalogue) -> None:
    told = [*receipts(), replace(receipts(7)[-2], rows=900, filled={"savings": {"*": 900}})]
    html = page(told, catalogue)
    said = " ".join(Text(html).words)
    assert "农商银行·存款：2021-07有900行，平时约103行" in said
    assert said.index("需要核对") < said.index("核对是否重复报送") < said.index("各单位各月报送")
    assert 'class="unusual" title="农商银行·存款：2021-07有900行' in html


def test_a_long_history_stays_small_and_needs_nothing_from_outside(catalogue: Catalogue) -> None:
    senders = tuple(w.said("zh") for d in catalogue.departments.values() for w in d.sent_by)
    told = [replace(r, delivery=f"{r.delivery}{i}") for i in range(3) for r in receipts(36, senders[:20])]
    assert len(told) == 36 * 60
    html = page(told, catalogue)
    assert len(html.encode()) < 1_000_000
    assert not re.search(r"https?://|<link|<img|<script|url\(", html)
    assert html.count("<details") - html.count(" open>") >= 34


def test_no_deliveries_make_a_page_too(county: fpml.County) -> None:
    path = county.inbox.page()
    assert path == county.workspace.reports / "deliveries.html"
    assert "尚无报送" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["deliveries.html"]


def test_a_template_that_asks_for_what_is_not_there_fails() -> None:
    with pytest.raises(jinja2.UndefinedError):
        rendered("deliveries.html.j2")


@pytest.mark.parametrize(("width", "language"), [(100, "zh"), (100, "en"), (130, "en")])
def test_the_table_adds_up_and_fits(catalogue: Catalogue, width: int, language: str) -> None:
    told = receipts()
    rows = review.sources(told, expected(told, catalogue), catalogue)
    whole = review.total(told)
    assert [r.sender for r in rows] == ["医保局", "农商银行"]  # as policy has them
    assert sum(r.rows for r in rows) == whole.rows == 12 * 103
    assert whole.rows == whole.accepted + whole.already_known + sum(whole.quarantined.values())
    out = io.StringIO()
    Console(file=out, width=width).print(review.intake_table(rows, whole, language))  # type: ignore[arg-type]
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert "1,236" in out.getvalue()
    assert sum("2021-01…" in line for line in lines) == sum("2021-06" in line for line in lines) == 3
    why = REASONS["no_date"].zh if language == "zh" else "no date"
    assert sum(why in line for line in lines) == 3


def test_a_log_gets_few_lines_however_many_files(tmp_path: Path) -> None:
    out = io.StringIO()
    with Screen(Console(file=out, width=200)) as screen:
        for n in range(1000):
            screen.show(f"file {n + 1} of 1000: [bold].csv", n / 1000)
        screen.show("writing the list")
    lines = out.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "· file 1 of 1000: [bold].csv (0%)"
    assert lines[-1] == "· writing the list"
