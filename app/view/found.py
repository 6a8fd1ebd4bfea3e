"""Everything about X: the list of all passages, page by page, with counts by document."""

import math
import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.view import opened
from app.view.cited import load_at
from app.view.frame import services
from app.view.viewer import draw_viewer
from app.view.words import count, safe
from engine.sentences import content_terms
from storage import Finding, FoundText, found

PER_PAGE = 20
ORDERS = {"relevance": "Most fitting first", "document": "In the documents' order"}
_WORD = re.compile(r"\w+")


def draw_found(finding: Finding) -> None:
    """Figures, counts, the page of the list, and what qualified."""
    figures = finding.details.get("found") or {}
    with services().database.session() as s:
        counts = found.count_found(s, finding.id)
    total = sum(number for _, _, number in counts)
    if not total:
        return
    document_id, order = _choose(finding, counts)
    shown = next((number for key, _, number in counts if key == document_id), total)
    page = _choose_page(finding, shown, document_id)
    with services().database.session() as s:
        first = (page - 1) * PER_PAGE
        rows = found.list_found(s, finding.id, first, PER_PAGE, order, document_id)
    stems = set(content_terms(finding.question))
    for row in rows:
        _draw_row(finding, row, stems, len(figures.get("words", ())))
    if total < figures.get("passages", total):
        gone = count(figures["passages"] - total, "passage")
        st.html(f'<p class="eg-small">{gone} of documents that were removed or parsed again are gone.</p>')
    st.html(f'<p class="eg-small">{safe(how_it_qualifies(figures))}</p>')


def _choose(finding: Finding, counts: list[tuple[int, str, int]]) -> tuple[int | None, str]:
    """One document or all, and the order."""
    labels = {key: f"{name} ({count(number)})" for key, name, number in counts}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="found_tools"):
        key = st.selectbox(
            "In",
            [None, *labels],
            format_func=lambda key: labels.get(key, f"All {count(len(labels), 'document')}"),
            key=f"found_in_{finding.id}",
        )
        order = st.selectbox(
            "Order", list(ORDERS), format_func=ORDERS.__getitem__, key=f"found_order_{finding.id}"
        )
    return key, str(order)


def _choose_page(finding: Finding, shown: int, document_id: int | None) -> int:
    pages = math.ceil(shown / PER_PAGE)
    if pages < 2:
        return 1
    key = f"found_page_{finding.id}_{document_id}"
    return int(st.number_input(f"Page of {count(pages)}", 1, pages, 1, key=key, width=140))


def _draw_row(finding: Finding, row: FoundText, stems: set[str], words: int) -> None:
    item = row.passage
    key = f"{finding.id}_{row.rank}"
    with st.container(border=True, key=f"found_{key}", gap="xsmall"):
        above = f'<span class="eg-soft">{safe(item.heading)}</span>' if item.heading else ""
        st.html(
            f'<div class="eg-source"><span class="eg-number">{row.rank}</span><div>'
            f'<div class="eg-where"><b>{safe(item.document)}</b><span class="eg-soft">page {item.page}</span>'
            f'{above}<span class="eg-badge eg-plain">{safe(why(row, words))}</span></div>'
            f'<div class="eg-quote eg-lines">{marked(item.text, stems)}</div></div></div>'
        )
        if opened.page_button(("found", row.rank), item.page, f"open_found_{key}"):
            with st.container(key="cited_page"):
                quote = item.text.strip()
                with services().database.session() as s:
                    place = load_at(s, services().files, item.document_id, item.start, quote)
                draw_viewer(place, quote, f"found_{key}")


def why(row: FoundText, words: int) -> str:
    """`2 of 3 words · near in meaning, 184 bits away`."""
    parts = []
    if row.words:
        parts.append("every word" if row.words == words else f"{row.words} of {count(words, 'word')}")
    if row.distance is not None:
        parts.append(f"near in meaning, {row.distance} bits away")
    return " · ".join(parts)


def marked(text: str, stems: set[str]) -> str:
    """A passage, escaped, a line a paragraph, with the words that were looked for set off."""
    flat = "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
    out, last = [], 0
    for match in _WORD.finditer(flat):
        if stems & set(content_terms(match[0])):
            out += [safe(flat[last : match.start()]), f"<mark>{safe(match[0])}</mark>"]
            last = match.end()
    return "".join(out) + safe(flat[last:])


def how_it_qualifies(figures: Mapping[str, Any]) -> str:
    """What a passage must have to be listed, with this archive's numbers."""
    words = ", ".join(figures.get("words", ()))
    said = f"Listed by words: passages that hold {words}, or the rarer of these words." if words else ""
    if "threshold" not in figures:
        return f"{said} The model has no recall codes of this archive: words alone were searched."
    return (
        f"{said} Listed by meaning: passages whose recall code lies at most {figures['threshold']} of "
        f"{figures['bits']} bits from the words' own. This archive's passages lie at {figures['middle']:g} ± "
        f"{figures['spread']:g}; codes that have nothing to do with each other at {figures['bits'] // 2} ± "
        f"{math.sqrt(figures['bits']) / 2:.1f}. All passages took part."
    )
