"""Which citation, or passage, has its page open: one at a time, and none of another finding's."""

from collections.abc import Hashable

import streamlit as st

KEY = "opened_citation"


def is_open(place: Hashable) -> bool:
    """Whether the page of this one is shown."""
    return bool(st.session_state.get(KEY) == place)


def toggle(place: Hashable) -> None:
    """Open its page, or close it."""
    st.session_state[KEY] = None if is_open(place) else place


def page_button(place: Hashable, page: int, key: str) -> bool:
    """The button that opens its page or closes it; whether the page is to be drawn now."""
    shown = is_open(place)
    st.button(
        f"Close page {page}" if shown else f"Show page {page}",
        key=key,
        icon=":material/close:" if shown else ":material/find_in_page:",
        type="tertiary",
        on_click=toggle,
        args=(place,),
    )
    return shown


def close() -> None:
    """No page is open."""
    st.session_state.pop(KEY, None)
