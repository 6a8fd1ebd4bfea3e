"""What a person chooses on the Engine page of device and power, from the next job on."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.choices import Choices, choose
from app.view.frame import guarded, services
from app.view.words import safe
from devices.estimate import CLASSES

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
