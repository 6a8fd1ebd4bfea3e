"""The restore job: an archive from a backup. It appears when it is whole; one that fails leaves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import library, matrix
from app.errors import UserError
from app.services import Services
from app.task import Task
from storage import Document, archives, checkpoints, documents, passages, settings
from storage.backup import BackupReader
from storage.backup.rows import DOCUMENT_FIELDS, bad_backup, code_of, listed, moment, number, spans, typed
from storage.backup.tables import add_rows, kept_tables
from storage.documents import UNREADABLE
from storage.ingest import ParsedDocument, ParsedPage
from storage.records import PassageSpan
from storage.tags import tag_archive, tag_documents
from storage.trash import trash_archive, untrash_archive


def run_restore(services: Services, task: Task) -> dict[str, Any]:
    """Restore the file that the job's payload names."""
    path = Path(str(task.job.payload["file"]))
    if not path.is_file():
        raise UserError("file_missing", f"There is no file {path}.", "Check the path.")
    with BackupReader(path) as reader:
        reader.check_room(services.home.path)
        return _Restoring(services, task, reader).run()


class _Restoring:
    def __init__(self, services: Services, task: Task, reader: BackupReader) -> None:
        self._services, self._task, self._reader = services, task, reader
        self._about = reader.manifest["archive"]
        self._ids: list[int] = []
        self._stored: set[str] = set()

    def run(self) -> dict[str, Any]:
        with self._services.database.session() as s:
            name = str(self._task.job.payload.get("name") or self._about["name"])
            archive = archives.create_archive(s, archives.free_name(s, name), "")
            archives.describe_archive(s, archive.id, self._about["description"])
            tag_archive(s, archive.id, map(str, self._about["tags"]))
            trash_archive(s, archive, hidden=True)
        whole = False
        try:
            self._fill(archive.id)
            with self._services.database.session() as s:
                restored = untrash_archive(s, archive.id)
                library.enqueue_unfinished(s, archive.id)
                matrix.request_pending(s, archive.id)
            whole = True
        finally:
            if not whole and not self._task.lost:
                self._clear(archive.id)
        return {"archive_id": restored.id, "archive": restored.name, "documents": len(self._ids)}

    def _clear(self, archive_id: int) -> None:
        library.purge_archive(self._services, archive_id)
        with self._services.database.session() as s:
            used = documents.stored_hashes(s)
        for sha256 in self._stored - used:
            self._services.files.delete(sha256)

    def _fill(self, archive_id: int) -> None:
        rows = listed(self._reader.manifest, "documents")
        for place, row in enumerate(rows):
            self._task.between()
            self._task.progress(place, len(rows), "documents", f"restoring {row.get('name', '')}"[:200])
            self._original(row)
            with self._services.database.session() as s:
                self._document(s, archive_id, place, row)
        with self._services.database.session() as s:
            if isinstance(self._reader.manifest.get("tokenizer"), str):
                settings.set_setting(s, f"tokenizer:{archive_id}", self._reader.manifest["tokenizer"])
            self._tables(s, archive_id)
        self._states(archive_id)

    def _tables(self, s: Session, archive_id: int) -> None:
        """What people asked and entered; passages are numbered document by document, as in the backup."""
        stored, _ = passages.passage_documents(s, archive_id)
        ids = {"documents": self._ids, "passages": stored.tolist()}
        for table in kept_tables():
            member = f"tables/{table.name}.json"
            rows = listed(self._reader.json(member), "rows") if self._reader.has(member) else []
            add_rows(s, table, archive_id, rows, ids)

    def _original(self, row: dict[str, Any]) -> None:
        sha256 = typed(row, DOCUMENT_FIELDS)["sha256"]
        files, member = self._services.files, f"originals/{sha256}"
        if files.path(sha256).is_file() or not self._reader.has(member):
            return
        incoming = files.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        part = incoming / f"restored-{self._task.job.id}"
        part.unlink(missing_ok=True)
        try:
            self._reader.extract(member, part)
            stored = files.add(part).sha256
            self._stored.add(stored)
            if stored != sha256:
                raise bad_backup("an original is not the file that its name says")
        finally:
            part.unlink(missing_ok=True)

    def _document(self, s: Session, archive_id: int, place: int, row: dict[str, Any]) -> None:
        values = typed(row, DOCUMENT_FIELDS)
        known = (values["name"], values["sha256"], values["bytes"], values["media_type"])
        document, created = documents.add_document(s, archive_id, *known)
        if not created:
            raise bad_backup("it holds a document twice")
        document.created_at = moment(row.get("created_at"))
        self._ids.append(document.id)
        tags = row.get("tags")
        if isinstance(tags, list) and tags:
            tag_documents(s, archive_id, [document.id], map(str, tags))
        if values["status"] in UNREADABLE:
            documents.fail_document(s, document.id, values["status"], values["error"], values["hint"])
        elif row.get("in_context") is True:
            self._text(s, document, values, self._reader.json(f"documents/{place}.json"), row)

    def _text(
        self,
        s: Session,
        document: Document,
        values: dict[str, Any],
        text: dict[str, Any],
        row: dict[str, Any],
    ) -> None:
        pages = tuple(map(_page, listed(text, "pages")))
        parts, rows = spans(listed(text, "passages")), listed(text, "passages")
        _check_tiling(parts, values["tokens"])
        warnings = tuple(str(warning) for warning in row.get("warnings") or ())
        parsed = ParsedDocument(
            values["media_type"], values["title"], pages, (), warnings, language=values["language"]
        )
        documents.store_parsed(s, document.id, parsed, parts, values["tokens"])
        ids = {stored.ordinal: stored.id for stored in passages.list_passages(s, document.id)}
        by_model: dict[str, dict[int, bytes]] = {}
        for passage in rows:
            if (code := code_of(passage)) is not None and passage["ordinal"] in ids:
                by_model.setdefault(code[0], {})[ids[passage["ordinal"]]] = code[1]
        for fingerprint, codes in by_model.items():
            passages.set_codes(s, fingerprint, codes)

    def _states(self, archive_id: int) -> None:
        """States are only taken up by the model that wrote them, and only if they fit the documents."""
        folder = self._services.home.states / str(archive_id)
        for place, row in enumerate(listed(self._reader.manifest, "states")):
            values = typed(
                row, {"member": str, "fingerprint": str, "chain": str, "documents": int, "tokens": int}
            )
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"restored-{place}.state"
            self._reader.extract(values.pop("member"), path)
            values |= {"file": f"{archive_id}/{path.name}", "size": path.stat().st_size}
            with self._services.database.session() as s:
                checkpoints.add_checkpoint(s, archive_id, **values)


def _page(row: dict[str, Any]) -> ParsedPage:
    values = typed(row, {"number": int, "text": str, "needs_ocr": bool})
    return ParsedPage(**values, confidence=number(row.get("confidence")))


def _check_tiling(parts: Sequence[PassageSpan], tokens: int) -> None:
    """Passages follow each other without gap, in characters and in tokens, up to the document's end."""
    at = 0
    for ordinal, part in enumerate(parts):
        if part.ordinal != ordinal or part.token_start != at or part.token_end < at:
            raise bad_backup("its passages do not follow each other")
        at = part.token_end
    if at != tokens:
        raise bad_backup("its passages do not fill their document")
