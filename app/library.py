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
from storage import (
    Archive,
    Document,
    Job,
    NotFoundError,
    archives,
    documents,
    findings,
    jobs,
    ordering,
    trash,
)
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


def describe_archive(services: Services, archive_id: int, description: str) -> Archive:
    """Say what an archive holds."""
    with services.database.session() as s:
        return archives.describe_archive(s, archive_id, description)


def delete_archive(services: Services, archive_id: int) -> None:
    """Delete an archive; until Engram is restarted it can be brought back. Its jobs are cancelled."""
    with services.database.session() as s:
        trash.trash_archive(s, archives.get_archive(s, archive_id))
        for job in jobs.list_jobs(s, archive_id, active=True):
            jobs.cancel(s, job.id)


def undelete_archive(services: Services, archive_id: int) -> Archive:
    """Bring a deleted archive back, and have done what its jobs had not."""
    with services.database.session() as s:
        archive = trash.untrash_archive(s, archive_id)
        enqueue_unfinished(s, archive_id)
        return archive


def purge_archive(services: Services, archive_id: int) -> None:
    """Delete an archive for good with its documents, states, jobs and findings."""
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
    """Remove a document; what comes after it in the context is read again. Until Engram is restarted it can
    be brought back, so its original stays that long.
    """
    with services.database.session() as s:
        document = documents.get_document(s, document_id)
        kept = {"name": document.name, "sha256": document.sha256, "bytes": document.bytes}
        documents.remove_document(s, document_id)
        trash.note_removed(s, document.archive_id, kept)
        request_reading(s, document.archive_id)


def bring_back(services: Services, archive: Archive) -> int:
    """Add again what was removed from an archive since the start; how many documents."""
    with services.database.session() as s:
        removed = trash.take_removed(s, archive.id)
        back = [entry for entry in removed if services.files.path(entry["sha256"]).is_file()]
        for entry in back:
            register(s, archive.id, entry["name"], entry["sha256"], entry["bytes"])
        jobs.enqueue(s, "ingest", archive.id, {}, once=True)
    return len(back)


def replace_document(services: Services, document_id: int, name: str, stream: BinaryIO) -> Added:
    """Add a new version of a document; it takes the old one's place when it is parsed, not before."""
    stored = services.files.add(stream)
    with services.database.session() as s:
        old = documents.get_document(s, document_id)
        added = register(s, old.archive_id, sanitize_name(name), stored.sha256, stored.bytes)
        if added.same_as is not None:
            hint = (
                "Nothing was replaced." if added.document_id == old.id else "Remove one of the two instead."
            )
            raise UserError("same_content", f"The file is the same as {added.same_as}.", hint)
        assert added.document_id is not None
        ordering.replace_when_parsed(s, added.document_id, old.id)
        jobs.enqueue(s, "ingest", old.archive_id, {}, once=True)
    return added


def move_documents(services: Services, archive: Archive, document_ids: Sequence[int], to: int) -> int:
    """Move documents to a place in the context; the first place from which it is read again."""
    with services.database.session() as s:
        changed = ordering.move_documents(s, archive.id, document_ids, to)
        request_reading(s, archive.id)
        return changed


def parse_again(services: Services, archive: Archive, document_ids: Sequence[int]) -> Job:
    """Parse documents once more, whatever became of them the first time."""
    with services.database.session() as s:
        for document_id in document_ids:
            if documents.get_document(s, document_id).archive_id == archive.id:
                ordering.parse_anew(s, document_id)
        return jobs.enqueue(s, "ingest", archive.id, {}, once=True)


def read_again(services: Services, archive: Archive) -> Job:
    """Read a whole archive from its first token, as if it never had been."""
    with services.database.session() as s:
        return jobs.enqueue(s, "read", archive.id, {"again": True}, once=True)


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
        return enqueue_unfinished(s, archive.id)


def enqueue_unfinished(s: Session, archive_id: int) -> Job:
    """Have parsed what waits for it, and then read."""
    if any(d.status in ("queued", "parsing") for d in documents.list_documents(s, archive_id)):
        return jobs.enqueue(s, "ingest", archive_id, {}, once=True)
    return request_reading(s, archive_id)


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
