"""Collecting a document's text, headings and pages while a reader walks through a file."""

from __future__ import annotations

from collections.abc import Iterator

from storage.ingest.cleaning import clean, one_line, tidy_lines
from storage.ingest.language import detect_language
from storage.ingest.parsed import ParsedDocument, ParsedPage, ParseFailure

PART_CHARACTERS = 20_000
_MAX_WARNINGS = 200
_MAX_TITLE = 200
_HEADING_DEPTH = 6


class TextBuilder:
    """Takes blocks in reading order, each ending in a line feed, and keeps offsets right and size bounded.

    With `paged` the reader ends the pages itself; else they are parts of about 20,000 characters.
    """

    def __init__(self, text_mb: int, paged: bool = False) -> None:
        self.title = ""
        self.language = ""
        self.pages: list[ParsedPage] = []
        self._mb = text_mb
        self._paged = paged
        self._warnings: list[str] = []
        self._headings: list[tuple[int, str]] = []
        self._path: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        self._page_size = 0
        self._size = 0
        self._after_row = False

    def warn(self, message: str) -> None:
        """Note something that a person should know about this file."""
        if len(self._warnings) < _MAX_WARNINGS:
            self._warnings.append(one_line(message)[:500])
        elif len(self._warnings) == _MAX_WARNINGS:
            self._warnings.append("more warnings of this kind left out")

    def take_warnings(self, other: TextBuilder) -> None:
        """Take over what another builder of the same file noted."""
        self._warnings.extend(other._warnings)

    def heading(self, level: int, text: str) -> None:
        """Add a heading as a block of its own; level 1 is the highest."""
        line = one_line(text)
        if line:
            self._separate()
            self.mark_heading(level, line)
            self._append(line + "\n")

    def mark_heading(self, level: int, text: str, ahead: int = 0) -> None:
        """Record a heading whose text comes `ahead` characters after what has been added so far."""
        name = one_line(text)[:_MAX_TITLE]
        if not name:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, name))
        path = " > ".join(part for _, part in self._path[:_HEADING_DEPTH])
        self._headings.append((self._size + ahead, path))

    def paragraph(self, text: str) -> None:
        """Add one block of text, its inner lines kept, set off by a blank line."""
        text = tidy_lines(clean(text).replace("\f", "\n")).strip("\n")
        if text.strip():
            self._separate()
            self._append(text + "\n")

    def row(self, text: str) -> None:
        """Add one line that belongs with the rows before and after it."""
        line = one_line(text)
        if line:
            if not self._after_row:
                self._separate()
            self._append(line + "\n")
            self._after_row = True

    def end_rows(self) -> None:
        """The next row starts a new group."""
        self._after_row = False

    def lines(self, text: str) -> None:
        """Add lines of clean text as they stand."""
        if text:
            self._append(text if text.endswith("\n") else text + "\n")

    def end_page(self, needs_ocr: bool = False) -> None:
        """Close the current page, even an empty one."""
        if not self._pieces:
            self._pieces.append("\n")
            self._size += 1
        self.pages.append(ParsedPage(len(self.pages) + 1, "".join(self._pieces), needs_ocr))
        self._pieces, self._page_size, self._after_row = [], 0, False

    @property
    def empty(self) -> bool:
        """Whether nothing that can be read has been added."""
        return not any(page.text.strip() for page in self.pages) and not any(map(str.strip, self._pieces))

    def end_part(self) -> None:
        """Close the current page if anything is on it."""
        if self._pieces:
            self.end_page()

    def build(self, media_type: str, name: str, scanned: bool = False) -> ParsedDocument:
        """Finish; a document without any text is a failure, unless it is `scanned` and awaits recognition."""
        self.end_part()
        if self.empty and not scanned:
            raise ParseFailure(
                "failed", "The file contains no text", "Check that it is the right file and not a blank one."
            )
        title = one_line(self.title)[:_MAX_TITLE] or name.rsplit("/", 1)[-1]
        language = self._language()
        warnings = tuple(dict.fromkeys(self._warnings))
        return ParsedDocument(media_type, title, tuple(self.pages), tuple(self._headings), warnings, language)

    def _language(self) -> str:
        """What the words say; where they say nothing, what the file declares (templates declare anything)."""
        text = "".join(page.text for page in self.pages)
        declared = one_line(self.language)[:20].replace("_", "-").split("-")[0].lower()
        return detect_language(text) or declared

    def _separate(self) -> None:
        """A blank line between blocks; a full part ends here, where a reader would pause too."""
        self._after_row = False
        if not self._paged and self._page_size >= PART_CHARACTERS:
            self.end_page()
        elif self._pieces:
            self._pieces.append("\n")
            self._page_size += 1
            self._size += 1

    def _append(self, text: str) -> None:
        self._check_size(len(text))
        for piece in [text] if self._paged else cut_into_parts(text, PART_CHARACTERS):
            if not self._paged and self._page_size and self._page_size + len(piece) > 1.5 * PART_CHARACTERS:
                self.end_page()
            self._pieces.append(piece)
            self._page_size += len(piece)
            self._size += len(piece)

    def _check_size(self, added: int) -> None:
        if self._size + added > self._mb * 1_000_000:
            raise ParseFailure(
                "failed",
                f"The file holds more than {self._mb:,} MB of text",
                "Split it into smaller files and add those.",
            )


def cut_into_parts(text: str, size: int) -> Iterator[str]:
    """Cut text that ends in a line feed into parts that do too: after a paragraph, line or word if it can."""
    start = 0
    while len(text) - start > size:
        low, high = start + size // 2, start + size
        for mark in ("\n\n", "\n", " "):
            at = text.rfind(mark, low, high)
            if at >= 0:
                end = at + len(mark)
                yield text[start : end - 1] + "\n"
                break
        else:
            end = high
            yield text[start:end] + "\n"
        start = end
    if start < len(text):
        yield text[start:]
