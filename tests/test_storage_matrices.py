"""Matrices in the database: kept in step with the archive, answers and corrections apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_rows import add_archive, add_queued, add_text, new_database

from storage import (
    CellData,
    Database,
    InvalidInputError,
    Matrix,
    NotFoundError,
    QuestionData,
    archives,
    documents,
    matrices,
)

QUESTIONS = [QuestionData("How long?", "Term"), QuestionData("Which law governs?")]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


@pytest.fixture
def made(db: Database) -> Matrix:
    with db.session() as s:
        archive = add_archive(s)
        add_text(s, archive, "a.txt", "Ten years.")
        add_text(s, archive, "b.txt", "Norway.")
        return matrices.create_matrix(s, archive.id, " My  matrix ", QUESTIONS)


def first_cell(db: Database, made: Matrix) -> int:
    with db.session() as s:
        return matrices.pending_cells(s, made.id)[0].id


def test_a_new_matrix_has_a_pending_cell_for_every_document_and_question(db: Database, made: Matrix) -> None:
    assert made.title == "My matrix"
    assert [column.label for column in made.questions] == ["Term", "Which law governs?"]
    with db.session() as s:
        assert matrices.count_cells(s, made.id) == (0, 4)
        assert {cell.status for cell in matrices.pending_cells(s, made.id)} == {"pending"}


def test_documents_added_later_get_cells_and_removed_ones_lose_theirs(db: Database, made: Matrix) -> None:
    with db.session() as s:
        late = add_queued(s, archives.get_archive(s, made.archive_id), "c.txt")
        assert matrices.sync_cells(s, made.id) == 2
        assert matrices.sync_cells(s, made.id) == 0
        documents.remove_document(s, late.id)
    with db.session() as s:
        assert matrices.count_cells(s, made.id) == (0, 4)


def test_a_matrix_of_chosen_documents_takes_no_others(db: Database, made: Matrix) -> None:
    with db.session() as s:
        row = documents.list_documents(s, made.archive_id)[1]
        chosen = matrices.create_matrix(s, made.archive_id, "One", QUESTIONS, [row.id, row.id])
        table = matrices.load_table(s, chosen.id)
    assert [document.name for document in table.documents] == ["b.txt"]
    assert len(table.cells) == 2


def test_an_answer_and_a_correction_are_kept_apart(db: Database, made: Matrix) -> None:
    cell_id = first_cell(db, made)
    answer = CellData("supported", "Ten\0 years.", 0.9, 1, 0, 10, "Ten years.", True)
    with db.session() as s:
        matrices.store_cells(s, [(cell_id, answer)], {"model": "tiny"})
        matrices.correct_cell(s, cell_id, " Eleven years ")
    with db.session() as s:
        cell = matrices.get_cell(s, cell_id)
        assert (cell.answer, cell.correction, cell.shown) == ("Ten  years.", "Eleven years", "Eleven years")
        assert cell.corrected
        assert matrices.load_table(s, made.id).counts() == {"corrected": 1, "pending": 3}
        matrices.ask_again(s, [cell_id])
        again = matrices.get_cell(s, cell_id)
        assert (again.status, again.answer, again.quote, again.correction) == (
            "pending",
            "",
            "",
            "Eleven years",
        )
        matrices.correct_cell(s, cell_id, None)
        assert not matrices.get_cell(s, cell_id).corrected


def test_an_empty_correction_is_a_correction(db: Database, made: Matrix) -> None:
    cell_id = first_cell(db, made)
    with db.session() as s:
        matrices.correct_cell(s, cell_id, "")
        cell = matrices.get_cell(s, cell_id)
    assert cell.corrected
    assert cell.shown == ""


def test_only_failed_cells_are_asked_again_together(db: Database, made: Matrix) -> None:
    with db.session() as s:
        ids = [cell.id for cell in matrices.pending_cells(s, made.id)]
        matrices.store_cells(
            s, [(ids[0], CellData("failed", error="x")), (ids[1], CellData("not_found"))], {}
        )
        matrices.ask_failed_again(s, made.id)
        assert matrices.get_cell(s, ids[0]).status == "pending"
        assert matrices.get_cell(s, ids[1]).status == "not_found"


def test_questions_can_be_added_and_labels_stay_apart(db: Database, made: Matrix) -> None:
    more = [QuestionData("How much?", "Term"), QuestionData("Where?", "Document")]
    with db.session() as s:
        matrices.add_questions(s, made.id, more)
        held = matrices.get_matrix(s, made.id)
        assert [column.label for column in held.questions][2:] == ["Term (2)", "Document (2)"]
        assert matrices.count_cells(s, made.id) == (0, 8)


@pytest.mark.parametrize("questions", [[], [QuestionData("  ")], [QuestionData("a?")] * 101])
def test_no_question_or_too_many_are_refused(
    db: Database, made: Matrix, questions: list[QuestionData]
) -> None:
    with pytest.raises(InvalidInputError), db.session() as s:
        matrices.create_matrix(s, made.archive_id, "Bad", questions)
    with db.session() as s:
        assert len(matrices.list_matrices(s, made.archive_id)) == 1


def test_what_is_not_there_is_said_so(db: Database, made: Matrix) -> None:
    with db.session() as s:
        with pytest.raises(NotFoundError):
            matrices.get_matrix(s, 999)
        with pytest.raises(NotFoundError):
            matrices.correct_cell(s, 999, "x")
        matrices.store_cells(s, [(999, CellData("not_found"))], {})  # deleted meanwhile: passed over
        with pytest.raises(InvalidInputError):
            matrices.store_cells(s, [(1, CellData("guessed"))], {})


def test_deleting_a_matrix_takes_its_cells_along(db: Database, made: Matrix) -> None:
    cell_id = first_cell(db, made)
    with db.session() as s:
        matrices.delete_matrix(s, made.id)
    with db.session() as s, pytest.raises(NotFoundError):
        matrices.get_cell(s, cell_id)


def test_the_models_that_answered_are_told_apart(db: Database, made: Matrix) -> None:
    with db.session() as s:
        ids = [cell.id for cell in matrices.pending_cells(s, made.id)]
        for number, cell_id in enumerate(ids[:3]):
            run = {"model": "b" if number == 2 else "a", "fingerprint": "f", "device": "cpu"}
            matrices.store_cells(s, [(cell_id, CellData("not_found"))], run)
        assert [run["model"] for run in matrices.models_used(s, made.id)] == ["a", "b"]
