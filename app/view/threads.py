"""Questions under questions: what came before an answer, how it was understood, what may be asked next."""

from dataclasses import replace

import streamlit as st

from app.request import ANSWER, Request, request_of
from app.view import questions
from app.view.answer import badge
from app.view.frame import services
from app.view.words import plain, safe
from storage import Archive, Finding, findings

SHOWN = 220


def draw_before(finding: Finding) -> None:
    """The questions and answers above this one, each a line; a click opens it."""
    with services().database.session() as s:
        above = findings.thread_of(s, finding)
    if above:
        with st.container(key="thread", gap="xsmall"):
            st.html('<p class="eg-label">Thread</p>')
            for item in above:
                _row(item)


def draw_after(finding: Finding) -> None:
    """The follow-ups that were asked under this one."""
    with services().database.session() as s:
        below = findings.follow_ups(s, finding.id)
    if below:
        with st.container(key="thread_after", gap="xsmall"):
            st.html('<p class="eg-label">Asked under this answer</p>')
            for item in below:
                _row(item)


def _row(finding: Finding) -> None:
    with st.container(gap=None):
        st.button(
            plain(finding.question),
            key=f"thread_{finding.id}",
            type="tertiary",
            icon=":material/subdirectory_arrow_right:",
            on_click=questions.hold,
            args=(finding.id,),
        )
        said = " ".join(finding.answer.split())
        said = said if len(said) <= SHOWN else said[:SHOWN].rsplit(" ", 1)[0] + " …"
        st.html(f'<p class="eg-small eg-said">{badge(finding.status)} {safe(said)}</p>')


def draw_understood(finding: Finding, archive: Archive) -> None:
    """What a follow-up was completed to, and the way to put it otherwise."""
    request = request_of(finding)
    if not request.understood or request.understood == finding.question:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="understood"):
        st.html(f'<p class="eg-small">Understood as: “{safe(request.understood)}”</p>', width="content")
        with (
            st.popover("Change", icon=":material/edit:", type="tertiary"),
            st.form(f"understand_{finding.id}", border=False),
        ):
            words = st.text_area("The question in full", value=request.understood, key=f"full_{finding.id}")
            st.html(
                '<p class="eg-small">Completed by rules from the question above. Both answers are kept.</p>'
            )
            if st.form_submit_button("Ask this instead", type="primary") and words.strip():
                questions.put(archive, replace(request, understood=words.strip(), again=finding.id))


def draw_follow_up(finding: Finding, archive: Archive) -> None:
    """The box under a finished answer."""
    request = request_of(finding)
    if request.kind != ANSWER or finding.status in ("running", "failed", "cancelled"):
        return
    with st.container(key="follow_box"):
        asked = st.chat_input("Ask a follow-up, such as: and its term?", key=f"follow_{finding.id}")
    if asked:
        scope = (request.documents, request.tags, request.fields)
        questions.put(archive, Request(asked, ANSWER, *scope, follows=finding.id))
