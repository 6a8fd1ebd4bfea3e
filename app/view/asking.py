"""What can be asked and of what: the kind of question, the documents it is put to, the box for it."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.request import ANSWER, COMPARISON, EVERYTHING, SUMMARY, Request, titled
from app.scope import load_choices
from app.view import questions
from app.view.copying import focus
from app.view.frame import services
from app.view.shelf import Shelf
from app.view.words import count, plain, safe
from storage import Archive

# kind -> (name, what it does in a sentence, what stands in the box)
KINDS = {
    ANSWER: ("Answer", "One answer, each statement tied to a quote.", "Ask a question"),
    EVERYTHING: (
        "Everything about",
        "Every passage that holds the words or lies near them in meaning, however many there are.",
        "Name what it is about",
    ),
    COMPARISON: (
        "Compare",
        "Two documents asked the same: both answers side by side, and what only one of them says.",
        "Ask both documents",
    ),
    SUMMARY: (
        "Summary",
        "Sentences of the documents themselves that stand for the whole, as quotes. Nothing is reworded.",
        "",
    ),
}
MEANING = {
    "Documents": "The answer then rests on these documents alone.",
    "Tags": "Documents with one of these tags. Tags are given in the Library.",
    "Fields": "Documents that came from one of these folders.",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What the person has chosen; nothing means all."""

    documents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


def choose_kind(archive: Archive) -> str:
    """What is wanted: an answer, all passages, a comparison, a summary; beside it what that is."""
    names = {kind: name for kind, (name, _, _) in KINDS.items()}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="ask_kind"):
        chosen = st.segmented_control(
            "What to do",
            list(KINDS),
            format_func=names.__getitem__,
            default=ANSWER,
            required=True,
            key=f"kind_{archive.id}",
            label_visibility="collapsed",
        )
        kind = chosen or ANSWER
        st.html(f'<p class="eg-small">{safe(KINDS[kind][1])}</p>')
    return kind


def choose_scope(archive: Archive, now: Shelf, row: DeltaGenerator) -> Scope:
    """The documents, and where there are such the tags and fields, in the archive's row; each narrows the
    others.
    """
    ready = [document for document in now.documents if document.status == "ready"]
    with services().database.session() as s:
        choices = load_choices(s, archive.id, ready)
    offered = {"Documents": [document.name for document in ready]}
    offered |= {"Tags": list(choices.tags)} if choices.tags else {}
    offered |= {"Fields": list(choices.fields)} if choices.fields else {}
    chosen = {}
    with row:
        for label, names in offered.items():
            chosen[label] = st.multiselect(
                label,
                names,
                key=f"only_{label}_{archive.id}",
                placeholder=f"All {count(len(names), 'document')}" if label == "Documents" else "Any",
                disabled=label == "Documents" and len(names) < 2,
                help=MEANING[label],
            )
    return Scope(*(tuple(chosen.get(label, ())) for label in MEANING))


def draw_form(archive: Archive, kind: str, now: Shelf, row: DeltaGenerator) -> None:
    """Scope, in the archive's row, and box of a kind; what is sent becomes a finding."""
    if kind == COMPARISON:
        _two_documents(archive, now, row)
        return
    scope = choose_scope(archive, now, row)
    if kind == SUMMARY:
        one = scope.documents[0] if len(scope.documents) == 1 else ""
        words = f"Summarise {plain(one)}" if one else "Summarise these documents" if scope != Scope() else ""
        if st.button(words or "Summarise the whole archive", type="primary", icon=":material/summarize:"):
            request = Request("", kind, scope.documents, scope.tags, scope.fields)
            questions.put(archive, titled(request, archive.name))
        return
    if asked := _box(archive, kind):
        questions.put(archive, Request(asked, kind, scope.documents, scope.tags, scope.fields))


def _two_documents(archive: Archive, now: Shelf, row: DeltaGenerator) -> None:
    names = [document.name for document in now.documents if document.status == "ready"]
    if len(names) < 2:
        st.html('<p class="eg-lead">A comparison takes two documents that have been read.</p>')
        return
    with row:
        one = st.selectbox("First document", names, key=f"left_{archive.id}")
        rest = [name for name in names if name != one]
        other = st.selectbox("Second document", rest, key=f"right_{archive.id}")
    if asked := _box(archive, COMPARISON):
        questions.put(archive, Request(asked, COMPARISON, (one, other)))


def _box(archive: Archive, kind: str) -> str | None:
    """The question; Enter sends it."""
    with st.container(key=f"ask_box_{kind}"):  # in a container the box stands here, not at the window's foot
        asked = st.chat_input(KINDS[kind][2], key=f"question_{kind}_{archive.id}")
    focus(f"ask_box_{kind}")
    return asked
