"""The review page: every number has words in both languages, nothing is markup, nothing comes from outside."""

import json
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from review_context import HOSTILE, a_review, an_empty_review

from fpml.review.charts import PICTURES
from fpml.review.columns import SHAPES, between, columns_of, written
from fpml.review.page import GROUPS, embedded, page
from fpml.review.said import of_column, say, say_pair, words_in


class Seen(HTMLParser):
    """The elements of a page and the words outside its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1][0] not in ("script", "style") if self.tags else False:
            self.words.append(data)


def leaves(words: object, place: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    if isinstance(words, dict):
        return {k: v for key, part in words.items() for k, v in leaves(part, (*place, key)).items()}
    if isinstance(words, list):
        assert len(words) == 2, place
        return {(*place, n): part for n, part in enumerate(words)}
    return {place: words}


@pytest.fixture(scope="module")
def html() -> str:
    return a_review().html()


def test_both_languages_say_the_same_things() -> None:
    zh, en = leaves(words_in("zh")), leaves(words_in("en"))
    assert zh.keys() == en.keys()
    for place, said in zh.items():
        assert {type(said), type(en[place])} == {str}, place
        if place[:2] not in (("units", "count"), ("units", "share")):
            assert all((said, en[place])), place
        assert not re.search(r"[\u4e00-\u9fff]", str(en[place])), place
        assert set(re.findall(r"{\w*}", str(said))) == set(re.findall(r"{\w*}", str(en[place]))), place


def test_every_figure_table_column_and_picture_has_its_words() -> None:
    review = a_review(villages=3)
    assert sorted(review.figures.index) == sorted(k for keys in GROUPS.values() for k in keys)
    for key in review.figures.index:
        assert say_pair("figures", key)
    assert set(review.tables) == set(SHAPES)
    for name, frame in review.tables.items():
        assert say_pair("tables", name)
        for column in columns_of(name, frame):
            assert all(of_column(name, column.key)), (name, column.key)
    for key in PICTURES:
        assert say_pair("charts", key)
    assert set(page(review.about, review.figures, review.tables, review.cases).corners[0][1].zh)


def test_a_figure_or_column_that_no_words_are_known_of_is_refused() -> None:
    review = a_review(villages=1)
    with pytest.raises(KeyError, match="strange"):
        page(review.about, review.figures.rename(index={"falls": "strange"}), review.tables, review.cases)
    with pytest.raises(KeyError, match="strange"):
        columns_of("months", pd.DataFrame({"as_of": ["2023-01"], "strange": [1]}))


def test_one_file_with_everything_in_it_and_not_too_large(html: str) -> None:
    assert len(html.encode()) < 5_000_000
    seen = Seen(html)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in seen.tags}
    for tag, attributes in seen.tags:
        assert not {"src", "style"} & set(attributes)
        assert not [a for a in attributes if a.startswith("on")], tag
        assert tag != "a" or str(attributes["href"]).startswith("#")
    policy = next(a["content"] for _, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in str(policy)


def test_links_lead_somewhere(html: str) -> None:
    tags = Seen(html).tags
    places = {a["id"] for _, a in tags if "id" in a}
    assert {str(a["href"])[1:] for tag, a in tags if tag == "a"} <= places


def test_both_languages_are_in_it_and_either_may_come_first(html: str) -> None:
    for words in ("防返贫监测预警评估", "Review of warnings", "模拟数据", "grants, removes and refuses nothing"):
        assert words in html
    assert '<html lang="zh-Hans">' in html
    assert '<html lang="en">' in a_review(villages=1).html("en")


def test_only_a_simulated_county_is_called_one() -> None:
    assert say("simulated").zh not in a_review(villages=1, simulated=False).html()


def test_names_are_no_markup_wherever_they_stand() -> None:
    html = a_review(villages=2, hostile=True).html()
    seen = Seen(html)
    assert sum(tag == "script" for tag, _ in seen.tags) == 3
    assert HOSTILE in "".join(seen.words)
    assert HOSTILE not in html


def test_json_inside_a_page_ends_no_script() -> None:
    evil = {"name": f"{HOSTILE}<!--&\u2028\u2029"}
    told = embedded(evil)
    assert not set("<>&\u2028\u2029") & set(told)
    assert json.loads(told) == evil
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"n": math.nan})


def test_the_numbers_as_json_are_those_of_the_frames() -> None:
    review = a_review(villages=5)
    told = json.loads(json.dumps(review.as_json(), allow_nan=False))
    assert set(told) == {"about", "figures", "cases", *review.tables}
    for name, frame in {**review.tables, "cases": review.cases}.items():
        back = pd.DataFrame(told[name], columns=frame.columns)
        pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert told["figures"][0]["figure"] == "watched"


def test_months_without_anything_make_a_page_too() -> None:
    html = an_empty_review().html()
    assert html.count("没有记录。") == len(SHAPES) + 1
    assert html.count("没有可画的数据。") == len(PICTURES)


def test_what_nobody_can_tell_is_a_dash_and_says_so(html: str) -> None:
    assert '<span lang="zh-Hans" title="不可估计">–</span>' in html
    assert not re.search(r">nan|>None|>inf", html)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [("count", 1234.4, "1,234"), ("share", 0.123, "12.3%"), ("months", 1.25, "1.2"), ("ratio", 1.375, "1.38"),
     ("points", 0.012, "+1.2"), ("points", -0.0001, "0.0"),
     ("count_change", -12, "−12"), ("share_change", 0.03, "+3.0")],
)  # fmt: skip
def test_numbers_are_written_as_people_do(kind: str, value: float, said: str) -> None:
    assert written(kind, value) == said


def test_intervals_stand_behind_their_number() -> None:
    assert between("share", 0.101, 0.148) == "10.1–14.8"
    assert between("points", -0.012, 0.004) == "−1.2, +0.4"
    assert between("share", math.nan, 0.1) == ""
