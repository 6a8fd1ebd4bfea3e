"""Findings as CSV and XLSX: complete, linked, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from export_findings import finding

from storage.export import CitationRecord, FindingRecord, export_findings
from storage.export.sheet import defused


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_every_citation_with_provenance_and_coverage(tmp_path: Path) -> None:
    noted = replace(finding(), note="Ask counsel", tags=("lease", "urgent"))
    rows = read_csv(export_findings([noted, finding()], tmp_path / "f.csv"))
    assert [(row["Finding"], row["Citation"]) for row in rows] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "3"),
        ("2", "4"),
    ]
    assert rows[0]["Quote"] == "The notice period is six months."
    assert (rows[0]["Tags"], rows[0]["Note"]) == ("lease, urgent", "Ask counsel")
    assert (rows[0]["Verified"], rows[1]["Verified"]) == ("yes", "NO")
    assert rows[2]["Answer"].startswith("Six months [3], with a penalty [4].")
    assert rows[0]["Energy"] == "41.3 J (RAPL package-0)"
    assert rows[0]["Model fingerprint"] == "ab12cd34"
    assert "Not read: scan.pdf" in rows[0]["Coverage"]


def test_a_finding_without_citations_has_a_row(tmp_path: Path) -> None:
    rows = read_csv(export_findings([FindingRecord("Q", "", "not_found")], tmp_path / "f.csv"))
    assert [(row["Question"], row["Citation"], row["Status"]) for row in rows] == [
        ("Q", "", "Not found in this archive")
    ]


def test_sheets_hold_findings_quotes_sources_coverage_provenance(tmp_path: Path) -> None:
    path = export_findings([finding()], tmp_path / "f.xlsx", title="Notice", introduction="What we found.")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Findings", "Quotes", "Sources", "Coverage", "Provenance"]
    assert book["Findings"]["H2"].hyperlink.location == "'Quotes'!A2"
    assert book["Quotes"]["F2"].value == "The notice period is six months."
    assert book["Quotes"]["J2"].hyperlink.location == "'Findings'!A2"
    assert [cell.value for cell in book["Sources"]["A"]] == ["Document", "annex.docx", "legal/lease.pdf"]
    about = {row[1].value: row[2].value for row in book["Provenance"].iter_rows(min_row=2)}
    assert about["Report"] == "Notice"
    assert about["Introduction"] == "What we found."
    assert about["Energy"] == "41.3 J (RAPL package-0)"


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "＝1", "\r=1"])
def test_what_begins_like_a_formula_is_defused(evil: str) -> None:
    assert str(defused(evil)).startswith("'")


@pytest.mark.parametrize("plain", ["a=1", "5 mg", "", "'quoted'"])
def test_other_text_stays_as_it_is(plain: str) -> None:
    assert defused(plain) == plain
    assert defused(-5) == -5


def test_hostile_and_endless_text_ends_as_text(tmp_path: Path) -> None:
    evil = '=cmd|"/c calc"!A1\x00\ud800\x0b' + "x" * 50_000
    record = FindingRecord(
        evil, evil, "supported", (CitationRecord(1, evil, 1, 0, 1, evil, True),), note=evil
    )
    book = openpyxl.load_workbook(export_findings([record], tmp_path / "f.xlsx"))
    values = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert all(cell.data_type != "f" and not str(cell.value).startswith("=") for cell in values)
    for row in read_csv(export_findings([record], tmp_path / "f.csv")):
        assert not any(value.startswith("=") for value in row.values())
