"""What came closest to an answer where none was found, for a person to judge."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

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
        opened = st.session_state.get("opened_citation") == ("closest", number)
        with st.container(border=True, key=f"closest_{key}", gap="xsmall"):
            st.html(
                f'<div class="eg-source"><div><div class="eg-where"><b>{safe(item["document"])}</b>'
                f'<span class="eg-soft">page {item["page"]}</span></div>'
                f'<div class="eg-quote">{marked(item["quote"], stems)}</div></div></div>'
            )
            label = f"Close page {item['page']}" if opened else f"Show page {item['page']}"
            icon = ":material/close:" if opened else ":material/find_in_page:"
            st.button(
                label, key=f"open_closest_{key}", icon=icon, type="tertiary", on_click=_toggle, args=(number,)
            )
            if opened:
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


def _toggle(number: int) -> None:
    opened = st.session_state.get("opened_citation") == ("closest", number)
    st.session_state["opened_citation"] = None if opened else ("closest", number)
