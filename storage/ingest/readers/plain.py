"""Plain text: lines stay as they are; form feeds end pages."""

from __future__ import annotations

from storage.ingest.cleaning import clean, tidy_lines
from storage.ingest.headings import find_headings
from storage.ingest.hyphens import join_hyphens
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers.source import Source


def read(source: Source) -> ParsedDocument:
    """Read a text file."""
    first = source.builder()
    text = join_hyphens(clean(source.text(first)))
    pages = text.split("\f")
    while pages and not pages[-1].strip():
        pages.pop()
    builder = source.builder(paged=len(pages) > 1)
    builder.take_warnings(first)
    for page in pages:
        body = tidy_lines(page).strip("\n")
        if body:
            for offset, level, heading in find_headings(body, unmarked=True):
                builder.mark_heading(level, heading, offset)
            builder.lines(body)
        if len(pages) > 1:
            builder.end_page()
    return source.finish(builder)
