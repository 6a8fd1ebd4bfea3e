"""The gauges beside an answer: what it cost, measured, with the source named, or said to be not available."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.view.words import NOT_AVAILABLE, count, figure, rate, safe, seconds, share, size

Row = tuple[str, str]


def speed_rows(run: Mapping[str, Any]) -> list[Row]:
    """How fast the model read and wrote."""
    return [
        ("Reading", rate(run.get("read_tokens_per_s"))),
        ("Writing", rate(run.get("write_tokens_per_s"))),
        ("First token", seconds(run.get("ttft_s"))),
    ]


def context_rows(context: Mapping[str, Any], run: Mapping[str, Any]) -> list[Row]:
    """How much of the archive the answer stands on, and the memory it took."""
    return [
        ("Context", count(context.get("tokens_read"), "token")),
        ("Documents", count(context.get("documents"))),
        ("State", size(run.get("state_bytes"))),
        ("Memory", size(run.get("memory_bytes"))),
    ]


def energy_rows(run: Mapping[str, Any]) -> list[Row]:
    """Watts and joules; no sensor means `not available`, never zero."""
    rows = [("Power", figure(run.get("power_w"), "W")), ("Energy", figure(run.get("energy_j"), "J"))]
    idle_w, power_w = run.get("idle_power_w"), run.get("power_w")
    if idle_w is None or power_w is None:
        return rows
    return [
        *rows,
        ("Idle machine", figure(idle_w, "W")),
        ("Above idle", figure(max(0, power_w - idle_w), "W")),
    ]


def energy_per_thousand(energy_j: float | None, tokens: float | None) -> float | None:
    """Joules for 1,000 tokens; None where either is not known."""
    return 1000 * energy_j / tokens if energy_j is not None and tokens else None


def spike_rows(run: Mapping[str, Any]) -> list[Row]:
    """How many spikes a channel fires, and how many channels stay silent."""
    return [
        ("Spikes per channel", figure(run.get("spikes_per_channel"))),
        ("Silent channels", share(run.get("silent_share"))),
    ]


def power_note(run: Mapping[str, Any]) -> str:
    """Where the watts come from: measured by what, estimated by which model, or why there are none."""
    source, reason = (str(run.get(key) or "").strip() for key in ("power_source", "power_reason"))
    if run.get("power_w") is None and run.get("energy_j") is None:
        if reason:
            return f"No reading: {reason}"
        return "" if source in ("", NOT_AVAILABLE) else f"No reading: {source}"
    if run.get("power_kind") == "estimated":
        return f"Estimated, not measured. {source[:1].upper()}{source[1:]}"
    missing = f" ({reason})" if reason else ""
    return f"Measured by {source}{missing}" if source else "Source not named"


def panel(title: str, rows: list[Row], note: str = "") -> str:
    """One group of gauges as HTML."""
    cells = "".join(_cell(label, value) for label, value in rows)
    foot = f"<p>{safe(note)}</p>" if note else ""
    return f"<h4>{safe(title)}</h4><dl>{cells}</dl>{foot}"


def _cell(label: str, value: str) -> str:
    quiet = ' class="eg-none"' if value == NOT_AVAILABLE else ""
    return f"<dt>{safe(label)}</dt><dd{quiet}>{safe(value)}</dd>"


def draw_gauges(context: Mapping[str, Any], run: Mapping[str, Any], *, running: bool = False) -> None:
    """All gauges of one answer; while it is being written nothing is final, so nothing is called missing."""
    model = " · ".join(str(run[key]) for key in ("model", "device", "backend") if run.get(key))
    body = (
        panel("Speed", speed_rows(run))
        + panel("Context", context_rows(context, run))
        + panel("Energy", energy_rows(run), power_note(run))
        + panel("Spikes", spike_rows(run), model)
    )
    if running:
        body = body.replace(f">{NOT_AVAILABLE}<", ">…<")
    st.html(f'<section class="eg-gauges" aria-label="Gauges">{body}</section>')
