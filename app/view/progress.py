"""Jobs on the page: what is going on, how far, how fast, how long still."""

from collections.abc import Sequence

import streamlit as st

from app.view.words import count, plain, rate, remaining, safe
from storage.models import Job

WORDS = {
    "ingest": "Adding documents",
    "read": "Reading",
    "ask": "Answering",
    "summary": "Summarising",
    "matrix": "Filling the matrix",
    "model": "Adding the model",
    "backup": "Backing up",
    "restore": "Restoring",
    "spikes": "Working out spikes",
    "duplicates": "Comparing",
}
ACTIVE = ("queued", "running")


def is_active(job: Job) -> bool:
    """Waiting or being worked on."""
    return job.status in ACTIVE


def share_done(job: Job) -> float:
    """Between 0 and 1."""
    return min(1.0, max(0.0, job.done / job.total)) if job.total else 0.0


def job_words(job: Job) -> str:
    """What the job is doing, in a few words."""
    if job.status == "queued":
        return f"{WORDS.get(job.kind, job.kind)}: waiting for its turn"
    words = job.message.strip() or WORDS.get(job.kind, job.kind)
    return words[:1].upper() + words[1:]


def job_figures(job: Job) -> list[str]:
    """`1,204 of 5,678 tokens`, `812 tokens/s`, `about 6 s left`."""
    unit = job.unit.strip() or "steps"
    figures = [f"{count(job.done)} of {count(job.total)} {unit}"] if job.total else []
    if job.status == "running":
        figures += [rate(job.rate, unit)] if job.rate else []
        figures += [remaining(job.eta_s)] if job.total else []
    return figures


def progress_html(job: Job) -> str:
    """The line above the bar."""
    figures = "".join(f"<span>{safe(text)}</span>" for text in job_figures(job))
    return f'<div class="eg-progress eg-figures"><strong>{safe(job_words(job))}</strong>{figures}</div>'


def draw_jobs(jobs: Sequence[Job]) -> Job | None:
    """A bar for each job under way; returns the job whose Cancel button was clicked."""
    clicked = None
    for job in jobs:
        with st.container(key=f"job_{job.id}", gap=None):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(progress_html(job))
                if _cancel_button(job):
                    clicked = job
            st.progress(share_done(job))
    return clicked


def _cancel_button(job: Job) -> bool:
    return st.button(
        "Cancelling…" if job.cancel_requested else "Cancel",
        key=f"cancel_{job.id}",
        type="tertiary",
        icon=":material/stop_circle:",
        disabled=job.cancel_requested,
        help="Stops this work. What has been read so far is kept.",
    )


def draw_failure(job: Job) -> None:
    """A failed job: what happened and what to do."""
    hint = f"\n\n{plain(job.hint)}" if job.hint else ""
    what = WORDS.get(job.kind, job.kind)
    st.error(
        f"**{what} stopped.** {plain(job.error or 'No reason was given.')}{hint}", icon=":material/error:"
    )
