"""Ask: a question, the answer as it grows, its citations and the pages they stand on, and what it cost."""

import streamlit as st

from app.view import frame, live, questions, run_sheet, sidebar
from app.view.answer import draw_citations, draw_coverage, draw_head, draw_text
from app.view.exports import draw_exports
from app.view.gauges import draw_gauges
from app.view.sample import is_sample, sample
from app.view.shelf import Shelf, load_archives, load_shelf
from app.view.words import count, safe
from storage import Archive, Finding

POLL_S = 0.4
SUGGESTED = 4
WIDTHS = (0.66, 0.34)


def nothing_to_ask() -> None:
    """No archive yet: the way to the Library."""
    st.html('<p class="eg-lead">There is no archive yet. Add documents first, then ask.</p>')
    if st.button("Go to the Library", type="primary", icon=":material/library_books:"):
        st.switch_page("app/pages/library.py")


def choose(archives: list[Archive]) -> tuple[Archive, Shelf, list[str]]:
    """The archive, and the documents the question is put to; none named means all."""
    left, right = st.columns(2, gap="small")
    with left:
        archive = frame.choose_archive(archives)
    now = load_shelf(archive.id)
    names = [document.name for document in now.documents if document.status == "ready"]
    with right:
        only = st.multiselect(
            "Documents",
            names,
            key=f"only_{archive.id}",
            placeholder=f"All {count(len(names), 'document')}",
            disabled=len(names) < 2,
            help="The answer then rests on these documents alone.",
        )
    return archive, now, only


def ask_box(archive: Archive, only: list[str]) -> None:
    """The question."""
    with st.container():  # inside a container the box stands here, not at the foot of the window
        question = st.chat_input("Ask a question", key=f"question_{archive.id}")
    if question:
        questions.put(archive, question, only)


def suggestions(archive: Archive) -> None:
    """Questions that the sample archive answers, and one that it does not."""
    if not is_sample(archive.name):
        st.html('<p class="eg-small">Short questions about one fact are answered best.</p>')
        return
    offered = [entry.question for entry in sample().questions[:SUGGESTED]] + list(sample().unanswerable[:1])
    with st.container(gap="xxsmall"):
        st.html('<p class="eg-label">Questions to begin with</p>')
        for number, question in enumerate(offered):
            if st.button(
                question, key=f"suggestion_{number}", icon=":material/arrow_outward:", type="tertiary"
            ):
                questions.put(archive, question, [])


def draw_answer(finding: Finding) -> None:
    """The question, the answer as far as it has come, and what it stands on."""
    draw_head(finding)
    if finding.status == "running":
        questions.draw_waiting(finding)
    draw_text(finding)
    draw_citations(finding, questions.load_page)
    draw_coverage(finding)


def draw_finding(finding: Finding, archive: Archive) -> None:
    """The answer to the left, what it cost to the right."""
    left, right = st.columns(WIDTHS, gap="large")
    with left:
        draw_answer(finding)
        draw_exports([finding], archive.name, key=f"answer_{finding.id}")
    with right:
        live.draw_note(str(finding.run.get("device_note") or ""))
        draw_gauges(finding.context, finding.run)
    run_sheet.draw_run_sheet(finding, key=f"sheet_{finding.id}")


def draw_growing(finding: Finding, now: Shelf) -> None:
    """The same while it is being written: the text is looked at often, the gauges once a second."""
    left, right = st.columns(WIDTHS, gap="large")
    with left:
        growing(finding.id)
    with right:
        live.answering(finding.job_id, now.tokens)


@st.fragment(run_every=POLL_S)
def growing(finding_id: int) -> None:
    """The answer while it is being written; when it is done the whole page is drawn once more, and rests."""
    with frame.guarded():
        finding = questions.load(finding_id)
        if finding is None or finding.status != "running":
            st.rerun()
        draw_answer(finding)


def show(finding: Finding | None, archive: Archive, now: Shelf) -> None:
    """The finding in hand, or what can be asked."""
    if finding is None:
        st.html(f'<p class="eg-small eg-figures">{safe(now.sentence)}</p>')
        suggestions(archive)
    elif finding.status == "running":
        draw_growing(finding, now)
    else:
        draw_finding(finding, archive)


frame.style()
frame.heading("Ask", "Every answer rests on quotes. Open one to see the page it stands on.")
with frame.guarded():
    sidebar.draw_worker()
    archives = load_archives()
    if not archives:
        nothing_to_ask()
    else:
        archive, now, only = choose(archives)
        sidebar.draw_missing_worker(waiting=bool(now.work.active))
        ask_box(archive, only)
        show(questions.in_hand(archive), archive, now)
