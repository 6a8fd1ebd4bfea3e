"""HTML: headings, paragraphs, lists and tables; scripts, styles and navigation are left out.

The parser's events are read as they come: no tree is built, so that nesting has no depth to break.
"""

from __future__ import annotations

import re
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line, raised
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers.html_table import CELL_BREAK, OpenTable
from storage.ingest.readers.source import Source

_SKIPPED = frozenset(
    "script style nav noscript template svg iframe object embed canvas audio video button select datalist "
    "annotation annotation-xml menu dialog".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer "
    "form header hgroup hr legend li main ol p pre section summary ul html".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_CHARSET = re.compile(
    rb"(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I
)


def read(source: Source) -> ParsedDocument:
    """Read an HTML file."""
    builder = source.builder()
    with source.path.open("rb") as file:
        declared = _CHARSET.search(file.read(4096))
    text = source.text(builder, declared[1].decode("ascii") if declared else "")
    read_markup(text, builder)
    return source.finish(builder)


def read_markup(text: str, builder: TextBuilder) -> None:
    """Add what an HTML or XHTML text says to the builder."""
    from lxml import etree

    target = Blocks(builder)
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)
    data = text.replace("\x00", "").encode("utf-8", errors="replace")
    if not data.strip():
        return
    etree.fromstring(data, parser)


class Blocks:
    """Parser target that turns events into blocks."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._text: list[str] = []
        self._skipping = 0
        self._in_head_title = False
        self._pre = 0
        self._lists: list[int] = []
        self._tables: list[OpenTable] = []
        self._bullet = ""
        self._raised: list[int] = []

    def start(self, tag: str, attributes: Any) -> None:
        tag = tag.lower()
        if self._skipping or tag in _SKIPPED or _is_hidden(tag, attributes):
            self._skipping += 1
            return
        if tag == "title":
            self._flush()
            self._in_head_title = True
        elif tag == "html":
            self._builder.language = self._builder.language or attributes.get("lang") or ""
        elif tag == "br":
            self._text.append("\n" if self._pre or self._tables else "\v")
        elif tag == "sup":
            self._raised.append(len(self._text))
        elif tag in ("table", "tr", "td", "th", "caption"):
            self._start_table_part(tag, attributes)
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._start_block(tag)

    def end(self, tag: str) -> None:
        tag = tag.lower()
        if self._skipping:
            self._skipping -= 1
            return
        if tag == "title" and self._in_head_title:
            self._builder.title = self._builder.title or one_line("".join(self._text))
            self._text.clear()
            self._in_head_title = False
        elif tag == "sup" and self._raised:
            self._end_raised(self._raised.pop())
        elif tag in ("table", "tr", "td", "th", "caption"):
            self._end_table_part(tag)
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._end_block(tag)

    def data(self, data: str) -> None:
        if not self._skipping:
            self._text.append(data)

    def comment(self, text: str) -> None:
        """Comments are not shown, so they are not read."""

    def pi(self, target: str, data: str | None = None) -> None:
        """Nor are processing instructions."""

    def close(self) -> None:
        while self._tables:
            self._end_table_part("table")
        self._flush()

    def _start_block(self, tag: str) -> None:
        self._flush()
        if tag == "pre":
            self._pre += 1
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li":
            self._bullet = self._next_bullet()

    def _next_bullet(self) -> str:
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            return f"{self._lists[-1]}. "
        return "- "

    def _end_block(self, tag: str) -> None:
        self._flush(_HEADINGS.get(tag, 0))
        if tag == "pre":
            self._pre = max(0, self._pre - 1)
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._builder.end_rows()
        elif tag == "li":
            self._bullet = ""

    def _end_raised(self, start: int) -> None:
        """Powers keep their meaning: 10<sup>-3</sup> is not 10-3."""
        figure = "".join(self._text[start:]).strip()
        if re.fullmatch(r"[-+−–]?\d{1,4}", figure):
            before = "".join(self._text[max(0, start - 3) : start])
            self._text[start:] = [raised(before, figure)]

    def _flush(self, heading: int = 0) -> None:
        """Hand over the text collected so far as one block."""
        text = "".join(self._text)
        self._text.clear()
        self._raised.clear()
        if not text.strip():
            return
        if self._tables and self._tables[-1].cell is not None:
            self._tables[-1].cell.append(text.strip() + CELL_BREAK)
        elif heading:
            self._builder.heading(heading, text)
            self._builder.title = self._builder.title or (one_line(text) if heading == 1 else "")
        elif self._pre:
            self._builder.paragraph(text)
        elif self._lists:
            self._builder.row(self._bullet + text.replace("\v", " "))
            self._bullet = ""
        else:
            self._builder.paragraph("\n".join(one_line(line) for line in text.split("\v")))

    def _start_table_part(self, tag: str, attributes: Any) -> None:
        self._flush()
        if tag == "table":
            self._tables.append(OpenTable())
        elif self._tables:
            table = self._tables[-1]
            table.end_cell()
            if tag == "tr":
                table.grid.end_row()
            else:
                table.begin_cell(tag, attributes)

    def _end_table_part(self, tag: str) -> None:
        self._flush()
        if not self._tables:
            return
        table = self._tables[-1]
        table.end_cell()
        if tag in ("tr", "table"):
            table.grid.end_row()
        if tag == "table":
            self._tables.pop()
            self._show(table)

    def _show(self, table: OpenTable) -> None:
        lines = table.lines()
        if self._tables:
            outer = self._tables[-1]
            outer.nested = True
            if outer.cell is not None:
                outer.cell.extend(line + CELL_BREAK for line in lines)
                return
        self._builder.end_rows()
        for line in lines:
            if table.is_layout:
                self._builder.paragraph(line)
            else:
                self._builder.row(line)
        self._builder.end_rows()


def _is_hidden(tag: str, attributes: Any) -> bool:
    if tag in ("html", "body"):
        return False
    if "hidden" in attributes or attributes.get("role") == "navigation":
        return True
    style = attributes.get("style")
    return bool(style and len(style) < 2000 and _HIDDEN_STYLE.search(style))
