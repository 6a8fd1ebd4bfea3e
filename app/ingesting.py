"""The ingest job: files to originals, to text, to passages; one file's failure never stops the rest.

Reading is asked for as soon as the first document is parsed, and goes on while others are being parsed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from app import library
from app.intake import Intake, Tally
from app.parsing import Parsed, parse_ahead
from app.passages import split_passages
from app.retokenising import agree_on_tokenizer
from app.services import Services
from app.task import Task
from storage import BusyError, DiskFullError, Document, StorageError, documents
from storage.ingest import MAIL_TYPES, ParseFailure
from storage.ordering import settle_place
from storage.texts import clean_text

READ_EVERY_S = 2.0


def run_ingest(services: Services, task: Task) -> dict[str, Any]:
    """Store what the job names, parse every document of the archive that waits for it, and have it read."""
    tally = Tally()
    archive_id = task.job.archive_id
    assert archive_id is not None
    intake = Intake(services, task, archive_id, tally)
    intake.run()
    while mails := _parse_waiting(services, task, archive_id, tally):
        for mail in mails:
            intake.detach(mail)
    with services.database.session() as s:
        library.request_reading(s, archive_id)
    return tally.as_result()


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
