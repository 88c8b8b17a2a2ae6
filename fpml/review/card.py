"""A model's card for a reviewer, written from a backtest: what it asks, what came of it, where others do better."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fpml.catalogue import Catalogue, Language
from fpml.review.pages import rendered

Row = Mapping[str, object]
OURS, PASSED = "fpml", "passed"


@dataclass(frozen=True)
class Card:
    """One outcome's part of a backtest, as the template tells it; nothing in it is about a person.

    `skill`: ours, one row a kind of event and horizon, with its verdict on calibration and the best of the others by
    average precision. `worse`: where another is better, or as good for all that is known.
    """

    outcome: str
    about: Row
    skill: tuple[Row, ...]
    found: tuple[Row, ...]
    rules: tuple[Row, ...]
    groups: tuple[Row, ...]
    bound: tuple[Row, ...]
    promises: int
    worse: tuple[Row, ...]

    @classmethod
    def of(cls, outcome: str, report: Mapping[str, object]) -> "Card":
        """An outcome's card from the answer of `Backtest.as_json`."""
        rows: dict[str, Sequence[Row]] = {k: v for k, v in report.items() if isinstance(v, list)}
        about: Row = report["about"]  # type: ignore[assignment]
        skill = tuple(_skill(outcome, rows["skill"], rows["calibration"]))
        found = tuple(r for r in rows["found"] if r["visits"] == about["visits"])
        groups = tuple(r for r in rows["groups"] if r["grouping"] == "cause" or r["group"] == outcome)
        worse = (*_worse_skill(skill), *_worse_found(found), *_worse_groups(groups))
        return cls(outcome, about, skill, found, tuple(rows["rules"]), groups, tuple(rows["bound"]),
                   len(rows["promises"]), worse)  # fmt: skip

    def text(self, catalogue: Catalogue, language: Language) -> str:
        """The card as Markdown."""
        outcome = catalogue.county.outcomes[self.outcome]
        return rendered(
            f"card.{language}.md", card=self, named=outcome.name.said(language), number=_number, spread=_spread,
            county=catalogue.county.name.said(language), horizons=", ".join(map(str, outcome.horizons)),
            lag=outcome.known_after_months, called=_names(catalogue, language),
        )  # fmt: skip


def _names(catalogue: Catalogue, language: Language) -> dict[tuple[str, str], str]:
    """What rules, and causes and outcomes (`group`), of a backtest are called; a rule may bear a cause's name."""
    causes = catalogue.visiting.causes
    likely = {name: causes[told.cause] for name, told in catalogue.listing.causes.items() if told.cause in causes}
    named = {("group", k): words for k, words in {**causes, **likely}.items()}
    named |= {("group", k): o.name for k, o in catalogue.county.outcomes.items()}
    named |= {("rule", k): r.name for k, r in catalogue.rules.items()}
    # Nothing of policy is markup that a page would run; in Markdown an apostrophe is one.
    return {k: Markup(words.said(language).replace("<", "&lt;")) for k, words in named.items()}


def _skill(outcome: str, skill: Sequence[Row], verdicts: Sequence[Row]) -> Iterator[Row]:
    """Ours by kind of event and horizon, with the best other method and the verdict on its probabilities."""
    for ours in skill:
        if ours["outcome"] != outcome or ours["method"] != OURS:
            continue
        key = ("kind", "outcome", "horizon")
        same = [r for r in skill if all(r[k] == ours[k] for k in key) and r["method"] != OURS]
        best = max(same, key=lambda r: _value(r["average_precision"], -1.0))
        (verdict,) = (v for v in verdicts if all(v[k] == ours[k] for k in key) and v["method"] == OURS)
        gain = {k: best[k] for k in ("gain", "gain_low", "gain_high")}
        told = {k: verdict[k] for k in ("verdict", "reasons", "ratio", "ratio_low", "ratio_high")}
        yield {**ours, **gain, **told, "best": best["method"], "best_average_precision": best["average_precision"]}


def _worse_skill(skill: Sequence[Row]) -> Iterator[Row]:
    for r in skill:
        if _value(r["gain_low"], -1.0) <= 0:
            yield {"what": "ranking", "sure": _value(r["gain_high"], 1.0) < 0, "who": r["best"], **r}
        if r["verdict"] != PASSED:
            yield {"what": "calibration", "sure": r["verdict"] != "too few events", "who": "", **r}


def _worse_found(found: Sequence[Row]) -> Iterator[Row]:
    for r in found:
        if r["method"] not in (OURS, "fpml with rules") and _value(r["found_gain_low"], -1.0) <= 0:
            yield {"what": "found", "sure": _value(r["found_gain_high"], 1.0) < 0, "who": r["method"], **r}


def _worse_groups(groups: Sequence[Row]) -> Iterator[Row]:
    for r in groups:
        if _value(r["found_gain"], 0.0) < 0:
            yield {"what": "group", "sure": _value(r["found_gain_high"], 1.0) < 0, "who": r["group"], **r}


def _value(x: object, missing: float) -> float:
    """A number of a report; null, which is what is not a number there, as given."""
    return float(x) if isinstance(x, int | float) and not math.isnan(x) else missing


def _number(x: object, digits: int = 2) -> str:
    return "–" if x is None else f"{_value(x, math.nan):,.{digits}f}"


def _spread(row: Row, name: str, digits: int = 2) -> str:
    """An estimate with its 95 % interval; a dash where there is none."""
    if row[name] is None:
        return "–"
    ends = f"{_number(row[f'{name}_low'], digits)}, {_number(row[f'{name}_high'], digits)}"
    return f"{_number(row[name], digits)} [{ends}]"
