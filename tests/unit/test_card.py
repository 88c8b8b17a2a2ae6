"""Model cards: written from a backtest, in both languages, and what is not better said first."""

import pytest

from fpml.catalogue import Catalogue, Language
from fpml.review import Card

Report = dict[str, object]


def spread(name: str, at: float, low: float, high: float) -> dict[str, float]:
    return {name: at, f"{name}_low": low, f"{name}_high": high}


def report(*, gain: tuple[float, float, float], verdict: str = "passed", found_gain: float = 0.1) -> Report:
    """A backtest of one horizon, as it answers a program: ours, one other, and any rule."""
    about = {
        "simulated": True, "falls": "simulated truth", "policy": "p", "ledger": 3, "visits": 300, "draws": 50,
        "origins": ["2023-01", "2023-02"], "learnt_anew_every": 3, "bound": "12 effective falls: too few",
    }  # fmt: skip
    which = {
        "kind": "fall", "outcome": "new_poverty", "horizon": 6, "origins": 2, "events": 700, "auc": 0.8,
        "brier": 0.01, "log_loss": 0.05, "expected_over_observed": 0.9,
    }  # fmt: skip
    precise = spread("average_precision", 0.2, 0.1, 0.3)
    skill = [
        {**which, "method": "fpml", **precise, **spread("gain", 0, 0, 0)},
        {**which, "method": "logistic regression", **precise, **spread("gain", *gain)},
    ]
    told = {"verdict": verdict, "reasons": "cell 2", **spread("ratio", 0.6, 0.5, 0.7)}
    held = {**spread("found", 0.4, 0.3, 0.5), "lead": 2.0, **spread("precision", 0.1, 0, 0.2)}
    held |= spread("found_gain", found_gain, found_gain - 0.05, found_gain + 0.05)
    rule = {"visits": 90, "falls": 70, "found": 0.3, "found_ours": 0.5, "lead_gain": 1.5}
    flood = {"falls": 9, **spread("found_rules", 0.5, 0.2, 0.8), **spread("found_ours", 0.2, 0, 0.5)}
    return {
        "about": about,
        "skill": skill,
        "calibration": [{**which, "method": "fpml", **told}],
        "found": [{"visits": 300, "method": m, **held} for m in ("fpml", "chance")],
        "rules": [{"rule": "any rule that pushes", **rule, **spread("ratio", 1.6, 1.2, 2.2)}],
        "groups": [{"grouping": "cause", "group": "disaster", **flood, **spread("found_gain", -0.3, -0.6, 0.1)}],
        "bound": [],
        "promises": [],
        "cells": [],
    }


def before(text: str, *words: str) -> bool:
    """Whether all words stand there, in this order."""
    places = [text.index(w) for w in words]
    return places == sorted(places)


def test_what_is_not_better_stands_before_all_figures(catalogue: Catalogue) -> None:
    told = report(gain=(-0.02, -0.03, -0.01), verdict="failed", found_gain=0.02)
    text = Card.of("new_poverty", told).text(catalogue, "en")
    rules_more = "natural disaster: at the rules' own visits the rules found more"
    assert before(
        text, "ranks worse than logistic regression", "have not passed: failed (cell 2)",
        "no more falls found are shown than by chance", rules_more, "## Ranking",
    )  # fmt: skip
    assert "**All figures are of a simulated county.**" in text
    assert "No bound is issued: 12 effective falls: too few." in text


def test_nothing_is_worse_where_nothing_is(catalogue: Catalogue) -> None:
    told = report(gain=(0.05, 0.01, 0.09)) | {"groups": []}
    card = Card.of("new_poverty", told)
    assert card.worse == ()
    assert "Nowhere, of what was compared." in card.text(catalogue, "en")
    assert "在所比较的各项中没有" in card.text(catalogue, "zh")
    unknown = Card.of("new_poverty", report(gain=(0.01, -0.02, 0.04)) | {"groups": []})
    assert "no better ranking is shown than that of logistic regression" in unknown.text(catalogue, "en")
    assert "未能证明排序优于逻辑回归" in unknown.text(catalogue, "zh")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_both_languages_tell_the_same_figures(catalogue: Catalogue, language: Language) -> None:
    text = Card.of("new_poverty", report(gain=(-0.02, -0.03, 0.01))).text(catalogue, language)
    for figure in ("0.200 [0.100, 0.300]", "-0.020 [-0.030, 0.010]", "0.60 [0.50, 0.70]", "1.60 [1.20, 2.20]", "700"):
        assert figure in text
    assert "None" not in text
