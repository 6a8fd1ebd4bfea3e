"""Writing a backup: originals, texts, passages with their codes, what people asked and entered, the newest
states; hashes last.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.archives import get_archive
from storage.backup.rows import document_row, text_rows
from storage.backup.tables import Places, kept_tables, table_rows
from storage.checkpoints import list_checkpoints
from storage.columns import utc_now
from storage.database import Database
from storage.documents import list_documents
from storage.errors import translated
from storage.files import FileStore, sync_folder
from storage.home import Home
from storage.models import Checkpoint, Document
from storage.passages import passage_documents
from storage.settings import get_setting
from storage.tags import archive_tags, document_tags

FORMAT, VERSION = "engram-backup", 2
MANIFEST = "manifest.json"
BLOCK = 1 << 20
OnStep = Callable[[int, int, str], None]


def write_backup(database: Database, home: Home, archive_id: int, out: Path, on_step: OnStep) -> int:
    """Write the archive to `out`, in place only when whole; returns its size in bytes.

    `on_step(done, total, name)` hears of every document and may raise to stop: nothing is left then.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    with translated():
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
                _Writer(database, home, archive_id, file, on_step).write()
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(out)
            sync_folder(out.parent)
        finally:
            part.unlink(missing_ok=True)
        return out.stat().st_size


@dataclass(slots=True)
class _Writer:
    database: Database
    home: Home
    archive_id: int
    file: zipfile.ZipFile
    on_step: OnStep
    members: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self) -> None:
        with self.database.session() as s:
            archive = get_archive(s, self.archive_id)
            rows = list_documents(s, self.archive_id)
            ladder = list_checkpoints(s, self.archive_id)
            tags = archive_tags(s).get(self.archive_id, [])
            of_documents = document_tags(s, self.archive_id)
            tokenizer = get_setting(s, f"tokenizer:{self.archive_id}")
        rows.sort(key=lambda row: (row.position is None, row.position or 0, row.id))
        documents: list[dict[str, Any]] = []
        places = {"documents": {row.id: place for place, row in enumerate(rows)}}
        for place, row in enumerate(rows):
            self.on_step(place, len(rows), row.name)
            documents.append(self._document(place, row) | {"tags": of_documents.get(row.id, [])})
        self._tables(places)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "created_at": utc_now().isoformat(),
            "archive": {"name": archive.name, "description": archive.description, "tags": tags},
            "tokenizer": tokenizer,
            "documents": documents,
            "states": list(self._states(ladder)),
            "members": self.members,
        }
        self.file.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False))
        self.on_step(len(rows), len(rows), archive.name)

    def _document(self, place: int, row: Document) -> dict[str, Any]:
        with self.database.session() as s:
            self._json(f"documents/{place}.json", text_rows(s, row.id))
        original = FileStore(self.home.files).path(row.sha256)
        if original.is_file() and f"originals/{row.sha256}" not in self.members:
            self._copy(f"originals/{row.sha256}", original)
        return document_row(row)

    def _tables(self, places: Places) -> None:
        with self.database.session() as s:
            found, owners = (column.tolist() for column in passage_documents(s, self.archive_id))
            in_order = sorted(zip(owners, found, strict=True), key=lambda pair: places["documents"][pair[0]])
            places["passages"] = {passage_id: place for place, (_, passage_id) in enumerate(in_order)}
            for table in kept_tables():
                found_rows = table_rows(s, table, self.archive_id, places)
                self._json(f"tables/{table.name}.json", {"rows": found_rows})

    def _states(self, ladder: list[Checkpoint]) -> Iterator[dict[str, Any]]:
        """The newest state of each model: what spares reading the archive again."""
        newest = {rung.fingerprint: rung for rung in ladder}
        for number, rung in enumerate(newest.values()):
            path = self.home.states / rung.file
            if path.is_file():
                self._copy(f"states/{number}.state", path)
                about = {
                    name: getattr(rung, name) for name in ("fingerprint", "chain", "documents", "tokens")
                }
                yield about | {"member": f"states/{number}.state"}

    def _json(self, name: str, value: Any) -> None:
        raw = json.dumps(value, ensure_ascii=False).encode()
        self.members[name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        self.file.writestr(name, raw)

    def _copy(self, name: str, path: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as source, self.file.open(name, "w", force_zip64=True) as out:
            while block := source.read(BLOCK):
                digest.update(block)
                size += len(block)
                out.write(block)
        self.members[name] = {"bytes": size, "sha256": digest.hexdigest()}
