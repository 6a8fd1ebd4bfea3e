"""Scanned pages: read by text recognition where that is installed, else said to need it."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

from storage.ingest.headings import find_headings
from storage.ingest.language import detect_language
from storage.ingest.parsed import ParsedDocument, ParsedPage, ParseFailure, ParseLimits

OCR_LIMITS = ParseLimits(seconds=300, memory_mb=6000)  # of one page
INSTALL = (
    "Install text recognition with: python3 start.py setup --ocr. "
    "Then select the document in the Library and try it again."
)
UNSURE = 0.8
Recognise = Callable[[int], tuple[str, float | None]]


def can_recognise() -> bool:
    """Whether text recognition is installed."""
    return all(find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


def needs_ocr(document: ParsedDocument) -> bool:
    """Whether any page is an image of text."""
    return any(page.needs_ocr for page in document.pages)


def refuse_scan(document: ParsedDocument) -> None:
    """A document of nothing but images has no text: ParseFailure says what to install."""
    if document.pages and all(page.needs_ocr for page in document.pages):
        count = len(document.pages)
        one = "The page is an image without text"
        raise ParseFailure(
            "needs_ocr", one if count == 1 else f"All {count:,} pages are images without text", INSTALL
        )


def recognised(document: ParsedDocument, recognise: Recognise) -> ParsedDocument:
    """The document with the text of its scanned pages; a page on which nothing is found stays as it is.

    `recognise` gives the text and confidence (0 to 1) of a page by its index.
    """
    pages: list[ParsedPage] = []
    for index, page in enumerate(document.pages):
        text, confidence = recognise(index) if page.needs_ocr else ("", None)
        text = text.strip("\n") + "\n"
        if text.strip() and confidence is not None:
            page = replace(page, text=text, needs_ocr=False, confidence=confidence)
        pages.append(page)
    read = [page for page in pages if page.confidence is not None]
    if not read:
        return document
    return replace(
        document,
        pages=tuple(pages),
        headings=_headings(document, pages),
        language=detect_language("".join(page.text for page in pages)) or document.language,
        warnings=_warnings(document, read),
    )


def _headings(document: ParsedDocument, pages: list[ParsedPage]) -> tuple[tuple[int, str], ...]:
    """Headings at their new places, and those that the recognised pages show by their form."""
    old, new = _starts(document.pages), _starts(tuple(pages))
    moved = []
    for offset, path in document.headings:
        page = bisect.bisect_right(old, offset) - 1
        moved.append((offset - old[page] + new[page], path))
    for start, read in zip(new, pages, strict=True):
        if read.confidence is not None:
            moved += [(start + offset, heading) for offset, _, heading in find_headings(read.text)]
    return tuple(sorted(moved))


def _starts(pages: tuple[ParsedPage, ...]) -> list[int]:
    starts, at = [], 0
    for page in pages:
        starts.append(at)
        at += len(page.text)
    return starts


def _warnings(document: ParsedDocument, read: list[ParsedPage]) -> tuple[str, ...]:
    numbers = {page.number for page in read}
    kept = [w for w in document.warnings if not any(w.startswith(f"page {n}: ") for n in numbers)]
    sure = [page.confidence for page in read if page.confidence is not None]
    noun = "page was" if len(read) == 1 else "pages were"
    kept.append(
        f"{len(read):,} {noun} read by text recognition (confidence {min(sure):.2f} to {max(sure):.2f})"
    )
    unsure = [str(page.number) for page in read if page.confidence is not None and page.confidence < UNSURE]
    if unsure:
        more = " and more" if len(unsure) > 20 else ""
        kept.append(f"pages read with little confidence: {', '.join(unsure[:20])}{more}")
    return tuple(kept)
