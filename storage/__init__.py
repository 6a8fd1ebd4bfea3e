"""Everything Engram keeps: database, files on disk, exports. Knows no model and no page."""

from __future__ import annotations

from storage import archives, checkpoints, documents, findings, jobs, metrics, passages, recognised, settings
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
from storage.home import Home
from storage.jobs import Beat
from storage.models import (
    Archive,
    Checkpoint,
    Citation,
    Document,
    Finding,
    Job,
    Page,
    Passage,
    RunMetric,
    Setting,
)
from storage.records import CitationData, Coverage, PassageSpan, PassageText, StoredFile, WorkerRecord

__all__ = [
    "Archive",
    "Beat",
    "BusyError",
    "Checkpoint",
    "Citation",
    "CitationData",
    "Coverage",
    "Database",
    "DiskFullError",
    "Document",
    "FileStore",
    "Finding",
    "Home",
    "InvalidInputError",
    "Job",
    "NotFoundError",
    "Page",
    "Passage",
    "PassageSpan",
    "PassageText",
    "RunMetric",
    "SchemaError",
    "Setting",
    "StorageError",
    "StoredFile",
    "WorkerRecord",
    "archives",
    "checkpoints",
    "documents",
    "findings",
    "jobs",
    "metrics",
    "passages",
    "recognised",
    "settings",
    "sync_folder",
    "translated",
]
