"""Matrix: questions put to every document, a table of short answers with their quotes."""

import streamlit as st

from app.view import frame, matrix_data, matrix_form, sidebar
from app.view.actions import cancel_job
from app.view.matrix_cell import OPENED, draw_cell
from app.view.matrix_exports import draw_exports
from app.view.progress import draw_failure, draw_jobs
from app.view.shelf import load_archives, load_shelf
from app.view.words import count, safe
from storage import Archive, Matrix

BUSY_S = 2.0
HEAD_PX, ROW_PX, MAX_ROWS_SHOWN = 35, 66, 9  # above 64 pixels Streamlit wraps text
NAME_PX, ANSWER_PX = 170, 210


def nothing_yet(missing: str = "There is no archive yet.") -> None:
    """No archive, or one without documents: the way to the Library."""
    st.html(f'<p class="eg-lead">{missing} Add documents first, then put questions to all of them.</p>')
    frame.way_to("library", "Go to the Library", "library_books")


def follow_link() -> None:
    """An exported table's link names a cell: take its archive, matrix and cell in hand, once."""
    wanted = st.query_params.pop("cell", "")
    found = matrix_data.find_cell(int(wanted)) if str(wanted).isdecimal() and len(wanted) < 18 else None
    if found is not None:
        matrix, cell = found
        frame.take_archive(matrix.archive_id)
        matrix_form.hold(matrix.id)
        st.session_state[OPENED] = cell.id
    elif wanted:
        st.warning(
            "This cell is no longer there: its matrix or document was deleted.", icon=":material/info:"
        )


def choose(archives: list[Archive]) -> tuple[Archive, Matrix | None]:
    """The archive and the matrix in hand."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        archive = frame.choose_archive(archives)
        found = matrix_data.load_matrices(archive)
        if not found:
            return archive, None
        titles = {matrix.id: matrix.title for matrix in found}
        held = st.session_state.get(matrix_form.CHOSEN)
        current = held if held in titles else found[-1].id
        chosen = st.selectbox(
            "Matrix",
            list(titles),
            index=list(titles).index(current),
            format_func=titles.__getitem__,
            key=f"matrix_choice_{archive.id}_{current}_{len(titles)}",
        )
        if chosen != current:
            matrix_form.hold(chosen)
            st.rerun()
        matrix = next(item for item in found if item.id == chosen)
        st.button("New matrix", icon=":material/add:", on_click=matrix_form.ask_for, args=("new",))
        matrix_form.draw_menu(matrix)
    return archive, matrix


def first_matrix(archive: Archive) -> None:
    """The archive has no matrix yet: say what one is and offer to make it."""
    now = load_shelf(archive.id)
    if not (now.documents or now.work.active):
        nothing_yet("This archive holds no documents yet.")
        return
    st.html(
        '<p class="eg-lead">A matrix asks each document the same questions and fills a table: one row a '
        "document, one column a question, a checked quote behind every answer. Take the questions of a field "
        "or write your own.</p>"
    )
    matrix_form.draw_form(archive, "first")


def work(matrix: Matrix, busy: bool) -> None:
    """Progress and table; drawn again by themselves while the matrix is being filled."""

    @st.fragment(run_every=BUSY_S if busy else None)
    def refreshed() -> None:
        with frame.guarded():
            held = matrix_data.load(matrix.id)
            if bool(held.active) != busy:
                st.rerun()
            cancelled = draw_jobs(held.active)
            if cancelled is not None:
                cancel_job(cancelled)
            if held.failed is not None:
                draw_failure(held.failed)
            st.html(f'<p class="eg-small eg-figures">{safe(matrix_data.summary(held))}</p>')
            table(held)

    refreshed()


def table(held: matrix_data.Held) -> None:
    """Filters, the table, and noting which cell was clicked."""
    left, right = st.columns(2, gap="small")
    with left:
        words = st.text_input("Search", key="matrix_search", placeholder="Words in a name or an answer")
    with right:
        labels = {status: words for status, (_, words) in matrix_data.STATUS.items()}
        statuses = st.multiselect(
            "Status", list(labels), format_func=labels.__getitem__, key="matrix_statuses", placeholder="Any"
        )
    rows = matrix_data.chosen_rows(held, words, statuses)
    if not rows:
        st.html('<p class="eg-lead">No document fits.</p>')
        return
    if len(rows) < len(held.table.documents):
        shown = f"{count(len(rows))} of {count(len(held.table.documents), 'document')}"
        st.html(f'<p class="eg-small eg-figures">{safe(shown)}</p>')
    column = st.column_config
    event = st.dataframe(
        matrix_data.tinted(held, rows),
        key=f"matrix_{held.matrix.id}_{st.session_state.get('matrix_round', 0)}",
        hide_index=True,
        height=HEAD_PX + ROW_PX * min(len(rows), MAX_ROWS_SHOWN) + 3,
        row_height=ROW_PX,
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            matrix_data.DOCUMENT: column.TextColumn(width=NAME_PX, pinned=True),
            **{
                item.label: column.TextColumn(width=ANSWER_PX, help=item.question)
                for item in held.matrix.questions
            },
        },
    )
    cells = event["selection"]["cells"] if event else []
    clicked = matrix_data.selected(held, rows, (int(cells[0][0]), str(cells[0][1]))) if cells else None
    if clicked is not None and st.session_state.get(OPENED) != clicked.id:
        st.session_state[OPENED] = clicked.id
        st.rerun()


def opened(held: matrix_data.Held) -> None:
    """The cell in hand, in full."""
    wanted = st.session_state.get(OPENED)
    cell = next((cell for cell in held.table.cells.values() if cell.id == wanted), None)
    if cell is not None:
        draw_cell(held, cell)
    else:
        st.html(
            '<p class="eg-small">Click a cell to see its quote on the page, to ask it again or to correct '
            "it.</p>"
        )


frame.style()
frame.heading(
    "Matrix", "Questions put to every document: a table of short answers, a checked quote behind each."
)
with frame.guarded():
    sidebar.draw_worker()
    follow_link()
    archives = load_archives()
    if not archives:
        nothing_yet()
    else:
        archive, matrix = choose(archives)
        if matrix is None:
            first_matrix(archive)
        else:
            held = matrix_data.load(matrix.id)
            busy = bool(held.active)
            sidebar.draw_missing_worker(waiting=busy)
            work(matrix, busy)
            draw_exports(held, archive)
            opened(held)
        matrix_form.draw_dialog(archive, matrix)
