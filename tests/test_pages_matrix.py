"""The Matrix page: empty, making one, busy, filled, failed; a cell opened, corrected, asked again."""

from __future__ import annotations

import pytest
from page_driver import html_of, labels, notices, open_page, press, words_of
from page_seeds import QUOTE, Seeds
from streamlit.testing.v1 import AppTest

from app import matrix as service
from app.view.matrix_exports import matrix_bytes
from storage import Archive, CellData, CellRecord, Matrix, QuestionData, documents, jobs, matrices

NOTICE = QuestionData("What is the notice period?", "Notice")
RENT = QuestionData("What is the rent?", "Rent")


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


@pytest.fixture
def archive(seeds: Seeds) -> Archive:
    made = seeds.archive()
    seeds.lease(made)
    seeds.text(made, "other.txt", "Nothing is said of notice. The rent is 900 euros.\n")
    return made


@pytest.fixture
def filled(seeds: Seeds, archive: Archive) -> Matrix:
    """The lease answers the first question; the rest is not found."""
    with seeds.database.session() as s:
        made = matrices.create_matrix(s, archive.id, "Leases", [NOTICE, RENT])
        cells = matrices.pending_cells(s, made.id)
        lease = matrices.load_table(s, made.id).documents[0]
        start = documents.document_text(s, lease.id).find(QUOTE)
        answer = CellData("supported", QUOTE, 0.9, 1, start, start + len(QUOTE), QUOTE, True)
        rest = [(cell.id, CellData("not_found")) for cell in cells[1:]]
        matrices.store_cells(
            s, [(cells[0].id, answer), *rest], {"model": "tiny", "fingerprint": "f", "device": "cpu"}
        )
        return matrices.get_matrix(s, made.id)


def table(page: AppTest) -> list[dict[str, str]]:
    return page.dataframe[0].value.to_dict("records")


def click(page: AppTest, made: Matrix, row: int, label: str) -> AppTest:
    """A cell as a person would click it; AppTest cannot click a canvas."""
    page.session_state[f"matrix_{made.id}_0"] = {
        "selection": {"rows": [], "columns": [], "cells": [(row, label)]}
    }
    return page.run()


def first_cell(seeds: Seeds, made: Matrix) -> CellRecord:
    with seeds.database.session() as s:
        table = matrices.load_table(s, made.id)
        return table.cells[table.documents[0].id, made.questions[0].id]


def test_without_an_archive_it_leads_to_the_library() -> None:
    page = open_page("matrix")
    assert not page.exception
    assert labels(page) == ["Go to the Library"]


def test_the_first_matrix_is_made_from_a_template(seeds: Seeds, archive: Archive) -> None:
    page = open_page("matrix")
    assert "one row a document" in words_of(page)
    page.button_group[0].set_value("contracts").run()
    assert "Governing law | Which law governs this agreement?" in page.text_area[0].value
    press(page, "Make the matrix")
    assert not page.exception
    with seeds.database.session() as s:
        (made,) = matrices.list_matrices(s, archive.id)
        (job,) = service.active_jobs(s, made)
    assert made.title == "Contracts"
    assert made.questions[0].terms
    assert job.kind == "matrix"
    assert {row["Parties"] for row in table(page)} == {"… not answered yet"}
    assert "worker is not running" in notices(page)


def test_own_questions_and_chosen_documents(seeds: Seeds, archive: Archive) -> None:
    page = open_page("matrix")
    page.text_area[0].set_value("Rent | What is the rent?")
    page.multiselect[0].set_value(["other.txt"])
    press(page, "Make the matrix")
    assert table(page) == [{"Document": "other.txt", "Rent": "… not answered yet"}]


def test_no_question_is_told_and_makes_nothing(seeds: Seeds, archive: Archive) -> None:
    page = press(open_page("matrix"), "Make the matrix")
    assert "at least one question" in notices(page)
    with seeds.database.session() as s:
        assert matrices.list_matrices(s, archive.id) == []


def test_the_table_marks_what_is_not_plainly_supported(filled: Matrix) -> None:
    page = open_page("matrix")
    assert not page.exception
    rows = table(page)
    assert rows[0]["Notice"] == QUOTE
    assert rows[1] == {"Document": "other.txt", "Notice": "∅ not found", "Rent": "∅ not found"}
    assert "4 cells: 1 supported, 3 not found." in words_of(page)


def test_search_and_status_narrow_the_table(filled: Matrix) -> None:
    page = open_page("matrix")
    page.text_input(key="matrix_search").set_value("six months").run()
    assert [row["Document"] for row in table(page)] == ["legal/lease-12-harbour-street.md"]
    assert "1 of 2 documents" in words_of(page)
    page.text_input(key="matrix_search").set_value("").run()
    page.multiselect(key="matrix_statuses").set_value(["failed"]).run()
    assert "No document fits" in words_of(page)


def test_a_clicked_cell_shows_its_quote_on_the_page(filled: Matrix) -> None:
    page = click(open_page("matrix"), filled, 0, "Notice")
    assert not page.exception
    assert f"<mark>{QUOTE}</mark>" in html_of(page)
    assert "verified" in words_of(page)
    press(page, "Close")
    assert "<mark>" not in html_of(page)


def test_a_cell_is_corrected_by_hand_and_back(seeds: Seeds, filled: Matrix) -> None:
    page = click(open_page("matrix"), filled, 0, "Notice")
    cell = first_cell(seeds, filled)
    page.text_area(key=f"correction_{cell.id}").set_value("Six <b>months</b>")
    press(page, "Save")
    assert not page.exception
    assert table(page)[0]["Notice"] == "✎ Six <b>months</b>"
    assert "Six &lt;b&gt;months" in html_of(page)
    assert "The model said" in words_of(page)
    assert first_cell(seeds, filled).answer == QUOTE
    press(page, "Undo the correction")
    assert table(page)[0]["Notice"] == QUOTE


def test_a_cell_is_asked_again(seeds: Seeds, filled: Matrix) -> None:
    page = press(click(open_page("matrix"), filled, 0, "Notice"), "Ask again")
    assert not page.exception
    assert first_cell(seeds, filled).status == "pending"
    with seeds.database.session() as s:
        assert len(service.active_jobs(s, filled)) == 1


def test_a_running_job_shows_progress_and_can_be_cancelled(
    seeds: Seeds, archive: Archive, filled: Matrix
) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "matrix", archive.id, {"matrix_id": filled.id})
        jobs.claim_job(s, job.id, "tester")
        jobs.beat(
            s, job.id, done=100, total=400, unit="cells", message="answering from a.txt", rate=2.5, eta_s=120
        )
    page = open_page("matrix")
    said = words_of(page)
    assert "Answering from a.txt" in said
    assert "100 of 400 cells" in said
    assert "about 2 min left" in said
    press(page, "Cancel")
    with seeds.database.session() as s:
        assert jobs.get_job(s, job.id).cancel_requested


def test_a_failed_job_says_what_to_do(seeds: Seeds, archive: Archive, filled: Matrix) -> None:
    with seeds.database.session() as s:
        job = jobs.enqueue(s, "matrix", archive.id, {"matrix_id": filled.id})
        jobs.claim_job(s, job.id, "tester")
        jobs.fail(s, job.id, "The model <b>broke</b>.", "Mend it.")
    said = notices(open_page("matrix")).replace("\\", "")
    assert "Filling the matrix stopped." in said
    assert "Mend it." in said


def test_a_link_of_an_export_opens_its_cell(seeds: Seeds, filled: Matrix) -> None:
    with seeds.database.session() as s:
        matrices.create_matrix(s, filled.archive_id, "Another", [RENT])
    page = open_page("matrix", cell=first_cell(seeds, filled).id)
    assert not page.exception
    assert f"<mark>{QUOTE}</mark>" in html_of(page)


@pytest.mark.parametrize("wanted", ["99999", "x", "9" * 40])
def test_a_link_to_nothing_is_told(filled: Matrix, wanted: str) -> None:
    page = open_page("matrix", cell=wanted)
    assert not page.exception
    assert "no longer there" in notices(page)


def test_questions_are_added_the_matrix_renamed_and_deleted(seeds: Seeds, filled: Matrix) -> None:
    page = press(open_page("matrix"), "Add questions…")
    page.text_area(key="added_questions").set_value("Law | Which law governs?")
    press(page, "Add")
    assert "Law" in table(page)[0]
    press(page, "Rename…")
    page.text_input(key=f"retitle_{filled.id}").set_value("All leases")
    press(page, "Rename")
    with seeds.database.session() as s:
        assert matrices.get_matrix(s, filled.id).title == "All leases"
    press(page, "Delete…")
    page.button(key="delete_matrix_confirmed").click().run()
    assert not page.exception
    with seeds.database.session() as s:
        assert matrices.list_matrices(s, filled.archive_id) == []


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "json"])
def test_the_whole_table_can_be_downloaded(filled: Matrix, suffix: str) -> None:
    data = matrix_bytes(filled.id, "Leases", suffix, "http://127.0.0.1:8501")
    assert data
    page = open_page("matrix")
    assert [button.label for button in page.get("download_button")][:3] == ["XLSX", "CSV", "JSON"]
