"""Engine: the model and device at work. (A page called engine.py would hide the package of that name.)"""

import streamlit as st

from app.view import frame, sidebar
from app.view.machine import (
    device_table,
    draw_reading,
    draw_worker_panel,
    find_devices,
    load_machine,
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
    devices()


def devices() -> None:
    """The devices of this machine, looked for on request: looking takes a few seconds."""
    st.subheader("Devices", anchor=False)
    st.html(
        '<p class="eg-small">The fastest device is chosen by itself. Start with <code>--device NAME</code> '
        "to choose another.</p>"
    )
    if st.button("List devices", icon=":material/developer_board:"):
        with st.spinner("Looking…"):
            found = find_devices()
        st.dataframe(device_table(found), hide_index=True)


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
