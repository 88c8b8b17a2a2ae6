"""The review page as somebody opens it: headless Chromium clicks, filters, switches, prints; the console is empty."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from review_context import a_review, an_empty_review

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason=f"no browser: none of {', '.join(NAMES)} is installed")


@dataclass
class Opened:
    """A page in the browser, and all that it complained of or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Any:
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(path.as_uri())
        self.drawn("zh-Hans")
        return self.page

    def drawn(self, language: str) -> None:
        """Waits until all pictures are there."""
        self.page.wait_for_function("l => document.documentElement.dataset.drawn === l", arg=language)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        # Everything that runs as root needs the first; small shared memory the second.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("review") / "review.html"
    path.write_text(a_review().html(), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A window that must close without a complaint, having asked for nothing but the file."""
    width = getattr(request, "param", 1280)
    page = browser.new_page(viewport={"width": width, "height": 844})
    told = Opened(page)
    yield told
    page.close()
    assert told.complaints == []
    assert [url for url in told.asked if not url.startswith("file:")] == []
    assert len(told.asked) == 1


def column(page: Any, table: str, n: int) -> list[str]:
    """The cells of a column that are seen."""
    rows = f"#table-{table} tbody tr:not([hidden])"
    return [cell.strip() for cell in page.locator(f"{rows} > :nth-child({n})").all_inner_texts()]


def test_pictures_are_drawn_in_either_language(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    assert page.locator("[data-chart] svg").count() == 9
    assert page.locator("h1").inner_text() == "防返贫监测预警评估"
    assert "每月走访户数" in page.locator("#chart-found svg").text_content()
    page.get_by_role("button", name="English").click()
    opened.drawn("en")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title().startswith("Review of warnings")
    assert "visits a month" in page.locator("#chart-found svg").text_content()
    seen = page.locator("body").inner_text()
    assert not re.search(r"[\u4e00-\u9fff]", seen.replace("中文", ""))
    assert not re.search(r"[\u4e00-\u9fff]", " ".join(page.locator("option").all_inner_texts()))


def test_a_definition_opens_by_key_and_by_click(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    meaning = page.locator("#figure-found_model details")
    assert not meaning.locator("p").is_visible()
    meaning.locator("summary").click()
    assert "此前12个月内曾被模型列入" in meaning.locator("p").inner_text()
    meaning.locator("summary").focus()
    page.keyboard.press("Enter")
    assert not meaning.locator("p").is_visible()


def test_tables_sort_numbers_as_numbers(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    head = page.locator("#table-villages thead th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    first = [int(n.replace(",", "")) for n in column(page, "villages", 2)]
    assert first == sorted(first, reverse=True)
    assert len(first) == 400
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [int(n.replace(",", "")) for n in column(page, "villages", 2)] == sorted(first)


def test_tables_filter_by_words_and_by_choice(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    assert len(column(page, "corners", 1)) == 4
    table = page.locator("#table-corners")
    table.locator("select").first.select_option("township")
    assert len(column(page, "corners", 1)) == 32
    table.locator("input").fill("桃溪")
    assert column(page, "corners", 1) == ["桃溪乡"] * 4
    assert table.locator("output").inner_text().startswith("显示4行")
    table.locator("input").fill("没有这样的")
    assert column(page, "corners", 1) == []


def test_a_figure_leads_to_the_cases_behind_it(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    page.locator("#figure-model_only a").click()
    assert page.url.endswith("#cases")
    seen = page.locator(".cases li:not([hidden])")
    assert seen.count() == 12
    assert set(page.locator(".cases li:not([hidden]) .corner").all_inner_texts()) == {"仅模型列入"}


def test_it_prints_with_definitions_open(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#figure-found_model details p").is_visible()
    assert not page.locator(".switch").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


@pytest.mark.parametrize("opened", [390], indirect=True)
def test_a_phone_never_scrolls_the_page_sideways(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    for language in ("en", "zh-Hans"):
        page.locator(f"[data-language={language}]").click()
        opened.drawn(language)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        wide = page.evaluate("[...document.querySelectorAll('.chart svg')].map(s => s.getBoundingClientRect().right)")
        assert max(wide) <= 390


def test_months_without_anything_open_too(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(an_empty_review().html(), encoding="utf-8")
    page = opened.open(path)
    assert page.locator("#table-villages").inner_text().endswith("没有记录。")


def test_hostile_names_stay_words(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(a_review(villages=2, hostile=True).html(), encoding="utf-8")
    page = opened.open(path)
    assert page.locator("script").count() == 3
    assert "<script>alert(1)" in page.locator("#chart-townships svg").text_content()
