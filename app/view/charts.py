"""Plotly charts in the page's colours, by day and by night; still: no bar of buttons, no zoom by accident."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.view.colours import colours

BRAIN_W = 20.0
"""What a human brain draws, the mark every gauge of power carries."""

FONT = "Source Sans, Source Sans Pro, sans-serif"
CONFIG = {"displayModeBar": False, "scrollZoom": False, "responsive": True}
Numbers = Sequence[float | None]


def show(figure: go.Figure, key: str, height: int) -> None:
    """Draw it at this height in pixels; the same key is redrawn in place."""
    shade = colours()
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": shade["ink"], "size": 13, "family": FONT},
        showlegend=bool(figure.layout.showlegend),
        dragmode=False,
        uirevision="still",
        hoverlabel={"bgcolor": shade["panel"], "font": {"color": shade["ink"]}},
    )
    st.plotly_chart(figure, key=key, theme=None, config=CONFIG, width="stretch")


def axes(figure: go.Figure, **more: Any) -> None:
    """Quiet axes: thin lines, no zero line, nothing to drag."""
    shade = colours()
    quiet = {
        "gridcolor": shade["line"], "zeroline": False, "linecolor": shade["line"],
        "tickfont": {"color": shade["soft"], "size": 12}, "fixedrange": True, "automargin": True,
    }  # fmt: skip
    figure.update_xaxes(**quiet, **more)
    figure.update_yaxes(**quiet)


def dial(power_w: float | None, idle_w: float | None, words: str) -> go.Figure:
    """A dial of watts with the brain's 20 W marked; without a reading the dial is empty and says so."""
    shade = colours()
    top = next(t for t in (40, 80, 160, 320, 640, 1280, 5000) if t >= 1.15 * max(power_w or 0, BRAIN_W))
    shown = power_w is not None
    gauge = {
        "axis": {
            "range": [0, top],
            "nticks": 5,
            "tickcolor": shade["line"],
            "ticklen": 4,
            "tickfont": {"color": shade["soft"], "size": 11},
        },
        "bar": {"color": shade["accent"] if shown else "rgba(0,0,0,0)", "thickness": 0.62},
        "bgcolor": shade["panel"],
        "borderwidth": 0,
        "steps": [{"range": [0, idle_w], "color": shade["line"]}] if idle_w and shown else [],
        "threshold": {"line": {"color": shade["warm"], "width": 3}, "thickness": 0.95, "value": BRAIN_W},
    }
    domain = {"x": [0.04, 0.96], "y": [0, 1]}
    figure = go.Figure(go.Indicator(mode="gauge", value=power_w or 0, gauge=gauge, domain=domain))
    big = f"<b>{watts(power_w)}</b>" if power_w is not None else "not available"
    size, tone = (24, shade["ink"]) if shown else (14, shade["soft"])
    middle = {"showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5}
    figure.add_annotation(**middle, y=0.18, text=big, font={"size": size, "color": tone})
    figure.add_annotation(**middle, y=-0.06, text=words, font={"size": 11.5, "color": shade["soft"]})
    figure.update_layout(margin={"l": 14, "r": 14, "t": 22, "b": 18})
    return figure


def watts(power_w: float) -> str:
    """`8.4 W`, `123 W`."""
    return f"{power_w:.1f} W" if power_w < 100 else f"{power_w:,.0f} W"


def sparkline(seconds: Numbers, values: Numbers, mark: float | None = None) -> go.Figure:
    """A line without axes: the shape of a run. `mark` is drawn as a dotted level if it lies in reach."""
    shade = colours()
    line = {"color": shade["accent"], "width": 1.8, "shape": "spline", "smoothing": 0.5}
    figure = go.Figure(
        go.Scatter(
            x=seconds, y=values, mode="lines", line=line, fill="tozeroy", fillcolor=shade["fill"],
            hovertemplate="%{y:,.3g} after %{x:.0f} s<extra></extra>",
        )
    )  # fmt: skip
    known = [value for value in values if value is not None]
    top = max([*known, mark or 0], default=1) or 1
    if mark is not None:
        figure.add_hline(y=mark, line={"color": shade["warm"], "width": 1.5, "dash": "dot"})
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True, range=[0, 1.12 * top])
    figure.update_layout(margin={"l": 0, "r": 0, "t": 2, "b": 2})
    return figure


def points(table: pd.DataFrame, across: str, up: str) -> go.Figure:
    """One column over another, a point a row, both axes from zero."""
    shade = colours()
    figure = go.Figure(
        go.Scatter(
            x=table[across], y=table[up], mode="markers", hovertemplate="%{x:,.0f}: %{y:,.0f}<extra></extra>",
            marker={"size": 8, "color": shade["accent"], "opacity": 0.75},
        )
    )  # fmt: skip
    axes(figure, tickformat=",.0f")
    for update, name in ((figure.update_xaxes, across), (figure.update_yaxes, up)):
        reach = 1.12 * float(table[name].max())
        update(title={"text": name, "font": {"size": 12}}, range=[0, reach or 1])
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure
