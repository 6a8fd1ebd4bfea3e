"""What was read and what was not: as a bar, in a sentence, in a list."""

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st

from app.view.words import count, safe, size
from storage.models import Document

NAMED = 3
UNREADABLE = ("failed", "needs_ocr", "skipped")
# colour class -> (words, statuses); in this order from left to right
SHARES = {
    "eg-good": ("read", ("ready",)),
    "eg-busy": ("being read", ("reading", "parsing", "parsed")),
    "eg-plain": ("waiting", ("queued",)),
    "eg-warn": ("without text", ("needs_ocr", "skipped")),
    "eg-bad": ("failed", ("failed",)),
}


def coverage_sentence(documents: int, read: int, not_read: Sequence[tuple[str, str]]) -> str:
    """`12 of 13 documents read. Not read: x.pdf (encrypted).`"""
    if documents == 0:
        return "No documents yet."
    noun = "document" if documents == 1 else "documents"
    head = (
        f"All {documents:,} {noun} read." if read == documents else f"{read:,} of {documents:,} {noun} read."
    )
    if documents == 1 and read == 1:
        head = "The one document was read."
    if not not_read:
        return head
    named = "; ".join(f"{name} ({_lower(reason)})" if reason else name for name, reason in not_read[:NAMED])
    more = f"; and {count(len(not_read) - NAMED)} more" if len(not_read) > NAMED else ""
    return f"{head} Not read: {named}{more}."


def coverage_html(documents: Sequence[Document], sentence: str) -> str:
    """The sentence under a bar of how many documents are read, waiting, failed; pages and size beside it."""
    counts = Counter(document.status for document in documents)
    shares = [
        (colour, words, sum(counts[s] for s in statuses)) for colour, (words, statuses) in SHARES.items()
    ]
    shares = [share for share in shares if share[2]]
    said = ", ".join(f"{count(number)} {words}" for _, words, number in shares)
    parts = "".join(
        f'<span class="{colour}" style="flex-grow:{number}"></span>' for colour, _, number in shares
    )
    legend = "".join(
        f'<span><i class="{colour}"></i>{count(number)} {words}</span>' for colour, words, number in shares
    )
    pages, held = sum(d.pages or 0 for d in documents), sum(d.bytes or 0 for d in documents)
    figures = [count(pages, "page")] * bool(pages) + [size(held)]
    return (
        f'<div class="eg-bar" role="img" aria-label="{said}">{parts}</div><div class="eg-shares eg-figures">'
        f"<p>{safe(sentence)}</p>{legend * (len(shares) > 1)}<span>{' · '.join(figures)}</span></div>"
    )


def _lower(reason: str) -> str:
    """A reason inside a sentence: no full stop, no capital unless it is a name or an abbreviation."""
    reason = " ".join(reason.split()).rstrip(".")
    return reason[:1].lower() + reason[1:] if reason[1:2].islower() else reason


def unread_html(documents: Iterable[Document]) -> str:
    """Each document that is not in the context: name, reason, what to do."""
    items = []
    for document in documents:
        if document.status in UNREADABLE:
            reason = document.error or "Not read"
            hint = f'<span class="eg-hint">{safe(document.hint)}</span>' if document.hint else ""
            items.append(f"<li><b>{safe(document.name)}</b><br>{safe(reason)}{hint}</li>")
        items += [
            f'<li><b>{safe(document.name)}</b><span class="eg-hint">{safe(warning)}</span></li>'
            for warning in document.warnings
            if document.status not in UNREADABLE
        ]
    return f'<ul class="eg-unread">{"".join(items)}</ul>' if items else ""


def draw_unread(documents: Sequence[Document]) -> None:
    """The list behind one line; nothing when everything was read without remarks."""
    failed = sum(document.status in UNREADABLE for document in documents)
    remarks = sum(len(d.warnings) for d in documents if d.status not in UNREADABLE)
    parts = [count(failed, "document") + " not read"] if failed else []
    parts += [count(remarks, "remark")] if remarks else []
    if parts:
        with st.expander(
            " · ".join(parts), icon=":material/report:", expanded=failed > 0 and len(documents) < 50
        ):
            st.html(unread_html(documents))
