"""What an export says of a matrix, free of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.columns import utc_now
from storage.export import wording
from storage.matrix_records import CellRecord, MatrixDocument, MatrixTable
from storage.matrix_tables import Matrix, MatrixQuestion

STATUS = {
    "pending": "not answered yet",
    "supported": "supported",
    "partly_supported": "partly supported",
    "not_found": "not found",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class MatrixRecord:
    """A matrix as it is exported: columns, rows, cells, and what it stands on."""

    title: str
    archive: str
    questions: tuple[MatrixQuestion, ...]
    table: MatrixTable
    run: Mapping[str, Any] = field(default_factory=dict)
    models: Sequence[Mapping[str, Any]] = ()
    address: str = ""

    def cell(self, document: MatrixDocument, question: MatrixQuestion) -> CellRecord | None:
        """The cell of a row and a column; None before the matrix was brought in step with the archive."""
        return self.table.cells.get((document.id, question.id))

    def link(self, cell: CellRecord) -> str:
        """The address under which the page opens this cell with its quote."""
        return f"{self.address}/matrix?cell={cell.id}"

    def coverage_lines(self) -> list[str]:
        """How many cells were answered, and every document that was not read, with the reason."""
        counts, total = self.table.counts(), len(self.table.cells)
        said = ", ".join(
            f"{counts[name]:,} {words}" for name, words in (*STATUS.items(), _CORRECTED) if name in counts
        )
        documents, questions = len(self.table.documents), len(self.questions)
        lines = [f"{documents:,} documents x {questions:,} questions, {total:,} cells: {said or 'none yet'}."]
        unread = [
            f"Not read: {row.name} ({_reason(row)})" for row in self.table.documents if row.status != "ready"
        ]
        return lines + (unread or ["Every document was read."])

    def provenance_rows(self) -> list[tuple[str, str]]:
        """What the answers were made with and what they cost; energy always with its source."""
        ready = sum(row.status == "ready" for row in self.table.documents)
        state = f"{ready:,} of {len(self.table.documents):,} documents read"
        rows = [("Archive", self.archive), ("Archive state", state), ("Exported", wording.moment(utc_now()))]
        for model in self.models:
            words = [
                f"{model.get('model')}",
                f"fingerprint {model.get('fingerprint')}",
                f"on {model.get('device')}",
            ]
            rows.append(("Model", ", ".join(words)))
        run = self.run
        rows += [
            ("Backend", str(run.get("backend") or "")),
            ("Time", wording.measure(run.get("seconds"), "s")),
            ("Tokens read for the answers", wording.measure(run.get("tokens"), "tokens")),
            ("Energy", wording.measured_by(run.get("energy_j"), "J", run.get("power_source"))),
        ]
        return [(label, value) for label, value in rows if value]


_CORRECTED = ("corrected", "corrected by hand")


def to_matrix_record(
    matrix: Matrix,
    table: MatrixTable,
    archive: str,
    models: Sequence[Mapping[str, Any]] = (),
    address: str = "",
) -> MatrixRecord:
    """The record of a stored matrix; `address` is where the pages are served."""
    questions = tuple(matrix.questions)
    return MatrixRecord(
        matrix.title, archive, questions, table, matrix.run or {}, models, address.rstrip("/")
    )


def status_words(cell: CellRecord | None) -> str:
    """The status in words; a correction wins."""
    if cell is None:
        return STATUS["pending"]
    return _CORRECTED[1] if cell.corrected else STATUS.get(cell.status, cell.status)


def _reason(document: MatrixDocument) -> str:
    return document.error.rstrip(".") or {"parsed": "waiting to be read"}.get(
        document.status, document.status
    )
