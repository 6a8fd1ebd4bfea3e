"""One cell in full: the model's answer, the correction by hand beside it, the quote on its page."""

import streamlit as st

from app import matrix as service
from app.view.answer import source_html
from app.view.cited import CitedPage, load_cited
from app.view.frame import guarded, services
from app.view.matrix_data import STATUS, Held, status_of
from app.view.viewer import draw_viewer
from app.view.words import ago, plain, safe
from storage import CellRecord, Citation, MatrixDocument, MatrixQuestion

OPENED = "matrix_cell"
COLOURS = {"supported": "eg-good", "partly_supported": "eg-warn", "failed": "eg-bad"}


def draw_cell(held: Held, cell: CellRecord) -> None:
    """The panel below the table."""
    document = next((row for row in held.table.documents if row.id == cell.document_id), None)
    column = next((item for item in held.matrix.questions if item.id == cell.question_id), None)
    if document is None or column is None:
        return
    with st.container(border=True, key="cell_panel"):
        _head(cell, document, column)
        _answer(cell)
        citation = as_citation(cell, document)
        if citation is not None:
            st.html(source_html(citation, 0))
        _tools(held, cell)
        if citation is not None:
            with st.container(key="cited_page"):
                draw_viewer(_load(citation), citation.quote, key=f"cell_{cell.id}")


def as_citation(cell: CellRecord, document: MatrixDocument) -> Citation | None:
    """The cell's quote in the form that the viewer takes."""
    if not cell.quote or cell.start is None or cell.end is None:
        return None
    place = {"document_id": document.id, "document": document.name, "page": cell.page or 1}
    span = {"start": cell.start, "end": cell.end, "quote": cell.quote, "verified": cell.verified}
    return Citation(number=1, **place, **span)


def _load(citation: Citation) -> CitedPage | None:
    with services().database.session() as s:
        return load_cited(s, services().files, citation)


def _head(cell: CellRecord, document: MatrixDocument, column: MatrixQuestion) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        name = f'<span class="eg-name">{safe(document.name)}</span>'
        st.html(f'<p class="eg-label">{safe(column.label)} · {name}</p>')
        st.button("Close", key="close_cell", type="tertiary", icon=":material/close:", on_click=_close)
    notes = [ago(cell.answered_at)] if cell.answered_at else []
    notes += [f"corrected {ago(cell.corrected_at)}"] if cell.corrected_at else []
    said = "".join(f"<span>{safe(note)}</span>" for note in notes)
    st.html(
        f'<div class="eg-question">{safe(column.question)}</div>'
        f'<div class="eg-meta">{chip(status_of(cell))}{said}</div>'
    )


def chip(status: str) -> str:
    """The status as HTML; an answer speaks for its document alone."""
    mark, words = STATUS.get(status, ("", status))
    mark = mark or "✓"
    colour = COLOURS.get(status, "eg-plain")
    return f'<span class="eg-chip {colour}"><span aria-hidden="true">{mark}</span>{safe(words)}</span>'


def _close() -> None:
    st.session_state.pop(OPENED, None)
    st.session_state["matrix_round"] = (
        st.session_state.get("matrix_round", 0) + 1
    )  # nothing is selected any more


def _answer(cell: CellRecord) -> None:
    if cell.corrected:
        st.html(f'<p class="eg-answer">{safe(cell.correction)}</p>')
        st.html('<p class="eg-small">Written by hand. The model said:</p>')
    if cell.answer:
        style = "eg-small" if cell.corrected else "eg-answer"
        st.html(f'<p class="{style}">{safe(cell.answer)}</p>')
    elif cell.status == "not_found":
        st.html('<p class="eg-small">No sentence of this document answers the question well enough.</p>')
    elif cell.status == "failed":
        st.error(plain(cell.error or "It could not be answered."), icon=":material/error:")


def _tools(held: Held, cell: CellRecord) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="cell_tools"):
        if st.button(
            "Ask again", key="ask_again", icon=":material/refresh:", disabled=cell.status == "pending"
        ):
            with guarded():
                service.ask_again(services(), held.matrix.id, [cell.id])
                st.rerun()
        with (
            st.popover("Correct by hand", icon=":material/edit:"),
            st.form(f"correct_{cell.id}", border=False),
        ):
            text = st.text_area("What the table shall show", value=cell.shown, key=f"correction_{cell.id}")
            st.html('<p class="eg-small">The model\'s answer is kept and exported beside it.</p>')
            if st.form_submit_button("Save", type="primary"):
                _correct(cell, text)
        if cell.corrected and st.button("Undo the correction", key="undo_correction", icon=":material/undo:"):
            _correct(cell, None)


def _correct(cell: CellRecord, text: str | None) -> None:
    with guarded():
        service.correct(services(), cell.id, text)
        st.rerun()
