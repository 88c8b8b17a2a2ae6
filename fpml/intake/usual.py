"""What is usual of one series of deliveries, month after month, learnt from the months before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median

from fpml.intake.receipts import Counts

# What is usual is learnt from so many of the latest earlier months, and from no fewer than so many.
LATEST, ENOUGH = 12, 3
# Fewer rows than these double by chance.
ROWS = 20
# A month told twice over is seldom twice the usual to the row: this much and more is called so, in a steady source.
TWICE = 1.8
# With fewer rows a month, a month without any is chance: at five it happens once in 150 months. Held against the least
# of the months that came (but for those out of step), since many items begin with all there is and go on with changes;
# where that is less than so much of the usual, rounds and stragglers take turns.
RARE, STRAGGLERS = 5, 0.1
# An item has a rhythm if its cadence covered so much of its last year, or all of half a year.
STEADY, HALF_A_YEAR = 0.75, 6
# One figure in so many may be out of step before a source is said to swing.
OUT_OF_STEP = 8
# A column that was filled so often is empty if it is filled less than so much of that; shares of fewer rows vary.
FILLED, EMPTY, FEWEST = 0.5, 0.1, 10


@dataclass(frozen=True)
class Told:
    """What one source told in one month. `rows`: of its first delivery, and those of others that were not yet known.

    `known`: the share of its first delivery's rows that were known already.
    """

    day: date
    rows: int
    known: float
    filled: Counts
    cells: int

    def plus(self, other: "Told") -> "Told":
        """This and a later delivery of the same month."""
        filled = {h: self.filled.get(h, 0) + other.filled.get(h, 0) for h in {**self.filled, **other.filled}}
        rows = self.rows + round(other.rows * (1 - other.known))
        return replace(self, rows=rows, filled=filled, cells=self.cells + other.cells)

    def share(self, column: str) -> float:
        """How much of a column is filled; 0 where there is no such column."""
        return self.filled.get(column, 0) / self.cells if self.cells else 0.0


Series = Mapping[int, Told]


def together(parts: Iterable[Series]) -> Series:
    """Several items as one."""
    whole: dict[int, Told] = {}
    for series in parts:
        for month, told in series.items():
            had = whole.get(month)
            day, rows = (min(had.day, told.day), had.rows + told.rows) if had else (told.day, told.rows)
            whole[month] = replace(told, day=day, rows=rows)
    return whole


def before_month(series: Series, month: int) -> dict[int, Told]:
    """The latest months before one."""
    return {m: series[m] for m in sorted(m for m in series if m < month)[-LATEST:]}


def has_rhythm(months: list[int], cadence: int, span: int) -> bool:
    """Whether deliveries of these months came as often as their department's cadence says, long enough to be sure."""
    since = max(months[0], months[-1] - LATEST + 1)
    covered = [any(m - cadence < had <= m for had in months) for m in range(since, months[-1] + 1)]
    long_enough = len(months) >= ENOUGH and months[-1] - months[0] >= max(span - 1, cadence)
    return long_enough and sum(covered) >= (STEADY if len(covered) == LATEST else 1) * len(covered)


def _is_steady(figures: Sequence[float], usual: float) -> bool:
    """Whether figures lie between half and twice the usual, but for one in some."""
    return sum(not usual / 2 < n < 2 * usual for n in figures) * OUT_OF_STEP <= len(figures)


def volume(told: Told, before: list[Told]) -> str:
    """Whether a month's rows are twice or half the usual; where they swing, twice the most there was; else ""."""
    rows = sorted(t.rows for t in before)
    usual = median(rows)
    if usual < ROWS:
        return ""
    steady = _is_steady(rows, usual)
    if told.rows >= (TWICE * usual if steady else 2 * rows[-1]):
        return "twice_usual"
    return "half_usual" if steady and told.rows <= usual / 2 else ""


def empty(told: Told, before: list[Told]) -> Iterator[str]:
    """The columns that have always been filled, and now are not."""
    judged = [t for t in before if t.cells >= FEWEST]
    # A delivery much smaller than usual is of another kind: changes, where the first was of all there is.
    if len(judged) < ENOUGH or told.cells < max(FEWEST, median(t.cells for t in judged) / 2):
        return
    for column in dict.fromkeys(h for t in judged for h in t.filled):
        shares = [t.share(column) for t in judged]
        usual = median(shares)
        if usual >= FILLED and _is_steady(shares, usual) and told.share(column) < EMPTY * usual:
            yield column
