"""Who gets in: anybody on this machine, elsewhere only who knows the password or signs in."""

import os
import time

import streamlit as st

from app.access import password_fits, protection
from app.view.frame import ASSETS

WRONG_S = 1.0  # what a wrong password costs, so that guessing is slow


def admitted() -> bool:
    """Whether the pages may be shown to this session; if not, what lets the person in is drawn."""
    needed = protection(os.environ, ASSETS.parent)
    if needed == "oidc":
        return bool(st.user.is_logged_in) or _sign_in()
    if needed == "password":
        return bool(st.session_state.get("admitted")) or _ask_password()
    return True


def _sign_in() -> bool:
    st.title("Engram", anchor=False)
    st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
    return False


def _ask_password() -> bool:
    st.title("Engram", anchor=False)
    with st.form("password", border=False, width=360):
        given = st.text_input("Password", type="password", key="password")
        sent = st.form_submit_button("Open", type="primary")
    if sent and password_fits(given):
        st.session_state["admitted"] = True
        st.rerun()
    if sent:
        time.sleep(WRONG_S)
        st.error("That is not the password.", icon=":material/error:")
    return False
