"""Jobs on a whole archive: backing it up, restoring it, looking for documents that are nearly the same."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import library
from app.errors import UserError
from app.services import Services
from app.task import Task
from storage import Document, archives, checkpoints, documents, passages, settings
from storage.backup import BackupReader, write_backup
from storage.backup.rows import DOCUMENT_FIELDS, add_finding, bad_backup, code_of, listed, spans, typed
from storage.documents import UNREADABLE
from storage.ingest import ParsedDocument, ParsedPage
from storage.records import PassageSpan
from storage.similar import near_pairs, sketch
from storage.tags import tag_archive, tag_documents
from storage.trash import trash_archive, untrash_archive

MOST_PAIRS = 200


def run_backup(services: Services, task: Task) -> dict[str, Any]:
    """Write the job's archive to the file that its payload names."""
    assert task.job.archive_id is not None
    out = Path(str(task.job.payload["file"]))

    def step(done: int, total: int, name: str) -> None:
        task.between()
        task.progress(done, total, "documents", f"backing up {name}")

    size = write_backup(services.database, services.home, task.job.archive_id, out, step)
    return {"file": str(out), "bytes": size}


def run_restore(services: Services, task: Task) -> dict[str, Any]:
    """Make an archive from a backup; it appears when it is whole, and nothing is left of one that fails."""
    path = Path(str(task.job.payload["file"]))
    if not path.is_file():
        raise UserError("file_missing", f"There is no file {path}.", "Check the path.")
    with BackupReader(path) as reader:
        reader.check_room(services.home.path)
        return _Restoring(services, task, reader).run()


def run_duplicates(services: Services, task: Task) -> dict[str, Any]:
    """Compare all documents of the archive that have text."""
    assert task.job.archive_id is not None
    with services.database.session() as s:
        rows = documents.reading_order(s, task.job.archive_id)
    sketches = {}
    for done, row in enumerate(rows):
        task.between()
        task.progress(done, len(rows), "documents", f"comparing {row.name}")
        with services.database.session() as s:
            sketches[row.id] = sketch(documents.document_text(s, row.id))
    pairs = near_pairs(sketches)
    found = [{"one": one, "other": other, "alike": round(alike, 3)} for one, other, alike in pairs]
    return {"documents": len(rows), "pairs": found[:MOST_PAIRS], "count": len(found)}


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
            for row in listed(self._reader.json("findings.json"), "findings"):
                add_finding(s, archive_id, row, self._ids)
        self._states(archive_id)

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
        pages = tuple(
            ParsedPage(**typed(page, {"number": int, "text": str, "needs_ocr": bool}))
            for page in listed(text, "pages")
        )
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
        for number, row in enumerate(listed(self._reader.manifest, "states")):
            values = typed(
                row, {"member": str, "fingerprint": str, "chain": str, "documents": int, "tokens": int}
            )
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"restored-{number}.state"
            self._reader.extract(values.pop("member"), path)
            values |= {"file": f"{archive_id}/{path.name}", "size": path.stat().st_size}
            with self._services.database.session() as s:
                checkpoints.add_checkpoint(s, archive_id, **values)


def _check_tiling(parts: Sequence[PassageSpan], tokens: int) -> None:
    """Passages follow each other without gap, in characters and in tokens, up to the document's end."""
    at = 0
    for ordinal, part in enumerate(parts):
        if part.ordinal != ordinal or part.token_start != at or part.token_end < at:
            raise bad_backup("its passages do not follow each other")
        at = part.token_end
    if at != tokens:
        raise bad_backup("its passages do not fill their document")


def backup_path(services: Services, name: str) -> Path:
    """Where the page writes a backup: a new name in the home folder's backups."""
    folder = services.home.path / "backups"
    folder.mkdir(exist_ok=True)
    shown = "".join(letter if letter.isalnum() or letter in "-_ " else "-" for letter in name)[:60].strip()
    target, number = folder / f"{shown or 'archive'}.engram.zip", 2
    while target.exists():
        target, number = folder / f"{shown or 'archive'} {number}.engram.zip", number + 1
    return target


def disk_use(services: Services, archive_id: int) -> dict[str, int]:
    """Bytes of an archive on the disk: originals, their text and passages (about), saved states."""
    with services.database.session() as s:
        rows = documents.list_documents(s, archive_id)
        found = sum(len(passages.list_passages(s, row.id)) for row in rows)
    folder = services.home.states / str(archive_id)
    states = sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
    originals = {row.sha256: row.bytes for row in rows if services.files.path(row.sha256).is_file()}
    # Text is stored once in pages, once with its index of words, which takes about as much again.
    text = 3 * sum(row.characters for row in rows) + 300 * found
    return {"originals": sum(originals.values()), "text": text, "states": states}


def free_disk(services: Services) -> int:
    """Bytes free on the disk that holds the home folder."""
    return shutil.disk_usage(services.home.path).free
