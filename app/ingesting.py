"""The ingest job: files to originals, to text, to passages; one file's failure never stops the rest.

Reading is asked for as soon as the first document is parsed, and goes on while others are being parsed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import library
from app.parsing import Parsed, parse_ahead
from app.passages import split_passages
from app.retokenising import agree_on_tokenizer
from app.services import Services
from app.task import Task
from storage import BusyError, DiskFullError, Document, StorageError, documents
from storage.ingest import MAIL_TYPES, Member, ParseFailure, ParseLimits, Parser, expand, is_archive
from storage.ordering import settle_place
from storage.scratch import scratch_prefix
from storage.texts import clean_text

log = logging.getLogger(__name__)
MOST_LISTED = 500
READ_EVERY_S = 2.0


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


def run_ingest(services: Services, task: Task) -> dict[str, Any]:
    """Store what the job names, parse every document of the archive that waits for it, and have it read."""
    tally = Tally()
    archive_id = task.job.archive_id
    assert archive_id is not None
    intake = _Intake(services, task, archive_id, tally)
    intake.run()
    while mails := _parse_waiting(services, task, archive_id, tally):
        for mail in mails:
            intake.detach(mail)
    with services.database.session() as s:
        library.request_reading(s, archive_id)
    return tally.as_result()


class _Intake:
    """Stores originals and enters them as queued documents."""

    def __init__(self, services: Services, task: Task, archive_id: int, tally: Tally) -> None:
        self._services = services
        self._task = task
        self._archive_id = archive_id
        self._tally = tally

    def run(self) -> None:
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


def _waiting(services: Services, archive_id: int) -> list[Document]:
    with services.database.session() as s:
        rows = documents.list_documents(s, archive_id)
    return [row for row in rows if row.status in ("queued", "parsing")]


def _parse_waiting(services: Services, task: Task, archive_id: int, tally: Tally) -> list[Document]:
    """Parse what waits and have it read meanwhile; the e-mails among it, whose attachments come next."""
    waiting = _waiting(services, archive_id)
    if not waiting:
        return []
    agree_on_tokenizer(services, task, archive_id)
    mails: list[Document] = []
    asked_at = -READ_EVERY_S
    done = 0

    def on_wait(note: str) -> None:
        task.check()
        if note:
            task.progress(done, len(waiting), "files", note)

    for done, parsed in enumerate(parse_ahead(services, _checked(services, task, waiting), on_wait)):
        task.progress(done, len(waiting), "files", f"parsing {parsed.document.name}", at_once=done == 0)
        stored = _store_parsed(services, parsed, tally)
        if stored and parsed.result is not None and parsed.result.media_type in MAIL_TYPES:
            mails.append(parsed.document)
        if stored and time.monotonic() - asked_at >= READ_EVERY_S:
            asked_at = time.monotonic()
            with services.database.session() as s:
                library.request_reading(s, archive_id)
    task.progress(len(waiting), len(waiting), "files", "parsed", at_once=True)
    return mails


def _checked(services: Services, task: Task, waiting: list[Document]) -> Iterator[Document]:
    for document in waiting:
        task.between()
        with services.database.session() as s:
            documents.set_status(s, document.id, "parsing")
        yield document


def _store_parsed(services: Services, parsed: Parsed, tally: Tally) -> bool:
    """Write down what parsing gave; whether the document has text to be read."""
    document, failure = parsed.document, parsed.failure
    try:
        if parsed.result is not None:
            text = clean_text(parsed.result.text)
            passages, tokens = split_passages(text, parsed.result.headings, services.tokenizer)
            with services.database.session() as s:
                documents.store_parsed(s, document.id, parsed.result, passages, tokens)
                stored = documents.get_document(s, document.id)
                unused = settle_place(s, document.id) if stored.status == "parsed" else None
            if unused is not None:
                services.files.delete(unused)
            if stored.status == "parsed":
                tally.parsed += 1
                return True
            failure = ParseFailure(stored.status, stored.error, stored.hint)
    except (DiskFullError, BusyError):
        raise
    except StorageError as error:
        if error.code == "unknown_document":  # removed while it was being parsed
            return False
        failure = ParseFailure("failed", error.message, error.hint)
    assert failure is not None
    tally.failed.append({"name": document.name, "error": failure.error, "hint": failure.hint})
    with services.database.session() as s:
        documents.fail_document(s, document.id, failure.status, failure.error, failure.hint)
    return False
