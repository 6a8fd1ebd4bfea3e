"""Spikes: what a passage or a question fires in every layer, and what that would cost in other hardware."""

import streamlit as st

from app.view import frame, live, sidebar, spikes
from app.view.progress import draw_failure, is_active
from app.view.shelf import load_archives

POLL_S = 0.5


@st.fragment(run_every=POLL_S)
def waiting(job_id: int) -> None:
    """Until the worker has done it."""
    with frame.guarded():
        job = live.find_job(job_id)
        if job is None or not is_active(job):
            st.rerun()
        st.caption("Waiting for the worker…" if job.status == "queued" else f"{job.message.capitalize()}…")


def outcome(job_id: int) -> None:
    """What became of the text in hand."""
    job = live.find_job(job_id)
    if job is not None and is_active(job):
        waiting(job_id)
    elif job is not None and job.status == "failed":
        draw_failure(job)
    else:
        spikes.draw_result(job_id)


frame.style()
frame.heading(
    "Spikes",
    "Every layer takes in integer spike counts. See which channels fire, when, and for which words.",
)
with frame.guarded():
    sidebar.draw_worker()
    sidebar.draw_missing_worker(waiting=False)
    text, title = spikes.choose_text(load_archives())
    if st.button("Show the spikes", type="primary", icon=":material/blur_on:", disabled=not text.strip()):
        st.session_state["spikes_job"] = spikes.put(text, title).id
    if job_id := st.session_state.get("spikes_job") or st.query_params.get("spikes"):
        st.query_params["spikes"] = str(job_id)
        outcome(int(job_id))
