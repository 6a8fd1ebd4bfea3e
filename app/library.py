"""Archives and what goes into them. Each call returns at once; the work itself is a job for the worker."""

from __future__ import annotations

import difflib
import mimetypes
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import UserError
from app.services import Services
from storage import Archive, Document, Job, NotFoundError, archives, documents, findings, jobs
from storage.ingest import is_archive, sanitize_name

QUEUED_AGAIN = ("failed", "needs_ocr", "skipped", "queued")


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one upload; `same_as` names the document that has the same content already."""

    name: str
    document_id: int | None
    same_as: str | None = None


def create_archive(services: Services, name: str, description: str = "") -> Archive:
    """Make an empty archive; the name must be new."""
    with services.database.session() as s:
        return archives.create_archive(s, name, description)


def find_archive(s: Session, name: str | int) -> Archive:
    """An archive by name or id; an unknown name is an error that suggests close ones."""
    try:
        return archives.get_archive(s, name)
    except NotFoundError as error:
        names = {archive.name.casefold(): archive.name for archive in archives.list_archives(s)}
        close = difflib.get_close_matches(str(name).casefold(), names, n=3, cutoff=0.5)
        if not close:
            raise
        meant = " or ".join(repr(names[key]) for key in close)
        raise NotFoundError(error.code, error.message, f"Did you mean {meant}?") from error


def rename_archive(services: Services, archive_id: int, name: str) -> Archive:
    """Give an archive another name."""
    with services.database.session() as s:
        return archives.rename_archive(s, archive_id, name)


def delete_archive(services: Services, archive_id: int) -> None:
    """Delete an archive with its documents, states, jobs and findings."""
    with services.database.session() as s:
        unused = archives.delete_archive(s, archive_id)
    for sha256 in unused:
        services.files.delete(sha256)
    shutil.rmtree(services.home.states / str(archive_id), ignore_errors=True)


def add_files(services: Services, archive: Archive, paths: Sequence[Path | str]) -> Job:
    """Import files and folders of this machine: one job that stores, parses and then has them read."""
    absolute = [Path(path).expanduser().absolute() for path in paths]
    missing = next((path for path in absolute if not path.exists()), None)
    if missing is not None:
        raise UserError("file_missing", f"There is no file or folder {missing}.", "Check the path.")
    with services.database.session() as s:
        return jobs.enqueue(s, "ingest", archive.id, {"paths": [str(path) for path in absolute]})


def add_uploads(services: Services, archive: Archive, uploads: Iterable[tuple[str, BinaryIO]]) -> list[Added]:
    """Take in (name, stream) pairs: stored before this returns, parsed and read by the worker."""
    added: list[Added] = []
    zips: list[dict[str, str]] = []
    for name, stream in uploads:
        shown = sanitize_name(name)
        stored = services.files.add(stream)
        if is_archive(services.files.path(stored.sha256)):
            zips.append({"sha256": stored.sha256, "name": shown})
            added.append(Added(shown, None))
            continue
        with services.database.session() as s:
            added.append(register(s, archive.id, shown, stored.sha256, stored.bytes))
    with services.database.session() as s:
        jobs.enqueue(s, "ingest", archive.id, {"zips": zips} if zips else {}, once=True)
    return added


def add_upload(services: Services, archive: Archive, name: str, stream: BinaryIO) -> Added:
    """Take in one upload."""
    return add_uploads(services, archive, [(name, stream)])[0]


def register(s: Session, archive_id: int, name: str, sha256: str, size: int) -> Added:
    """Enter a stored original as a document, queued; a taken name is numbered, known content is said so."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    document, created = documents.add_document(s, archive_id, name, sha256, size, kind)
    if not created:
        return Added(name, document.id, same_as=document.name)
    document.name = _free_name(s, document)
    return Added(document.name, document.id)


def _free_name(s: Session, document: Document) -> str:
    name, path, number = document.name, PurePosixPath(document.name), 2
    others = select(Document.id).where(Document.archive_id == document.archive_id, Document.id != document.id)
    while s.scalar(others.where(Document.name == name).limit(1)) is not None:
        name, number = str(path.with_name(f"{path.stem} ({number}){path.suffix}")), number + 1
    return name


def remove_document(services: Services, document_id: int) -> None:
    """Remove a document; what comes after it in the context is read again."""
    with services.database.session() as s:
        archive_id = documents.get_document(s, document_id).archive_id
        unused = documents.remove_document(s, document_id)
        request_reading(s, archive_id)
    for sha256 in unused:
        services.files.delete(sha256)


def retry(services: Services, archive: Archive, document_ids: Sequence[int]) -> Job:
    """Parse documents once more that failed or were skipped."""
    with services.database.session() as s:
        for document_id in document_ids:
            document = documents.get_document(s, document_id)
            if document.archive_id == archive.id and document.status in QUEUED_AGAIN:
                documents.set_status(s, document_id, "queued")
        return jobs.enqueue(s, "ingest", archive.id, {}, once=True)


def resume(services: Services, archive: Archive) -> Job:
    """Go on with whatever is unfinished in an archive."""
    with services.database.session() as s:
        if any(d.status in ("queued", "parsing") for d in documents.list_documents(s, archive.id)):
            return jobs.enqueue(s, "ingest", archive.id, {}, once=True)
        return request_reading(s, archive.id)


def request_reading(s: Session, archive_id: int) -> Job:
    """Have the archive's context brought up to date."""
    return jobs.enqueue(s, "read", archive_id, {}, once=True)


def cancel(services: Services, job_id: int) -> Job:
    """Stop a job; what it has stored stays. A question that nobody has taken up yet ends at once."""
    with services.database.session() as s:
        job = jobs.cancel(s, job_id)
        finding = findings.find_by_job(s, job_id) if job.status == "cancelled" else None
        if finding is not None and finding.status == "running":
            findings.update_finding(s, finding.id, status="cancelled")
        return job
