"""Pictures of a review as Vega-Lite specifications, one set for each language; the home of Altair and of its runtime.

Colours differ in lightness and come with a dash, a shape or a place of their own: they tell the same in grey.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from fpml.catalogue import Language
from fpml.review.bars import BLUE, GREY, INK, LIGHT, ORANGE, SOFT, Row, label, rows_of_bars, whiskered
from fpml.review.columns import between, written
from fpml.review.said import words_in

Frames = Mapping[str, pd.DataFrame]
Spec = dict[str, Any]
Picture = alt.Chart | alt.LayerChart | alt.FacetChart
# All rules of departments, those too that list nobody by themselves.
ALL_RULES = "all_rules"
METHODS = {"rules": ORANGE, "model": BLUE, "in_force": GREY}
DASHES = {"rules": [7, 3], "model": [1, 0], "in_force": [2, 3]}
SHAPES = {"rules": "square", "model": "circle", "in_force": "triangle-up"}
# The bands of the estimate from low to high, and the least and largest ratio drawn.
SHADES = ["#b9cfe4", "#7da7ce", "#3f78ab", BLUE]
LEAST, MOST = 0.25, 4.0
# A grouping of more kinds than these is told by its table alone.
KINDS = 6
# The height of a group in the picture of bands.
ROW = 86
FONT = "Noto Sans SC, Noto Sans CJK SC, Microsoft YaHei, PingFang SC, system-ui, sans-serif"


@cache
def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs no network."""
    # The stub asks for a snippet; without one the bundle is the whole runtime.
    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]


def specs(tables: Frames, language: Language) -> dict[str, Spec]:
    """Every picture by its name, in a language; one that would be empty is left out."""
    drawn = {name: draw(tables, language) for name, draw in PICTURES.items()}
    said = words_in(language)["charts"]
    return {name: _finished(chart, said[name][0]) for name, chart in drawn.items() if chart is not None}


def _finished(chart: Picture, description: str) -> Spec:
    whole = chart.properties(description=description, width="container")
    whole = whole.configure(font=FONT, background="transparent", padding=4)
    whole = whole.configure_axis(
        labelFontSize=13, titleFontSize=13, titleFontWeight="normal", labelColor=INK, titleColor=SOFT,
        gridColor="#e6e9ee", domainColor="#9aa3af", tickColor="#9aa3af", labelLimit=150, titlePadding=8,
    ).configure_legend(
        labelFontSize=13, labelColor=INK, orient="top", title=None, labelLimit=0, symbolSize=110, columnPadding=14,
    ).configure_view(stroke=None).configure_text(fontSize=13, color=INK)  # fmt: skip
    return whole.to_dict()


def _there(tables: Frames, name: str, *columns: str) -> pd.DataFrame:
    """A table's rows that have a number in all of some columns; none where the table or a column is missing."""
    frame = tables.get(name, pd.DataFrame())
    return frame.dropna(subset=list(columns)) if set(columns) <= set(frame.columns) else pd.DataFrame()


def _axes(language: Language) -> dict[str, str]:
    return dict(words_in(language)["axes"])


def _values(language: Language, column: str) -> dict[str, str]:
    return dict(words_in(language)["values"][column])


def _by_method(methods: Mapping[str, str], columns: int = 3) -> dict[str, Any]:
    """Colour, dash and shape of each method, in one legend."""
    legend = alt.Legend(columns=columns)

    def scale(told: Mapping[str, Any]) -> alt.Scale:
        return alt.Scale(domain=[methods[m] for m in METHODS], range=[told[m] for m in METHODS])

    return {
        "color": alt.Color("method:N", scale=scale(METHODS), legend=legend),
        "shape": alt.Shape("method:N", scale=scale(SHAPES), legend=legend),
        "strokeDash": alt.StrokeDash("method:N", scale=scale(DASHES), legend=legend),
    }


def _found(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "capacity", "visits", "found")
    if frame.empty:
        return None
    axes, told = _axes(language), _values(language, "method")
    # Along capacity rules are all rules of departments: those that push are too few to fill it.
    told, frame = told | {"rules": told[ALL_RULES]}, frame.replace({"method": {ALL_RULES: "rules"}})
    looks = _by_method(told)
    ticks = sorted({int(v) for v in frame["visits"]})
    base = alt.Chart(frame.replace({"method": told})).encode(
        x=alt.X("visits:Q", title=axes["visits"], axis=alt.Axis(values=ticks, grid=False, labelOverlap="greedy")),
        y=alt.Y("found:Q", title=axes["found"], axis=alt.Axis(format=".0%", tickCount=5)),
    )
    # Outside the scale of colours: in it the legend would be as pale as the bands.
    areas = [
        base.transform_filter(alt.datum.method == told[m]).mark_area(opacity=0.16, color=colour)
        .encode(y="found_low:Q", y2="found_high:Q")
        for m, colour in METHODS.items()
    ]  # fmt: skip
    line = base.mark_line(strokeWidth=2.5).encode(color=looks["color"], strokeDash=looks["strokeDash"])
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(color=looks["color"], shape=looks["shape"])
    return alt.layer(*areas, line, dots).properties(height=280)


def _visits(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "months", *METHODS)
    if frame.empty:
        return None
    axes, told = _axes(language), _values(language, "method")
    looks = _by_method(told)
    long = frame.melt("as_of", list(METHODS), "method", "visits").replace({"method": told})
    base = alt.Chart(long).encode(
        x=_month(axes), color=looks["color"],
        y=alt.Y("visits:Q", title=axes["visits"], axis=alt.Axis(tickCount=5, format=",d")),
    )  # fmt: skip
    line = base.mark_line(strokeWidth=2.5).encode(strokeDash=looks["strokeDash"])
    dots = base.mark_point(filled=True, size=36, opacity=1).encode(shape=looks["shape"])
    return alt.layer(line, dots).properties(height=240)


def _month(axes: Mapping[str, str]) -> alt.X:
    return alt.X("as_of:O", title=axes["month"], axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=8))


def _falls(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "months", "falls", "found_rules", "found_in_force")
    if frame.empty:
        return None
    axes = _axes(language)
    kinds = {"falls": LIGHT, "found_rules": ORANGE, "found_in_force": GREY}
    names = {k: axes[k] for k in kinds}
    long = frame.melt("as_of", list(kinds), "kind", "households").replace({"kind": names})
    scale = alt.Scale(domain=list(names.values()), range=list(kinds.values()))
    y = alt.Y("households:Q", title=axes["households"], axis=alt.Axis(tickCount=5, format=",d"), stack=None)
    color = alt.Color("kind:N", scale=scale, legend=alt.Legend(columns=1))
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=list(names.values()), range=["square", "square", "triangle-up"]),
                      legend=alt.Legend(columns=1))  # fmt: skip
    base = alt.Chart(long).encode(x=_month(axes), y=y, color=color)
    bars = base.mark_bar(stroke=SOFT, strokeWidth=0.6).transform_filter(alt.datum.kind == names["falls"])
    dots = base.mark_point(filled=True, size=70, opacity=1, stroke=INK, strokeWidth=0.7).encode(shape=shape)
    return alt.layer(bars, dots.transform_filter(alt.datum.kind != names["falls"])).properties(height=240)


def _offset(frame: pd.DataFrame, axis: alt.X, kinds: Mapping[str, str], *, step: int = 17) -> Picture:
    """Bars of several kinds side by side for each name, each with its interval."""
    legend = alt.Legend(columns=1 if max(map(len, kinds)) > 8 else 3)
    scale = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    names = list(dict.fromkeys(frame["name"]))
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)),
        yOffset=alt.YOffset("kind:N", sort=list(kinds), scale=alt.Scale(paddingInner=0.25)),
    )
    bars = base.mark_bar(stroke=INK, strokeWidth=0.5).encode(
        x=axis, color=alt.Color("kind:N", scale=scale, legend=legend)
    )
    return alt.layer(bars, *whiskered(base)).properties(height=step * (len(kinds) + 0.6) * len(names))


def _corners(tables: Frames, language: Language) -> Picture | None:
    frame = tables.get("corners", pd.DataFrame())
    if frame.empty:
        return None
    axes, told = _axes(language), _values(language, "corner")
    names = words_in(language)["columns"]["confirmed_share"][0], axes["fell_share"], axes["audit_fell_share"]
    columns = dict(zip(("confirmed_share", "fell_share", "audit_fell_share"), names, strict=True))
    whole = frame[frame["split"] == "all"].replace({"corner": told})
    long = pd.concat([_long(whole, "corner", c).assign(kind=name) for c, name in columns.items()])
    long = long.dropna(subset=["value"])
    kinds = {name: colour for name, colour in zip(names, (BLUE, ORANGE, LIGHT), strict=True) if name in set(long.kind)}
    axis = alt.X("value:Q", title=axes["share"], axis=alt.Axis(format=".0%", tickCount=5))
    return _offset(long, axis, kinds) if len(long) else None


def _long(frame: pd.DataFrame, name: str, column: str) -> pd.DataFrame:
    heads = {name: "name", column: "value", f"{column}_low": "low", f"{column}_high": "high"}
    return frame[list(heads)].rename(columns=heads)


def _lead(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "lead", "lead")
    if frame.empty:
        return None
    axes, told = _axes(language), _values(language, "method")
    long = _long(frame.replace({"event": _values(language, "event")}), "event", "lead")
    long = long.assign(kind=frame["method"].replace(told))
    axis = alt.X("value:Q", title=axes["lead"], axis=alt.Axis(tickCount=5))
    return _offset(long, axis, {told[m]: colour for m, colour in METHODS.items()})


def _rules(tables: Frames, language: Language) -> Picture | None:
    frame = (
        _there(tables, "rules", "precision").sort_values("precision", ascending=False) if "rules" in tables else None
    )
    if frame is None or frame.empty:
        return None
    colon = words_in(language)["colon"]
    rows = [
        Row(label(r[f"rule_{language}"] + colon, f"{r['precision']:.1%}", language), *_three(r, "precision"))
        for r in frame.to_dict("records")
    ]
    return rows_of_bars(
        rows, alt.X("value:Q", title=_axes(language)["precision"], axis=alt.Axis(format=".0%", tickCount=5, grid=False))
    )


def _townships(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "townships", "confirmed_share")
    if frame.empty:
        return None
    axes, colours = _axes(language), _values(language, "colour")
    paints = {"": "#c9d6e2", "yellow": "#f2c230", "red": "#b3261e"}
    rows = []
    for r in frame.sort_values("confirmed_share").to_dict("records"):
        mark = f"〔{colours[r['colour']]}〕" if r["colour"] and language == "zh" else ""
        mark = mark or (f"[{colours[r['colour']]}]" if r["colour"] else "")
        name = r.get(f"name_{language}", r.get("name"))
        said = axes["township"].format(share=f"{r['confirmed_share']:.1%}", listed=f"{r['listed']:,.0f}", colour=mark)
        paint = paints[str(r["colour"])]
        rows.append(
            Row(label(name + words_in(language)["colon"], said.strip(), language), *_three(r, "confirmed_share"), paint)
        )
    return rows_of_bars(
        rows, alt.X("value:Q", title=axes["confirmed_share"], axis=alt.Axis(format=".0%", tickCount=5, grid=False))
    )


def _three(row: Mapping[Any, Any], column: str, times: float = 1) -> tuple[float, float, float]:
    value, low, high = (float(row[c]) * times for c in (column, f"{column}_low", f"{column}_high"))
    return value, low, high


def _what_if(tables: Frames, language: Language) -> Picture | None:
    frame = _there(tables, "what_if", "difference")
    frame = frame[frame["figure"] == "found"] if len(frame) else frame
    if frame.empty:
        return None
    rows = []
    for r in frame.to_dict("records"):
        value, low, high = _three(r, "difference")
        said = f"{written('points', value)} ({between('points', low, high)})"
        rows.append(
            Row(
                label(r[f"proposal_{language}"] + words_in(language)["colon"], said, language),
                *_three(r, "difference", 100),
            )
        )
    x = alt.X("value:Q", title=_axes(language)["difference"], axis=alt.Axis(tickCount=5, grid=False))
    return rows_of_bars(rows, x)


def _bands(tables: Frames, language: Language) -> Picture | None:
    frame = tables.get("bands", pd.DataFrame())
    if frame.empty:
        return None
    bands = list(dict.fromkeys(frame["band"]))
    frame = frame[frame["ratio"].between(LEAST, MOST)]
    many = frame.groupby("grouping_en")["group_en"].nunique()
    frame = frame[frame["grouping_en"].isin(many[many <= KINDS].index)]
    if frame.empty:
        return None
    frame = frame.assign(name=frame[f"grouping_{language}"] + words_in(language)["colon"] + frame[f"group_{language}"])
    return _ratios(frame, bands, _axes(language)["ratio"])


def _ratios(frame: pd.DataFrame, bands: list[str], title: str) -> Picture:
    """A dot for each band of each group on a scale of ratios, with the range that passes behind it."""
    names = list(dict.fromkeys(frame["name"]))
    log = alt.Scale(type="log", domain=[LEAST, MOST], clamp=True)
    x = alt.X("ratio:Q", title=title, scale=log,
              axis=alt.Axis(values=[0.25, 0.5, 0.8, 1, 1.25, 2, 4], format="~g", grid=False))  # fmt: skip
    y = alt.Y("name:N", sort=names, axis=None, scale=alt.Scale(paddingInner=0.42, paddingOuter=0.42))
    offset = alt.YOffset("band:N", sort=bands, scale=alt.Scale(domain=bands))
    shades = SHADES[-len(bands):] if len(bands) <= len(SHADES) else SHADES[-1:] * len(bands)  # fmt: skip
    color = alt.Color("band:N", sort=bands, scale=alt.Scale(domain=bands, range=shades), legend=alt.Legend(columns=2))
    base = alt.Chart(frame).encode(y=y)
    fine = alt.Chart(alt.InlineData([{"from": 0.8, "to": 1.25}])).mark_rect(color="#e3e7ec").encode(
        x=alt.X("from:Q", scale=log), x2="to:Q")  # fmt: skip
    one = alt.Chart(alt.InlineData([{"at": 1}])).mark_rule(color=SOFT).encode(x=alt.X("at:Q", scale=log))
    whiskers = base.mark_rule(color=INK, strokeWidth=1.5).encode(
        x=alt.X("ratio_low:Q", scale=log), x2="ratio_high:Q", yOffset=offset
    )
    dots = base.mark_point(filled=True, size=80, opacity=1, stroke=INK, strokeWidth=0.8).encode(
        x=x, color=color, yOffset=offset
    )
    heads = alt.Chart(frame.drop_duplicates("name")).mark_text(align="left", baseline="middle", dy=-38, fontWeight=500)
    return alt.layer(fine, one, whiskers, dots, heads.encode(x=alt.value(0), y=y, text="name:N")).properties(
        height=ROW * len(names)
    )


PICTURES: Mapping[str, Callable[[Frames, Language], Picture | None]] = {
    "found": _found,
    "visits": _visits,
    "falls": _falls,
    "corners": _corners,
    "lead": _lead,
    "rules": _rules,
    "bands": _bands,
    "what_if": _what_if,
    "townships": _townships,
}
