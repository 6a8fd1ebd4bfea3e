"""PDF, page by page: text by pypdf, with pdfium where pypdf cannot; pages without text are told apart."""

from __future__ import annotations

import io
import re
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pypdfium2
import pypdfium2.raw

from storage.ingest.builder import TextBuilder
from storage.ingest.headings import find_headings
from storage.ingest.paragraphs import join_lines
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.pdf_layout import (
    Line,
    headings_by_size,
    lines_of,
    page_lines,
    spaced,
    with_tables,
)
from storage.ingest.readers.pdf_marks import Outline, read_outline, shows_something, title_of
from storage.ingest.readers.pdf_repair import repair
from storage.ingest.readers.pdf_tables import page_tables
from storage.ingest.readers.source import Source
from storage.ingest.running import Furniture, find_furniture

if TYPE_CHECKING:
    from pypdf import PdfReader

_FEW = 8
_FEWEST_LINES = 3
_RESAVE = "Open it in another program, save it anew or print it to PDF, and add that."


def read(source: Source) -> ParsedDocument:
    """Read a PDF; pages that are images are marked as in need of OCR."""
    pdf = _Pages(source)
    builder = source.builder(paged=True)
    lines = [pdf.lines(number, builder) for number in range(pdf.count)]
    texts = [spaced(page) for page in lines]
    if pdf.repaired:
        builder.warn(
            f"the file is damaged or incomplete: {pdf.count:,} pages were recovered, others may be missing"
        )
    furniture = find_furniture(texts)
    by_size, title = headings_by_size(lines)
    outline = read_outline(pdf.reader) or by_size
    builder.title, builder.language = title_of(pdf.reader, PurePosixPath(source.name).stem)
    builder.title = builder.title or title
    joined = join_lines([furniture.strip(number, text) for number, text in enumerate(texts)])
    for number, text in enumerate(joined):
        _add_page(pdf, builder, number, text, furniture, outline)
    return source.finish(builder, scanned=all(page.needs_ocr for page in builder.pages))


def _add_page(
    pdf: _Pages, builder: TextBuilder, number: int, text: str, furniture: Furniture, outline: Outline
) -> None:
    body = furniture.without(text)
    needs_ocr = False
    if number in pdf.unreadable:
        builder.warn(f"page {number + 1}: could not be read ({pdf.unreadable[number]})")
    elif len(re.sub(r"\W", "", body)) < _FEW:
        what = pdf.without_text(number)
        needs_ocr = bool(what)
        if what:
            builder.warn(f"page {number + 1}: {what} without text, needs OCR")
    elif _is_garbled(body):
        needs_ocr = True
        builder.warn(f"page {number + 1}: text in a font that cannot be decoded, needs OCR")
        text = ""
    for offset, level, heading in _marks(number, text, outline):
        builder.mark_heading(level, heading, offset)
    builder.lines(text)
    builder.end_page(needs_ocr)


def _marks(number: int, text: str, outline: Outline) -> list[tuple[int, int, str]]:
    """Headings by bookmark or size; without bookmarks, below them those that only their form shows."""
    marks = outline.on_page(number, text)
    if outline.bookmarks:
        return marks
    taken = [(offset, offset + len(heading)) for offset, _, heading in marks]
    for offset, level, heading in find_headings(text):
        if not any(start - 10 <= offset <= end for start, end in taken):
            marks.append((offset, level + 10, heading))
    return sorted(marks, key=lambda mark: mark[0])


def _is_garbled(text: str) -> bool:
    """Mostly characters without meaning: private use, replacement, glyph names."""
    characters = [character for character in text if not character.isspace()]
    odd = sum("\ue000" <= character <= "\uf8ff" or character == "\ufffd" for character in characters)
    odd += sum(len(name) for name in re.findall(r"/(?:g|G|gid|uni|cid|C|c)\d{1,5}|\(cid:\d{1,5}\)", text))
    return odd > 0.5 * len(characters)


class _Pages:
    """The pages of an opened PDF."""

    def __init__(self, source: Source) -> None:

        self._data = source.path.read_bytes()
        self._pdfium: pypdfium2.PdfDocument | None = None
        self._hurry_at = time.monotonic() + 0.5 * max(0.0, source.deadline - time.monotonic())
        self._hurried = False
        self.unreadable: dict[int, str] = {}
        self.repaired = False
        try:
            self.reader: PdfReader = _open(self._data)
            self.count = _count(self.reader)
        except ParseFailure as failure:
            repaired = repair(self._data) if "damaged" in failure.error else None
            if repaired is None:
                raise
            self._data, self.repaired = repaired, True
            self.reader = _open(repaired)
            self.count = _count(self.reader)

    def lines(self, number: int, builder: TextBuilder) -> list[Line]:
        """The lines of a page; after half of the time pdfium reads on, which is many times faster."""
        if not self._hurried and time.monotonic() > self._hurry_at:
            builder.warn(f"from page {number + 1} on: read by the fast reader, layout may be simpler")
            self._hurried = True
        if not self._hurried:
            try:
                return self._with_tables(number, page_lines(self.reader.pages[number]))
            except MemoryError:
                raise
            except Exception as error:  # any page of a damaged file may break pypdf in any way
                self.unreadable[number] = type(error).__name__
        return lines_of(self._text_by_pdfium(number))

    def _with_tables(self, number: int, lines: list[Line]) -> list[Line]:
        if sum(bool(line.text.strip()) for line in lines) < _FEWEST_LINES:
            return lines
        try:
            return with_tables(lines, page_tables(self._by_pdfium()[number]))
        except (pypdfium2.PdfiumError, IndexError):
            return lines

    def _by_pdfium(self) -> pypdfium2.PdfDocument:
        if self._pdfium is None:
            self._pdfium = pypdfium2.PdfDocument(self._data)
        return self._pdfium

    def _text_by_pdfium(self, number: int) -> str:
        try:
            text = str(self._by_pdfium()[number].get_textpage().get_text_bounded())
        except (pypdfium2.PdfiumError, IndexError) as error:
            self.unreadable.setdefault(number, str(error)[:100])
            return ""
        if text.strip():
            self.unreadable.pop(number, None)
        return text

    def without_text(self, number: int) -> str:
        """What a page without text shows: "image", "drawing" or nothing."""
        try:
            return shows_something(self.reader.pages[number])
        except Exception:  # the page's resources are broken; nothing can be said of it
            return ""


def _open(data: bytes) -> PdfReader:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise _encrypted()
        return reader
    except DependencyError:
        return PdfReader(io.BytesIO(_without_encryption(data)))
    except (ParseFailure, MemoryError):
        raise
    except Exception as error:  # a damaged file breaks pypdf in many ways
        raise _damaged(error) from error


def _encrypted() -> ParseFailure:
    return ParseFailure(
        "failed",
        "The PDF is protected with a password",
        "Open it with its password, save or print it without one, and add that.",
    )


def _damaged(error: BaseException) -> ParseFailure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RecursionError):
            return ParseFailure("failed", "The PDF's objects are nested too deeply to read", _RESAVE)
        cause = cause.__cause__ or cause.__context__
    reason = str(error)[:150] or type(error).__name__
    return ParseFailure(
        "failed", f"The PDF is damaged or incomplete ({reason})", f"Download it again. {_RESAVE}"
    )


def _without_encryption(data: bytes) -> bytes:
    """AES needs a cryptography library in pypdf; pdfium has its own and saves the file in the clear."""
    try:
        document = pypdfium2.PdfDocument(data)
        clear = io.BytesIO()
        document.save(clear, flags=pypdfium2.raw.FPDF_REMOVE_SECURITY)
    except pypdfium2.PdfiumError as error:
        raise _encrypted() from error
    return clear.getvalue()


def _count(reader: PdfReader) -> int:
    try:
        count = len(reader.pages)
    except MemoryError:
        raise
    except Exception as error:  # so does a damaged page tree
        raise _damaged(error) from error
    if count == 0:
        raise ParseFailure("failed", "The PDF has no pages", f"It may be damaged. {_RESAVE}")
    return count
