"""Plain records of matrices that pass between storage and its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class QuestionData:
    """A question to be stored; `terms` are other words its answer may be found under."""

    question: str
    label: str = ""
    terms: str = ""


@dataclass(frozen=True, slots=True)
class CellData:
    """An answer to be stored in a cell; start and end are offsets in the document's text."""

    status: str
    answer: str = ""
    confidence: float | None = None
    page: int | None = None
    start: int | None = None
    end: int | None = None
    quote: str = ""
    verified: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class CellRecord:
    """A stored cell: the model's answer with its citation, and the correction by hand if there is one."""

    id: int
    question_id: int
    document_id: int
    status: str
    answer: str
    confidence: float | None
    page: int | None
    start: int | None
    end: int | None
    quote: str
    verified: bool
    error: str
    answered_at: datetime | None
    correction: str | None
    corrected_at: datetime | None

    @property
    def corrected(self) -> bool:
        """Whether a person has put something in the place of the model's answer."""
        return self.correction is not None

    @property
    def shown(self) -> str:
        """What the table shows: the correction, else the model's answer."""
        return self.answer if self.correction is None else self.correction


@dataclass(frozen=True, slots=True)
class MatrixDocument:
    """A row: a document, its place, and why it is not in the context if it is not."""

    id: int
    name: str
    status: str
    error: str
    has_text: bool


@dataclass(frozen=True, slots=True)
class MatrixTable:
    """A whole matrix: its documents in order, and its cells by (document id, question id); `recognised` holds
    the confidence of recognised pages (OCR) by document id and page.
    """

    documents: tuple[MatrixDocument, ...]
    cells: dict[tuple[int, int], CellRecord]
    recognised: Mapping[int, Mapping[int, float]] = field(default_factory=dict)

    def confidence(self, cell: CellRecord) -> float | None:
        """How sure the recognition was of the page that the cell quotes; None where the file holds text."""
        return self.recognised.get(cell.document_id, {}).get(cell.page or 0) if cell.quote else None

    def counts(self) -> dict[str, int]:
        """How many cells have each status; corrected ones count as "corrected"."""
        found: dict[str, int] = {}
        for cell in self.cells.values():
            status = "corrected" if cell.corrected else cell.status
            found[status] = found.get(status, 0) + 1
        return found
