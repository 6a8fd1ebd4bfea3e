"""The frame around every page: services, style, heading, errors in words, the archive in hand."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from app.errors import describe
from app.services import Services
from app.settings import Options
from app.view import opened
from app.view.colours import is_dark
from app.view.words import plain, safe
from storage import Archive

ASSETS = Path(__file__).resolve().parents[2] / "assets"
log = logging.getLogger(__name__)


def services() -> Services:
    """The services of the chosen home folder and database, one for the whole page server."""
    return _services(Options.from_env())


@st.cache_resource(show_spinner=False, max_entries=4)
def _services(options: Options) -> Services:
    return Services(options)


def style() -> None:
    """The style sheet; Streamlit's theme does the rest. Dialogs and menus hang outside of what Streamlit
    marks as dark, so that the whole document is told.
    """
    st.html(ASSETS / "theme.css")
    st.html(f"<style>:root {{ color-scheme: {'dark' if is_dark() else 'light'}; }}</style>")


def heading(title: str, lead: str) -> None:
    """A page's title and the one sentence under it."""
    st.title(title, anchor=False)
    st.html(f'<p class="eg-lead">{safe(lead)}</p>')


def way_to(page: str, words: str, icon: str) -> None:
    """What to do next, on another page. A link: the browser then stops refreshing parts of this page at once,
    while one refreshed just after `st.switch_page` would leave the other page blank.
    """
    path = f"app/pages/{page}.py"
    with st.container(key=f"way_to_{page}"):
        try:
            st.page_link(path, label=words, icon=f":material/{icon}:")
        except StreamlitPageNotFoundError:  # this page runs alone
            if st.button(words, type="primary", icon=f":material/{icon}:"):
                st.switch_page(path)


@contextmanager
def guarded() -> Iterator[None]:
    """Errors raised inside become a notice with what happened and what to do; the log keeps the traceback."""
    try:
        yield
    except Exception as error:  # the page is a boundary: no exception may reach the person as a traceback
        show_error(error)


def show_error(error: Exception) -> None:
    """What happened and what to do about it."""
    problem = describe(error)
    if problem.code == "internal":
        log.error("page failed", exc_info=error)
    message = plain(problem.message)
    sentence = message[:1].upper() + message[1:]
    st.error(
        f"**{sentence}**\n\n{plain(problem.hint)}" if problem.hint else sentence, icon=":material/error:"
    )


def take_archive(archive_id: int) -> None:
    """Make this the archive in hand on every page."""
    st.session_state["archive_id"] = archive_id


def choose_archive(archives: Sequence[Archive]) -> Archive:
    """The archive picker. Remembers the choice between pages and, in the address, between visits."""
    names = {archive.id: archive.name for archive in archives}
    wanted = st.session_state.get("archive_id") or st.query_params.get("archive", "")
    current = int(wanted) if str(wanted).isdecimal() and int(wanted) in names else archives[-1].id
    st.session_state["archive_id"] = st.session_state["archive_choice"] = current
    st.query_params["archive"] = str(current)
    chosen = st.selectbox(
        "Archive", list(names), format_func=names.__getitem__, key="archive_choice", on_change=_take_choice
    )
    return next(archive for archive in archives if archive.id == chosen)


def _take_choice() -> None:
    take_archive(st.session_state["archive_choice"])
    opened.close()
