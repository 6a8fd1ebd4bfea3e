"""Matrices: made, brought in step with the archive, filled cell by cell, corrected by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from storage import recognised
from storage.archives import get_archive
from storage.columns import utc_now
from storage.errors import InvalidInputError, NotFoundError
from storage.matrix_records import CellData, CellRecord, MatrixDocument, MatrixTable, QuestionData
from storage.matrix_tables import Matrix, MatrixCell, MatrixQuestion
from storage.models import Document
from storage.texts import clean_line, clean_text

STATUSES = ("pending", "supported", "partly_supported", "not_found", "failed")
MAX_QUESTIONS = 100
MAX_TITLE = 200
_LABEL = 60
_EMPTY: dict[str, Any] = {
    **asdict(CellData("pending")),
    "run": {},
    "answered_at": None,
}


def create_matrix(
    s: Session,
    archive_id: int,
    title: str,
    questions: Sequence[QuestionData],
    document_ids: Sequence[int] = (),
) -> Matrix:
    """Make a matrix with its questions, its cells pending; no document ids means all documents."""
    get_archive(s, archive_id)
    matrix = Matrix(archive_id=archive_id, title=_title(title), documents=sorted(set(document_ids)))
    matrix.questions = _columns(questions)
    s.add(matrix)
    s.flush()
    sync_cells(s, matrix.id)
    return matrix


def get_matrix(s: Session, matrix_id: int) -> Matrix:
    """A matrix with its questions, as it is now."""
    query = select(Matrix).where(Matrix.id == matrix_id).execution_options(populate_existing=True)
    matrix = s.scalar(query)
    if matrix is None:
        raise NotFoundError("unknown_matrix", f"There is no matrix {matrix_id}.", "It may have been deleted.")
    return matrix


def list_matrices(s: Session, archive_id: int) -> list[Matrix]:
    """An archive's matrices, oldest first."""
    query = select(Matrix).where(Matrix.archive_id == archive_id).order_by(Matrix.id)
    return list(s.scalars(query.execution_options(populate_existing=True)))


def rename_matrix(s: Session, matrix_id: int, title: str) -> None:
    """Give a matrix another title."""
    get_matrix(s, matrix_id).title = _title(title)
    s.flush()


def delete_matrix(s: Session, matrix_id: int) -> None:
    """Delete a matrix with its questions, answers and corrections."""
    s.delete(get_matrix(s, matrix_id))
    s.flush()


def set_run(s: Session, matrix_id: int, run: dict[str, Any]) -> None:
    """Keep what filling the matrix ran on and cost."""
    s.execute(update(Matrix).where(Matrix.id == matrix_id).values(run=run))


def sync_cells(s: Session, matrix_id: int) -> int:
    """Make the cells that are missing for the matrix's documents, pending; returns how many."""
    matrix = get_matrix(s, matrix_id)
    places = select(MatrixCell.document_id, MatrixCell.question_id).where(_of(matrix))
    there = {(row.document_id, row.question_id) for row in s.execute(places)}
    wanted = s.scalars(select(Document.id).where(_chosen(matrix)).order_by(Document.id)).all()
    missing = [
        {**_EMPTY, "question_id": column.id, "document_id": document_id}
        for document_id in wanted
        for column in matrix.questions
        if (document_id, column.id) not in there
    ]
    if missing:
        s.execute(MatrixCell.__table__.insert(), missing)  # type: ignore[attr-defined]
    return len(missing)


def load_table(s: Session, matrix_id: int) -> MatrixTable:
    """The matrix as it stands: documents in the order of the archive, and every cell."""
    matrix = get_matrix(s, matrix_id)
    place = (Document.id, Document.name, Document.status, Document.error, Document.position)
    rows = s.execute(select(*place).where(_chosen(matrix)).order_by(Document.id))
    found = tuple(
        MatrixDocument(row.id, row.name, row.status, row.error, row.position is not None) for row in rows
    )
    cells = _cells(s, _of(matrix))
    by_place = {(cell.document_id, cell.question_id): cell for cell in cells}
    return MatrixTable(found, by_place, recognised.of_documents(s))


def pending_cells(s: Session, matrix_id: int) -> list[CellRecord]:
    """Cells that wait for an answer, document by document in the order of the archive."""
    return _cells(s, _of(get_matrix(s, matrix_id)) & (MatrixCell.status == "pending"))


def count_cells(s: Session, matrix_id: int) -> tuple[int, int]:
    """(cells no longer pending, all cells)."""
    query = (
        select(MatrixCell.status, func.count())
        .where(_of(get_matrix(s, matrix_id)))
        .group_by(MatrixCell.status)
    )
    counts = {row[0]: int(row[1]) for row in s.execute(query)}
    total = sum(counts.values())
    return total - counts.get("pending", 0), total


def get_cell(s: Session, cell_id: int) -> CellRecord:
    """A cell by id."""
    found = _cells(s, MatrixCell.id == cell_id)
    if not found:
        raise NotFoundError("unknown_cell", f"There is no cell {cell_id}.", "It may have been deleted.")
    return found[0]


def matrix_of_cell(s: Session, cell_id: int) -> Matrix:
    """The matrix that a cell belongs to."""
    question_id = get_cell(s, cell_id).question_id
    column = s.get(MatrixQuestion, question_id)
    return get_matrix(s, column.matrix_id if column is not None else 0)


def store_cells(s: Session, answers: Iterable[tuple[int, CellData]], run: dict[str, Any]) -> None:
    """Write the model's answers by cell id; a cell that is gone by now is passed over."""
    now = utc_now()
    for cell_id, data in answers:
        if data.status not in STATUSES:
            raise InvalidInputError("bad_status", f"No such cell status: {data.status!r}.")
        values = asdict(data) | {
            name: clean_text(getattr(data, name)) for name in ("answer", "quote", "error")
        }
        one = update(MatrixCell).where(MatrixCell.id == cell_id).values(**values, run=run, answered_at=now)
        s.execute(one.execution_options(synchronize_session=False))


def ask_again(s: Session, cell_ids: Sequence[int]) -> None:
    """Forget the model's answer in these cells; corrections by hand stay."""
    for cell_id in cell_ids:
        s.execute(update(MatrixCell).where(MatrixCell.id == cell_id).values(**_EMPTY))


def ask_failed_again(s: Session, matrix_id: int) -> None:
    """Make every failed cell pending: what failed may have been mended since."""
    where = _of(get_matrix(s, matrix_id)) & (MatrixCell.status == "failed")
    s.execute(update(MatrixCell).where(where).values(**_EMPTY).execution_options(synchronize_session=False))


def correct_cell(s: Session, cell_id: int, text: str | None) -> None:
    """Put a person's words beside the model's answer, or with None take them away."""
    correction = None if text is None else clean_text(text).strip()
    values = {"correction": correction, "corrected_at": None if text is None else utc_now()}
    if not s.execute(update(MatrixCell).where(MatrixCell.id == cell_id).values(**values)).rowcount:  # type: ignore[attr-defined]
        get_cell(s, cell_id)


def models_used(s: Session, matrix_id: int) -> list[dict[str, Any]]:
    """The distinct runs (model, fingerprint, device) that answered the cells."""
    query = select(MatrixCell.run).where(_of(get_matrix(s, matrix_id)), MatrixCell.answered_at.is_not(None))
    found = {
        tuple(sorted((key, str(value)) for key, value in run.items())): run for run in s.scalars(query) if run
    }
    return [found[key] for key in sorted(found)]


def remove_question(s: Session, question_id: int) -> None:
    """Drop a column with its answers."""
    s.execute(delete(MatrixQuestion).where(MatrixQuestion.id == question_id))


def add_questions(s: Session, matrix_id: int, questions: Sequence[QuestionData]) -> None:
    """Append columns, their cells pending."""
    matrix = get_matrix(s, matrix_id)
    first = max((column.position for column in matrix.questions), default=-1) + 1
    taken = [column.label for column in matrix.questions]
    matrix.questions = [*matrix.questions, *_columns(questions, first, taken)]
    s.flush()
    sync_cells(s, matrix_id)


def _columns(
    questions: Sequence[QuestionData], first: int = 0, taken: Sequence[str] = ()
) -> list[MatrixQuestion]:
    columns: list[MatrixQuestion] = []
    labels = {"Document", *taken}  # the first column of every table
    for position, item in enumerate(questions, first):
        asked = clean_line(item.question)
        if not asked:
            raise InvalidInputError(
                "empty_question", f"Question {position + 1} is empty.", "Type a question."
            )
        label = _free_label(clean_line(item.label) or _shortened(asked), labels)
        labels.add(label)
        terms = clean_line(item.terms)
        columns.append(MatrixQuestion(position=position, label=label, question=asked, terms=terms))
    if not columns or first + len(columns) > MAX_QUESTIONS:
        raise InvalidInputError("bad_questions", f"A matrix has 1 to {MAX_QUESTIONS} questions.")
    return columns


def _shortened(question: str) -> str:
    return question if len(question) <= _LABEL else question[: _LABEL - 1].rstrip() + "…"


def _free_label(label: str, taken: set[str]) -> str:
    """Columns are told apart by their labels in every export, so a second one of a name is numbered."""
    number, free = 2, label
    while free in taken:
        free, number = f"{label} ({number})", number + 1
    return free


def _title(title: str) -> str:
    return clean_line(title)[:MAX_TITLE] or "Matrix"


def _chosen(matrix: Matrix) -> ColumnElement[bool]:
    every = Document.archive_id == matrix.archive_id
    return every & Document.id.in_(matrix.documents) if matrix.documents else every


def _of(matrix: Matrix) -> ColumnElement[bool]:
    return MatrixCell.question_id.in_([column.id for column in matrix.questions])


def _cells(s: Session, where: ColumnElement[bool]) -> list[CellRecord]:
    columns = [getattr(MatrixCell, name) for name in CellRecord.__dataclass_fields__]
    query = select(*columns).where(where).order_by(MatrixCell.document_id, MatrixCell.question_id)
    return [CellRecord(*row) for row in s.execute(query)]
