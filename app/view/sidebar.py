"""The worker's state at the foot of the sidebar, and how to start it where it is not running."""

import streamlit as st

from app.view.frame import guarded, services
from app.view.words import safe
from storage import WorkerRecord, jobs

START = "python3 start.py worker"
REFRESH_S = 5.0


def live_workers() -> list[WorkerRecord]:
    """Workers heard from lately."""
    with services().database.session() as s:
        return [worker for worker in jobs.list_workers(s) if worker.alive]


def worker_line(workers: list[WorkerRecord]) -> tuple[str, str, str]:
    """Colour class, words, and a second line."""
    if not workers:
        return "eg-warn", "Worker not running", f"Start it: {START}"
    info = workers[0].info
    parts = [str(info[key]) for key in ("model", "device") if info.get(key)]
    words = "Worker running" if len(workers) == 1 else f"{len(workers)} workers running"
    return "eg-good", words, " · ".join(parts)


@st.fragment(run_every=REFRESH_S)
def _state() -> None:
    with guarded():  # a fragment reports its own errors, before the page's guard sees them
        colour, words, second = worker_line(live_workers())
        st.html(
            f'<div class="eg-worker"><span class="eg-dot {colour}" aria-hidden="true"></span>'
            f"<span>{safe(words)}</span><small>{safe(second)}</small></div>"
        )


def draw_worker() -> None:
    """The state, kept fresh."""
    with st.sidebar:
        _state()


def draw_missing_worker(waiting: bool) -> None:
    """On a page whose work stands still without a worker: say so and say what to do."""
    if not live_workers():
        what = "This waits until the worker runs." if waiting else "Reading and answering need the worker."
        st.warning(
            f"**The worker is not running.** {what} Start it in a terminal: `{START}`",
            icon=":material/power_off:",
        )
