"""The document viewer: the cited page, the pages around it, citations one after another, search inside."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import streamlit as st

from app.view.cited import PDF, CitedPage, draw_cited, load_at, load_number
from app.view.frame import services
from app.view.words import count, plain
from storage import TextHit, documents

HITS = 100  # looked for
LISTED = 8  # shown at once
WORDS = 200


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What leads to the citation before and after this one; None at either end."""

    previous: Callable[[], None] | None = None
    following: Callable[[], None] | None = None


@dataclass(slots=True)
class Place:
    """Where the reader has gone from the citation: a page, or a hit of the search; both None: nowhere."""

    page: int | None = None
    hit: TextHit | None = None


def draw_viewer(cited: CitedPage | None, quote: str, key: str, neighbours: Neighbours | None = None) -> None:
    """The cited page with tools above it; `key` tells this viewer's state from others'."""
    if cited is None:
        draw_cited(None, quote)
        return
    place: Place = st.session_state.setdefault(f"viewer_{key}", Place())
    shown, marked = _page(cited, place, quote)
    words = _tools(cited, shown, place, key, neighbours or Neighbours())
    _hits(cited.document_id, words, place, key)
    with st.spinner("Drawing the page…", show_time=False):
        draw_cited(shown, marked)


def _page(cited: CitedPage, place: Place, quote: str) -> tuple[CitedPage, str]:
    """The page to show and what to mark on it."""
    with services().database.session() as s:
        if place.hit is not None:
            return load_at(
                s, services().files, cited.document_id, place.hit.start, place.hit.text
            ), place.hit.text
        if place.page is not None and place.page != cited.number:
            found = load_number(s, services().files, cited.document_id, place.page)
            if found is not None:
                return found, ""
    return cited, quote


def _tools(cited: CitedPage, shown: CitedPage, place: Place, key: str, around: Neighbours) -> str:
    """Citations one after another, pages one after another, back to the quote; the words to search for."""

    def turn(number: int) -> None:
        place.page, place.hit = number, None

    def typed() -> None:
        turn(int(st.session_state[f"page_{key}_{shown.number}"]))

    def back() -> None:
        place.page = place.hit = None

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"viewer_tools_{key}"):
        if around.previous is not None or around.following is not None:
            _step("Previous citation", ":material/skip_previous:", f"before_{key}", around.previous)
            _step("Next citation", ":material/skip_next:", f"after_{key}", around.following)
        last = max(cited.pages, 1)
        if last > 1:
            here = shown.number
            before, after = (
                ((lambda: turn(here - 1)) if here > 1 else None),
                ((lambda: turn(here + 1)) if here < last else None),
            )
            _step("Previous page", ":material/chevron_left:", f"left_{key}", before)
            st.number_input(
                f"Page of {count(last)}",
                1,
                max(last, here),
                here,
                key=f"page_{key}_{here}",
                width=120,
                on_change=typed,
            )
            _step("Next page", ":material/chevron_right:", f"right_{key}", after)
        if place.hit is not None or shown.number != cited.number:
            st.button("Back to the quote", key=f"back_{key}", icon=":material/format_quote:", on_click=back)
        words = st.text_input(
            "Search in this document",
            key=f"words_{key}",
            max_chars=WORDS,
            placeholder="Words as they stand in the text",
        )
        _original(cited, key)
    return words


def _step(words: str, icon: str, key: str, go: Callable[[], None] | None) -> None:
    st.button(words, key=key, icon=icon, type="tertiary", on_click=go, disabled=go is None, help=words)


def _original(cited: CitedPage, key: str) -> None:
    """The whole document as it was added."""
    with services().database.session() as s:
        document = documents.get_document(s, cited.document_id)
    path = services().files.path(document.sha256)
    if path.is_file():

        def data() -> BinaryIO:
            return io.BytesIO(path.read_bytes())

        name = document.name.rsplit("/", 1)[-1]
        st.download_button(
            "Whole document",
            data=data,
            file_name=name,
            mime=PDF if document.media_type == PDF else "application/octet-stream",
            key=f"original_{key}",
            icon=":material/download:",
            on_click="ignore",
            help="The file as it was added to the archive",
        )


def _hits(document_id: int, words: str, place: Place, key: str) -> None:
    """The places where the words stand in this document."""
    if not words.strip():
        return
    with services().database.session() as s:
        hits = documents.find_in_document(s, document_id, words, HITS)
    if not hits:
        st.html('<p class="eg-small">These words do not stand in this document.</p>')
        return
    more = "at least " if len(hits) == HITS else ""
    listed = hits[:LISTED]
    st.html(f'<p class="eg-small eg-figures">{more}{count(len(hits), "place")}</p>')
    with st.container(gap=None, key=f"hits_{key}"):
        for number, hit in enumerate(listed):
            st.button(
                f"Page {count(hit.page)}: …{plain(hit.around)}…",
                key=f"hit_{key}_{number}",
                type="tertiary",
                icon=":material/arrow_outward:",
                on_click=_go,
                args=(place, hit),
            )
    if len(hits) > len(listed):
        st.html(
            f'<p class="eg-small">{count(len(hits) - len(listed))} more. Add words to narrow the search.</p>'
        )


def _go(place: Place, hit: TextHit) -> None:
    place.page, place.hit = None, hit
