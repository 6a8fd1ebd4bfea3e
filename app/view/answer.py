"""An answer on the page: question, status, text with its numbered marks, citations, coverage."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app.request import ANSWER, COMPARISON, EVERYTHING, SUMMARY, request_of
from app.scope import describe_scope
from app.view import opened
from app.view.cited import CitedPage
from app.view.coverage import coverage_sentence
from app.view.viewer import Neighbours, draw_viewer
from app.view.words import ago, count, plain, safe
from storage.models import Citation, Finding

# status -> (mark, words, colour class); colour and mark are for the quick eye, the words say it.
STATUS = {
    "running": ("…", "answering", "eg-plain"),
    "supported": ("✓", "supported by the archive", "eg-good"),
    "partly_supported": ("◐", "partly supported by the archive", "eg-warn"),
    "not_found": ("∅", "not found in this archive", "eg-plain"),
    "failed": ("✕", "failed", "eg-bad"),
    "cancelled": ("■", "stopped", "eg-plain"),
}
KIND_NOTES = {EVERYTHING: "everything about", COMPARISON: "comparison", SUMMARY: "summary"}
KIND_WORDS = {EVERYTHING: "found", SUMMARY: "quotes only"}  # these support no statement, they only are there
CITATIONS_SHOWN = 20
_MARK = re.compile(r"\[(\d{1,4})\]")


def status_words(status: str) -> str:
    """`supported by the archive`, `not found in this archive`, ..."""
    return STATUS.get(status, ("", status.replace("_", " "), ""))[1]


def chip(status: str) -> str:
    """The status as HTML."""
    mark, words, colour = STATUS.get(status, ("", status.replace("_", " "), "eg-plain"))
    return f'<span class="eg-chip {colour}"><span aria-hidden="true">{mark}</span>{safe(words)}</span>'


def badge(status: str, kind: str = ANSWER) -> str:
    """The status as quiet HTML, for lists."""
    mark, words, colour = STATUS.get(status, ("", status.replace("_", " "), "eg-plain"))
    words = KIND_WORDS.get(kind, words) if status == "supported" else words
    return f'<span class="eg-badge {colour}"><span aria-hidden="true">{mark}</span> {safe(words)}</span>'


def answer_html(text: str, finding_id: int, numbers: Sequence[int] = (), *, writing: bool = False) -> str:
    """The answer, escaped; marks like [1] that have a citation lead to it."""

    def link(match: re.Match[str]) -> str:
        number = int(match[1])
        if number not in numbers:
            return match[0]
        return f'<a class="eg-cite" href="#source-{finding_id}-{number}">{number}</a>'

    cursor = '<span class="eg-cursor" aria-hidden="true"></span>' if writing else ""
    return f'<p class="eg-answer">{_MARK.sub(link, safe(text.strip()))}{cursor}</p>'


def mark_html(finding_id: int, number: int) -> str:
    """A citation's mark in a text of ours; it leads to the citation if that is on the page."""
    if number > citations_shown(finding_id):
        return f'<span class="eg-cite">{number}</span>'
    return f'<a class="eg-cite" href="#source-{finding_id}-{number}">{number}</a>'


def citations_shown(finding_id: int) -> int:
    """How many citations of a finding are on the page."""
    return int(st.session_state.get(f"citations_{finding_id}", CITATIONS_SHOWN))


def draw_head(finding: Finding) -> None:
    """The question, what became of it, and when it was asked."""
    request = request_of(finding)
    kind = KIND_NOTES.get(request.kind, "")
    notes = [kind, ago(finding.created_at)] if kind else [ago(finding.created_at)]
    if finding.documents and request.kind != COMPARISON:
        which = describe_scope(request, finding.documents)
        notes.append(f"asked of {count(len(finding.documents), 'document')} only: {which}")
    said = "".join(f"<span>{safe(note)}</span>" for note in notes)
    st.html(
        f'<div class="eg-question">{safe(finding.question)}</div>'
        f'<div class="eg-meta">{_kind_chip(request.kind, finding.status)}{said}</div>'
    )


def _kind_chip(kind: str, status: str) -> str:
    """The status in the words of its kind."""
    words = KIND_WORDS.get(kind)
    if status == "running" and kind != ANSWER:
        return chip(status).replace("answering", "working on it")
    if words is None or status != "supported":
        return chip(status)
    return f'<span class="eg-chip eg-good"><span aria-hidden="true">✓</span>{words}</span>'


def draw_text(finding: Finding) -> None:
    """The answer's words, or what stands in their place."""
    numbers = [citation.number for citation in finding.citations]
    if finding.answer.strip() and finding.status != "not_found":
        writing = finding.status == "running"
        st.html(answer_html(finding.answer, finding.id, numbers, writing=writing))
        if writing:
            st.html('<p class="eg-small">Draft, still to be checked against the documents.</p>')
    if finding.status == "not_found":
        st.html(
            '<p class="eg-lead">Nothing that was read supports an answer. Other words for the same thing may '
            "help; so may a document that is not in the archive yet.</p>"
        )
    elif finding.status == "failed":
        st.error(plain(finding.error) or "The answer could not be written.", icon=":material/error:")
    elif finding.status == "cancelled":
        st.html('<p class="eg-small">Stopped before the answer was complete.</p>')


def source_html(citation: Citation, finding_id: int, sure: float | None = None) -> str:
    """One citation: number, document, page, whether its quote was verified, and the quote. `sure`: how sure
    the recognition was of a page that is an image.
    """
    mark, words, colour = (
        ("✓", "verified", "eg-good") if citation.verified else ("!", "unverified", "eg-warn")
    )
    meaning = (
        "word for word in the document" if citation.verified else "not found word for word in the document"
    )
    return (
        f'<div class="eg-source" id="source-{finding_id}-{citation.number}">'
        f'<span class="eg-number">{citation.number}</span><div>'
        f'<div class="eg-where"><b>{safe(citation.document)}</b>'
        f'<span class="eg-soft">page {citation.page}</span>'
        f'<span class="eg-badge {colour}" title="{meaning}">{mark} {words}</span>{_recognised(sure)}</div>'
        f'<div class="eg-quote">“{safe(citation.quote.strip())}”</div></div></div>'
    )


def _recognised(sure: float | None) -> str:
    if sure is None:
        return ""
    meaning = "The page is an image; its text was recognised"
    return f'<span class="eg-badge eg-warn" title="{meaning}">recognised text, {sure:.0%} sure</span>'


def draw_citations(
    finding: Finding,
    load: Callable[[Citation], CitedPage | None],
    sure: Mapping[int, float] | None = None,
) -> None:
    """The numbered citations, some at a time; a click on one opens its page below it, a second closes it.
    `sure`: confidence of text recognition by citation number.
    """
    if not finding.citations:
        return
    st.html(f'<p class="eg-label">{count(len(finding.citations), "citation")}</p>')
    length = citations_shown(finding.id)
    for citation in finding.citations[:length]:
        this = (finding.id, citation.number)
        with st.container(border=True, key=f"citation_{finding.id}_{citation.number}", gap="xsmall"):
            st.html(source_html(citation, finding.id, (sure or {}).get(citation.number)))
            key = f"{finding.id}_{citation.number}"
            if opened.page_button(this, citation.page, f"open_{key}"):
                with st.container(key="cited_page"):
                    draw_viewer(load(citation), citation.quote, key, _neighbours(finding, citation))
    left = len(finding.citations) - length
    if left > 0:
        st.button(
            f"Show {count(min(left, CITATIONS_SHOWN))} more of {count(left, 'citation')}",
            key=f"more_citations_{finding.id}",
            on_click=_show_more,
            args=(f"citations_{finding.id}", length + CITATIONS_SHOWN),
        )


def _show_more(key: str, length: int) -> None:
    st.session_state[key] = length


def _neighbours(finding: Finding, citation: Citation) -> Neighbours:
    """What opens the citations before and after this one."""
    numbers = [item.number for item in finding.citations]
    at = numbers.index(citation.number)

    def opens(number: int) -> Callable[[], None]:
        return lambda: opened.toggle((finding.id, number))

    before = opens(numbers[at - 1]) if at else None
    return Neighbours(before, opens(numbers[at + 1]) if at + 1 < len(numbers) else None)


def not_read(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The `not_read` of an answer's context as pairs."""
    return [
        (str(item.get("document", "")), str(item.get("reason", ""))) for item in context.get("not_read") or []
    ]


def finding_coverage(context: Mapping[str, Any]) -> str:
    """The coverage sentence of an answer, as things stood when it was given."""
    missing = not_read(context)
    whole = len({name for name, reason in missing if not reason.startswith("page")})
    documents = int(context.get("documents") or 0)
    sentence = coverage_sentence(documents, max(0, documents - whole), missing)
    total = context.get("tokens_total")
    return f"{sentence} {count(total, 'token')} in all." if total and not missing else sentence


def draw_coverage(finding: Finding) -> None:
    """What the answer does not stand on, below every answer."""
    if finding.context:
        st.html(f'<p class="eg-small eg-figures">{safe(finding_coverage(finding.context))}</p>')
