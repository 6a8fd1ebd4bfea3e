"""What a PDF says beside its text: bookmarks, title, language, and whether a page shows anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.ingest.cleaning import one_line

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

_MAX_BOOKMARKS = 5_000
_MAX_DEPTH = 8
_MACHINE_TITLE = re.compile(
    r"(?i)(untitled|document\d*|slide \d+|microsoft (word|powerpoint)\b.*|"
    r".*\.(docx?|pdf|tex|dvi|indd|qxd|rtf))"
)


@dataclass(frozen=True, slots=True)
class Outline:
    """Headings by page (0-based): (level, title) in order; `bookmarks`: the document itself lists them."""

    entries: dict[int, list[tuple[int, str]]]
    bookmarks: bool = False

    def __bool__(self) -> bool:
        return bool(self.entries)

    def on_page(self, number: int, text: str) -> list[tuple[int, int, str]]:
        """Return (offset, level, title) of this page's headings, placed where its text has the title."""
        marks, start = [], 0
        for level, title in self.entries.get(number, []):
            pattern = r"\s+".join(re.escape(word) for word in title.split()[:30])
            found = re.compile(pattern, re.IGNORECASE).search(text, start)
            if found:
                start = found.start()
            marks.append((min(start, max(0, len(text) - 1)), level, title))
        return marks


def read_outline(reader: PdfReader) -> Outline:
    """Read the bookmarks; a broken outline is no outline."""
    entries: dict[int, list[tuple[int, str]]] = {}
    try:
        for level, item in _flatten(reader.outline, 1):
            page = reader.get_destination_page_number(item)
            title = one_line(str(item.title or ""))[:200]
            if page is not None and page >= 0 and title:
                entries.setdefault(page, []).append((level, title))
    except MemoryError:
        raise
    except Exception:  # damaged files break this in any way, and bookmarks are not needed
        return Outline({})
    return Outline(entries, bookmarks=True)


def _flatten(items: list[Any], level: int) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for item in items:
        if len(found) > _MAX_BOOKMARKS:
            break
        if isinstance(item, list):
            if level < _MAX_DEPTH:
                found += _flatten(item, level + 1)
        else:
            found.append((level, item))
    return found


def title_of(reader: PdfReader, stem: str) -> tuple[str, str]:
    """Return (title, language) from the metadata; titles that programs make up do not count."""
    title = language = ""
    try:
        title = one_line(str(reader.metadata.title or "")) if reader.metadata else ""
        language = str(reader.root_object.get("/Lang", "")) if reader.root_object else ""
    except MemoryError:
        raise
    except Exception:  # metadata of damaged files
        return "", ""
    if len(title) < 4 or _MACHINE_TITLE.fullmatch(title) or title.lower() == stem.lower():
        title = ""
    return title, language


def shows_something(page: PageObject) -> str:
    """Return "image", "drawing" or "" for a page that has no text."""
    if _has_image(page.get("/Resources"), 0):
        return "image"
    contents = page.get_contents()
    data = contents.get_data() if contents is not None else b""
    if re.search(rb"(?:^|\s)BI\s[\s\S]{1,2000}?\sID\s", data):
        return "image"
    drawn = len(re.findall(rb"\s(?:[lcvy]|re)\s", data[:1_000_000]))
    return "drawing" if drawn >= 40 else ""


def _has_image(resources: Any, depth: int) -> bool:
    """Look for image objects, also inside forms."""
    resources = resources.get_object() if resources is not None else None
    objects = resources.get("/XObject") if resources else None
    objects = objects.get_object() if objects is not None else {}
    for name in list(objects)[:200]:
        item = objects[name].get_object()
        kind = item.get("/Subtype")
        if kind == "/Image":
            return True
        if kind == "/Form" and depth < 4 and _has_image(item.get("/Resources"), depth + 1):
            return True
    return False
