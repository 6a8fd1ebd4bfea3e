"""What parsing a file gives: pages of text, or a failure a person can act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """One page; `text` ends with a line feed, so that joined pages are the document's text.

    `confidence` (0 to 1) is that of text recognition, None for text that the file holds as text.

    Formats without pages (text, HTML, DOCX and so on) are cut into numbered parts at paragraph ends.
    """

    number: int
    text: str
    needs_ocr: bool = False
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A parsed file. `headings` are (character offset, path such as "Contract > 4.2 Termination")."""

    media_type: str
    title: str
    pages: tuple[ParsedPage, ...]
    headings: tuple[tuple[int, str], ...]
    warnings: tuple[str, ...]
    language: str = ""

    @property
    def text(self) -> str:
        """The whole document; heading and citation offsets count its characters."""
        return "".join(page.text for page in self.pages)


class ParseFailure(Exception):
    """A file gave no text: `status` is "failed" or "needs_ocr", `error` says why, `hint` what to do."""

    def __init__(self, status: str, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on one file; the last four apply to archives (`ratio`: expanded size over packed size)."""

    seconds: int = 240
    memory_mb: int = 1500
    text_mb: int = 200
    members: int = 10_000
    expanded_mb: int = 2000
    ratio: int = 200
    depth: int = 3
