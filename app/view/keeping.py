"""The Library's part on keeping archives: what they are, tags, order, new versions, backups, what was deleted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app import keeping, library
from app.fitting import memory_there
from app.view.dialogs import KEY, ask_for, close
from app.view.frame import guarded, services
from app.view.sidebar import live_workers
from app.view.words import ago, count, plain, safe, share, size
from storage import Archive, Document, Job, documents, jobs, tags, trash

MOST_PAIRS = 20


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
        _act(lambda: _enqueue("duplicates", archive.id, {}))


def draw_document_menu(archive: Archive, selected: Sequence[Document]) -> None:
    """What can be done with the selected documents beside removing them."""
    with st.popover("Change", icon=":material/more_horiz:"):
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
            _act(lambda: library.parse_again(services(), archive, ids), "Parsing again")


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
            _act(lambda archive_id=archive_id: library.undelete_archive(services(), archive_id), "It is back")
    chosen = st.session_state.get("archive_id")
    for archive, number in removed.items():
        if number and archive.id == chosen:
            label = f"Bring back {count(number, 'removed document')}"
            if st.button(label, icon=":material/undo:", key="bring_back"):
                _act(lambda archive=archive: library.bring_back(services(), archive), "Adding again")


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
        lines = [
            f"<li>{safe(share(pair['alike']))} alike: {safe(names[pair['one']])} and {safe(names[pair['other']])}</li>"
            for pair in pairs[:MOST_PAIRS]
        ]
        note = "The same content is stored once only; these share at least half of their wording."
        st.html(f'<p class="eg-small">{note}</p><ul class="eg-small">{"".join(lines)}</ul>')


def draw_memory(found: Sequence[Document]) -> None:
    """The memory that reading these documents takes, against what is free."""
    plan = next((worker.info["plan"] for worker in live_workers() if worker.info.get("plan")), None)
    tokens = sum(document.tokens for document in found)
    if not isinstance(plan, dict) or not tokens:
        return
    beside = plan["state"] + plan["working"] + plan["growth_per_token"] * tokens
    free = memory_there()
    if plan["growth_per_token"] and beside > free:
        st.warning(
            f"**Too long for this model.** Reading {count(tokens, 'token')} takes {size(beside)} of memory beside its "
            f"weights; {size(free)} are free. Choose a model whose memory does not grow on the Engine page.",
            icon=":material/memory:",
        )
        return
    grows = "" if plan["growth_per_token"] else ", whatever their number"
    needed = size(plan["weights"] + beside)
    words = f"Reading these {count(tokens, 'token')} takes about {needed} of memory{grows}; {size(free)} are free."
    st.html(f'<p class="eg-small eg-figures">{safe(words)}</p>')


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
            _act(lambda: _describe(archive, text, words.split(",")))


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
            _act(lambda: _tag(archive, [document.id for document in selected], words.split(",")))


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
            _act(lambda: _enqueue("backup", archive.id, {"file": _new_file(path)}), "Backing up")


def _new_file(path: str) -> str:
    target = Path(path.strip()).expanduser()
    if not target.is_absolute() or not target.parent.is_dir() or target.exists():
        raise library.UserError(
            "bad_file", "Name a new file in a folder that exists.", "Give its whole path."
        )
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
            _act(lambda: _enqueue("restore", None, {"file": file}), "Restoring")


@st.dialog("Read again", on_dismiss=close)
def _again(archive: Archive) -> None:
    st.write(f"Read {plain(archive.name)} from its first token, as if it never had been read? Findings stay.")
    if st.button("Read again", type="primary", key="again_confirmed"):
        _act(lambda: library.read_again(services(), archive), "Reading again")


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
        f"The file takes the place of {plain(document.name)} once it is parsed. Until then, and should that fail, the "
        "present version stays."
    )
    given = st.file_uploader("New version", key=f"version_{document.id}")
    if given is not None and st.button("Replace", type="primary", key="replace_confirmed"):
        _act(lambda: library.replace_document(services(), document.id, given.name, given), "Replacing")


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
            _act(lambda: library.move_documents(services(), archive, ids, int(to) - 1), "Moved")


def _open(name: str, about: dict[str, Any]) -> None:
    ask_for(name, **about)
    st.rerun()  # the whole page: a dialog of the refreshed part alone would close at its next refresh


def _enqueue(kind: str, archive_id: int | None, payload: dict[str, Any]) -> Job:
    with services().database.session() as s:
        return jobs.enqueue(s, kind, archive_id, payload, once=True)


def _act(what: Callable[[], Any], said: str = "") -> None:
    with guarded():
        what()
        close()
        if said:
            st.toast(said, icon=":material/check:")
        st.rerun()


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
