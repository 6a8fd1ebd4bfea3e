"""What a person chooses on the Engine page: device, estimate of power, threshold factor. Used from the next
job on; nothing is restarted.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from sqlalchemy.orm import Session

from app import library
from app.choices import LEAST_K, MOST_K, Choices, choose
from app.view import charts
from app.view.frame import ASSETS, guarded, services
from app.view.words import count, plain, remaining, safe
from devices.estimate import CLASSES
from storage import archives, documents

OTHER = "Another"


def load_choices() -> Choices:
    """As chosen so far."""
    with services().database.session() as s:
        return Choices.load(s)


def keep(said: str, **changes: Any) -> None:
    """Store choices, say so, and draw the page again."""
    with services().database.session() as s:
        choose(s, **changes)
    st.toast(said, icon=":material/check:")
    st.rerun()


def draw_device_choice(found: Sequence[Mapping[str, Any]], chosen: Choices, fixed: bool) -> None:
    """Which device is used from the next job on."""
    if fixed:
        st.html(
            '<p class="eg-small">The worker was started with <code>--device</code>, which decides. Start it '
            "without to choose here.</p>"
        )
        return
    names = ["auto", *(str(device["name"]) for device in found if device.get("usable", True))]
    if chosen.device not in names:
        names.append(chosen.device)
    words = {str(device["name"]): f"{device['name']} · {device['label']}" for device in found}
    words["auto"] = "Automatic: the fastest one that works"
    wanted = st.selectbox(
        "Device",
        names,
        index=names.index(chosen.device),
        format_func=lambda name: words.get(name, f"{name} · not found"),
        key="device_choice",
        help="Used from the next job on. What runs now goes on where it is.",
    )
    if st.button("Use this device", icon=":material/memory:", key="device_use"):
        keep("Used from the next job on", device=wanted, device_at=time.time())


def draw_estimate(chosen: Choices, info: Mapping[str, Any]) -> None:
    """The estimate of power for a processor without a sensor: off unless switched on."""
    st.subheader("Power", anchor=False)
    st.html(f'<p class="eg-small">{safe(_power_now(info))}</p>')
    on = st.toggle("Estimate power where no sensor can be read", chosen.tdp_w is not None, key="estimate_on")
    if not on:
        if chosen.tdp_w is not None:
            keep("Power is no longer estimated", tdp_w=None)
        return
    kinds = [f"{name}, {watts} W" for name, watts in CLASSES] + [OTHER]
    known = next((i for i, (_, w) in enumerate(CLASSES) if w == chosen.tdp_w), None)
    start = known if known is not None else 4 if chosen.tdp_w is None else len(CLASSES)
    with st.form("estimate", border=False):
        kind = st.selectbox("This machine", kinds, index=start, key="estimate_kind")
        typed = st.number_input(
            "Or its processor's TDP in watts",
            1.0,
            2000.0,
            float(chosen.tdp_w or 65),
            step=1.0,
            key="estimate_tdp",
        )
        st.html(
            '<p class="eg-small">Estimate = share of the time that the processors are busy × TDP. Every '
            "figure made with it says so.</p>"
        )
        if st.form_submit_button("Use", icon=":material/bolt:"):
            watts = typed if kind == OTHER else float(CLASSES[kinds.index(kind)][1])
            with guarded():
                keep("Power is estimated from the next job on", tdp_w=watts)


def _power_now(info: Mapping[str, Any]) -> str:
    source, reason = str(info.get("power_source") or ""), str(info.get("power_reason") or "")
    match info.get("power_kind"):
        case "measured":
            return f"Measured by {source}."
        case "estimated":
            return f"Estimated, not measured. {source[:1].upper()}{source[1:]}."
    return f"Not available: {reason}." if reason else "Known once the model is loaded."


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
    dense = measured()["perplexity_dense"]
    figure.add_hline(
        y=dense,
        line={"color": shade["soft"], "width": 1, "dash": "dot"},
        annotation={"text": "not spike-coded", "font": {"size": 11, "color": shade["soft"]}},
        annotation_position="bottom left",
    )
    charts.axes(figure)
    most = points[-1]["spikes_per_channel"]
    figure.update_xaxes(
        title={"text": "spikes per channel  (sparser ← → more exact)", "font": {"size": 12}},
        range=[0.4, 1.12 * most],
    )
    figure.update_yaxes(
        title={"text": "perplexity", "font": {"size": 12}}, type="log", tickvals=[15, 20, 25, 30, 40, 50, 60]
    )
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
    st.html(
        f'<p class="eg-small eg-figures">k = {k:g}: perplexity {here["perplexity"]:.3g}, '
        f"{here['spikes_per_channel']:.3g} spikes per channel, {100 * here['silent_share']:.3g} % silent, "
        f"{100 * here['sparsity_3_bit']:.3g} % sparsity over three bits ({how}: {count(kept['tokens'])} "
        f"tokens of {count(kept['texts'])} sample texts, {safe(kept['source'])}). Lower is better.</p>"
    )
    if k != current:
        draw_change(k, None if k == own else k, tokens_per_s)


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
