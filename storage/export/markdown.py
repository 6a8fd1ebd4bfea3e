"""Findings as Markdown. Document text is data: nothing in it may act as markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from storage.export import blocks, wording
from storage.export.record import CitationRecord, Report

_SPECIAL = re.compile(r"[\\`*_\[\]#|~$^={}]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=www)\.|@|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
_LINE_START = re.compile(r"^([-+:]|\d{1,9}(?=[.)](?: |$)))")
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def render(report: Report) -> str:
    """The whole document."""
    return "\n\n".join(map(_block, blocks.build(report))) + "\n"


def escape(text: str) -> str:
    """One line of text that Markdown shows as it is: no formatting, HTML, link or list comes of it."""
    line = _inline(text)
    return _LINE_START.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], line)


def _inline(text: str) -> str:
    """The same where it does not begin a line."""
    line = " ".join(_clean(text).split())
    line = re.sub(r"[&<>]", lambda match: _HTML[match[0]], line)
    line = _SPECIAL.sub(r"\\\g<0>", line)
    return _LINK.sub(r"\\\g<0>", line)


def _block(block: blocks.Block) -> str:
    match block:
        case blocks.Title(text):
            return f"# {escape(text)}"
        case blocks.Heading(level, text):
            return f"{'#' * (level + 1)} {_inline(text)}"
        case blocks.Text(pieces, muted):
            text = _paragraphs("".join(piece for piece, _ in pieces))
            return f"*{text}*" if muted else text
        case blocks.Source(citation):
            return f"{_place(citation)} *({wording.quote_state(citation)})*"
        case blocks.Quote(citation):
            return f"{_place(citation)} *({wording.quote_state(citation)})*\n\n{_quote(citation.quote)}"
        case blocks.Items(lines, numbered):
            return "\n".join(f"{'1.' if numbered else '-'} {escape(line)}" for line in lines)
        case blocks.Table(rows):
            return _table(rows)


def _place(citation: CitationRecord) -> str:
    return f"**\\[{citation.number}\\]** {escape(blocks.place(citation))}"


def _paragraphs(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", _clean(text).strip())
    return "\n\n".join("  \n".join(map(escape, part.splitlines())) for part in paragraphs)


def _quote(text: str) -> str:
    lines = [escape(line) for line in _clean(text).strip().splitlines()]
    return "\n".join(f"> {line}  " if line else ">" for line in lines).rstrip()


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(
        [
            "| Item | Value |",
            "| --- | --- |",
            *(f"| {escape(label)} | {escape(value)} |" for label, value in rows),
        ]
    )


def _clean(text: str) -> str:
    """Line feeds only, and no control characters."""
    text = _BREAKS.sub("\n", text)
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")
