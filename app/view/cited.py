"""The cited page: as an image with the quote boxed, or as text with the quote marked."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from sqlalchemy.orm import Session

from app.view.matching import find, occurrence_at
from app.view.page_image import PageImage, page_image
from app.view.words import plain, safe
from storage import Citation, FileStore, Page, documents, recognised

CONTEXT_CHARACTERS = 900  # each side of the quote: enough to judge it, little enough to see it at once
PDF = "application/pdf"


@dataclass(frozen=True, slots=True)
class CitedPage:
    """A page of a document and where the quote stands in its text; `span` is None when it does not."""

    document_id: int
    document: str
    number: int
    pages: int
    text: str
    span: tuple[int, int] | None
    focus: int
    original: Path | None
    confidence: float | None = None  # of text recognition; None where the file holds the text itself


def load_cited(s: Session, files: FileStore, citation: Citation) -> CitedPage | None:
    """The page a citation points at; None when the document has been removed since."""
    if citation.document_id is None:
        return None
    return load_at(s, files, citation.document_id, citation.start, citation.quote)


def load_at(s: Session, files: FileStore, document_id: int, start: int, quote: str) -> CitedPage:
    """The page that holds the character at `start`, with the quote's place on it."""
    page = documents.page_at(s, document_id, start)
    focus = min(max(start - page.start, 0), len(page.text))
    return _page(s, files, page, focus, locate(page.text, quote, focus))


def load_number(s: Session, files: FileStore, document_id: int, number: int) -> CitedPage | None:
    """A page by its number, nothing marked; None when there is no such page."""
    page = documents.page_numbered(s, document_id, number)
    return None if page is None else _page(s, files, page, 0, None)


def _page(s: Session, files: FileStore, page: Page, focus: int, span: tuple[int, int] | None) -> CitedPage:
    document = documents.get_document(s, page.document_id)
    original = files.path(document.sha256) if document.media_type == PDF else None
    sure = recognised.confidence(s, document.id, page.number)
    return CitedPage(
        document.id, document.name, page.number, document.pages, page.text, span, focus, original, sure
    )


def locate(text: str, quote: str, start: int) -> tuple[int, int] | None:
    """The quote's place in a page's text: where the citation says, else wherever the same letters stand."""
    end = start + len(quote)
    if quote and text[start:end] == quote:
        return start, end
    # A quote that runs over the end of a page is marked up to there.
    if quote and len(text) > start and quote.startswith(text[start:].rstrip()) and text[start:].strip():
        return start, start + len(text[start:].rstrip())
    return find(text, quote)


def marked_html(page: CitedPage) -> str:
    """The page's text, escaped, with the quote in <mark>; a very long page is cut around the quote."""
    first, last = page.span or (page.focus, page.focus)
    left, right = surroundings(page.text, first, last)
    before, after = safe(page.text[left:first].lstrip()), safe(page.text[last:right].rstrip())
    quote = f"<mark>{safe(page.text[first:last])}</mark>" if page.span else ""
    cut_left, cut_right = "…\n" * (left > 0), "\n…" * (right < len(page.text.rstrip()))
    return f'<div class="eg-page">{cut_left}{before}{quote}{after}{cut_right}</div>'


def whole_html(page: CitedPage) -> str:
    """The whole page's text, escaped."""
    return f'<div class="eg-page">{safe(page.text.strip())}</div>'


def surroundings(text: str, first: int, last: int) -> tuple[int, int]:
    """Where the shown part of a page begins and ends: at line ends where there are any."""
    left, right = max(0, first - CONTEXT_CHARACTERS), min(len(text), last + CONTEXT_CHARACTERS)
    if left:
        left = max(text.find("\n", left, first) + 1, left)
    if right < len(text):
        line_end = text.rfind("\n", last, right)
        right = line_end if line_end > last else right
    return left, right


def draw_cited(page: CitedPage | None, quote: str) -> None:
    """The page below the citation that was clicked; without a quote, all of it."""
    if page is None:
        st.info(
            "This document has been removed from the archive. The quote above was stored with the answer."
        )
        return
    image = _image(page, quote)
    scanned = page.confidence is not None  # no text in the picture to find the quote by
    shown = image is not None and (image.located or page.span is None or scanned)
    if image is not None and shown:
        st.image(image.png, width="stretch", alt=f"Page {page.number} of {plain(page.document)}")
    if scanned or not shown:
        st.html(marked_html(page) if quote else whole_html(page))
    if page.confidence is not None:
        st.caption(
            f"Scanned page, read by text recognition (confidence {page.confidence:.2f}). Compare the text "
            "with the picture of the page."
        )
    if page.span is None and quote:
        st.caption("The quote does not stand on this page word for word. Read it with care.")


def _image(page: CitedPage, quote: str) -> PageImage | None:
    if page.original is None or not page.original.is_file():
        return None
    occurrence = occurrence_at(page.text, quote, page.span[0]) if page.span else 0
    return page_image(str(page.original), page.number, quote if page.span else "", occurrence)
