"""The warning list of one as-of: a row for each household to visit, with rank, probability, rule hits and reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fpml.catalogue import CHANNELS, DEPARTMENT, Catalogue, Language
from fpml.dates import AsOf
from fpml.features import as_of_months, matrix
from fpml.households import condition_holds, in_monitoring
from fpml.lists.rank import RULE, Bools, Floats, Ranked, hit_names, rank
from fpml.lists.reasons import reasons, rule_in_words
from fpml.lists.sources import Source, sources
from fpml.outcomes import risk_set
from fpml.risk import RiskModel, contributions, rearranged
from fpml.rules import any_hit, hits, of_channel

FILL_IN = ("verified", "cause", "remark")
Models = Mapping[str, RiskModel]


@dataclass(frozen=True)
class WarningList:
    """What a cadre gets. `titles` names the columns of `rows` in the list's language, in order.

    `listed_by`: by which line each row came, whatever the language. `villages`: the code of each row's village, ''
    where it is not known. `stamps`: the fingerprints of all that it was made from.
    """

    title: str
    as_of_date: date
    about: tuple[tuple[str, str | int], ...]
    titles: Mapping[str, str]
    rows: pd.DataFrame
    listed_by: tuple[str, ...]
    words: Mapping[str, str]
    simulated: bool
    language: Language = "zh"
    villages: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    stamps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """How every watched household stands at one as-of: the outcome it is told by ('' when not at risk), that outcome's
    probability at the horizon that lists are ranked by, all probabilities, whether it is below the line, and the rules
    that hit it."""

    outcome: npt.NDArray[np.object_]
    score: Floats
    probability: Mapping[tuple[str, int], Floats]
    below: Bools
    state_known: Bools
    hits: Mapping[str, Bools]


def scores(histories: pa.Table, models: Models, catalogue: Catalogue) -> dict[tuple[str, int], Floats]:
    """For each outcome and horizon every row's probability, NaN for who is not at risk.

    Non-decreasing in the horizon where the outcome counts any fall within it.
    """
    out: dict[tuple[str, int], Floats] = {}
    for name, model in models.items():
        outcome = catalogue.county.outcomes[name]
        at_risk = risk_set(outcome, histories, catalogue).at_risk
        x = matrix(histories.filter(pa.array(at_risk)), model.features, catalogue)
        told = model.probabilities(x)
        told = rearranged(told) if outcome.observed == "within" else told
        for j, h in enumerate(model.horizons):
            out[name, h] = np.full(histories.num_rows, np.nan)
            out[name, h][at_risk] = told[:, j]
    return out


def standing(histories: pa.Table, models: Models, catalogue: Catalogue) -> Standing:
    """The standing of every row. Who is at risk of two outcomes is told by the one that stands last in county.yaml."""
    probability = scores(histories, models, catalogue)
    outcome = np.full(histories.num_rows, "", object)
    score = np.full(histories.num_rows, np.nan)
    for name in catalogue.county.outcomes:
        if name in models:
            first = probability[name, catalogue.county.ranking(name)]
            outcome[~np.isnan(first)] = name
            score = np.where(np.isnan(first), score, first)
    below, known = condition_holds(catalogue.county.below_already, histories, catalogue)
    return Standing(outcome, score, probability, below, known, hits(histories, catalogue))


def draw_up(
    histories: pa.Table,
    models: Models,
    catalogue: Catalogue,
    *,
    in_peace: Bools,
    language: Language,
    ledger_version: int,
) -> WarningList:
    """The warning list of histories that all have one as-of, ranked by the county's horizon.

    `in_peace`: which rows are of households listed lately of whom nothing new is known. They are not listed, nor are
    those in monitoring; how many of them rules hit is said.
    """
    as_of = AsOf(int(as_of_months(histories)[0]))
    stand = standing(histories, models, catalogue)
    apart = in_peace | in_monitoring(histories)
    ranked = rank(stand.score, stand.below, _lines(stand, catalogue), visits=catalogue.county.visits, apart=apart)
    words = catalogue.wording[language].words
    code = histories[f"{catalogue.county.village}__last__ever"].take(pa.array(ranked.rows)).to_pylist()
    return WarningList(
        title=words["title"],
        as_of_date=as_of.date,
        about=_about(stand, ranked, models, catalogue, as_of, language, ledger_version),
        titles=_titles(models, catalogue, language),
        rows=_rows(histories, stand, ranked, models, catalogue, language),
        listed_by=ranked.listed_by,
        words=words,
        simulated=catalogue.county.simulated,
        language=language,
        villages=tuple("" if c is None else str(int(c)) for c in code),
        sources=sources(histories, catalogue, language),
        stamps={"policy": catalogue.fingerprint, "ledger": str(ledger_version), "models": _fingerprints(models, words)},
    )


def _lines(stand: Standing, catalogue: Catalogue) -> dict[str, Bools]:
    """Who is listed whatever the model says, by the line through which it comes."""
    rules = {RULE if c == DEPARTMENT else c: of_channel(catalogue, c) for c in CHANNELS}
    return {line: any_hit({n: stand.hits[n] for n in names}, stand.score.size) for line, names in rules.items()}


def _titles(models: Models, catalogue: Catalogue, language: Language) -> dict[str, str]:
    """The columns and their titles; one column a horizon, whichever outcome it is of."""
    words = catalogue.wording[language].words
    chances = {}
    for name, model in models.items():
        outcome = catalogue.county.outcomes[name]
        phrase = words["chance" if outcome.observed == "within" else "chance_at"]
        chances.update({f"chance_{h}": phrase.format(months=h) for h in sorted(model.calibrations)})
    named = ("rank", "household", "village", "listed_by")
    return {k: words[k] for k in named} | chances | {k: words[k] for k in ("rules", "reasons", "eases", *FILL_IN)}


def _rows(
    histories: pa.Table, stand: Standing, ranked: Ranked, models: Models, catalogue: Catalogue, language: Language
) -> pd.DataFrame:
    words = catalogue.wording[language].words
    told = _told(histories, stand, ranked, models, catalogue, language)
    rows: list[dict[str, Any]] = []
    for place, (at, by) in enumerate(zip(ranked.rows, ranked.listed_by, strict=True), start=1):
        raising, lowering = told.get(int(at), ("", ""))
        line: dict[str, Any] = {
            "rank": place,
            "household": histories["household_id"][int(at)].as_py(),
            "village": _place(histories, int(at), catalogue, language),
            "listed_by": words[by],
            "rules": "\n".join(
                rule_in_words(r, histories, int(at), catalogue=catalogue, language=language)
                for r in hit_names(stand.hits, int(at))
            ),
            "reasons": words["already"] if stand.below[at] else raising,
            "eases": lowering,
            **dict.fromkeys(FILL_IN, ""),
        }
        for (outcome, h), probability in stand.probability.items():
            if outcome == stand.outcome[at]:
                line[f"chance_{h}"] = round(float(probability[at]), 4)
        rows.append(line)
    return pd.DataFrame(rows, columns=list(_titles(models, catalogue, language)))


def _place(histories: pa.Table, at: int, catalogue: Catalogue, language: Language) -> str:
    """The name of a row's village, or its code where the policy has no name; empty where it is not known."""
    code = histories[f"{catalogue.county.village}__last__ever"][at].as_py()
    names = catalogue.indicators[catalogue.county.village].codes or {}
    return "" if code is None else names[code].said(language) if code in names else str(code)


def _told(
    histories: pa.Table, stand: Standing, ranked: Ranked, models: Models, catalogue: Catalogue, language: Language
) -> dict[int, tuple[str, str]]:
    """For each listed row that has a score: what raises its estimate, and what lowers it, in words."""
    out: dict[int, tuple[str, str]] = {}
    for name, model in models.items():
        listed = ranked.rows[stand.outcome[ranked.rows] == name]
        if not listed.size:
            continue
        x = matrix(histories.take(pa.array(listed)), model.features, catalogue)
        parts = contributions(model, x, catalogue.county.ranking(name), catalogue)
        for i, at in enumerate(listed):
            up, down = reasons(parts, model, histories, i, int(at), catalogue=catalogue, language=language)
            out[int(at)] = ("\n".join(r.text for r in up), "\n".join(r.text for r in down))
    return out


def _about(
    stand: Standing,
    ranked: Ranked,
    models: Models,
    catalogue: Catalogue,
    as_of: AsOf,
    language: Language,
    ledger_version: int,
) -> tuple[tuple[str, str | int], ...]:
    """The cover: what this is, how to use it, the counts, and the fingerprints of all it was made from."""
    words = catalogue.wording[language].words
    at_risk = ~np.isnan(stand.score)
    typical = f"{stand.score[at_risk].mean():.1%}" if at_risk.any() else words["none"]
    counts = {
        "watched": stand.score.size,
        "at_risk": int(at_risk.sum()),
        "now_below": int(stand.below.sum()),
        "income_unknown": int((~stand.state_known).sum()),
        "listed": int(ranked.rows.size),
        "capacity": catalogue.county.visits,
        "excess": ranked.excess,
        "spared": ranked.spared,
    }
    return (
        (words["as_of"], f"{as_of.date} ({catalogue.county.name.said(language)})"),
        (words["notice_title"], words["notice"]),
        (words["how"], words["how_text"]),
        (words["base"], typical),
        *((words[k], n) for k, n in counts.items()),
        (words["policy"], catalogue.fingerprint),
        (words["ledger"], str(ledger_version)),
        (words["models"], _fingerprints(models, words)),
    )


def _fingerprints(models: Models, words: Mapping[str, str]) -> str:
    """Which models ranked a list, or that none did."""
    return "; ".join(f"{n} {m.fingerprint} ({m.learnt.origin})" for n, m in models.items()) or words["no_models"]
