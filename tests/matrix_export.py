"""A matrix with every kind of cell in it, for the export tests."""

from __future__ import annotations

from datetime import UTC, datetime

from storage import CellRecord, MatrixDocument, MatrixQuestion, MatrixTable
from storage.export.matrix_file import MatrixRecord

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
EVIL = '=HYPERLINK("http://e","x")'


def cell(number: int, document: int, question: int, status: str, **values: object) -> CellRecord:
    empty = {
        "answer": "", "confidence": None, "page": None, "start": None, "end": None, "quote": "",
        "verified": False, "error": "", "answered_at": None, "correction": None, "corrected_at": None,
    }  # fmt: skip
    return CellRecord(number, question, document, status, **{**empty, **values})  # type: ignore[arg-type]


def record() -> MatrixRecord:
    questions = tuple(
        MatrixQuestion(id=number, position=number, label=label, question=asked)
        for number, label, asked in ((1, "Notice", "What is the notice period?"), (2, EVIL, "Evil?"))
    )
    documents = (
        MatrixDocument(1, "legal/oak.pdf", "ready", "", True),
        MatrixDocument(2, "+elm.txt", "ready", "", True),
        MatrixDocument(3, "scan.pdf", "needs_ocr", "All pages are images without text.", False),
    )
    quote = {"page": 3, "start": 10, "end": 42, "quote": "The notice period is six months.", "verified": True}
    cells = [
        cell(
            11,
            1,
            1,
            "supported",
            answer="The notice period is six months.",
            confidence=0.9,
            answered_at=AT,
            **quote,
        ),
        cell(12, 1, 2, "partly_supported", answer=EVIL, **(quote | {"quote": "@SUM(1)", "verified": False})),
        cell(21, 2, 1, "supported", answer="Ten days.", correction="Eleven days", corrected_at=AT, **quote),
        cell(22, 2, 2, "not_found"),
        cell(31, 3, 1, "failed", error="Not read: All pages are images without text."),
        cell(32, 3, 2, "pending"),
    ]
    table = MatrixTable(documents, {(item.document_id, item.question_id): item for item in cells})
    run = {
        "backend": "torch",
        "seconds": 12.0,
        "tokens": 900,
        "energy_j": 41.2,
        "power_source": "RAPL package-0",
    }
    models = [{"model": "default", "fingerprint": "ab12", "device": "cpu"}]
    return MatrixRecord("Leases", "Harbour", questions, table, run, models, "http://127.0.0.1:8501")
