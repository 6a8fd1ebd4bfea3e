"""The models on the Engine page: what is there, what it needs, and the ways to add, check, change, remove."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import library, model_list
from app.installed import unfinished_source
from app.model_list import ModelEntry
from app.view.frame import guarded, services
from app.view.progress import draw_failure, draw_jobs, is_active
from app.view.words import count, plain, safe, size
from engine.memory_plan import MemoryPlan
from storage import Job

REFRESH_S = 2.0
HELP = (
    "A folder or GGUF file of this machine, `owner/name` of Hugging Face, or `modelscope:owner/name`. Only "
    "safetensors and GGUF files are loaded. Fetching from a hub is the one thing that uses the network."
)


def draw_models() -> None:
    """The whole part, kept fresh while something is under way."""
    st.subheader("Models", anchor=False)
    with guarded():
        busy = any(map(is_active, model_list.model_jobs(services())))
        st.fragment(_draw_state, run_every=REFRESH_S if busy else None)(busy)
    _draw_adding()


def _draw_state(busy: bool) -> None:
    with guarded():  # a fragment reports its own errors, before the page's guard sees them
        found = model_list.model_jobs(services())
        if any(map(is_active, found)) != busy:
            st.rerun()
        _draw_jobs(found)
        _draw_stale()
        for entry in model_list.list_models(services()):
            _draw_model(entry, busy)
        for name in model_list.half_added(services()):
            _draw_half_added(name)


def _draw_jobs(found: list[Job]) -> None:
    cancelled = draw_jobs([job for job in found if is_active(job)])
    if cancelled is not None:
        _act(lambda: library.cancel(services(), cancelled.id), "Cancelling")
    if found and found[0].status == "failed":
        draw_failure(found[0])


def _draw_stale() -> None:
    stale = model_list.stale_archives(services())
    if not stale:
        return
    named = ", ".join(f"{plain(archive.name)} ({count(archive.tokens, 'token')})" for archive in stale[:5])
    more = f" and {count(len(stale) - 5)} more" if len(stale) > 5 else ""
    st.warning(
        f"**The model in use has not read {count(len(stale), 'archive')}:** {named}{more}. "
        "What another model read is kept, but questions need a reading by this one.",
        icon=":material/history_edu:",
    )
    if st.button("Read them now", icon=":material/menu_book:", key="read_again"):
        _act(lambda: model_list.read_again(services()), "Reading begins when the worker is free")


def _draw_model(entry: ModelEntry, busy: bool) -> None:
    with st.container(border=True, key=f"model_{entry.name}", gap="xxsmall"):
        st.html(_model_html(entry))
        with st.container(horizontal=True, gap="small"):
            _draw_buttons(entry, busy)


def _draw_buttons(entry: ModelEntry, busy: bool) -> None:
    key, off = entry.name, busy or not entry.installed
    if st.button("Check", key=f"check_{key}", icon=":material/fact_check:", type="tertiary", disabled=off):
        _act(lambda: model_list.request_check(services(), entry.name))
    unusable = entry.report is not None and not entry.report.usable
    if not entry.default and st.button(
        "Make default",
        key=f"default_{key}",
        icon=":material/star:",
        type="tertiary",
        disabled=off or unusable,
    ):
        _act(lambda: model_list.request_default(services(), entry.name))
    if entry.embedded:
        return
    with st.popover("Remove", icon=":material/delete:", type="tertiary", key=f"remove_{key}"):
        what = (
            "Its files stay where they are."
            if entry.linked
            else f"This frees {size(entry.bytes)} on the disk."
        )
        st.write(f"Remove {plain(entry.name)}? {what}")
        if st.button("Remove the model", key=f"removed_{key}", type="primary"):
            _act(lambda: model_list.remove(services(), entry.name), "Removed")


def _draw_half_added(name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<p class="eg-small">{safe(name)} is not complete.</p>', width="content")
        source = unfinished_source(services().home, name)
        if source and st.button("Go on", key=f"go_on_{name}", icon=":material/play_arrow:", type="tertiary"):
            _act(lambda: model_list.request_adding(services(), source, name, copy=True))
        if st.button("Discard", key=f"discard_{name}", icon=":material/delete:", type="tertiary"):
            _act(lambda: model_list.remove(services(), name), "Discarded")


def _draw_adding() -> None:
    with (
        st.expander("Add a model", icon=":material/add:"),
        st.form("add_model", border=False, clear_on_submit=False),
    ):
        source = st.text_input(
            "Model", placeholder="owner/name, modelscope:owner/name, or a path", help=HELP, key="model_source"
        )
        name = st.text_input("Name (optional)", key="model_name", max_chars=80)
        copy = st.checkbox("Copy a local model into Engram's folder", key="model_copy")
        if st.form_submit_button("Add", icon=":material/add:"):
            if source.strip():
                _act(
                    lambda: model_list.request_adding(services(), source, name, copy=copy), "Adding the model"
                )
            else:
                st.warning("Type a path or a name first.", icon=":material/info:")


def _act(what: Callable[[], Any], said: str = "") -> None:
    with guarded():
        what()
        if said:
            st.toast(said, icon=":material/check:")
        st.rerun()


def _model_html(entry: ModelEntry) -> str:
    mark = ' <span class="eg-badge eg-good">in use by default</span>' if entry.default else ""
    lines = [f"<strong>{safe(entry.name)}</strong>{mark}"]
    facts = [
        size(entry.bytes) if entry.installed else "",
        entry.source,
        "used in place" if entry.linked else "",
    ]
    lines.append(f'<span class="eg-small">{safe(" · ".join(filter(None, facts)))}</span>')
    if not entry.installed:
        missing = (
            "Not prepared yet. Run: python3 start.py setup" if entry.embedded else f"Gone from {entry.path}"
        )
        lines.append(f'<span class="eg-small eg-warn">{safe(missing)}</span>')
    else:
        lines += [f'<span class="eg-small eg-figures">{safe(line)}</span>' for line in _report_lines(entry)]
    return "<p>" + "<br>".join(lines) + "</p>"


def _report_lines(entry: ModelEntry) -> list[str]:
    """What the last check found, a line each."""
    report = entry.report
    if report is None:
        return ["Not checked yet."]
    if report.inspection is None:
        error = report.error or {}
        return [f"✕ {error.get('message', 'It cannot be used.')} {error.get('hint', '')}".strip()]
    found, plan = report.inspection, MemoryPlan(**report.inspection["plan"])
    constant, growth = plan.needed(), plan.growth_per_million
    grows = f"and {size(growth)} more for each million tokens" if growth else "at any length of context"
    if plan.spill_per_token:
        grows += f", of which {size(plan.spill_limit)} stay in memory and the rest goes to disk"
    memory = f"Memory: {size(constant)} ({size(plan.weights)} weights) {grows}."
    lines = [str(found["description"]), f"{memory} Free: {size(report.memory_bytes)}."]
    if constant > report.memory_bytes:
        lines.append("✕ It does not fit into the memory of this machine.")
    lines += [f"✕ {problem}" for problem in found["problems"][:5]]
    return lines + [str(note) for note in found["notes"]]
