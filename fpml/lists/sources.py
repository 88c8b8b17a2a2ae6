"""Which departments had delivered by an as-of, and what is missing: what a list cannot know of."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fpml.catalogue import Catalogue, Language

# Over the window nearest to this many months: long enough for who delivers each quarter, and short enough to tell news.
MONTHS = 3


@dataclass(frozen=True)
class Source:
    """A department, and of so many months that ended at the as-of how many it had told of; None where nobody knows."""

    name: str
    months: int
    told: int | None

    @property
    def missing(self) -> bool:
        """Whether a month of it had not come."""
        return self.told is not None and self.told < self.months


def sources(histories: pa.Table, catalogue: Catalogue, language: Language) -> tuple[Source, ...]:
    """Every department of which something is expected month by month, as histories of one as-of tell."""
    nearest: dict[str, tuple[int, str]] = {}
    for name, coverage in catalogue.coverage.items():
        if name in histories.column_names and not coverage.window.ago and not coverage.window.to_date:
            away = abs(coverage.window.length - MONTHS)
            nearest[coverage.department] = min(nearest.get(coverage.department, (away, name)), (away, name))
    found = []
    for key, department in catalogue.departments.items():
        if key in nearest:
            name = nearest[key][1]
            months = catalogue.coverage[name].window.length
            share = pc.max(histories[name]).as_py()
            found.append(
                Source(department.name.said(language), months, None if share is None else round(share * months))
            )
    return tuple(found)
