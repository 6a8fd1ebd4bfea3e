"""Findings as one HTML file that needs nothing else: style inside, every text escaped, no script."""

from __future__ import annotations

import html
import re
from pathlib import Path

from storage.export import blocks, wording
from storage.export.record import CitationRecord, Report

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
# The policy forbids everything but the style: should a text ever slip through unescaped, no script runs.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""
_STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def render(report: Report) -> str:
    """The whole page."""
    body = "\n".join(map(_block, blocks.build(report)))
    title = escape(report.heading)
    head = f"{_HEAD}<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
    return f"{head}<body>\n{body}\n</body>\n</html>\n"


def escape(text: str) -> str:
    """Text as HTML shows it."""
    return html.escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text), quote=True)


def _block(block: blocks.Block) -> str:
    match block:
        case blocks.Title(text):
            return f"<h1>{escape(text)}</h1>"
        case blocks.Heading(level, text):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case blocks.Text(pieces, muted):
            return f"<p{' class=muted' if muted else ''}>{''.join(_piece(*piece) for piece in pieces)}</p>"
        case blocks.Source(citation):
            mark = f'<a class="number" href="#quote-{citation.number}">[{citation.number}]</a>'
            return f'<p class="source">{mark} {_place(citation)}</p>'
        case blocks.Quote(citation):
            mark = f'<span class="number">[{citation.number}]</span>'
            caption = f"<figcaption>{mark} {_place(citation)}</figcaption>"
            quote = f"<blockquote>{escape(citation.quote.strip())}</blockquote>"
            return f'<figure id="quote-{citation.number}">{caption}{quote}</figure>'
        case blocks.Items(lines, numbered):
            tag = "ol" if numbered else "ul"
            return f"<{tag}>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</{tag}>"
        case blocks.Table(rows):
            cells = "".join(
                f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in rows
            )
            return f"<table>{cells}</table>"


def _piece(text: str, cited: int | None) -> str:
    return escape(text) if cited is None else f'<a href="#quote-{cited}">{escape(text)}</a>'


def _place(citation: CitationRecord) -> str:
    bad = "" if citation.verified else " bad"
    state = f'<span class="state{bad}">{wording.quote_state(citation)}</span>'
    return f"{escape(blocks.place(citation))} {state}"
