"""Dialogs of the Library. The session knows which one is open, so that a refresh of the page keeps it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import library
from app.view.frame import guarded, services, take_archive
from app.view.words import count, plain
from storage import Archive, Document

KEY = "dialog"
MENUS = "menus_closed"


def ask_for(name: str, **about: Any) -> None:
    """Open a dialog at the next drawing of the page, and close the menu that asked for it."""
    st.session_state[KEY] = (name, about)
    st.session_state[MENUS] = st.session_state.get(MENUS, 0) + 1


def menu_key(name: str) -> str:
    """The key of a menu; another after each dialog, as an open menu would lie over the dialog."""
    return f"{name}_{st.session_state.get(MENUS, 0)}"


def close() -> None:
    """No dialog is open any more."""
    st.session_state.pop(KEY, None)


def draw_dialog() -> None:
    """The dialog that is open, if any."""
    name, about = st.session_state.get(KEY) or ("", {})
    if name in DIALOGS:
        DIALOGS[name](**about)


def _done(what: Callable[[], Any]) -> None:
    with guarded():
        what()
        close()
        st.rerun()


def _keep_button() -> None:
    if st.button("Keep", key="dialog_keep"):
        _done(lambda: None)


@st.dialog("New archive", on_dismiss=close)
def _new() -> None:
    with st.form("new_archive", border=False):
        name = st.text_input("Name", placeholder="Contracts 2024", max_chars=200, key="new_name")
        if st.form_submit_button("Create", type="primary"):
            _done(lambda: take_archive(library.create_archive(services(), name).id))


@st.dialog("Rename archive", on_dismiss=close)
def _rename(archive: Archive) -> None:
    with st.form("rename_archive", border=False):
        name = st.text_input("Name", value=archive.name, max_chars=200, key=f"rename_{archive.id}")
        if st.form_submit_button("Rename", type="primary"):
            _done(lambda: library.rename_archive(services(), archive.id, name))


@st.dialog("Delete archive", on_dismiss=close)
def _delete(archive: Archive, documents: int) -> None:
    st.write(
        f"Delete **{plain(archive.name)}** with its {count(documents, 'document')}, what was read of "
        "them, and all findings? Until Engram is restarted it can be brought back."
    )
    with st.container(horizontal=True):
        if st.button("Delete archive", type="primary", icon=":material/delete:"):
            _done(lambda: library.delete_archive(services(), archive.id))
        _keep_button()


@st.dialog("Remove documents", on_dismiss=close)
def _remove(selected: list[Document]) -> None:
    named = ", ".join(plain(document.name) for document in selected[:5])
    more = f" and {count(len(selected) - 5)} more" if len(selected) > 5 else ""
    st.write(
        f"Remove {named}{more}? What comes after in the context is read again. Until Engram is restarted it "
        "can be brought back."
    )
    with st.container(horizontal=True):
        if st.button("Remove", type="primary", icon=":material/delete:", key="remove_confirmed"):
            _done(lambda: _remove_all(selected))
        _keep_button()


def _remove_all(selected: list[Document]) -> None:
    for document in selected:
        library.remove_document(services(), document.id)


DIALOGS: dict[str, Callable[..., Any]] = {
    "new": _new,
    "rename": _rename,
    "delete": _delete,
    "remove": _remove,
}
