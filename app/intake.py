"""What comes in: files, folders, ZIPs and attachments become originals and queued documents."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import library
from app.services import Services
from app.task import Task
from storage import BusyError, DiskFullError, Document, StorageError, documents
from storage.ingest import Member, ParseFailure, ParseLimits, Parser, expand, is_archive
from storage.scratch import scratch_prefix

MOST_LISTED = 500


@dataclass(slots=True)
class Tally:
    """What the job did, for the person who started it."""

    added: int = 0
    unchanged: int = 0
    parsed: int = 0
    duplicates: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)

    def as_result(self) -> dict[str, Any]:
        """The job's result; long lists are cut, their true lengths stay."""
        result = asdict(self)
        for name in ("duplicates", "failed"):
            result[f"{name}_count"] = len(result[name])
            result[name] = result[name][:MOST_LISTED]
        return result


class Intake:
    """Stores originals and enters them as queued documents."""

    def __init__(self, services: Services, task: Task, archive_id: int, tally: Tally) -> None:
        self._services = services
        self._task = task
        self._archive_id = archive_id
        self._tally = tally

    def run(self) -> None:
        """Take in what the job's payload names."""
        payload = self._task.job.payload
        for path in map(Path, payload.get("paths", ())):
            try:
                for found, name in expand([path]):
                    self._take(found, name)
            except ParseFailure as failure:
                self._refuse(path.name, failure)
        zips = [(self._services.files.path(item["sha256"]), item["name"]) for item in payload.get("zips", ())]
        for path, name in zips:
            if path.is_file():  # else an earlier attempt at this job has unpacked and dropped it
                self._take(path, name)
        self._drop_zips([path.name for path, _ in zips])

    def _take(self, path: Path, name: str) -> None:
        self._task.between()
        if is_archive(path):
            self._unpack(path, name)
        else:
            self._store(path, name)
        done = self._tally.added + self._tally.unchanged + len(self._tally.duplicates)
        self._task.progress(done, 0, "files", f"storing {name}")

    def detach(self, mail: Document) -> None:
        """Store an e-mail's attachments as documents of their own; those of attached e-mails come next."""
        if sum(part.endswith((".eml", ".mbox")) for part in mail.name.split("/")) > ParseLimits().depth:
            deep = "E-mails attached to each other this deep are not followed"
            self._refuse(f"{mail.name}/attachments", ParseFailure("skipped", deep))
            return
        path = self._services.files.path(mail.sha256)
        prefix = scratch_prefix("mail", os.getpid())
        with tempfile.TemporaryDirectory(prefix=prefix) as folder, Parser() as parser:
            try:
                members = parser.detach(path, Path(folder), mail.name)
            except ParseFailure as failure:
                self._refuse(f"{mail.name}/attachments", failure)
                return
            for member in members:
                self._take_member(member)

    def _unpack(self, path: Path, name: str) -> None:
        prefix = scratch_prefix("zip", os.getpid())
        with tempfile.TemporaryDirectory(prefix=prefix) as folder, Parser() as parser:
            try:
                members = parser.unpack_zip(path, Path(folder), name)
            except ParseFailure as failure:
                self._refuse(name, failure)
                return
            for member in members:
                self._take_member(member)

    def _take_member(self, member: Member) -> None:
        if member.path is None:
            error = member.error or "It could not be unpacked"
            self._refuse(member.name, ParseFailure("failed", error))
        else:
            self._take(member.path, member.name)

    def _store(self, path: Path, name: str) -> None:
        try:
            stored = self._services.files.add(path)
        except (DiskFullError, BusyError):
            raise
        except StorageError as error:
            self._refuse(name, ParseFailure("failed", error.message, error.hint))
            return
        with self._services.database.session() as s:
            self._forget_refusal(s, name)
            entry = library.register(s, self._archive_id, name, stored.sha256, stored.bytes)
            assert entry.document_id is not None
            known = documents.get_document(s, entry.document_id)
            before = known.created_at < self._task.job.created_at
        if entry.same_as is not None and entry.same_as != name:
            self._tally.duplicates.append({"name": name, "same_as": entry.same_as})
        elif entry.same_as is not None and before:
            self._tally.unchanged += 1
        else:
            self._tally.added += 1

    def _refuse(self, name: str, failure: ParseFailure) -> None:
        """A file that cannot even be stored still shows up in the archive, failed, under a stand-in hash."""
        self._tally.failed.append({"name": name, "error": failure.error, "hint": failure.hint})
        with self._services.database.session() as s:
            entry, _ = documents.add_document(s, self._archive_id, name, _stand_in(name), 0, "")
            documents.fail_document(s, entry.id, failure.status, failure.error, failure.hint)

    def _forget_refusal(self, s: Session, name: str) -> None:
        stand_in = (Document.archive_id == self._archive_id, Document.sha256 == _stand_in(name))
        for document_id in s.scalars(select(Document.id).where(*stand_in)).all():
            documents.remove_document(s, document_id)

    def _drop_zips(self, hashes: list[str]) -> None:
        """An uploaded ZIP was only the wrapping of its members."""
        with self._services.database.session() as s:
            used = documents.stored_hashes(s) if hashes else set()
        for sha256 in set(hashes) - used:
            self._services.files.delete(sha256)


def _stand_in(name: str) -> str:
    return hashlib.sha256(b"not stored\0" + name.encode("utf-8", "replace")).hexdigest()
