"""The matrix: made from a field's questions, narrowed, sorted, its cells opened, asked again, corrected."""

from __future__ import annotations

import csv
import io
import re

import openpyxl
import pytest
from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, cell, choose, click_table, download, pick, press, settle, visit

from app import matrix
from storage import Archive, Matrix, QuestionData, matrices

FILES = {
    "oak.txt": "The lease of Oak House runs for ten years. The notice period of Oak House is six months.\n",
    "elm.txt": "The lease of Elm House runs for two years. The notice period of Elm House is one month.\n",
    "ash.txt": "The lease of Ash House runs for a year. The notice period of Ash House is three months.\n",
}
NOTICE_X = 300  # of the second column, in pixels: behind the names


@pytest.fixture(scope="module")
def archive(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("matrix")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return desk.archive("Three leases", *(folder / name for name in FILES))


@pytest.fixture
def filled(desk: Desk, archive: Archive) -> Matrix:
    asked = [QuestionData("What is the notice period?", "Notice")]
    made = matrix.make(desk.services, archive, "Notices", asked)
    desk.rest(archive)
    return made


def panel_says(page: Page, *words: str) -> None:
    """The opened cell shows these words."""
    for text in words:
        expect(page.locator(".st-key-cell_panel")).to_contain_text(text)
    settle(page)


def test_a_fields_questions_are_put_to_a_document(page: Page, desk: Desk) -> None:
    archive = desk.archive("One lease", LEASE)
    visit(page, "Matrix", archive)
    choose(page, "Contracts")
    questions = page.get_by_role("textbox", name="Questions, one a line")
    expect(questions).to_have_value(re.compile(r"Governing law \| Which law governs this agreement\?"))
    press(page, "Make the matrix")
    said = page.get_by_text("5 cells:")
    expect(said).to_be_visible()
    expect(said).not_to_contain_text("not answered yet")
    sheet = openpyxl.load_workbook(io.BytesIO(download(page, page.get_by_role("button", name="XLSX")))).active
    assert sheet is not None
    words = [str(value) for row in sheet.iter_rows(values_only=True) for value in row if value]
    assert "Governing law" in words
    assert LEASE.name in words

    press(page, "New matrix")
    questions.fill("Rent | What is the monthly rent?")
    press(page, "Make the matrix")
    said = page.get_by_text("1 cell:")
    expect(said).to_be_visible()
    expect(said).not_to_contain_text("not answered yet")
    expect(page.get_by_role("combobox", name="Matrix")).to_have_value("Rent")


def test_a_matrix_is_narrowed_and_sorted(page: Page, archive: Archive, filled: Matrix) -> None:
    visit(page, "Matrix", archive)
    expect(cell(page, 0, 0)).to_have_text("oak.txt")
    click_table(page, 60, -1)
    expect(cell(page, 0, 0)).to_have_text("ash.txt")
    click_table(page, NOTICE_X, 0)
    panel_says(page, "Notice · ash.txt", "three months")
    words = page.get_by_role("textbox", name="Search", exact=True)
    words.fill("one month")
    words.press("Enter")
    expect(page.get_by_text("1 of 3 documents")).to_be_visible()
    expect(cell(page, 0, 0)).to_have_text("elm.txt")
    settle(page)
    words.fill("")
    words.press("Enter")
    expect(cell(page, 0, 2)).to_be_attached()
    pick(page, "Status", "corrected by hand")
    expect(page.get_by_text("No document fits.")).to_be_visible()


def test_a_cell_is_asked_again_and_corrected_by_hand(
    page: Page, desk: Desk, archive: Archive, filled: Matrix
) -> None:
    with desk.services.database.session() as s:
        found = matrices.load_table(s, filled.id)
    oak = next(row for row in found.documents if row.name == "oak.txt")
    wanted = found.cells[oak.id, filled.questions[0].id]
    visit(page, "Matrix", archive, cell=wanted.id)
    panel_says(page, "Notice · oak.txt", "six months")
    expect(page.locator(".eg-page mark")).to_contain_text("six months")

    with desk.held():
        press(page, "Ask again")
        panel_says(page, "not answered yet")
    panel_says(page, "supported")

    press(page, "Correct by hand")
    page.get_by_label("What the table shall show").fill("Half a year")
    press(page, "Save")
    panel_says(page, "Half a year", "corrected by hand", "The model said:", "six months")
    expect(cell(page, 1, 0)).to_have_text("✎ Half a year")

    table = download(page, page.get_by_role("button", name="CSV")).decode("utf-8-sig")
    row = next(row for row in csv.DictReader(io.StringIO(table)) if row["Document"] == "oak.txt")
    assert row["Notice"] == "Half a year"
    assert any("six months" in (value or "") for value in row.values())
    book = openpyxl.load_workbook(io.BytesIO(download(page, page.get_by_role("button", name="XLSX"))))
    cells = [item for sheet in book for line in sheet.iter_rows() for item in line]
    assert any("Half a year" in str(item.value) for item in cells)
    assert any(f"/matrix?cell={wanted.id}" in str(item.value) for item in cells)

    press(page, "Undo the correction")
    panel_says(page, "supported")
    expect(cell(page, 1, 0)).to_contain_text("six months")
