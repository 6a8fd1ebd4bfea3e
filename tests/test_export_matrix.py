"""A matrix in CSV, XLSX and JSON, read back by other programs' readers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import openpyxl
import pytest
from matrix_export import EVIL, record

from storage import InvalidInputError
from storage.export.matrix_file import export_matrix


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_csv_has_a_row_a_document_with_answer_place_and_link(tmp_path: Path) -> None:
    head, *body = rows(export_matrix(record(), tmp_path / "m.csv"))
    oak = dict(zip(head, body[0], strict=True))
    assert oak["Document"] == "legal/oak.pdf"
    assert oak["Notice"] == "The notice period is six months."
    assert (oak["Notice: status"], oak["Notice: page"], oak["Notice: verified"]) == ("supported", "3", "yes")
    assert oak["Notice: link"] == "http://127.0.0.1:8501/matrix?cell=11"
    elm = dict(zip(head, body[1], strict=True))
    assert (elm["Notice"], elm["Notice: status"]) == ("Eleven days", "corrected by hand")
    assert elm["Notice: model's answer"] == "Ten days."
    scan = dict(zip(head, body[2], strict=True))
    assert scan["Notice: status"] == "failed"
    assert "images without text" in scan["Notice: quote"]


def test_csv_states_coverage_and_provenance_below_the_table(tmp_path: Path) -> None:
    text = "\n".join(" ".join(row) for row in rows(export_matrix(record(), tmp_path / "m.csv")))
    assert "3 documents x 2 questions, 6 cells" in text
    assert "Not read: scan.pdf (All pages are images without text)" in text
    assert "Model default, fingerprint ab12, on cpu" in text
    assert "Energy 41.2 J (RAPL package-0)" in text


def test_nothing_in_a_table_acts_as_a_formula(tmp_path: Path) -> None:
    for row in rows(export_matrix(record(), tmp_path / "m.csv")):
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row)
    book = openpyxl.load_workbook(export_matrix(record(), tmp_path / "m.xlsx"))
    for sheet in book:
        for cells in sheet.iter_rows():
            assert all(cell.data_type != "f" for cell in cells)
            assert not any(str(cell.value).startswith(("=", "+", "-", "@")) for cell in cells if cell.value)
    assert book["Matrix"]["C2"].value == f"'{EVIL}"


def test_every_answer_of_the_sheet_leads_to_its_quote(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(export_matrix(record(), tmp_path / "m.xlsx"))
    table, quotes = book["Matrix"], book["Quotes"]
    assert [cell.value for cell in table[1]][:2] == ["Document", "Notice"]
    place = table["B3"].hyperlink.location
    assert place == "'Quotes'!A4"
    found = {head.value: cell.value for head, cell in zip(quotes[1], quotes[4], strict=True)}
    assert found["Quote"] == "The notice period is six months."
    assert (found["Document"], found["Page"], found["Verified"]) == ("'+elm.txt", 3, "yes")
    assert (found["Answer"], found["Model's answer"]) == ("Eleven days", "Ten days.")
    assert table["C3"].hyperlink is None
    assert table["C3"].value == "not found"
    assert table["C4"].value == "not answered yet"


def test_the_sheet_carries_questions_coverage_and_provenance(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(export_matrix(record(), tmp_path / "m.xlsx"))
    assert book["Questions"]["B2"].value == "What is the notice period?"
    about = {row[0].value: row[1].value for row in book["Coverage and provenance"].iter_rows(min_row=2)}
    assert about["Title"] == "Leases"
    assert about["Energy"] == "41.2 J (RAPL package-0)"


def test_json_keeps_answer_and_correction_apart(tmp_path: Path) -> None:
    content = json.loads(export_matrix(record(), tmp_path / "m.json").read_text("utf-8"))
    assert content["schema"] == "engram.matrix/1"
    cell = content["documents"][1]["cells"][0]
    assert (cell["answer"], cell["correction"], cell["shown"]) == ("Ten days.", "Eleven days", "Eleven days")
    assert (cell["start"], cell["end"], cell["verified"]) == (10, 42, True)
    assert content["models"][0]["fingerprint"] == "ab12"
    assert "Not read: scan.pdf" in " ".join(content["coverage"])


@pytest.mark.parametrize("name", ["m.pdf", "m"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        export_matrix(record(), tmp_path / name)
    assert ".csv, .xlsx, .json" in refused.value.hint
