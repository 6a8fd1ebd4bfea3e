"""Making a matrix, and what else can be done with a whole one."""

from collections.abc import Sequence

import streamlit as st

from app import matrix as service
from app.templates import templates
from app.view.frame import guarded, services
from app.view.shelf import load_shelf
from app.view.words import count, plain
from storage import Archive, Matrix, matrices

KEY = "matrix_dialog"
OWN = "Own questions"
CHOSEN = "matrix_id"


def ask_for(name: str) -> None:
    """Open a dialog at the next drawing of the page."""
    st.session_state[KEY] = name


def close() -> None:
    """No dialog is open any more."""
    st.session_state.pop(KEY, None)


def hold(matrix_id: int | None) -> None:
    """Take a matrix in hand."""
    st.session_state[CHOSEN] = matrix_id
    st.session_state.pop("matrix_cell", None)


def draw_form(archive: Archive, key: str) -> None:
    """Template, questions, documents; the button makes the matrix and has it filled."""
    choices = [OWN, *templates()]
    picked = st.segmented_control(
        "Questions of a field",
        choices,
        default=OWN,
        format_func=lambda name: templates()[name].title if name in templates() else name,
        key=f"template_{key}",
    )
    own = picked not in templates()
    lines = "" if own else service.as_lines(templates()[str(picked)].questions)
    names = [document.name for document in load_shelf(archive.id).documents]
    with st.form(f"form_{key}", border=False):
        questions = st.text_area(
            "Questions, one a line",
            value=lines,
            height=170,
            key=f"questions_{key}_{picked}",
            placeholder="Notice period | What is the notice period for termination?",
            help="A name for the column may stand before the question, parted by a bar: Name | Question?",
        )
        title = st.text_input(
            "Title",
            value="" if own else templates()[str(picked)].title,
            max_chars=200,
            key=f"title_{key}_{picked}",
        )
        only = st.multiselect(
            "Documents", names, key=f"only_{key}", placeholder=f"All {count(len(names), 'document')}"
        )
        if st.form_submit_button("Make the matrix", type="primary", icon=":material/table_view:"):
            _make(archive, title, questions, only)


def _make(archive: Archive, title: str, questions: str, only: Sequence[str]) -> None:
    with guarded():
        found = service.parse_lines(questions)
        made = service.make(
            services(), archive, title or (found[0].label or found[0].question if found else ""), found, only
        )
        hold(made.id)
        close()
        st.rerun()


def draw_menu(matrix: Matrix) -> None:
    """What can be done with a whole matrix."""
    with st.popover("Manage", icon=":material/more_horiz:"):
        if st.button("Fill again", icon=":material/refresh:", type="tertiary", key="fill_again",
                     help="Answers what is new or failed; answers that are there stay."):  # fmt: skip
            with guarded():
                service.fill(services(), matrix.id)
                st.rerun()
        for name, words, icon in (
            ("add", "Add questions…", ":material/add:"),
            ("rename", "Rename…", ":material/edit:"),
            ("delete", "Delete…", ":material/delete:"),
        ):
            st.button(words, icon=icon, type="tertiary", key=f"menu_{name}", on_click=ask_for, args=(name,))


def draw_dialog(archive: Archive, matrix: Matrix | None) -> None:
    """The dialog that is open, if any."""
    name = st.session_state.get(KEY)
    if name == "new":
        _new(archive)
    elif matrix is not None and name in DIALOGS:
        DIALOGS[name](matrix)


@st.dialog("New matrix", width="medium", on_dismiss=close)
def _new(archive: Archive) -> None:
    draw_form(archive, "dialog")


@st.dialog("Add questions", on_dismiss=close)
def _add(matrix: Matrix) -> None:
    with st.form("add_questions", border=False):
        lines = st.text_area(
            "Questions, one a line", key="added_questions", placeholder="Rent | What is the rent?"
        )
        if st.form_submit_button("Add", type="primary"):
            with guarded():
                service.add_questions(services(), matrix.id, service.parse_lines(lines))
                close()
                st.rerun()


@st.dialog("Rename matrix", on_dismiss=close)
def _rename(matrix: Matrix) -> None:
    with st.form("rename_matrix", border=False):
        title = st.text_input("Title", value=matrix.title, max_chars=200, key=f"retitle_{matrix.id}")
        if st.form_submit_button("Rename", type="primary"):
            with guarded():
                with services().database.session() as s:
                    matrices.rename_matrix(s, matrix.id, title)
                close()
                st.rerun()


@st.dialog("Delete matrix", on_dismiss=close)
def _delete(matrix: Matrix) -> None:
    st.write(f"Delete **{plain(matrix.title)}** with all answers and corrections? This cannot be undone.")
    with st.container(horizontal=True):
        if st.button(
            "Delete matrix", type="primary", icon=":material/delete:", key="delete_matrix_confirmed"
        ):
            with guarded():
                service.delete(services(), matrix.id)
                hold(None)
                close()
                st.rerun()
        if st.button("Keep", key="delete_matrix_kept"):
            close()
            st.rerun()


DIALOGS = {"add": _add, "rename": _rename, "delete": _delete}
