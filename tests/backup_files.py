"""What the tests of backups share: jobs done at once, and backup files changed as a forger would."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.services import Services
from app.worker import Worker
from storage import Job, jobs

Change = Callable[[dict[str, bytes]], None]


def work(services: Services) -> None:
    Worker(services).run_until_idle()


def do(services: Services, kind: str, archive_id: int | None = None, **payload: Any) -> Job:
    with services.database.session() as s:
        job = jobs.enqueue(s, kind, archive_id, payload)
    work(services)
    with services.database.session() as s:
        return jobs.get_job(s, job.id)


def tampered(source: Path, target: Path, change: Change) -> Path:
    with zipfile.ZipFile(source) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, raw in members.items():
            file.writestr(name, raw)
    return target


def rehashed(members: dict[str, bytes], name: str, raw: bytes) -> None:
    """Put `raw` in as a forger would: with the right size and hash in the manifest."""
    manifest = json.loads(members["manifest.json"])
    manifest["members"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    members[name], members["manifest.json"] = raw, json.dumps(manifest).encode()


def edited(members: dict[str, bytes], edit: Callable[[Any], Any]) -> None:
    manifest = json.loads(members["manifest.json"])
    edit(manifest)
    members["manifest.json"] = json.dumps(manifest).encode()
