"""Whether reasons were found so at the door: counts by indicator, and nobody's name."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from fpml.catalogue import Catalogue, Language
from fpml.visits.store import Standing


def confirmed_reasons(standing: Iterable[Standing], catalogue: Catalogue, language: Language) -> pd.DataFrame:
    """One row per indicator (or named group) whose reasons visits were asked of: how often found so, not so, not told.

    `share`: found so among those that were found either way, nothing where there are none. `asked` counts visits that
    met somebody.
    """
    told: Counter[tuple[str, str]] = Counter()
    for one in standing:
        answer = catalogue.visiting.answers.get(one.visit.verified)
        if answer and answer.met:
            answers = one.visit.reasons or ("",) * len(one.visit.asked)
            told.update(zip(one.visit.asked, answers, strict=True))
    groups = sorted({group for group, _ in told})
    rows = []
    for group in groups:
        yes, no = told[group, "yes"], told[group, "no"]
        asked = sum(n for (g, _), n in told.items() if g == group)
        share = yes / (yes + no) if yes + no else None
        known = group in catalogue.indicators or group in catalogue.derived
        name = catalogue.group_name(group, language) if known else group
        rows.append((group, name, asked, yes, no, told[group, "not_seen"], told[group, ""], share))
    columns = ["indicator", "name", "asked", "found_so", "not_so", "cannot_be_told", "left_empty", "share"]
    return pd.DataFrame(rows, columns=columns)
