"""What a click in the Library does. Each action says what happened; what went wrong is said in words."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from app import library
from app.view import keeping
from app.view.dialogs import ask_for, menu_key
from app.view.frame import guarded, services, take_archive
from app.view.sample import FIELDS, FOLDER, field_sample, sample
from app.view.words import count, plain
from storage import Archive, Document, Job, StorageError
from storage.ingest import SUPPORTED

RETRYABLE = ("failed", "needs_ocr", "skipped")


def act(what: Callable[[], Any], said: str = "") -> None:
    """Do it, say so, draw the page again."""
    with guarded():
        what()
        if said:
            st.toast(said, icon=":material/check:")
        st.rerun()


def supported_formats() -> str:
    """The formats as people call them."""
    return "Engram reads " + ", ".join(sorted(set(SUPPORTED.values()))) + "."


def load_sample() -> None:
    """Make the sample archive and begin to read it."""

    def make() -> None:
        archive = _create_free(sample().archive, sample().description)
        library.add_files(services(), archive, sorted(FOLDER.iterdir()))  # names start with the domain
        take_archive(archive.id)

    act(make)


def load_field(field: str) -> None:
    """Make the sample archive of one field and begin to read it."""

    def make() -> None:
        name, description, folder = field_sample(field)
        archive = _create_free(name, description)
        library.add_files(services(), archive, [folder])
        take_archive(archive.id)

    act(make)


def _create_free(name: str, description: str) -> Archive:
    """An archive of this name, numbered when the name is taken."""
    base = name
    for number in range(2, 100):
        with suppress(StorageError):
            return library.create_archive(services(), name, description)
        name = f"{base} {number}"
    return library.create_archive(services(), name, description)


def draw_menu(archive: Archive, documents: int) -> None:
    """New, rename, delete."""
    st.button("New archive", icon=":material/add:", on_click=ask_for, args=("new",))
    with st.popover("Manage", icon=":material/more_horiz:", key=menu_key("manage")), st.container(gap=None):
        about = {"archive": archive}
        st.button(
            "Rename…",
            icon=":material/edit:",
            type="tertiary",
            on_click=ask_for,
            args=("rename",),
            kwargs=about,
        )
        if st.button("Load the sample archive", icon=":material/auto_stories:", type="tertiary"):
            load_sample()
        for field in FIELDS:
            label = f"Load the {field} sample"
            if st.button(label, icon=":material/auto_stories:", type="tertiary", key=f"sample_{field}"):
                load_field(field)
        keeping.draw_menu(archive)
        st.button(
            "Delete…",
            icon=":material/delete:",
            type="tertiary",
            on_click=ask_for,
            args=("delete",),
            kwargs=about | {"documents": documents},
        )


def add_uploads(archive: Archive, uploads: Sequence[Any]) -> None:
    """Take in the uploaded files and empty the upload field."""
    with guarded():
        added = library.add_uploads(services(), archive, [(upload.name, upload) for upload in uploads])
        st.session_state["upload_round"] = st.session_state.get("upload_round", 0) + 1
        st.toast(said_of([item.same_as for item in added]), icon=":material/check:")
        st.rerun()


def said_of(same_as: Sequence[str | None]) -> str:
    """`3 files added, 1 already here: a.pdf`."""
    known = [name for name in same_as if name]
    said = f"{count(len(same_as) - len(known), 'file')} added"
    return f"{said}, {count(len(known))} already here: {plain(', '.join(known[:3]))}" if known else said


def add_path(archive: Archive, path: str) -> None:
    """Take in a file or folder of this machine."""
    if not path.strip():
        st.warning("Type the path of a folder or a file first.", icon=":material/info:")
        return
    act(lambda: library.add_files(services(), archive, [Path(path.strip()).expanduser()]), "Importing")


def cancel_job(job: Job) -> None:
    """Stop a job; what was read is kept."""
    act(lambda: library.cancel(services(), job.id))


def draw_actions(archive: Archive, selected: Sequence[Document]) -> None:
    """What can be done with the selected documents."""
    if not selected:
        return
    again = [document for document in selected if document.status in RETRYABLE]
    with st.container(horizontal=True, vertical_alignment="center", key="document_actions"):
        st.caption(f"{count(len(selected))} selected", width="content")
        if again and st.button(
            f"Try {count(len(again))} again", icon=":material/refresh:", key="retry_documents"
        ):
            act(lambda: library.retry(services(), archive, [document.id for document in again]))
        keeping.draw_document_menu(archive, selected)
        if st.button("Remove", icon=":material/delete:", key="remove_documents"):
            ask_for("remove", selected=list(selected))
            st.rerun()  # the whole page: a dialog of the refreshed part alone would close at its next refresh
