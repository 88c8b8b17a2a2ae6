"""The warning list of one as-of: a row for each household to visit, with rank, probability, rule hits and reasons."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import CHANNELS, DEPARTMENT, LEVELS, Catalogue, Language
from fpml.dates import AsOf
from fpml.features import Over, as_of_months, in_one
from fpml.households import hold_together, in_monitoring
from fpml.lists.known import Known
from fpml.lists.placing import advice, also_by, levels, likely_causes, recorded_causes, without_events
from fpml.lists.rank import RULE, Bools, Lots, Places, Ranked, hit_names, rank
from fpml.lists.reasons import Told, all_told
from fpml.lists.sources import Source, sources
from fpml.lists.standing import Models, Standing, standing
from fpml.lists.telling import Teller
from fpml.lists.values import rules_in_words
from fpml.lists.yardstick import Yardstick
from fpml.rules import any_hit, of_channel

FILL_IN = ("verified", "cause_found", "remark")
# What is known of dates of some households: their last records, and what departments last told of.
Dates = Callable[[Sequence[str]], Known]


@dataclass(frozen=True)
class WarningList:
    """What a cadre gets. `titles` names the columns of `rows` in the list's language, in order.

    `listed_by`: by which line each row came, whatever the language. `villages`: the code of each row's village, ''
    where it is not known. `levels`, `also`: each row's level and who calls beside the village, by their names in
    policy; `causes`: its likely causes, the likeliest first. `asked`: of each row the indicators (or named groups)
    whose reasons stand in it, in order. `drawn`: of each row the chance with which it was drawn by lot, None of all
    that were not; empty where none was. `stamps`: the fingerprints of all that it was made from.
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
    levels: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    asked: tuple[tuple[str, ...], ...] = ()
    causes: tuple[tuple[str, ...], ...] = ()
    drawn: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A ranking with all that policy makes of its rows, in their order."""

    ranked: Ranked
    told: Mapping[int, Told]
    hit: tuple[tuple[str, ...], ...]
    causes: tuple[tuple[str, ...], ...]
    levels: tuple[str, ...]
    also: tuple[str, ...]


def draw_up(
    histories: pa.Table,
    models: Models,
    catalogue: Catalogue,
    *,
    in_peace: Bools,
    language: Language,
    ledger_version: int,
    stand: Standing | None = None,
    dates: Dates | None = None,
    over: Over = in_one,
) -> WarningList:
    """The warning list of histories that all have one as-of, ranked by the county's horizon.

    `in_peace`: which rows are of households listed lately of whom nothing new is known. They are not listed, nor are
    those in monitoring; how many of them rules hit is said. `dates`: what reasons say of days; without it they tell
    the as-of's. `stand`: how each row stands, where that has been reckoned; `over`: see `all_told`.
    """
    as_of = AsOf(int(as_of_months(histories)[0]))
    stand = standing(histories, models, catalogue) if stand is None else stand
    monitored = in_monitoring(histories)
    lines, spare = _lines(stand, catalogue), _spare(histories, catalogue)
    ranked = rank(
        stand.score, stand.below, lines, visits=catalogue.county.visits, apart=in_peace | monitored,
        spare=any_hit(spare, stand.score.size), places=_places(histories, catalogue),
        lots=_lots(histories, catalogue, as_of.date),
    )  # fmt: skip
    households = histories["household_id"].take(pa.array(ranked.rows)).cast(pa.string()).to_pylist()
    known = dates(households) if dates else Known(as_of)
    teller = Teller(histories, catalogue, language, known, Yardstick(histories, catalogue))
    told = all_told(ranked.rows.tolist(), models, stand, teller, over)
    drawn = _drawn(ranked, households, stand, told, teller, as_of.date)
    words = catalogue.wording[language].words
    apart = {"in_monitoring": monitored, "left_in_peace": in_peace & ~monitored}
    left_out = _left_out(stand, ranked, {k: any_hit(lines, m.size) & m for k, m in apart.items()}, spare, teller)
    return WarningList(
        title=words["title"],
        as_of_date=as_of.date,
        about=_about(stand, drawn, models, teller, ledger_version, left_out),
        titles=_titles(models, catalogue, language),
        rows=_rows(histories, stand, drawn, models, catalogue, language),
        listed_by=ranked.listed_by,
        words=words,
        simulated=catalogue.county.simulated,
        language=language,
        villages=_villages(histories, ranked, catalogue),
        sources=sources(histories, catalogue, language),
        stamps={"policy": catalogue.fingerprint, "ledger": str(ledger_version), "models": _fingerprints(models, words)},
        levels=drawn.levels,
        also=drawn.also,
        causes=drawn.causes,
        drawn=tuple(ranked.drawn.get(int(at)) for at in ranked.rows) if ranked.drawn else (),
        asked=tuple(tuple(r.group for r in drawn.told[int(at)].raising) for at in ranked.rows),
    )


def _drawn(
    ranked: Ranked, households: Sequence[str], stand: Standing, told: Mapping[int, Told], teller: Teller, day: date
) -> Drawn:
    catalogue, rows = teller.catalogue, ranked.rows
    hit = tuple(hit_names(stand.hits, int(r)) for r in rows)
    level = levels(stand.score[rows], stand.below[rows].tolist(), hit, catalogue, day)
    also = also_by(level, households, catalogue, day)
    mine = teller.histories.take(pa.array(rows))
    recorded = recorded_causes(mine, catalogue)
    each = zip(rows.tolist(), hit, recorded, without_events(mine, recorded, catalogue), strict=True)
    causes = tuple(likely_causes(told[r], h, known, catalogue, before=before) for r, h, known, before in each)
    return Drawn(ranked, told, hit, causes, tuple(level), tuple(also))


def _left_out(
    stand: Standing, ranked: Ranked, apart: Mapping[str, Bools], spare: Mapping[str, Bools], teller: Teller
) -> dict[str, int]:
    """In words, how many were not listed and why: `apart` though a rule hit them, `spare` though they have a chance."""
    listing, language = teller.catalogue.listing, teller.language
    left = ~np.isnan(stand.score)
    left[ranked.rows] = False
    told = {listing.words[k].said(language): int(of.sum()) for k, of in apart.items()}
    return told | {listing.apart[k].name.said(language): int((of & left).sum()) for k, of in spare.items()}


def _villages(histories: pa.Table, ranked: Ranked, catalogue: Catalogue) -> tuple[str, ...]:
    """The code of each listed row's village, '' where it is not known."""
    code = histories[f"{catalogue.county.village}__last__ever"].take(pa.array(ranked.rows)).to_pylist()
    return tuple("" if c is None else str(int(c)) for c in code)


def _spare(histories: pa.Table, catalogue: Catalogue) -> dict[str, Bools]:
    """Whom the model does not add, by policy's reason."""
    return {n: hold_together(g.all, g.any, histories, catalogue)[0] for n, g in catalogue.listing.apart.items()}


def _places(histories: pa.Table, catalogue: Catalogue) -> Places:
    village = histories[f"{catalogue.county.village}__last__ever"].cast(pa.int64())
    most = int(catalogue.listing.floors.share * catalogue.county.visits)
    return Places(pc.fill_null(village, -1).to_numpy(), most)


def _lots(histories: pa.Table, catalogue: Catalogue, day: date) -> Lots | None:
    """How visits go by lot on a day: by a hash of policy's seed, day and household; the same list has the same."""
    policy = catalogue.listing.exploring_on(day)
    if policy is None:
        return None

    def lot(row: int) -> bytes:
        """A household's lot."""
        return hashlib.sha256(f"{policy.seed}:{day}:{histories['household_id'][row].as_py()}".encode()).digest()

    return Lots(int(policy.share * catalogue.county.visits), policy.reach, lot)


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
    own = {k: w.said(language) for k, w in catalogue.listing.words.items()}
    return {
        **{k: words[k] for k in ("rank", "household", "village")},
        "level": own["level"],
        "listed_by": words["listed_by"],
        "also": own["also"],
        **chances,
        **{k: words[k] for k in ("rules", "reasons", "eases")},
        "cause": own["likely"],
        "consider": own["consider_title"],
        "ask": own["ask"],
        "verified": words["verified"],
        "cause_found": words["cause"],
        "remark": words["remark"],
    }


def _rows(
    histories: pa.Table, stand: Standing, drawn: Drawn, models: Models, catalogue: Catalogue, language: Language
) -> pd.DataFrame:
    words, own = catalogue.wording[language].words, catalogue.listing.words
    rows: list[dict[str, Any]] = []
    said = _rules_in_words(histories, drawn, catalogue, language)
    for n, at in enumerate(drawn.ranked.rows.tolist()):
        told, hit, by = drawn.told[at], drawn.hit[n], drawn.ranked.listed_by[n]
        line: dict[str, Any] = {
            "rank": n + 1,
            "household": histories["household_id"][at].as_py(),
            "village": _place(histories, at, catalogue, language),
            "level": own[f"level_{drawn.levels[n]}"].said(language),
            "listed_by": words.get(by) or own[by].said(language),
            "also": own[f"also_{drawn.also[n] or 'village'}"].said(language),
            "rules": "\n".join(said[r, at] for r in hit),
            "reasons": "\n".join(f"{i}. {r.text}" for i, r in enumerate(told.raising, start=1)),
            "eases": "\n".join(r.text for r in told.lowering),
            **advice(drawn.causes[n], catalogue, language),
            **dict.fromkeys(FILL_IN, ""),
        }
        for (outcome, h), probability in stand.probability.items():
            if outcome == stand.outcome[at]:
                line[f"chance_{h}"] = round(float(probability[at]), 4)
        rows.append(line)
    return pd.DataFrame(rows, columns=list(_titles(models, catalogue, language)))


def _rules_in_words(
    histories: pa.Table, drawn: Drawn, catalogue: Catalogue, language: Language
) -> dict[tuple[str, int], str]:
    """Every hit on the households listed, by rule and row."""
    of_rule: dict[str, list[int]] = {}
    for at, hit in zip(drawn.ranked.rows.tolist(), drawn.hit, strict=True):
        for rule in hit:
            of_rule.setdefault(rule, []).append(at)
    said = {}
    for rule, rows in of_rule.items():
        texts = rules_in_words(rule, histories, rows, catalogue=catalogue, language=language)
        said.update({(rule, at): text for at, text in zip(rows, texts, strict=True)})
    return said


def _place(histories: pa.Table, at: int, catalogue: Catalogue, language: Language) -> str:
    """The name of a row's village, or its code where the policy has no name; empty where it is not known."""
    code = histories[f"{catalogue.county.village}__last__ever"][at].as_py()
    names = catalogue.indicators[catalogue.county.village].codes or {}
    return "" if code is None else names[code].said(language) if code in names else str(code)


def _about(
    stand: Standing, drawn: Drawn, models: Models, teller: Teller, ledger_version: int, left_out: Mapping[str, int]
) -> tuple[tuple[str, str | int], ...]:
    """The cover: what this is, how to use it, the counts, and the fingerprints of all it was made from."""
    catalogue, language, as_of = teller.catalogue, teller.language, teller.known.as_of
    words, ranked = catalogue.wording[language].words, drawn.ranked
    own = {k: w.said(language) for k, w in catalogue.listing.words.items()}
    at_risk = ~np.isnan(stand.score)
    more: dict[str, str | int] = {
        **{own[f"listed_{k}"]: drawn.levels.count(k) for k in LEVELS},
        own["by_township"]: sum("township" in a for a in drawn.also),
        own["by_county"]: sum("county" in a for a in drawn.also),
        own["floors"]: ranked.floors,
        **({own["explored"]: f"{len(ranked.drawn)} / {ranked.among}"} if ranked.among else {}),
        **left_out,
    }
    typical = f"{stand.score[at_risk].mean():.1%}" if at_risk.any() else words["none"]
    counts = {
        "watched": stand.score.size,
        "at_risk": int(at_risk.sum()),
        "now_below": int(stand.below.sum()),
        "income_unknown": int((~stand.state_known).sum()),
        "listed": int(ranked.rows.size),
        "capacity": catalogue.county.visits,
        "excess": ranked.excess,
    }
    return (
        (words["as_of"], f"{as_of.date} ({catalogue.county.name.said(language)})"),
        (words["notice_title"], words["notice"]),
        (words["how"], words["how_text"]),
        (words["base"], typical),
        *((words[k], n) for k, n in counts.items()),
        *more.items(),
        (words["policy"], catalogue.fingerprint),
        (words["ledger"], str(ledger_version)),
        (words["models"], _fingerprints(models, words)),
    )


def _fingerprints(models: Models, words: Mapping[str, str]) -> str:
    """Which models ranked a list, or that none did."""
    return "; ".join(f"{n} {m.fingerprint} ({m.learnt.origin})" for n, m in models.items()) or words["no_models"]
