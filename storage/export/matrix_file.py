"""A matrix in files: CSV and XLSX tables whose answers lead to their quotes, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from storage.columns import utc_now
from storage.export import sheet
from storage.export.matrix_record import MatrixRecord, status_words, to_matrix_record
from storage.export.target import write_whole, writer_for
from storage.matrix_records import CellRecord, MatrixDocument
from storage.matrix_tables import MatrixQuestion

__all__ = ["FORMATS", "SCHEMA", "MatrixRecord", "export_matrix", "to_matrix_record"]

SCHEMA = "engram.matrix/1"
_PARTS = ("status", "page", "quote", "verified", "OCR confidence", "model's answer", "link")
_QUOTES = (
    "Number", "Document", "Question", "Answer", "Status", "Model's answer", "Page", "Start", "End", "Quote",
    "Verified", "Confidence", "Recognised (OCR)", "OCR confidence", "Link",
)  # fmt: skip
_COLOURS = {"corrected by hand": "FFF2C4", "partly supported": "FBEFDD", "failed": "F8E3E3"}


def write_csv(record: MatrixRecord, path: Path) -> None:
    """A row a document; for each question the answer and, beside it, where it stands. Coverage and
    provenance follow below the table.
    """
    head: list[sheet.Value] = ["Document"]
    for question in record.questions:
        head += [question.label, *(f"{question.label}: {part}" for part in _PARTS)]
    rows: list[sheet.Row] = []
    for document in record.table.documents:
        row: list[sheet.Value] = [document.name]
        for question in record.questions:
            row += _parts(record, record.cell(document, question))
        rows.append(row)
    rows += [[], *([label, value] for label, value in _about(record))]
    sheet.write_csv(path, head, rows)


def write_xlsx(record: MatrixRecord, path: Path) -> None:
    """The table, each answer a link to its row among the quotes; then coverage and provenance."""
    book = sheet.Workbook()
    head = ["Document", *(question.label for question in record.questions)]
    rows = [
        [document.name, *(_answer(record.cell(document, question)) for question in record.questions)]
        for document in record.table.documents
    ]
    table = book.add("Matrix", head, rows, (36, *[34] * len(record.questions)))
    quotes = list(_cells(record))
    for number, (row, column, _, _, cell) in enumerate(quotes, 2):
        place = table.cell(row, column)
        sheet.link(place, "Quotes", number)
        if colour := _COLOURS.get(status_words(cell)):
            sheet.fill(place, colour)
    listed = [_quote_row(record, number, *item[2:]) for number, item in enumerate(quotes, 1)]
    widths = (9, 34, 30, 44, 18, 30, 8, 10, 10, 70, 10, 12, 12, 12, 40)
    book.add("Quotes", _QUOTES, listed, widths)
    questions = [(question.label, question.question) for question in record.questions]
    book.add("Questions", ("Label", "Question"), questions, (24, 80))
    book.add("Coverage and provenance", ("Item", "Value"), _about(record), (30, 100))
    book.save(path)


def write_json(record: MatrixRecord, path: Path) -> None:
    """Everything; the model's answer and the correction by hand apart."""
    content = {
        "schema": SCHEMA,
        "exported_at": utc_now().isoformat(),
        "title": record.title,
        "archive": record.archive,
        "questions": [{"id": q.id, "label": q.label, "question": q.question} for q in record.questions],
        "documents": [
            {"name": document.name, "status": document.status, "cells": _json_cells(record, document)}
            for document in record.table.documents
        ],
        "coverage": record.coverage_lines(),
        "run": dict(record.run),
        "models": [dict(model) for model in record.models],
    }
    text = json.dumps(content, ensure_ascii=False, indent=2, default=str, allow_nan=False)
    path.write_bytes((text + "\n").encode("utf-8", "replace"))


FORMATS: dict[str, Callable[[MatrixRecord, Path], None]] = {
    "csv": write_csv,
    "xlsx": write_xlsx,
    "json": write_json,
}


def export_matrix(record: MatrixRecord, path: Path | str, format: str | None = None) -> Path:
    """Write a matrix to a file, whole or not at all; the format is told by the name's ending unless given."""
    target = Path(path)
    write = writer_for(FORMATS, target, format)
    write_whole(target, lambda temporary: write(record, temporary))
    return target


def _cells(
    record: MatrixRecord,
) -> Iterator[tuple[int, int, MatrixDocument, MatrixQuestion, CellRecord]]:
    """Cells that say something, with their row and column in the table."""
    for row, document in enumerate(record.table.documents, 2):
        for column, question in enumerate(record.questions, 2):
            cell = record.cell(document, question)
            if cell is not None and (cell.shown or cell.quote or cell.error):
                yield row, column, document, question, cell


def _answer(cell: CellRecord | None) -> str:
    """What the table shows: the correction or the answer, else the status."""
    return (cell.shown if cell is not None else "") or status_words(cell)


def _parts(record: MatrixRecord, cell: CellRecord | None) -> list[sheet.Value]:
    if cell is None:
        return ["", status_words(cell), *[None] * (len(_PARTS) - 1)]
    model = cell.answer if cell.corrected else ""
    return [
        cell.shown, status_words(cell), cell.page, cell.quote or cell.error, _verified(cell),
        record.table.confidence(cell), model, record.link(cell),
    ]  # fmt: skip


def _quote_row(
    record: MatrixRecord, number: int, document: MatrixDocument, question: MatrixQuestion, cell: CellRecord
) -> sheet.Row:
    said = [
        document.name,
        question.question,
        cell.shown,
        status_words(cell),
        cell.answer if cell.corrected else "",
    ]
    place = [cell.page, cell.start, cell.end, cell.quote or cell.error]
    sure = record.table.confidence(cell)
    scan = [("no" if sure is None else "yes") if cell.quote else "", sure]
    return [number, *said, *place, _verified(cell), cell.confidence, *scan, record.link(cell)]


def _verified(cell: CellRecord) -> str:
    return ("yes" if cell.verified else "NO") if cell.quote else ""


def _about(record: MatrixRecord) -> list[sheet.Row]:
    title: list[sheet.Row] = [("Title", record.title)]
    coverage: list[sheet.Row] = [("Coverage", line) for line in record.coverage_lines()]
    return title + coverage + list(record.provenance_rows())


def _json_cells(record: MatrixRecord, document: MatrixDocument) -> list[dict[str, Any]]:
    found = []
    for question in record.questions:
        cell = record.cell(document, question)
        if cell is not None:
            kept = asdict(cell)
            kept.pop("document_id")
            sure = record.table.confidence(cell)
            scan = {"recognised": sure is not None, "recognised_confidence": sure}
            more = {"shown": cell.shown, "link": record.link(cell)}
            found.append({"question": question.label, **kept, **scan, **more})
    return found
