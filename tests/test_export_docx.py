"""DOCX: opens in Word's own reader library with headings, linked citations, quotes, coverage, provenance."""

from __future__ import annotations

from pathlib import Path

import docx
from docx.document import Document
from docx.oxml.ns import qn
from export_findings import finding

from storage.export import CitationRecord, FindingRecord, export_findings


def export(folder: Path, *records: FindingRecord) -> Document:
    return docx.Document(str(export_findings(records, folder / "findings.docx")))


def styled(document: Document, style: str) -> list[str]:
    return [p.text for p in document.paragraphs if p.style is not None and p.style.name == style]


def test_headings_answer_quotes_and_sources(tmp_path: Path) -> None:
    document = export(tmp_path, finding(), finding())
    assert styled(document, "Title") == ["Findings: Leases"]
    assert styled(document, "Heading 1") == [
        "1. How long is the notice period?", "2. How long is the notice period?", "Sources",
        "Appendix: quoted passages",
    ]  # fmt: skip
    assert styled(document, "Heading 2") == ["Citations", "Coverage", "Provenance"] * 2
    assert styled(document, "Quote")[:2] == ["The notice period is six months.", "A penalty of 5 %\nis due."]
    assert styled(document, "List Number") == ["annex.docx, page 1", "legal/lease.pdf, page 3"]
    texts = [p.text for p in document.paragraphs]
    assert "Six months [1], with a penalty [2]." in texts
    assert "Nothing else is said [7]." in texts
    assert "[1] legal/lease.pdf, page 3  verified verbatim" in texts
    assert "[2] annex.docx, page 1  NOT verified" in texts
    assert "Not read: scan.pdf (images without text, needs OCR)" in styled(document, "List Bullet")


def test_provenance_table(tmp_path: Path) -> None:
    rows = {row.cells[0].text: row.cells[1].text for row in export(tmp_path, finding()).tables[0].rows}
    assert rows["Model fingerprint"] == "ab12cd34"
    assert rows["Energy"] == "41.3 J (RAPL package-0)"
    assert rows["Reading speed"] == "812 tokens/s"


def test_every_citation_mark_jumps_to_its_source(tmp_path: Path) -> None:
    body = export(tmp_path, finding(), finding()).element.body
    links = [link.get(qn("w:anchor")) for link in body.iter(qn("w:hyperlink"))]
    marks = list(body.iter(qn("w:bookmarkStart")))
    assert links == ["quote_1", "quote_2"] * 2 + ["quote_3", "quote_4"] * 2
    assert [mark.get(qn("w:name")) for mark in marks] == ["quote_1", "quote_2", "quote_3", "quote_4"]
    assert len({mark.get(qn("w:id")) for mark in marks}) == 4


def test_footer_counts_pages_and_properties_name_the_export(tmp_path: Path) -> None:
    document = export(tmp_path, finding())
    fields = [f.get(qn("w:instr")) for f in document.sections[0].footer._element.iter(qn("w:fldSimple"))]
    assert fields == ["PAGE", "NUMPAGES"]
    assert (document.core_properties.title, document.core_properties.author) == ("Findings: Leases", "Engram")


def test_text_xml_cannot_hold_is_replaced_and_markup_stays_text(tmp_path: Path) -> None:
    evil = "<w:p>&amp;\x00\x0b\x1b\ud800\uffff</w:p>"
    record = FindingRecord(
        evil, f"{evil} [1]", "supported", (CitationRecord(1, evil, 1, 0, 1, evil, True),), evil,
        documents=(evil,), run={"model": evil},
        context={"tokens_read": 1, "tokens_total": 1, "not_read": [{"document": evil}]},
    )  # fmt: skip
    document = export(tmp_path, record)
    assert styled(document, "Quote") == ["<w:p>&amp;" + "\ufffd" * 5 + "</w:p>"]
