"""One review, as numbers: what the page shows, a program reads as JSON, and a notebook as data frames."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fpml.catalogue import Language
from fpml.review.page import page
from fpml.review.pages import rendered


@dataclass(frozen=True)
class Review:
    """Everything that a review says. `figures` has a row a figure: estimate, 95 % interval, kind, whose cases it is.

    `about`: the county in both languages, whether it is simulated and falls are its truth, the as-ofs, counts, and the
    fingerprints of policy, ledger and models. `cases`: a household each, by its code alone.
    """

    about: Mapping[str, object]
    figures: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    cases: pd.DataFrame

    def as_json(self) -> dict[str, object]:
        """The same numbers, for a program; what is not a number is null."""
        frames = {"figures": self.figures.reset_index(names="figure"), **self.tables, "cases": self.cases}
        return {
            "about": dict(self.about),
            **{name: json.loads(f.to_json(orient="records", double_precision=15)) for name, f in frames.items()},
        }

    def html(self, language: Language = "zh") -> str:
        """The page, with both languages in it; `language` is the one it opens in."""
        return rendered(
            "review.html.j2", page=page(self.about, self.figures, self.tables, self.cases), language=language
        )
