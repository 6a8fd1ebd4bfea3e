"""What the Library says of an archive beside its documents, and the menus of what can be done with them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from app import library
from app.errors import UserError
from app.fitting import Room, plan_sentence, refuse_reading
from app.model_reports import load_reports
from app.view.dialogs import ask_for, close, menu_key
from app.view.frame import guarded, services, take_archive
from app.view.live import find_job
from app.view.sidebar import live_workers
from app.view.words import ago, count, plain, safe, share
from engine.memory_plan import MemoryPlan
from storage import Archive, Document, Job, jobs, tags, trash

MOST_PAIRS = 20
RESTORING = "restoring"


def draw_menu(archive: Archive) -> None:
    """What can be done with the archive as a whole."""
    about: dict[str, Any] = {"archive": archive}
    entries = (
        ("Description and tags…", "label", "about"),
        ("Back up…", "save", "backup"),
        ("Restore a backup…", "restore", "restore"),
        ("Read again…", "menu_book", "again"),
        ("Disk use…", "hard_drive", "disk"),
    )
    for label, icon, name in entries:
        kwargs = {} if name == "restore" else about
        st.button(
            label, icon=f":material/{icon}:", type="tertiary", on_click=ask_for, args=(name,), kwargs=kwargs,
            key=f"menu_{name}",
        )  # fmt: skip
    if st.button("Find near duplicates", icon=":material/content_copy:", type="tertiary"):
        act(lambda: enqueue("duplicates", archive.id, {}))


def draw_document_menu(archive: Archive, selected: Sequence[Document]) -> None:
    """What can be done with the selected documents beside removing them."""
    with st.popover("Change", icon=":material/more_horiz:", key=menu_key("change")), st.container(gap=None):
        about: dict[str, Any] = {"archive": archive, "selected": list(selected)}
        if st.button("Tags…", icon=":material/label:", type="tertiary", key="documents_tags"):
            _open("tags", about)
        one = len(selected) == 1
        if one and st.button("New version…", icon=":material/upgrade:", type="tertiary", key="new_version"):
            _open("replace", {"document": selected[0]})
        placed = [document for document in selected if document.position is not None]
        if placed and st.button("Move…", icon=":material/swap_vert:", type="tertiary", key="documents_move"):
            _open("move", about)
        ids = [document.id for document in selected]
        if st.button("Parse again", icon=":material/refresh:", type="tertiary", key="parse_again"):
            act(lambda: library.parse_again(services(), archive, ids), "Parsing again")


def draw_about(archive: Archive) -> None:
    """The description and the tags of an archive, where it has some."""
    with services().database.session() as s:
        kept = tags.archive_tags(s).get(archive.id, [])
    marks = "".join(f'<span class="eg-badge">#{safe(tag)}</span> ' for tag in kept)
    if archive.description or kept:
        st.html(f'<p class="eg-small">{safe(archive.description)} {marks}</p>')


def draw_undo(archives: Sequence[Archive]) -> None:
    """What was deleted since the start, and the way back."""
    with services().database.session() as s:
        gone = trash.list_trash(s)
        removed = {archive: len(trash.removed_documents(s, archive.id)) for archive in archives}
    for archive_id, name in list(gone.items())[:3]:
        if st.button(f"Bring back {plain(name)}", icon=":material/undo:", key=f"undelete_{archive_id}"):
            act(partial(_undelete, archive_id), "It is back")
    chosen = st.session_state.get("archive_id")
    for archive, number in removed.items():
        if number and archive.id == chosen:
            label = f"Bring back {count(number, 'removed document')}"
            if st.button(label, icon=":material/undo:", key="bring_back"):
                act(partial(library.bring_back, services(), archive), "Adding again")


def _undelete(archive_id: int) -> None:
    library.undelete_archive(services(), archive_id)
    take_archive(archive_id)


def restore(file: str) -> None:
    """Have a backup become an archive; the session remembers which one it asked for."""
    st.session_state[RESTORING] = enqueue("restore", None, {"file": file}).id


def take_restored() -> None:
    """Once the backup that was asked for is an archive: take it in hand and say so."""
    job = find_job(st.session_state.get(RESTORING))
    if job is not None and job.status == "done":
        st.session_state.pop(RESTORING)
        take_archive(int((job.result or {})["archive_id"]))
        st.toast(f"Restored as {plain((job.result or {})['archive'])}", icon=":material/check:")


def draw_duplicates(archive: Archive, found: Sequence[Document]) -> None:
    """What the last search for near duplicates found."""
    with services().database.session() as s:
        done = [j for j in jobs.list_jobs(s, archive.id, limit=50) if j.kind == "duplicates" and j.result]
    if not done:
        return
    names = {document.id: document.name for document in found}
    result = dict(done[0].result or {})
    pairs = [pair for pair in result["pairs"] if pair["one"] in names and pair["other"] in names]
    title = f"Near duplicates: {count(len(pairs), 'pair')}" if pairs else "No near duplicates"
    with st.expander(f"{title} ({ago(done[0].finished_at)})", icon=":material/content_copy:"):
        shown = [(pair["alike"], names[pair["one"]], names[pair["other"]]) for pair in pairs[:MOST_PAIRS]]
        lines = [f"<li>{share(a)} alike: {safe(one)} and {safe(other)}</li>" for a, one, other in shown]
        note = "The same content is stored once only; these share at least half of their wording."
        st.html(f'<p class="eg-small">{note}</p><ul class="eg-small">{"".join(lines)}</ul>')


def draw_memory(archive: Archive, found: Sequence[Document]) -> None:
    """The memory and disk that reading these documents takes, against what is free."""
    plan, tokens = _plan(), sum(document.tokens for document in found)
    if plan is None or not tokens:
        return
    room = Room.now(services().home, archive.id)
    try:
        refuse_reading(plan, tokens, room)
    except UserError as error:
        words = f"**Too long for this model.** {plain(error.message)} {plain(error.hint)}"
        st.warning(words, icon=":material/memory:")
        return
    st.html(f'<p class="eg-small eg-figures">{safe(plan_sentence(plan, tokens, room))}</p>')


def _plan() -> MemoryPlan | None:
    """Of the model in use, as a worker tells it; else of the chosen one, as its last check found."""
    known: list[dict[str, Any]] = [worker.info for worker in live_workers() if worker.info.get("plan")]
    told = known[0]["plan"] if known else None
    if told is None:
        with services().database.session() as s:
            report = load_reports(s).get(services().model_name)
        told = report.inspection["plan"] if report is not None and report.inspection is not None else None
    return MemoryPlan(**told) if told is not None else None


def _open(name: str, about: dict[str, Any]) -> None:
    ask_for(name, **about)
    st.rerun()  # the whole page: a dialog of the refreshed part alone would close at its next refresh


def enqueue(kind: str, archive_id: int | None, payload: dict[str, Any]) -> Job:
    """A job for the worker."""
    with services().database.session() as s:
        return jobs.enqueue(s, kind, archive_id, payload, once=True)


def act(what: Callable[[], Any], said: str = "") -> None:
    """Do it, close the dialog, say so, draw the page again."""
    with guarded():
        what()
        close()
        if said:
            st.toast(said, icon=":material/check:")
        st.rerun()
