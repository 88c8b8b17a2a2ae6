"""Bars that lie: the name above its bar, so that a long one is whole on a narrow screen too."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from fpml.catalogue import Language

INK, SOFT = "#1d2430", "#5b6573"
BLUE, ORANGE, GREY, LIGHT = "#0b3c6f", "#e69f00", "#7a8492", "#d5dae1"
# Characters of a line that fit a phone.
WIDTHS: dict[Language, int] = {"zh": 25, "en": 46}
LINE, BAR = 18, 30


@dataclass(frozen=True)
class Row:
    """One bar: its label (lines of it), its value and interval, and its colour."""

    label: str
    value: float
    low: float
    high: float
    colour: str = BLUE


def label(name: str, said: str, language: Language) -> str:
    """A name and its value in as few lines as a phone is wide for; a number is never broken.

    >>> label("loan overdue: ", "12.3%", "en")
    'loan overdue: 12.3%'
    """
    width = WIDTHS[language]
    lines = textwrap.wrap(name, width) or [""]
    # Two digits are as wide as one Chinese character.
    fits = len(lines[-1]) + (len(said) + 1) // (2 if language == "zh" else 1) < width
    gap = "" if language == "zh" else " "
    return "\n".join([*lines[:-1], f"{lines[-1]}{gap}{said}"] if fits else [*lines, said])


def whiskered(base: alt.Chart, **place: Any) -> tuple[alt.Chart, alt.Chart]:
    """Intervals from `low` to `high`: dark on a pale line, so that they are seen on any bar."""
    told = base.encode(x=alt.X("low:Q"), x2="high:Q")
    return told.mark_rule(color="#fff", strokeWidth=4, **place), told.mark_rule(color=INK, strokeWidth=1.6, **place)


def rows_of_bars(rows: Sequence[Row], x: alt.X) -> alt.LayerChart | alt.FacetChart:
    """A bar for each row in their order, with its interval and a mark at nothing."""
    deep = max(r.label.count("\n") + 1 for r in rows)
    step = deep * LINE + BAR
    below = step / 2 - BAR / 2 + 2
    base = alt.Chart(alt.InlineData([_told(n, r, deep) for n, r in enumerate(rows)])).encode(
        y=alt.Y("at:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    )
    bars = base.mark_bar(height=13, yOffset=below, stroke=INK, strokeWidth=0.5).encode(
        x=x, color=alt.Color("colour:N", scale=None)
    )
    nothing = base.mark_tick(color=INK, thickness=1.6, height=21, yOffset=below).encode(x="nothing:Q")
    # A mark for each line, counted from the bar upwards: marks of several lines hang from their first.
    names = [
        base.mark_text(align="left", baseline="bottom", yOffset=below - 9 - n * LINE).encode(
            x=alt.value(0), text=f"line{n}:N"
        )
        for n in range(deep)
    ]
    return alt.layer(bars, *whiskered(base, yOffset=below), nothing, *names).properties(height=step * len(rows))


def _told(at: int, row: Row, deep: int) -> dict[str, object]:
    lines = row.label.split("\n")[::-1] + [""] * deep
    return {"at": at, "nothing": 0, **vars(row), **{f"line{n}": lines[n] for n in range(deep)}}
