"""Live gauges: what a running job draws, how fast it is, what it holds; refreshed once a second, in place."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.live import load_live
from app.view import charts
from app.view.frame import guarded, services
from app.view.gauges import Row, energy_per_thousand, panel
from app.view.words import NOT_AVAILABLE, count, figure, rate, safe, seconds, share, size
from storage import NotFoundError, jobs
from storage.models import Job

REFRESH_S = 1.0
SMOOTH = 3  # samples that a shown figure is the mean of: one second alone flickers


def last(live: Mapping[str, Any], name: str, smooth: int = 1) -> float | None:
    """The newest value of a series, or the mean of the newest few."""
    known = [value for value in live["series"].get(name, []) if value is not None][-smooth:]
    return sum(known) / len(known) if known else None


def live_rows(live: Mapping[str, Any], context_tokens: int | None) -> list[Row]:
    """Speed, context, energy, memory and spikes as they stand."""
    energy_j, tokens = last(live, "energy_j"), last(live, "tokens")
    held = last(live, "context_tokens") if live.get("kind") == "read" else context_tokens
    return [
        ("Running for", seconds(last(live, "seconds"))),
        ("Processing", rate(last(live, "tokens_per_s"))),
        ("Context", count(held, "token")),
        ("Energy so far", figure(energy_j, "J")),
        ("Per 1,000 tokens", figure(energy_per_thousand(energy_j, tokens), "J")),
        ("Memory", size(last(live, "memory_bytes"))),
        ("Spikes per channel", figure(last(live, "spikes_per_channel"))),
        ("Silent channels", share(last(live, "silent_share"))),
    ]


def power_words(live: Mapping[str, Any]) -> str:
    """Where the watts come from; for none, why."""
    source, reason = str(live.get("power_source") or ""), str(live.get("power_reason") or "")
    if live.get("power_kind") == "measured":
        return f"Measured by {source}" + (f" ({reason})" if reason else "")
    if live.get("power_kind") == "estimated":
        return f"Estimated, not measured. {source[:1].upper()}{source[1:]}"
    return f"Power is not available: {reason}." if reason else "Power is not available."


def draw_dial(live: Mapping[str, Any], key: str) -> None:
    """Watts, with the brain's 20 W."""
    words = "estimated · brain 20 W" if live.get("power_kind") == "estimated" else "power now · brain 20 W"
    power_w = last(live, "power_w", SMOOTH)
    charts.show(charts.dial(power_w, live.get("idle_power_w"), words), f"dial_{key}", 150)


def draw_history(live: Mapping[str, Any], key: str) -> None:
    """The run so far, a line a figure."""
    series = live["series"]
    lines: list[tuple[str, str, float | None]] = [("tokens_per_s", "tokens/s", None)]
    if last(live, "power_w") is not None:
        lines.append(("power_w", "watts", charts.BRAIN_W))
    lines.append(("memory_bytes", "memory", None))
    for name, words, mark in lines:
        st.html(f'<p class="eg-spark">{safe(words)}</p>')
        charts.show(charts.sparkline(series["seconds"], series[name], mark), f"{name}_{key}", 46)


def draw_column(live: Mapping[str, Any], key: str, context_tokens: int | None) -> None:
    """All of it in a narrow column."""
    with st.container(key=f"live_{key}", gap="xsmall"):
        draw_dial(live, key)
        rows = panel("Now", live_rows(live, context_tokens), power_words(live))
        st.html(f'<section class="eg-gauges" aria-label="Live gauges">{rows}</section>')
        draw_history(live, key)


def draw_row(live: Mapping[str, Any], key: str) -> None:
    """All of it across the page."""
    with st.container(key=f"live_{key}", border=True):
        left, middle, right = st.columns([0.26, 0.38, 0.36], gap="medium")
        with left:
            draw_dial(live, key)
        with middle:
            rows = panel("Now", live_rows(live, None)).replace(
                NOT_AVAILABLE, "…" if not _begun(live) else NOT_AVAILABLE
            )
            st.html(f'<section class="eg-gauges eg-bare" aria-label="Live gauges">{rows}</section>')
        with right:
            draw_history(live, key)
        st.html(f'<p class="eg-small">{safe(power_words(live))}</p>')


def _begun(live: Mapping[str, Any]) -> bool:
    return bool(live["series"].get("seconds"))


def note_of(live: Mapping[str, Any]) -> str:
    """What befell the device, in a sentence; empty if nothing did."""
    return str(live.get("device_note") or "")


def draw_note(note: str) -> None:
    """A device that failed is told, never hidden."""
    if note:
        st.warning(note, icon=":material/swap_horiz:")


def find_job(job_id: int | None) -> Job | None:
    """The job, if it is still kept."""
    if job_id is None:
        return None
    with services().database.session() as s:
        try:
            return jobs.get_job(s, job_id)
        except NotFoundError:
            return None


@st.fragment(run_every=REFRESH_S)
def answering(job_id: int | None, context_tokens: int | None) -> None:
    """The gauges beside an answer that is being written."""
    with guarded():
        job = find_job(job_id)
        live = load_live(services().home, job) if job is not None else None
        if live is None:
            st.html('<p class="eg-small">The gauges start with the model.</p>')
            return
        draw_note(note_of(live))
        draw_column(live, f"ask_{job_id}", context_tokens)


def reading(job: Job) -> None:
    """The gauges of a job on the Library page; nothing before its first sample."""
    live = load_live(services().home, job) if job.status == "running" else None
    if live is None or not _begun(live):
        return
    draw_note(note_of(live))
    draw_row(live, f"job_{job.id}")
