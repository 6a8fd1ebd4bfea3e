"""Everything Engram keeps: database, files on disk, exports. Knows no model and no page."""

from __future__ import annotations

from storage import (
    archives,
    checkpoints,
    documents,
    findings,
    found,
    jobs,
    matrices,
    metrics,
    passages,
    recognised,
    reports,
    settings,
)
from storage.database import Database
from storage.errors import (
    BusyError,
    DiskFullError,
    InvalidInputError,
    NotFoundError,
    SchemaError,
    StorageError,
    translated,
)
from storage.files import FileStore, sync_folder
from storage.found import FoundData, FoundText
from storage.home import Home
from storage.jobs import Beat
from storage.matrix_records import CellData, CellRecord, MatrixDocument, MatrixTable, QuestionData
from storage.matrix_tables import Matrix, MatrixCell, MatrixQuestion
from storage.models import (
    Archive,
    Checkpoint,
    Citation,
    Document,
    Finding,
    Job,
    Page,
    Passage,
    Report,
    RunMetric,
    Setting,
)
from storage.records import (
    CitationData,
    Coverage,
    PassageSpan,
    PassageText,
    StoredFile,
    TextHit,
    WorkerRecord,
)

__all__ = [
    "Archive",
    "Beat",
    "BusyError",
    "CellData",
    "CellRecord",
    "Checkpoint",
    "Citation",
    "CitationData",
    "Coverage",
    "Database",
    "DiskFullError",
    "Document",
    "FileStore",
    "Finding",
    "FoundData",
    "FoundText",
    "Home",
    "InvalidInputError",
    "Job",
    "Matrix",
    "MatrixCell",
    "MatrixDocument",
    "MatrixQuestion",
    "MatrixTable",
    "NotFoundError",
    "Page",
    "Passage",
    "PassageSpan",
    "PassageText",
    "QuestionData",
    "Report",
    "RunMetric",
    "SchemaError",
    "Setting",
    "StorageError",
    "StoredFile",
    "TextHit",
    "WorkerRecord",
    "archives",
    "checkpoints",
    "documents",
    "findings",
    "found",
    "jobs",
    "matrices",
    "metrics",
    "passages",
    "recognised",
    "reports",
    "settings",
    "sync_folder",
    "translated",
]
