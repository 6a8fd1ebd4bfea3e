"""A quoted row of a table is boxed on its page, cell by cell, though its text names the columns."""

from __future__ import annotations

from pathlib import Path

import pypdfium2 as pdfium
import pytest
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle

from app.view import pdf_page
from app.view.table_boxes import row_boxes
from storage.ingest.readers.pdf_tables import page_tables

HEAD = ["Arm", "Dose", "Patients", "Adverse events"]
ROWS = [
    ["Placebo", "0 mg", "114", "12"],
    ["Low", "20 mg", "112", "14"],
    ["High", "40 mg", "112", "31"],
]


@pytest.fixture(params=[True, False], ids=["ruled", "aligned"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A page with a table, with and without lines around its cells."""
    path, style = tmp_path / "trial.pdf", getSampleStyleSheet()["BodyText"]
    grid = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if request.param else []
    words = Paragraph("The trial had three arms. Patients were followed for 12 weeks.", style)
    made = Table([HEAD, *ROWS], colWidths=110, style=TableStyle(grid))
    SimpleDocTemplate(str(path), pagesize=A4).build([words, made, words])
    return path


def test_each_row_as_it_is_stored_is_boxed_cell_by_cell(table: Path) -> None:
    page = pdfium.PdfDocument(table)[0]
    (found,) = page_tables(page)
    assert found.lines[2] == "Arm: High; Dose: 40 mg; Patients: 112; Adverse events: 31"
    tops = []
    for line in found.lines:
        boxes = row_boxes(page, line)
        assert len(boxes) == len(HEAD)
        assert max(box.top for box in boxes) - min(box.bottom for box in boxes) < 20, "one row only"
        tops.append(boxes[0].top)
    assert tops == sorted(tops, reverse=True)
    assert len(set(tops)) == 3


def test_the_drawn_page_holds_the_boxes_of_a_row_and_of_two(table: Path) -> None:
    line = "Arm: Low; Dose: 20 mg; Patients: 112; Adverse events: 14"
    assert pdf_page.draw_page(table, 1, line)[1] == 4
    assert (
        pdf_page.draw_page(table, 1, f"{line}\nArm: High; Dose: 40 mg; Patients: 112; Adverse events: 31")[1]
        == 8
    )


def test_rows_that_do_not_stand_there_are_not_boxed(table: Path) -> None:
    page = pdfium.PdfDocument(table)[0]
    assert row_boxes(page, "Arm: Middle; Dose: 30 mg; Patients: 999") == []
    assert row_boxes(page, "The trial had three arms and a leg") == []
    assert row_boxes(page, ": ; : ") == []


def test_a_cell_on_several_lines_is_boxed_whole(tmp_path: Path) -> None:
    path, style = tmp_path / "wrapped.pdf", getSampleStyleSheet()["BodyText"]
    long = Paragraph("Headache after the second dose, mild in all but one of the cases seen", style)
    rows = [["Event", "Cases"], [long, "17"], ["Nausea", "5"], ["Rash", "3"]]
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
    SimpleDocTemplate(str(path), pagesize=A4).build([Table(rows, colWidths=(150, 80), style=grid)])
    page = pdfium.PdfDocument(path)[0]
    (found,) = page_tables(page)
    boxes = row_boxes(page, found.lines[0])
    assert len(boxes) >= 3
    assert max(box.top for box in boxes) - min(box.bottom for box in boxes) > 30
