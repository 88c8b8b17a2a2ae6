"""What a county tells of its households, for people: frames in natural units, rule hits, reasons in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml import lists, quality
from fpml.catalogue import Catalogue, Language
from fpml.dates import AsOf
from fpml.errors import NotYetError, UsageError, did_you_mean
from fpml.features import records_behind
from fpml.households import cohort
from fpml.models import Models
from fpml.past import Past
from fpml.rules import hits

HIT_COLUMNS = ("household_id", "rule", "department", "channel", "severity", "deadline", "evidence")


@dataclass(frozen=True)
class Account:
    """What is told of, and in which language."""

    past: Past
    models: Models
    language: Language

    @property
    def catalogue(self) -> Catalogue:
        """The policy in force."""
        return self.past.catalogue

    def records(self, indicator: str, as_of: str | AsOf) -> pd.DataFrame:
        """See `County.records`."""
        indicators = self.catalogue.indicators
        if indicator not in indicators:
            raise UsageError(f"indicator `{indicator}`", "not in the catalogue", did_you_mean(indicator, indicators))
        frame = self.past.ledger.standing(AsOf.parse(as_of).date, indicator).to_pandas()
        definition = indicators[indicator]
        frame["value"] = frame["value"] / 10**definition.decimals
        frame.attrs = {"unit": definition.unit.said("en"), "sentence": definition.name.said("en")}
        return frame

    def cohort(self, as_of: str | AsOf) -> pd.DataFrame:
        """See `County.cohort`."""
        table = self.past.at(as_of)
        groups = [*self.catalogue.county.cohort, None]
        watched = [groups[i] for i in cohort(table, self.catalogue)]
        return pd.DataFrame({"household_id": table["household_id"].to_pandas(), "watched_as": watched})

    def hits(self, as_of: str | AsOf) -> pd.DataFrame:
        """See `County.hits`."""
        histories = self.past.at(as_of)
        found = []
        for name, held in hits(histories, self.catalogue).items():
            rule = self.catalogue.rules[name]
            by_when = lists.deadline_in_words(rule, self.catalogue, self.language)
            about = rule.department, rule.channel, rule.severity, by_when
            for r in np.flatnonzero(held):
                household = histories["household_id"][int(r)].as_py()
                found.append((household, name, *about, self._rule(name, histories, int(r))))
        return pd.DataFrame(found, columns=list(HIT_COLUMNS))

    def evidence(self, household: str, as_of: str | AsOf) -> list[dict[str, object]]:
        """See `County.evidence`."""
        (histories, row), when = self.past.found(household, as_of), AsOf.parse(as_of)
        one, told = histories.slice(row, 1), self.past.records(household)
        return [
            lists.hit_in_full(
                name,
                one,
                0,
                lambda feature: records_behind(feature, household, told, when, self.catalogue),
                catalogue=self.catalogue,
                language=self.language,
            )
            for name, held in hits(one, self.catalogue).items()
            if held[0]
        ]

    def explain(self, household: str, as_of: str | AsOf) -> dict[str, object]:
        """See `County.explain`."""
        catalogue, lang, when = self.catalogue, self.language, AsOf.parse(as_of)
        histories, row = self.past.found(household, when)
        models = self.models.at(when)
        stand = lists.standing(histories, models, catalogue)
        known = self.past.known([household], when)
        teller = lists.Teller(histories, catalogue, lang, known, lists.Yardstick(histories, catalogue))
        told = lists.all_told([row], models, stand, teller)[row]
        return {
            "household": household,
            "as_of": str(when.date),
            "below_the_line": bool(stand.below[row]) if stand.state_known[row] else None,
            "probabilities": {
                f"{outcome} {h}m": round(float(p[row]), 4)
                for (outcome, h), p in stand.probability.items()
                if not np.isnan(p[row])
            },
            "rules": [self._rule(r, histories, row) for r, held in stand.hits.items() if held[row]],
            "evidence": self.evidence(household, when),
            "raises": [r.text for r in told.raising],
            "lowers": [r.text for r in told.lowering],
            "outcome": stand.outcome[row] or None,
            "history": {
                catalogue.describe(n, lang): lists.value_in_words(n, histories, row, catalogue, lang)
                for n in catalogue.model_features()
            },
        }

    def quality(self, as_of: str | AsOf) -> pd.DataFrame:
        """See `County.quality`."""
        histories, checks = self.past.at(as_of), self.catalogue.checks
        found = [
            (histories["household_id"][int(r)].as_py(), name, checks[name].name.said(self.language))
            for name, held in quality.findings(histories, self.catalogue).items()
            for r in np.flatnonzero(held)
        ]
        frame = pd.DataFrame(found, columns=["household_id", "check", "sentence"])
        counts = quality.summary(histories, self.catalogue)[["found", "judged", "unknown"]]
        frame.attrs = {
            "remedies": {name: c.remedy.said(self.language) for name, c in checks.items()},
            "counts": counts.to_dict("index"),
        }
        return frame

    def scores(self, as_of: str | AsOf) -> pd.DataFrame:
        """See `County.scores`."""
        histories, models = self.past.at(as_of), self.models.at(as_of)
        if not models:
            raise NotYetError("models", f"none was trained by {as_of}", f"Run `fpml train --as-of {as_of}` first.")
        parts = []
        over = self.past.engine.over
        for (outcome, horizon), p in lists.scores(histories, models, self.catalogue, over=over).items():
            rows = np.flatnonzero(~np.isnan(p))
            households = histories["household_id"].take(pa.array(rows)).to_pandas()
            told = {"household_id": households, "outcome": outcome, "horizon": horizon, "probability": p[rows]}
            parts.append(pd.DataFrame(told))
        return pd.concat(parts, ignore_index=True)

    def _rule(self, rule: str, histories: pa.Table, row: int) -> str:
        return lists.rule_in_words(rule, histories, row, catalogue=self.catalogue, language=self.language)


def framed(histories: pa.Table, catalogue: Catalogue) -> pd.DataFrame:
    """Histories as a data frame in natural units (yuan), with units and sentences in `attrs`."""
    frame = histories.to_pandas()
    names = [n for n in catalogue.names() if n in frame]
    for name in names:
        if decimals := catalogue.decimals(name):
            frame[name] = frame[name] / 10**decimals
    frame.attrs = {
        "units": {n: catalogue.unit(n, "en") for n in names},
        "sentences": {n: catalogue.describe(n, "en") for n in names},
    }
    return frame
