"""Ask: a question, the answer as it grows, its citations and the pages they stand on, and what it cost."""

import streamlit as st

from app.request import ANSWER, COMPARISON, EVERYTHING, SUMMARY, Request, request_of
from app.view import asking, frame, live, questions, run_sheet, sidebar, threads
from app.view.answer import draw_citations, draw_coverage, draw_head, draw_text
from app.view.closest import draw_closest
from app.view.copying import draw_copy
from app.view.exports import draw_exports
from app.view.found import draw_found
from app.view.gauges import draw_gauges
from app.view.kinds import draw_comparison, draw_search_gauges, draw_summary
from app.view.sample import is_sample, sample
from app.view.shelf import Shelf, load_archives, load_shelf
from app.view.words import safe
from storage import Archive, Finding

POLL_S = 0.4
SUGGESTED = 4
WIDTHS = (0.66, 0.34)


def nothing_to_ask(missing: str = "There is no archive yet.") -> None:
    """No archive, or one without documents: the way to the Library."""
    st.html(f'<p class="eg-lead">{safe(missing)} Add documents first, then ask.</p>')
    frame.way_to("library", "Go to the Library", "library_books")


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
                questions.put(archive, Request(question))


def draw_answer(finding: Finding, archive: Archive) -> None:
    """The question, the answer as far as it has come, and what it stands on."""
    kind, running = request_of(finding).kind, finding.status == "running"
    draw_head(finding)
    threads.draw_understood(finding, archive)
    if running:
        questions.draw_waiting(finding)
    whole = not running and bool(finding.citations)
    if whole and kind == COMPARISON and finding.details.get("sides"):
        draw_comparison(finding)
    elif whole and kind == SUMMARY and finding.details.get("parts"):
        draw_summary(finding)
    else:
        draw_text(finding)
    if whole and kind == EVERYTHING and finding.details.get("found"):
        draw_found(finding)
    else:
        draw_citations(finding, questions.load_page, questions.load_sureness(finding))
        draw_closest(finding)
    draw_coverage(finding)


def draw_tools(finding: Finding, archive: Archive) -> None:
    """What can be done with a finished answer."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="answer_tools"):
        if finding.answer:
            draw_copy(finding, key=f"copy_{finding.id}")
        if st.button(
            "Ask again",
            key=f"again_{finding.id}",
            icon=":material/refresh:",
            shortcut="Alt+A",
            help="The same question to the archive as it is now. Both answers are kept. The same archive and "
            "model give the same answer.",
        ):
            questions.put_again(archive, finding)
        st.button(
            "New question", icon=":material/add:", on_click=questions.hold, args=(None,), shortcut="Alt+N"
        )
    draw_exports([finding], archive.name, key=f"answer_{finding.id}")


def draw_finding(finding: Finding, archive: Archive) -> None:
    """The answer to the left, what it cost to the right."""
    left, right = st.columns(WIDTHS, gap="large")
    with left:
        threads.draw_before(finding)
        draw_answer(finding, archive)
        draw_tools(finding, archive)
        threads.draw_after(finding)
        threads.draw_follow_up(finding, archive)
    with right:
        live.draw_note(str(finding.run.get("device_note") or ""))
        if finding.run:  # what failed or was stopped early cost nothing that was measured
            written = request_of(finding).kind not in (EVERYTHING, SUMMARY)
            (draw_gauges if written else draw_search_gauges)(finding.context, finding.run)
    run_sheet.draw_run_sheet(finding, key=f"sheet_{finding.id}")


def draw_growing(finding: Finding, archive: Archive, now: Shelf) -> None:
    """The same while it is being written: the text is looked at often, the gauges once a second."""
    left, right = st.columns(WIDTHS, gap="large")
    with left:
        threads.draw_before(finding)
        growing(finding.id, archive)
    with right:
        live.answering(finding.job_id, now.tokens)


@st.fragment(run_every=POLL_S)
def growing(finding_id: int, archive: Archive) -> None:
    """The answer while it is being written; when it is done the whole page is drawn once more, and rests."""
    with frame.guarded():
        finding = questions.load(finding_id)
        if finding is None or finding.status != "running":
            st.rerun()
        draw_answer(finding, archive)


def show(finding: Finding | None, archive: Archive, now: Shelf, kind: str) -> None:
    """The finding in hand, or what can be asked."""
    if finding is None:
        st.html(f'<p class="eg-small eg-figures">{safe(now.sentence)}</p>')
        if kind == ANSWER:
            suggestions(archive)
    elif finding.status == "running":
        draw_growing(finding, archive, now)
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
        row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="ask_of")
        with row:
            archive = frame.choose_archive(archives)
        now = load_shelf(archive.id)
        sidebar.draw_missing_worker(waiting=bool(now.work.active))
        finding = questions.in_hand(archive)
        if not (now.documents or now.work.active or finding):
            nothing_to_ask("This archive holds no documents yet.")
        else:
            kind = asking.choose_kind(archive)
            asking.draw_form(archive, kind, now, row)
            show(finding, archive, now, kind)
