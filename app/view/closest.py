"""What came closest to an answer where none was found, for a person to judge."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.view import opened
from app.view.cited import CitedPage, load_at
from app.view.found import marked
from app.view.frame import services
from app.view.viewer import draw_viewer
from app.view.words import count, safe
from engine.sentences import content_terms
from storage import Finding, NotFoundError
from storage.documents import find_documents


def draw_closest(finding: Finding) -> None:
    """The passages that the model weighed highest, to be opened on their pages; nothing if there are none."""
    closest = finding.details.get("closest") or []
    if not closest:
        return
    st.html(
        '<p class="eg-label">What came closest</p>'
        f'<p class="eg-small">{count(len(closest), "passage")} that the model weighed highest. As far as it '
        "can tell they do not answer the question; where they do, ask in their words.</p>"
    )
    stems = set(content_terms(finding.question))
    for number, item in enumerate(closest, start=1):
        key = f"{finding.id}_{number}"
        with st.container(border=True, key=f"closest_{key}", gap="xsmall"):
            st.html(
                f'<div class="eg-source"><span class="eg-number">{number}</span><div>'
                f'<div class="eg-where"><b>{safe(item["document"])}</b>'
                f'<span class="eg-soft">page {item["page"]}</span></div>'
                f'<div class="eg-quote">{marked(item["quote"], stems)}</div></div></div>'
            )
            if opened.page_button(("closest", number), item["page"], f"open_closest_{key}"):
                with st.container(key="cited_page"):
                    draw_viewer(_page(finding.archive_id, item), item["quote"], f"closest_{key}")


def _page(archive_id: int, item: Mapping[str, Any]) -> CitedPage | None:
    """The page it stands on; None if the document has gone meanwhile."""
    with services().database.session() as s:
        try:
            document = find_documents(s, archive_id, [item["document"]])[0]
            return load_at(s, services().files, document.id, item["start"], item["quote"])
        except NotFoundError:
            return None
