"""Markdown: headings from its marks, inline marks taken off, tables as rows that name their columns."""

from __future__ import annotations

import re

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import clean
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers.source import Source
from storage.ingest.tables import TableGrid

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_RULE = re.compile(r" {0,3}(?:[-*_][ \t]*){3,}")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_FRONT = re.compile(r"---\n(.{0,20000}?)\n(?:---|\.\.\.)\n", re.DOTALL)
_INLINE = (
    (re.compile(r"<!--.{0,5000}?-->", re.DOTALL), ""),
    (re.compile(r"!\[([^\]\n]{0,500})\]\([^)\n]{0,2000}\)"), r"\1"),
    (re.compile(r"\[([^\]\n]{1,500})\]\([^)\n]{0,2000}\)"), r"\1"),
    (re.compile(r"\[([^\]\n]{1,500})\]\[[^\]\n]{0,200}\]"), r"\1"),
    (re.compile(r"<((?:https?://|mailto:)[^>\s]{1,500})>"), r"\1"),
    (
        re.compile(
            r"</?(?:b|i|u|em|strong|br|sub|sup|span|div|p|a|img|center|details|summary)\b[^>\n]{0,500}>", re.I
        ),
        "",
    ),
    (re.compile(r"(\*\*|__)(?=\S)([^\n]{1,1000}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,1000}?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]{1,1000}?)(?<=[^\s_])_(?![\w_])"), r"\1"),
    (re.compile(r"(?<!`)`([^`\n]{1,1000})`(?!`)"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~])"), r"\1"),
)


def read(source: Source) -> ParsedDocument:
    """Read a Markdown file."""
    builder = source.builder()
    text = clean(source.text(builder)).replace("\f", "\n")
    front = _FRONT.match(text)
    if front:
        title = re.search(r"^title:[ \t]*[\"']?(.{1,200}?)[\"']?[ \t]*$", front[1], re.MULTILINE)
        builder.title = title[1] if title else ""
        builder.paragraph(front[1])
        text = text[front.end() :]
    _Reader(builder).add(text.split("\n"))
    return source.finish(builder)


def strip_marks(text: str) -> str:
    """Take inline Markdown off a piece of text."""
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text


class _Reader:
    """Goes through lines and collects paragraphs."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        at = 0
        while at < len(lines):
            line = lines[at]
            fence = _FENCE.match(line)
            heading = _HEADING.fullmatch(line) if len(line) < 1000 else None
            following = lines[at + 1] if at + 1 < len(lines) else ""
            if fence:
                at = self._add_code(lines, at, fence[1])
            elif heading:
                self._heading(len(heading[1]), heading[2])
            elif (
                "|" in line
                and "-" in following
                and "|" in following
                and _TABLE_RULE.fullmatch(following[:2000])
            ):
                at = self._add_table(lines, at)
            elif line.strip() and not self._lines and _UNDERLINE.fullmatch(following[:200]):
                self._heading(1 if "=" in following else 2, line)
                at += 1
            elif not line.strip() or _RULE.fullmatch(line[:200]):
                self._flush()
            else:
                self._lines.append(re.sub(r"^[ \t]*>[ \t]?", "", line))
            at += 1
        self._flush()

    def _heading(self, level: int, text: str) -> None:
        self._flush()
        text = strip_marks(text)
        self._builder.title = self._builder.title or (text if level == 1 else "")
        self._builder.heading(level, text)

    def _flush(self) -> None:
        if self._lines:
            self._builder.paragraph(strip_marks("\n".join(self._lines)))
            self._lines.clear()

    def _add_code(self, lines: list[str], at: int, fence: str) -> int:
        self._flush()
        end = at + 1
        while end < len(lines) and not lines[end].strip().startswith(fence):
            end += 1
        self._builder.paragraph("\n".join(lines[at + 1 : end]))
        return end

    def _add_table(self, lines: list[str], at: int) -> int:
        self._flush()
        grid = TableGrid()
        end = at
        while end < len(lines) and "|" in lines[end] and lines[end].strip():
            if end != at + 1:
                for cell in re.split(r"(?<!\\)\|", lines[end].strip().strip("|")):
                    grid.add_cell(strip_marks(cell).strip(), header=end == at)
                grid.end_row()
            end += 1
        for line in grid.lines():
            self._builder.row(line)
        self._builder.end_rows()
        return end - 1
