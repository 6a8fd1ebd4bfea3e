"""Jobs on a whole archive: backing it up, finding documents that are nearly the same; its disk use."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from app.services import Services
from app.task import Task
from storage import documents, passages
from storage.backup import write_backup
from storage.similar import near_pairs, sketch

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
