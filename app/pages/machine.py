"""Engine: the model and device at work. (A page called engine.py would hide the package of that name.)"""

from typing import Any

import streamlit as st

from app.choices import Choices
from app.view import choosing, frame, sidebar, threshold
from app.view.machine import (
    device_table,
    draw_reading,
    draw_worker_panel,
    find_devices,
    load_machine,
    reading_speed,
)
from app.view.models import draw_models

REFRESH_S = 5.0


@st.fragment(run_every=REFRESH_S)
def workers() -> None:
    """Who works, with what, kept fresh."""
    with frame.guarded():
        known = load_machine().workers
        for worker in known:
            draw_worker_panel(worker)
        if not known:
            st.html('<p class="eg-lead">No worker has been heard from yet.</p>')


def beside() -> None:
    """What changes slowly: the speed of reading, models and devices."""
    now = load_machine()
    draw_reading(now.stretches)
    draw_models()


def devices(chosen: Choices, info: dict[str, Any]) -> None:
    """The devices of this machine, looked for on request: looking takes a few seconds."""
    st.subheader("Devices", anchor=False)
    st.html(
        '<p class="eg-small">The fastest device that works is chosen by itself, unless you choose one.</p>'
    )
    if st.button("List devices", icon=":material/developer_board:"):
        st.session_state["devices_listed"] = True
    found = []
    if st.session_state.get("devices_listed"):
        with st.spinner("Looking…"):
            found = find_devices()
        st.dataframe(device_table(found), hide_index=True)
    choosing.draw_device_choice(found, chosen, bool(info.get("fixed")))


def settings(speed: float | None) -> None:
    """What can be chosen: device, estimate of power, threshold factor."""
    chosen = choosing.load_choices()
    info = next((dict(worker.info) for worker in load_machine().workers if worker.alive), {})
    left, right = st.columns(2, gap="large")
    with left:
        threshold.draw_threshold(chosen, info, speed)
    with right:
        choosing.draw_estimate(chosen, info)
        devices(chosen, info)


frame.style()
frame.heading("Engine", "The model that reads and answers, the device it runs on, and what they use.")
with frame.guarded():
    sidebar.draw_worker()
    sidebar.draw_missing_worker(waiting=False)
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        workers()
    with right:
        beside()
    settings(reading_speed(load_machine().stretches))
