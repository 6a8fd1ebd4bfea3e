"""The threshold factor on the Engine page: what was measured of it, and changing it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import log10
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from sqlalchemy.orm import Session

from app import library
from app.choices import LEAST_K, MOST_K, Choices, choose
from app.installed import EMBEDDED
from app.view import charts
from app.view.frame import ASSETS, guarded, services
from app.view.words import count, plain, remaining, safe
from storage import archives, documents

EARLIER = "an earlier version of the model that comes with Engram"
TICKS = [12, 15, 18, 20, 22, 25, 30, 40, 50, 60, 80]


@cache
def measured() -> dict[str, Any]:
    """The committed measurements of the threshold factor."""
    found: dict[str, Any] = json.loads((ASSETS / "measured" / "threshold.json").read_text("utf-8"))
    return found


def trade_off(k: float) -> go.Figure:
    """Perplexity against spikes per channel, a point each measured k; the chosen one is marked."""
    shade, points = charts.colours(), measured()["points"]
    names = [f"k = {point['k']:g}" for point in points]
    figure = go.Figure()
    figure.add_scatter(
        x=[point["spikes_per_channel"] for point in points],
        y=[point["perplexity"] for point in points],
        mode="lines+markers+text", text=names,
        textposition=["top right", "bottom left"] * (len(points) // 2) + ["top right"] * (len(points) % 2),
        textfont={"size": 11, "color": shade["soft"]}, line={"color": shade["accent"], "width": 2},
        marker={"size": 8, "color": shade["accent"]},
        customdata=[100 * point["silent_share"] for point in points],
        hovertemplate="%{text}: %{y:.3g}, %{x:.3g} spikes, %{customdata:.3g} % silent<extra></extra>",
    )  # fmt: skip
    here = at(k)
    figure.add_scatter(
        x=[here["spikes_per_channel"]], y=[here["perplexity"]], mode="markers", hoverinfo="skip",
        marker={"size": 16, "color": "rgba(0,0,0,0)", "line": {"color": shade["warm"], "width": 2.5}},
    )  # fmt: skip
    if "f1" in here:
        figure.add_scatter(
            x=[point["spikes_per_channel"] for point in points], y=[point["f1"] for point in points],
            mode="lines+markers", yaxis="y2", line={"color": shade["cool"], "width": 2, "dash": "dash"},
            marker={"size": 6, "color": shade["cool"]}, text=names,
            hovertemplate="%{text}: F1 %{y:.2f}<extra></extra>",
        )  # fmt: skip
    dense = measured()["perplexity_dense"]
    figure.add_hline(y=dense, line={"color": shade["soft"], "width": 1, "dash": "dot"})
    note = {"showarrow": False, "xref": "paper", "x": 0, "xanchor": "left", "yanchor": "top"}
    font = {"size": 11, "color": shade["soft"]}
    figure.add_annotation(**note, y=log10(dense), text="not spike-coded", font=font)  # a log axis wants this
    charts.axes(figure)
    found = [dense, *(point["perplexity"] for point in points)]
    reach = [log10(0.93 * min(found)), log10(1.12 * max(found))]
    title = {"text": "perplexity", "font": {"size": 12}}
    figure.update_xaxes(
        title={"text": "spikes per channel  (sparser ← → more exact)", "font": {"size": 12}},
        range=[0.8 * points[0]["spikes_per_channel"], 1.12 * points[-1]["spikes_per_channel"]],
    )
    figure.update_layout(yaxis={"title": title, "type": "log", "tickvals": TICKS, "range": reach})
    if "f1" in here:
        title = {"text": "F1 of answers (dashed)", "font": {"size": 12}}
        quiet = {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True}
        ticks = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickfont": {"color": shade["soft"], "size": 12}}
        second = {"title": title, "overlaying": "y", "side": "right", "range": [0, 1.05]}
        figure.update_layout(yaxis2=second | quiet | ticks)
    figure.update_layout(margin={"l": 8, "r": 24, "t": 12, "b": 8})
    return figure


def at(k: float) -> dict[str, float]:
    """The figures at this k, between measured points on a straight line."""
    points = measured()["points"]
    below = [point for point in points if point["k"] <= k] or points[:1]
    above = [point for point in points if point["k"] >= k] or points[-1:]
    low, high = below[-1], above[0]
    part = (k - low["k"]) / (high["k"] - low["k"]) if high["k"] > low["k"] else 0.0
    return {name: low[name] + part * (high[name] - low[name]) for name in low}


@dataclass(frozen=True, slots=True)
class Reread:
    """An archive that another threshold factor would have read anew."""

    archive_id: int
    name: str
    tokens: int


def to_reread(s: Session) -> list[Reread]:
    """Every archive with something in its context."""
    found = []
    for archive in archives.list_archives(s):
        tokens = sum(row.tokens for row in documents.reading_order(s, archive.id))
        if tokens:
            found.append(Reread(archive.id, archive.name, tokens))
    return found


def draw_threshold(chosen: Choices, info: Mapping[str, Any], tokens_per_s: float | None) -> None:
    """The threshold factor with what it trades, and what changing it costs."""
    own = float(measured()["own_k"])
    current = chosen.spike_k or own
    st.subheader("Spikes: sparser or more exact", anchor=False)
    k = st.slider("Threshold factor k", LEAST_K, MOST_K, float(current), 0.25, key="spike_k", format="%.2f")
    charts.show(trade_off(k), "trade_off", 300)
    here, kept = at(k), measured()
    inside = kept["points"][0]["k"] <= k <= kept["points"][-1]["k"]
    exactly = any(point["k"] == k for point in kept["points"])
    how = "measured" if exactly else "between measured points" if inside else "nearest measured point"
    answers = f", F1 of answers {here['f1']:.2f}" if "f1" in here else ""
    st.html(
        f'<p class="eg-small eg-figures">k = {k:g} ({how}): perplexity {here["perplexity"]:.3g}{answers}, '
        f"{here['spikes_per_channel']:.3g} spikes per channel, {100 * here['silent_share']:.3g} % silent, "
        f"{100 * here['sparsity_3_bit']:.3g} % sparsity over three bits.</p>"
        f'<p class="eg-small">{safe(measured_on(kept, info))}</p>'
    )
    if k != current:
        draw_change(k, None if k == own else k, tokens_per_s)


def measured_on(kept: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    """What the curve was measured with and on, and whether that is the model in use."""
    known = kept.get("fingerprint")
    which = f"the model that comes with Engram (fingerprint {known})" if known else EARLIER
    read = f"{count(kept['tokens'])} tokens of {count(kept['texts'])} sample texts"
    parts = [
        f"Measured with {which} on {kept['machine']}, {kept['date'][:10]}.",
        f"Perplexity and spikes: {read}, lower is better ({kept['perplexity_dense']:.3g} without spikes).",
    ]
    if kept.get("answerable"):
        parts.append(
            f"F1: {count(kept['answerable'])} development questions ({', '.join(kept['sets'])}), higher is "
            f"better ({kept['f1_dense']:.2f} without spikes)."
        )
    model = str(info.get("model") or EMBEDDED)
    if model != EMBEDDED:
        parts.append(f"For {model}, which is in use, it shows the direction, not the figures.")
    return f"{' '.join(parts)} {kept['source']}."


def draw_change(k: float, stored: float | None, tokens_per_s: float | None) -> None:
    """What has to be read again, and the button that does it."""
    with services().database.session() as s:
        again = to_reread(s)
    total = sum(item.tokens for item in again)
    if again:
        names = ", ".join(f"{item.name} ({count(item.tokens, 'token')})" for item in again)
        spent = f", {remaining(total / tokens_per_s).removesuffix(' left')}" if tokens_per_s else ""
        st.warning(
            f"Another k is another model: what was read with the old one cannot be used. To be read again: "
            f"{plain(names)}{spent}. Going back later finds the old states again.",
            icon=":material/history:",
        )
    words = f"Use k = {k:g}" + (" and read again" if again else "")
    if st.button(words, type="primary", icon=":material/tune:", key="spike_k_use"):
        with guarded():
            with services().database.session() as s:
                choose(s, spike_k=stored)
                for item in again:
                    library.request_reading(s, item.archive_id)
            st.toast("Used from the next job on", icon=":material/check:")
            st.rerun()
