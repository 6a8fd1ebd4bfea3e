"""A person's own words beside a finding: a note and tags."""

import streamlit as st

from app.view.frame import guarded, services
from app.view.words import safe
from storage import Finding, findings


def tags_html(finding: Finding) -> str:
    """The tags as quiet HTML; nothing when there are none."""
    return "".join(f'<span class="eg-tag">{safe(tag)}</span>' for tag in finding.tags)


def draw_annotation(finding: Finding) -> None:
    """Note and tags, and the form that changes them."""
    if finding.note:
        st.html(f'<p class="eg-label">Note</p><p class="eg-note">{safe(finding.note)}</p>')
    words = "Change note and tags" if finding.note or finding.tags else "Add a note or tags"
    with st.popover(words, icon=":material/edit_note:"), st.form(f"annotate_{finding.id}", border=False):
        note = st.text_area("Note", value=finding.note, key=f"note_{finding.id}")
        with services().database.session() as s:
            known = findings.list_tags(s, finding.archive_id)
        tags = st.multiselect(
            "Tags",
            sorted({*known, *finding.tags}, key=str.casefold),
            default=finding.tags,
            accept_new_options=True,
            key=f"tags_{finding.id}",
            placeholder="Type a tag",
        )
        if st.form_submit_button("Save", type="primary"):
            with guarded():
                with services().database.session() as s:
                    findings.annotate_finding(s, finding.id, note, tags)
                st.rerun()
