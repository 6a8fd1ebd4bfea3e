"""Library: archives, their documents, and how far reading them has come."""

import streamlit as st

from app.view import actions, dialogs, frame, keeping, keeping_dialogs, live, sidebar
from app.view.coverage import coverage_html, draw_unread
from app.view.documents import draw_documents, load_tags
from app.view.progress import draw_failure, draw_jobs
from app.view.sample import is_sample
from app.view.shelf import Shelf, load_archives, load_shelf, load_work
from app.view.words import safe
from storage import Archive

BUSY_S, IDLE_S = 1.0, 5.0
QUICK_TABLE = 300  # a longer table is sent to the browser less often
LEAD = "An archive is a collection that is read once, as one context, and asked as often as you like."


def first_visit() -> None:
    """Nothing here yet: say what this is and offer the two ways to begin."""
    st.html(
        '<div class="eg-hero"><h2>Every page read. Every quote checked.</h2><p>Engram reads a whole '
        "collection of documents as one context, on this machine, and answers questions with quotes you can "
        "open on the page they come from. Nothing leaves your computer.</p></div>"
    )
    with st.container(horizontal=True, gap="small"):
        if st.button("Load the sample archive", type="primary", icon=":material/auto_stories:"):
            actions.load_sample()
        st.button("New archive", icon=":material/add:", on_click=dialogs.ask_for, args=("new",))
        st.button("Restore a backup", icon=":material/restore:", on_click=dialogs.ask_for, args=("restore",))
    st.html(
        '<p class="eg-small">The sample holds twelve short documents on medicine, law and physics. '
        "Reading it takes about a minute.</p>"
    )
    busy = bool(load_work(None).active)
    if busy:
        sidebar.draw_missing_worker(waiting=True)
    work_on(None, busy)


def bring_in(archive: Archive) -> None:
    """The ways documents come in: upload, or a folder of this machine."""
    uploads = st.file_uploader(
        "Add documents",
        accept_multiple_files=True,
        key=f"upload_{archive.id}_{st.session_state.get('upload_round', 0)}",
        help=actions.supported_formats(),
    )
    if uploads:
        actions.add_uploads(archive, uploads)
    with (
        st.expander("Import a folder of this machine", icon=":material/folder_open:"),
        st.form("folder", border=False, clear_on_submit=False),
    ):
        path = st.text_input("Folder or file", placeholder="/home/me/contracts", key="folder_path")
        if st.form_submit_button("Import", icon=":material/drive_folder_upload:"):
            actions.add_path(archive, path)


def work_on(archive_id: int | None, busy: bool) -> None:
    """Jobs under way, or what the last one failed of; refreshed every second while something goes on."""

    @st.fragment(run_every=BUSY_S if busy else IDLE_S)
    def refreshed() -> None:
        with frame.guarded():
            work = load_work(archive_id)
            if bool(work.active) != busy:
                st.rerun()
            cancelled = draw_jobs(work.active)
            if cancelled is not None:
                actions.cancel_job(cancelled)
            for job in work.active:
                live.reading(job)
            if work.failed is not None:
                draw_failure(work.failed)

    refreshed()


def next_step(archive: Archive, now: Shelf) -> None:
    """Once something has been read: the way to the Ask page."""
    if not now.complete:
        return
    words = "Ask the sample archive" if is_sample(archive.name) else "Ask this archive"
    frame.way_to("ask", words, "forum")


def documents_of(archive: Archive, every_s: float) -> None:
    """Coverage, table and remarks, refreshed on their own."""

    @st.fragment(run_every=every_s)
    def refreshed() -> None:
        with frame.guarded():
            now = load_shelf(archive.id)
            if not now.documents:
                st.html(f'<p class="eg-small">{safe(now.sentence)}</p>')
            else:
                st.html(coverage_html(now.documents, now.sentence))
                key = f"documents_{archive.id}"
                selected = draw_documents(now.documents, key, load_tags(archive.id))
                actions.draw_actions(archive, selected)
                draw_unread(now.documents)
                if now.languages:
                    st.html(f'<p class="eg-small">{safe(now.languages)}</p>')
                keeping.draw_duplicates(archive, now.documents)
                keeping.draw_memory(archive, now.documents)
            next_step(archive, now)

    refreshed()


def whole_archive(archives: list[Archive]) -> None:
    """The archive in hand: picker, ways in, state, documents."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        archive = frame.choose_archive(archives)
        now = load_shelf(archive.id)
        actions.draw_menu(archive, len(now.documents))
    busy = bool(now.work.active)
    sidebar.draw_missing_worker(waiting=busy)
    keeping.draw_about(archive)
    bring_in(archive)
    work_on(archive.id, busy)
    documents_of(archive, BUSY_S if busy and len(now.documents) <= QUICK_TABLE else IDLE_S)


frame.style()
with frame.guarded():
    sidebar.draw_worker()
    keeping.take_restored()
    archives = load_archives()
    if archives:
        frame.heading("Library", LEAD)
        whole_archive(archives)
    else:
        first_visit()
    keeping.draw_undo(archives)
    dialogs.draw_dialog()
    keeping_dialogs.draw_dialog()
