"""What is known of the machine: workers and their model, devices, how fast reading went."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app.errors import AppError
from app.view import charts
from app.view.frame import services
from app.view.gauges import Row, panel
from app.view.live import draw_note
from app.view.page_image import ROOT
from app.view.words import NOT_AVAILABLE, count, figure, safe, seconds, size
from storage import RunMetric, WorkerRecord, jobs, metrics

FINGERPRINT_SHOWN = 16
STRETCHES = 400
DEVICES_S = 60
COLUMNS = ["", "Name", "Device", "Memory", "Features", "Number formats", "Triton", "Power", "Why"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Workers and the latest stretches of reading, oldest first."""

    workers: list[WorkerRecord]
    stretches: list[RunMetric]


def load_machine() -> Machine:
    """The machine as the database tells of it."""
    with services().database.session() as s:
        workers = sorted(jobs.list_workers(s), key=lambda worker: (not worker.alive, worker.age_s))
        stretches = metrics.list_metrics(s, "read", limit=STRETCHES)[::-1]
    return Machine(workers, stretches)


def model_rows(info: dict[str, Any]) -> list[Row]:
    """What reads and answers."""
    fingerprint = str(info.get("fingerprint") or "")
    return [
        ("Model", str(info.get("model") or NOT_AVAILABLE)),
        ("Weights", size(info.get("model_bytes"))),
        ("Fingerprint", fingerprint[:FINGERPRINT_SHOWN] or NOT_AVAILABLE),
    ]


def device_rows(info: dict[str, Any]) -> list[Row]:
    """Where it runs."""
    return [
        ("Device", str(info.get("device") or NOT_AVAILABLE)),
        ("Arithmetic", str(info.get("backend") or NOT_AVAILABLE)),
        ("Memory", size(info.get("memory_bytes"))),
        ("Power meter", str(info.get("power_source") or NOT_AVAILABLE)),
        *([("Idle power", figure(info.get("idle_power_w"), "W"))] if info.get("idle_power_w") else []),
    ]


def power_reason(info: dict[str, Any]) -> str:
    """Why power is not measured, or what is missing from it."""
    reason = str(info.get("power_reason") or "")
    return f"Power: {reason}." if reason else ""


def process_rows(worker: WorkerRecord) -> list[Row]:
    """The worker process itself."""
    process = worker.info.get("pid")
    return [
        ("Worker", "running" if worker.alive else "stopped without a word"),
        ("Process", str(process) if process else NOT_AVAILABLE),
        ("Heard from", f"{seconds(worker.age_s)} ago"),
    ]


def draw_worker_panel(worker: WorkerRecord) -> None:
    """One worker: model, device, process."""
    info = dict(worker.info)
    draw_note(str(info.get("device_note") or ""))
    note = (
        "" if info.get("fingerprint") else "The model is loaded when there is something to read or to answer."
    )
    body = (
        panel("Model", model_rows(info), note or str(info.get("description") or ""))
        + panel("Device", device_rows(info), power_reason(info))
        + panel("Worker", process_rows(worker))
    )
    st.html(f'<section class="eg-gauges" aria-label="Worker">{body}</section>')


def reading_table(stretches: Sequence[RunMetric]) -> pd.DataFrame:
    """Tokens per second against the length of the context at which they were read."""
    points = [
        {"Tokens in the context": values["context_tokens"], "Tokens per second": values["read_tokens_per_s"]}
        for values in (dict(metric.values) for metric in stretches)
        if values.get("context_tokens") and values.get("read_tokens_per_s")
    ]
    return pd.DataFrame(points, columns=["Tokens in the context", "Tokens per second"])


def reading_speed(stretches: Sequence[RunMetric]) -> float | None:
    """Tokens a second over these stretches; None before any."""
    values = [dict(metric.values) for metric in stretches]
    tokens, spent = (sum(value.get(key) or 0 for value in values) for key in ("tokens", "seconds"))
    return tokens / spent if tokens and spent else None


def draw_reading(stretches: Sequence[RunMetric]) -> None:
    """The speed of reading as the context grows: flat is what it should be."""
    table = reading_table(stretches)
    st.subheader("Reading speed", anchor=False)
    if table.empty:
        st.html('<p class="eg-small">Nothing has been read yet.</p>')
        return
    st.html(
        f'<p class="eg-small eg-figures">{safe(count(len(table), "stretch", "stretches"))} of reading, a '
        "point each. They lie level when a longer context costs no more for each token.</p>"
    )
    charts.show(charts.points(table, "Tokens in the context", "Tokens per second"), "reading", 260)


@st.cache_data(ttl=600, show_spinner=False)
def find_devices() -> list[dict[str, Any]]:
    """The devices of this machine, found by another process: looking needs torch, and the page has none."""
    command = [sys.executable, "-m", "app", "devices", "--json"]
    try:
        reply = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=DEVICES_S, check=True)
        found = json.loads(reply.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        hint = "Run `python3 start.py devices` in a terminal to see why."
        raise AppError("devices_unknown", "The devices could not be listed.", hint) from error
    return list(found["devices"] if isinstance(found, dict) else found)


def device_table(devices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a device."""
    rows = [
        {
            "": "✓ chosen" if device.get("chosen") else "",
            "Name": device.get("name", ""),
            "Device": device.get("label", ""),
            "Memory": size(device.get("memory_bytes")),
            "Features": ", ".join(device.get("features") or ()),
            "Number formats": ", ".join(device.get("dtypes") or ()),
            "Triton": "yes" if device.get("triton") else "no",
            "Power": power_words(device.get("power") or {}),
            "Why": device.get("reason", ""),
        }
        for device in devices
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def power_words(power: Mapping[str, Any]) -> str:
    """The meter of a device, or why there is none."""
    source, reason = str(power.get("source") or NOT_AVAILABLE), str(power.get("reason") or "")
    return f"{source}: {reason}" if reason and power.get("kind") == NOT_AVAILABLE else source
