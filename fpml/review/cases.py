"""Cases to read: households found only by a rule or only by the model, and why the other missed them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml.catalogue import Catalogue, Condition, Language
from fpml.households import in_force
from fpml.lists import rule_in_words
from fpml.lists.values import number_in_words, value_in_words
from fpml.measure.metrics import Ints
from fpml.review.study import Study
from fpml.rules import pushed

# So many cases of each kind are drawn, by lot and not by how well they look.
DRAWN = 12
COLUMNS = ("household", "as_of", "township", "village", "corner", "outcome", "lead", "why_zh", "why_en")
_SAYS: dict[Language, dict[str, str]] = {
    "zh": {
        "model": "模型估计未来{horizon}个月内致贫返贫的可能性为{chance:.1%}，当月排第{place}位（走访能力{visits}户）。",
        "unscored": "模型当月对该户没有估计（不在风险人群中，或收入情况不明）。",
        "raises": "推高估计的：{0}。",
        "lowers": "拉低估计的：{0}。",
        "hit": "触发规则：{0}。",
        "closest": "没有触发规则；最接近的是“{rule}”：{value}，标准{limit}。",
        "no_rule": "没有触发规则，也没有接近的。",
    },
    "en": {
        "model": "The model: {chance:.1%} within {horizon} months, place {place} that month ({visits} visits).",
        "unscored": "The model said nothing of it that month (not at risk, or its income not known).",
        "raises": "Raised by: {0}.",
        "lowers": "Lowered by: {0}.",
        "hit": "Rules hit: {0}.",
        "closest": "No rule hit; the closest was “{rule}”: {value} against {limit}.",
        "no_rule": "No rule hit, nor came close.",
    },
}


@dataclass(frozen=True)
class Said:
    """What the model's reasons say of one household at an as-of, in both languages: what raises, what lowers."""

    raises: Mapping[Language, str]
    lowers: Mapping[Language, str]


Reasons = Callable[[Ints], Sequence[Said | None]]


def cases(study: Study, reasons: Reasons) -> pd.DataFrame:
    """A household each: falls found by a rule alone, by the model alone (at the same visits) and by both, by lot.

    `reasons`: what the model's reasons say of some rows of the panel.
    """
    rows = [(corner, row, fall) for corner in ("rule", "model", "both") for row, fall in _drawn(study, corner)]
    said = reasons(np.array([row for _, row, _ in rows], np.int64))
    panel = study.sides.panel
    told = []
    for (corner, row, fall), why in zip(rows, said, strict=True):
        home = panel.household[row]
        told.append(
            (
                panel.households[int(home)].as_py(),
                str(panel.as_ofs[panel.at[row]]),
                str(panel.township[home]),
                str(panel.village_code[home]),
                corner,
                "fell",
                int(study.sides.falls.month[fall] - panel.month[row]),
                _why(study, int(row), why, "zh"),
                _why(study, int(row), why, "en"),
            )
        )
    return pd.DataFrame(told, columns=list(COLUMNS))


def _drawn(study: Study, corner: str) -> list[tuple[int, int]]:
    """Falls of a corner, each with the row at which its household was first listed within reach."""
    rules, model = study.rules.lead[0], study.model.lead[0]
    wanted = {
        "rule": (rules > 0) & (model == 0),
        "model": (rules == 0) & (model > 0),
        "both": (rules > 0) & (model > 0),
    }
    falls = np.flatnonzero(wanted[corner])
    some = np.sort(np.random.default_rng(0).permutation(falls)[:DRAWN])
    lead = model if corner == "model" else rules
    panel, fell = study.sides.panel, study.sides.falls
    at = np.searchsorted(panel.months, fell.month[some] - lead[some].astype(np.int64))
    return list(zip(panel.row[fell.household[some], at].tolist(), some.tolist(), strict=True))


def _why(study: Study, row: int, said: Said | None, language: Language) -> str:
    words, sides = _SAYS[language], study.sides
    one = sides.panel.histories.slice(row, 1)
    catalogue, stop = study.catalogue, "；" if language == "zh" else "; "
    hit = [n for n, h in sides.hits.items() if h.held[row]]
    if hit:
        told = stop.join(rule_in_words(n, one, 0, catalogue=catalogue, language=language) for n in hit)
        lines = [words["hit"].format(told)]
    else:
        lines = [_closest(one, catalogue, language)]
    if np.isnan(sides.score[row]):
        return "\n".join([*lines, words["unscored"]])
    place = int((study.same_as_of(row) > sides.score[row]).sum()) + 1
    lines.append(
        words["model"].format(horizon=study.horizon, chance=sides.score[row], place=place, visits=study.capacity)
    )
    if said:
        both = (("raises", said.raises[language]), ("lowers", said.lowers[language]))
        lines += [words[kind].format(text) for kind, text in both if text]
    return "\n".join(lines)


def _closest(one: pa.Table, catalogue: Catalogue, language: Language) -> str:
    """Of the rules that push and rest on one figure: the one whose threshold the household came closest to."""
    words, best = _SAYS[language], (0.0, "", "", "")
    for name in pushed(catalogue):
        rule = catalogue.rules[name]
        if rule.any or len(rule.all) != 1 or rule.all[0].comparison not in ("at_least", "above"):
            continue
        (condition,) = rule.all
        share, limit = _share_of_threshold(condition, one, catalogue)
        if share > best[0]:
            value = value_in_words(condition.feature, one, 0, catalogue, language)
            best = share, rule.name.said(language), value, limit
    return words["closest"].format(rule=best[1], value=best[2], limit=best[3]) if best[0] > 0.25 else words["no_rule"]


def _share_of_threshold(condition: Condition, one: pa.Table, catalogue: Catalogue) -> tuple[float, str]:
    """How much of a threshold a household's figure comes to, and the threshold in words; 0 where it is not known."""
    stored = one[condition.feature][0].as_py()
    limit = next((float(told.value) for rows, told in in_force(condition, one, catalogue) if rows[0]), 0.0)
    if stored is None or limit <= 0:
        return 0.0, ""
    return float(stored) / 10 ** catalogue.decimals(condition.feature) / limit, number_in_words(limit)
