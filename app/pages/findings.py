"""Findings: every question asked of an archive, to open again, to export, to delete."""

import streamlit as st

from app.request import request_of
from app.view import frame, opened, questions, reports, run_sheet, sidebar
from app.view.annotations import draw_annotation, tags_html
from app.view.answer import (
    KIND_NOTES,
    badge,
    draw_citations,
    draw_coverage,
    draw_head,
    draw_text,
    status_words,
)
from app.view.closest import draw_closest
from app.view.exports import draw_exports
from app.view.gauges import draw_gauges
from app.view.shelf import load_archives
from app.view.words import ago, count, plain, safe
from storage import Archive, Finding

PAGE_LENGTH = 25
POLL_S = 1.0


def nothing_yet() -> None:
    """No findings: the way to the Ask page."""
    st.html(
        '<p class="eg-lead">No findings yet. Each question is kept here with its answer and citations.</p>'
    )
    frame.way_to("ask", "Ask a question", "forum")


def draw_row(finding: Finding) -> bool:
    """One line of the history; tells whether it is selected."""
    opened = st.session_state.get("opened_finding") == finding.id
    with st.container(key=f"finding_{finding.id}", horizontal=True, vertical_alignment="center", gap="small"):
        chosen = st.checkbox(
            f"Select: {plain(finding.question)}",
            key=f"select_{finding.id}",
            label_visibility="collapsed",
            width=24,
        )
        with st.container(width="stretch", gap=None):
            st.button(
                plain(shortened(finding.question)),
                key=f"look_{finding.id}",
                type="tertiary",
                icon=":material/expand_more:" if opened else ":material/chevron_right:",
                on_click=_look,
                args=(finding.id,),
            )
            state = badge(finding.status, request_of(finding).kind)
            st.html(
                f'<div class="eg-meta">{state}<span>{safe(summary(finding))}</span>{tags_html(finding)}</div>'
            )
    if opened:
        with st.container(border=True):
            draw_opened(finding)
    return chosen


def _look(finding_id: int) -> None:
    same = st.session_state.get("opened_finding") == finding_id
    st.session_state["opened_finding"] = None if same else finding_id
    opened.close()


def shortened(question: str, limit: int = 160) -> str:
    """A question on one line."""
    flat = " ".join(question.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def summary(finding: Finding) -> str:
    """What kind of question, when, and with how many citations."""
    verified = sum(citation.verified for citation in finding.citations)
    cited = (
        f"{count(len(finding.citations), 'citation')}, {verified} verified"
        if finding.citations
        else "no citations"
    )
    kind = KIND_NOTES.get(request_of(finding).kind)
    return " · ".join(filter(None, (kind, ago(finding.created_at), cited)))


def draw_opened(finding: Finding) -> None:
    """A finding in full."""
    left, right = st.columns([0.69, 0.31], gap="large")
    with left:
        draw_head(finding)
        draw_text(finding)
        draw_citations(finding, questions.load_page, questions.load_sureness(finding))
        draw_closest(finding)
        draw_coverage(finding)
        draw_annotation(finding)
    with right:
        if finding.run or finding.status == "running":
            draw_gauges(finding.context, finding.run, running=finding.status == "running")
    run_sheet.draw_run_sheet(finding, key=f"sheet_{finding.id}")


def _close() -> None:
    st.session_state.pop("deleting", None)


@st.dialog("Delete findings", on_dismiss=_close)
def confirm_delete(ids: list[int]) -> None:
    """Deleting cannot be undone, so it is asked first."""
    st.write(f"Delete {count(len(ids), 'finding')} with the citations? This cannot be undone.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete_confirmed"):
            with frame.guarded():
                questions.delete(ids)
                _close()
                st.rerun()
        if st.button("Keep", key="delete_kept"):
            _close()
            st.rerun()


def choose(archives: list[Archive]) -> tuple[Archive, str]:
    """The archive, and the words to look for in its findings."""
    left, right = st.columns(2, gap="small")
    with left:
        archive = frame.choose_archive(archives)
    with right:
        words = st.text_input("Search", key="findings_search", placeholder="Words in a question or an answer")
    return archive, words


def history(kept: list[Finding], words: str, archive: Archive) -> None:
    """The list with its tools above it."""
    shown = [f for f in kept if words.casefold() in searchable(f)]
    length = st.session_state.get("findings_length", PAGE_LENGTH)
    tools = st.container(horizontal=True, vertical_alignment="center", key="findings_tools")
    chosen = [finding for finding in shown[:length] if draw_row(finding)]
    if len(shown) > length and st.button(f"Show {min(PAGE_LENGTH, len(shown) - length)} more"):
        st.session_state["findings_length"] = length + PAGE_LENGTH
        st.rerun()
    with tools:
        draw_tools(shown, chosen, archive)


def await_answers(kept: list[Finding]) -> None:
    """While something is being answered: the page is drawn again when that has come to an end."""
    running = [finding.id for finding in kept if finding.status == "running"]

    @st.fragment(run_every=POLL_S)
    def refreshed() -> None:
        with frame.guarded():
            found = [questions.load(finding_id) for finding_id in running]
            if any(finding is None or finding.status != "running" for finding in found):
                st.rerun()

    if running:
        refreshed()


def searchable(finding: Finding) -> str:
    """Everything of a finding that the search looks at."""
    own = [finding.question, finding.answer, status_words(finding.status), finding.note, *finding.tags]
    return "\n".join(own).casefold()


def draw_tools(shown: list[Finding], chosen: list[Finding], archive: Archive) -> None:
    """Export and delete what is selected; with nothing selected, export all that is shown."""
    if not shown:
        st.html('<p class="eg-lead">No finding holds these words.</p>')
        return
    finished = [finding for finding in chosen or shown if finding.status != "running"]
    which = f"{count(len(chosen))} selected" if chosen else count(len(shown), "finding")
    st.html(f'<p class="eg-small eg-figures">{safe(which)}</p>', width="content")
    if finished:
        draw_exports(finished, archive.name, key="history")
    reports.draw_adder(archive, [finding for finding in chosen if finding.status != "running"])
    if chosen and st.button("Delete", icon=":material/delete:", key="delete_chosen"):
        st.session_state["deleting"] = [finding.id for finding in chosen]


frame.style()
frame.heading(
    "Findings",
    "Questions asked, answers given, and the quotes they stand on. Export them with their sources.",
)
with frame.guarded():
    sidebar.draw_worker()
    archives = load_archives()
    if not archives:
        nothing_yet()
    else:
        archive, words = choose(archives)
        reports.draw_reports(archive)
        if kept := questions.history(archive.id):
            history(kept, words, archive)
            await_answers(kept)
        else:
            nothing_yet()
    if deleting := st.session_state.get("deleting"):
        confirm_delete(deleting)
