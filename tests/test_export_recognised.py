"""Quotes from recognised text (OCR) say so in every export, with the confidence of their page."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import docx
import openpyxl
import pypdf
import pytest
from export_findings import finding
from matrix_export import record as matrix_record
from storage_rows import add_archive, add_text, new_database

from storage import CitationData, findings, recognised
from storage.export import FindingRecord, export_findings, load_findings, load_records
from storage.export.matrix_file import export_matrix

SAID = "verified verbatim in recognised text (OCR, confidence 83%)"


def scanned() -> FindingRecord:
    """A finding whose first quote stands on a page that was recognised."""
    made = finding()
    first, *rest = made.citations
    return replace(made, citations=(replace(first, recognised=True, recognised_confidence=0.83), *rest))


def text_of(path: Path) -> str:
    """The words of an export, as another program reads them."""
    if path.suffix == ".pdf":
        return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(path).pages).split())
    if path.suffix == ".docx":
        return "\n".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs)
    return path.read_text("utf-8")


@pytest.mark.parametrize("suffix", ["md", "html", "pdf", "docx"])
def test_a_report_marks_the_quote_and_no_other(tmp_path: Path, suffix: str) -> None:
    marked = text_of(export_findings([scanned()], tmp_path / f"f.{suffix}"))
    plain = text_of(export_findings([finding()], tmp_path / f"g.{suffix}"))
    assert SAID in marked.replace("\\", "")
    assert marked.count("recognised text") <= 2  # at the citation and in the appendix
    assert "recognised text" not in plain


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_table_has_columns_for_it(tmp_path: Path, suffix: str) -> None:
    path = export_findings([scanned()], tmp_path / f"f.{suffix}")
    if suffix == "csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        found = [(row["Recognised (OCR)"], row["OCR confidence"]) for row in rows]
        assert found == [("yes", "0.83"), ("no", "")]
    else:
        head, *rows = openpyxl.load_workbook(path)["Quotes"].iter_rows(values_only=True)
        at = head.index("Recognised (OCR)")
        assert [row[at : at + 2] for row in rows] == [("yes", 0.83), ("no", None)]


def test_json_holds_the_fields_of_ask_and_reads_them_back(tmp_path: Path) -> None:
    path = export_findings([scanned()], tmp_path / "f.json")
    cited = json.loads(path.read_text("utf-8"))["findings"][0]["citations"]
    given = [(item["recognised"], item["recognised_confidence"]) for item in cited]
    assert given == [(True, 0.83), (False, None)]
    assert load_findings(path)[0].citations == scanned().citations


def test_stored_findings_know_which_pages_were_recognised(tmp_path: Path) -> None:
    with new_database(tmp_path) as database, database.session() as s:
        archive = add_archive(s)
        document = add_text(s, archive, "scan.pdf", "Para one.\n", "Para two.\n")
        recognised.note(s, document.id, {1: 0.61})
        asked = findings.create_finding(s, archive.id, None, "What?")
        cited = [CitationData(n, document.id, "scan.pdf", n, 0, 4, "Para", True) for n in (1, 2)]
        gone = CitationData(3, None, "gone.pdf", 1, 0, 4, "Para", True)
        findings.set_citations(s, asked.id, [*cited, gone])
        (record,) = load_records(s, [findings.get_finding(s, asked.id)], archive.name)
    assert [item.recognised_confidence for item in record.citations] == [0.61, None, None]


def test_the_cells_of_a_matrix_say_it_too(tmp_path: Path) -> None:
    made = matrix_record()
    made = replace(made, table=replace(made.table, recognised={1: {3: 0.83}}))
    with export_matrix(made, tmp_path / "m.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index("Notice: OCR confidence")
    assert [rows[1][at], rows[2][at]] == ["0.83", ""]
    head, *quotes = openpyxl.load_workbook(export_matrix(made, tmp_path / "m.xlsx"))["Quotes"].iter_rows(
        values_only=True
    )
    at = head.index("Recognised (OCR)")
    assert [row[at : at + 2] for row in quotes][:3] == [("yes", 0.83), ("yes", 0.83), ("no", None)]
    cells = json.loads(export_matrix(made, tmp_path / "m.json").read_text("utf-8"))["documents"][0]["cells"]
    assert cells[0]["recognised_confidence"] == 0.83
