"""Matrices as people ask for them: made from questions, filled by a job, mended cell by cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.errors import UserError
from app.questions import check_question
from app.scope import find_documents
from app.services import Services
from app.templates import templates
from storage import Archive, Job, Matrix, QuestionData, jobs, matrices

KIND = "matrix"
PRIORITY = 2  # before more documents are read: somebody waits for it


def make(
    services: Services,
    archive: Archive,
    title: str,
    questions: Sequence[QuestionData],
    names: Sequence[str] = (),
) -> Matrix:
    """Make a matrix over the named documents, or over all, and have it filled."""
    with services.database.session() as s:
        return put(s, archive, title, questions, names)


def put(
    s: Session, archive: Archive, title: str, questions: Sequence[QuestionData], names: Sequence[str] = ()
) -> Matrix:
    """The same within a session."""
    if not questions:
        raise UserError(
            "no_questions", "A matrix needs at least one question.", "Type one, or take a template."
        )
    for item in questions:
        check_question(item.question)
    chosen = [document.id for document in find_documents(s, archive.id, names)] if names else []
    matrix = matrices.create_matrix(s, archive.id, title, questions, chosen)
    request(s, matrix)
    return matrix


def request(s: Session, matrix: Matrix) -> Job:
    """Have a matrix's pending cells answered."""
    return jobs.enqueue(s, KIND, matrix.archive_id, {"matrix_id": matrix.id}, PRIORITY, once=True)


def request_pending(s: Session, archive_id: int) -> None:
    """Have every matrix of an archive filled that has pending cells."""
    for matrix in matrices.list_matrices(s, archive_id):
        done, total = matrices.count_cells(s, matrix.id)
        if done < total:
            request(s, matrix)


def fill(services: Services, matrix_id: int) -> Job:
    """Bring the matrix in step with the archive and answer what is pending or failed."""
    with services.database.session() as s:
        matrix = matrices.get_matrix(s, matrix_id)
        matrices.sync_cells(s, matrix_id)
        matrices.ask_failed_again(s, matrix_id)
        return request(s, matrix)


def ask_again(services: Services, matrix_id: int, cell_ids: Sequence[int]) -> Job:
    """Answer these cells once more; a correction by hand stays in place."""
    with services.database.session() as s:
        matrices.ask_again(s, cell_ids)
        return request(s, matrices.get_matrix(s, matrix_id))


def add_questions(services: Services, matrix_id: int, questions: Sequence[QuestionData]) -> Job:
    """Append columns and have them filled."""
    for item in questions:
        check_question(item.question)
    with services.database.session() as s:
        matrices.add_questions(s, matrix_id, questions)
        return request(s, matrices.get_matrix(s, matrix_id))


def correct(services: Services, cell_id: int, text: str | None) -> None:
    """Put a person's words in the place of the model's answer; None gives the answer its place back."""
    with services.database.session() as s:
        matrices.correct_cell(s, cell_id, text)


def delete(services: Services, matrix_id: int) -> None:
    """Delete a matrix and stop the jobs that fill it."""
    with services.database.session() as s:
        matrix = matrices.get_matrix(s, matrix_id)
        for job in active_jobs(s, matrix):
            jobs.cancel(s, job.id)
        matrices.delete_matrix(s, matrix_id)


def active_jobs(s: Session, matrix: Matrix) -> list[Job]:
    """The jobs that fill this matrix, waiting or under way."""
    return [
        job
        for job in jobs.list_jobs(s, matrix.archive_id, active=True)
        if job.kind == KIND and job.payload.get("matrix_id") == matrix.id
    ]


def find_same(
    s: Session, archive_id: int, questions: Sequence[QuestionData], document_ids: Sequence[int]
) -> Matrix | None:
    """The newest matrix of exactly these questions and documents, to be gone on with."""
    asked = [" ".join(item.question.split()) for item in questions]
    for matrix in reversed(matrices.list_matrices(s, archive_id)):
        same = [column.question for column in matrix.questions] == asked
        if same and set(matrix.documents) == set(document_ids):
            return matrix
    return None


def parse_lines(text: str) -> list[QuestionData]:
    """One question a line, a label before it if the two are parted by a bar; a template's question keeps
    its other words.
    """
    known = {item.question: item for template in templates().values() for item in template.questions}
    found = []
    for line in text.splitlines():
        label, bar, asked = line.partition("|")
        label, asked = (label.strip(), asked.strip()) if bar else ("", line.strip())
        if asked:
            item = known.get(asked)
            found.append(
                QuestionData(asked, label or (item.label if item else ""), item.terms if item else "")
            )
    return found


def as_lines(questions: Sequence[QuestionData]) -> str:
    """Questions in the form that `parse_lines` reads."""
    return "\n".join(f"{item.label} | {item.question}" if item.label else item.question for item in questions)


def template_questions(name: str) -> list[QuestionData]:
    """The questions of a template; an unknown name is an error that lists them."""
    found = templates().get(name)
    if found is None:
        raise UserError(
            "unknown_template", f"There is no template {name!r}.", f"Known: {', '.join(templates())}."
        )
    return list(found.questions)


def read_questions(source: Path) -> list[QuestionData]:
    """Questions from a file: one a line, or JSON or JSONL of texts or {"question", "label", "terms"}."""
    try:
        text = source.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("bad_questions", f"{source} is not UTF-8 text.", "Save it as UTF-8.") from error
    suffix = source.suffix.lower()
    if suffix == ".json":
        values = _json(text, source)
        items = values if isinstance(values, list) else [values]
    elif suffix == ".jsonl":
        items = [_json(line, source) for line in text.splitlines() if line.strip()]
    else:
        return _some(parse_lines(text), source)
    return _some([_question(item, number) for number, item in enumerate(items, 1)], source)


def _some(found: list[QuestionData], source: Path) -> list[QuestionData]:
    if not found:
        raise UserError("no_questions", f"{source} holds no question.", "Write one a line.")
    return found


def _json(text: str, source: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError("bad_questions", f"{source} is not valid JSON: {error}.") from error


def _question(item: Any, number: int) -> QuestionData:
    values = {"question": item} if isinstance(item, str) else item
    keys = ("question", "label", "terms")
    if not isinstance(values, dict) or not isinstance(values.get("question"), str):
        wanted = 'Each must be a text or {"question": "...", "label": "..."}.'
        raise UserError("bad_questions", f"Item {number} is no question.", wanted)
    return QuestionData(**{key: str(values[key]) for key in keys if values.get(key)})
