"""Dialogs of the Library that keep archives: what they are, tags, order, new versions, backups, disk use."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app import keeping, library
from app.errors import UserError
from app.view.dialogs import KEY, close
from app.view.frame import services
from app.view.keeping import act, enqueue, restore
from app.view.words import count, plain, size
from storage import Archive, Document, documents, tags


def draw_dialog() -> None:
    """The dialog that is open, if it is one of these."""
    name, about = st.session_state.get(KEY) or ("", {})
    if name in DIALOGS:
        DIALOGS[name](**about)


@st.dialog("Description and tags", on_dismiss=close)
def _about(archive: Archive) -> None:
    with services().database.session() as s:
        kept = tags.archive_tags(s).get(archive.id, [])
    with st.form("about_archive", border=False):
        text = st.text_area("Description", value=archive.description, max_chars=2000, key="about_text")
        words = st.text_input("Tags, separated by commas", value=", ".join(kept), key="about_tags")
        if st.form_submit_button("Save", type="primary"):
            act(lambda: _describe(archive, text, words.split(",")))


def _describe(archive: Archive, text: str, words: Sequence[str]) -> None:
    library.describe_archive(services(), archive.id, text)
    with services().database.session() as s:
        tags.tag_archive(s, archive.id, words)


@st.dialog("Tags of documents", on_dismiss=close)
def _tags(archive: Archive, selected: list[Document]) -> None:
    with services().database.session() as s:
        kept = tags.document_tags(s, archive.id).get(selected[0].id, [])
    with st.form("tag_documents", border=False):
        words = st.text_input("Tags, separated by commas", value=", ".join(kept), key="tags_words")
        if st.form_submit_button("Save", type="primary"):
            act(lambda: _tag(archive, [document.id for document in selected], words.split(",")))


def _tag(archive: Archive, ids: Sequence[int], words: Sequence[str]) -> None:
    with services().database.session() as s:
        tags.tag_documents(s, archive.id, ids, words)


@st.dialog("Back up", on_dismiss=close)
def _backup(archive: Archive) -> None:
    target = keeping.backup_path(services(), archive.name)
    st.write("Documents, texts, findings and what was read of them go into one file, each with its hash.")
    with st.form("backup_archive", border=False):
        path = st.text_input("File", value=str(target), key="backup_file")
        if st.form_submit_button("Back up", type="primary"):
            act(lambda: enqueue("backup", archive.id, {"file": _new_file(path)}), "Backing up")


def _new_file(path: str) -> str:
    target = Path(path.strip()).expanduser()
    if not target.is_absolute() or not target.parent.is_dir() or target.exists():
        raise UserError("bad_file", "Name a new file in a folder that exists.", "Give its whole path.")
    return str(target)


@st.dialog("Restore a backup", on_dismiss=close)
def _restore() -> None:
    folder = services().home.path / "backups"
    found = sorted(folder.glob("*.zip"), key=lambda path: -path.stat().st_mtime) if folder.is_dir() else []
    with st.form("restore_archive", border=False):
        first = str(found[0]) if found else ""
        path = st.text_input(
            "File", value=first, placeholder="/home/me/papers.engram.zip", key="restore_file"
        )
        st.caption("It becomes an archive of its own; nothing that is here changes.")
        if st.form_submit_button("Restore", type="primary") and path.strip():
            file = str(Path(path.strip()).expanduser())
            act(lambda: restore(file), "Restoring")


@st.dialog("Read again", on_dismiss=close)
def _again(archive: Archive) -> None:
    st.write(f"Read {plain(archive.name)} from its first token, as if it never had been read? Findings stay.")
    if st.button("Read again", type="primary", key="again_confirmed"):
        act(lambda: library.read_again(services(), archive), "Reading again")


@st.dialog("Disk use", on_dismiss=close)
def _disk(archive: Archive) -> None:
    used = keeping.disk_use(services(), archive.id)
    names = {"originals": "Originals", "text": "Text and index (about)", "states": "Saved readings"}
    rows = "".join(f"<dt>{names[key]}</dt><dd>{size(value)}</dd>" for key, value in used.items())
    free = f"<dt>Free on the disk</dt><dd>{size(keeping.free_disk(services()))}</dd>"
    st.html(f'<section class="eg-gauges"><dl>{rows}{free}</dl></section>')


@st.dialog("New version", on_dismiss=close)
def _replace(document: Document) -> None:
    st.write(
        f"The file takes the place of {plain(document.name)} once it is parsed. Until then, and should that "
        "fail, the present version stays."
    )
    given = st.file_uploader("New version", key=f"version_{document.id}")
    if given is not None and st.button("Replace", type="primary", key="replace_confirmed"):
        act(lambda: library.replace_document(services(), document.id, given.name, given), "Replacing")


@st.dialog("Move documents", on_dismiss=close)
def _move(archive: Archive, selected: list[Document]) -> None:
    with services().database.session() as s:
        last = len(documents.reading_order(s, archive.id))
    now = min(document.position for document in selected if document.position is not None) + 1
    st.write(
        f"Of {count(last, 'document')} in the context. What stands after a moved document is read again."
    )
    with st.form("move_documents", border=False):
        to = st.number_input("Place", min_value=1, max_value=last, value=now, key="move_to")
        if st.form_submit_button("Move", type="primary"):
            ids = [document.id for document in selected]
            act(lambda: library.move_documents(services(), archive, ids, int(to) - 1), "Moved")


DIALOGS: dict[str, Callable[..., Any]] = {
    "about": _about,
    "again": _again,
    "backup": _backup,
    "disk": _disk,
    "move": _move,
    "replace": _replace,
    "restore": _restore,
    "tags": _tags,
}
