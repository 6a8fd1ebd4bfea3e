"""`ingest`: add files and folders, parse them, read them, and say what became of each."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import library
from app.chain import Plan
from app.commands.output import ProgressLine, clean, print_json
from app.commands.signals import stoppable
from app.errors import UserError
from app.fitting import Room, plan_sentence, planned
from app.following import Follower
from app.services import Services
from storage import Archive, Coverage, Job, NotFoundError, documents, jobs


def run(services: Services, chosen: Namespace) -> int:
    """Make the archive if it is new; add the paths, or go on where it stopped; return when all is read."""
    paths = [Path(path).expanduser().absolute() for path in chosen.paths]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise UserError("file_missing", f"There is no file or folder {missing}.", "Check the path.")
    archive = _archive(services, chosen.archive, make=bool(paths))
    line = ProgressLine()
    with stoppable() as stop:
        try:
            result = _do(services, archive, paths, line, stop, alone=bool(chosen.model or chosen.device))
        finally:
            line.end()
    with services.database.session() as s:
        covered = documents.coverage(s, archive.id)
    _report(services, archive, result, covered)
    return 0


def _archive(services: Services, name: str, make: bool) -> Archive:
    with services.database.session() as s:
        try:
            return library.find_archive(s, name)
        except NotFoundError:
            if not make:
                raise
    return library.create_archive(services, name)


def _do(
    services: Services,
    archive: Archive,
    paths: Sequence[Path],
    line: ProgressLine,
    stop: threading.Event,
    alone: bool,
) -> dict[str, Any]:
    follower = Follower(services, alone=alone, stop=stop)
    follower.on_job = line.show

    def ingest(s: Session) -> Job:
        payload = {"paths": [str(path) for path in paths]} if paths else {}
        return jobs.enqueue(s, "ingest", archive.id, payload)

    result = dict(follower.do(ingest).result or {})
    line.end()
    result["memory"] = _tell_memory(services, archive)
    result["reading"] = follower.do(lambda s: library.request_reading(s, archive.id)).result
    return result


def _tell_memory(services: Services, archive: Archive) -> dict[str, int] | None:
    """Say what reading the archive takes, before it is read (a worker may have begun); as JSON too."""
    plan, room = planned(services), Room.now(services.home, archive.id)
    with services.database.session() as s:
        tokens = Plan.load(s, archive.id).total
    if plan is None or not tokens:
        return None
    if not services.options.json:
        print(plan_sentence(plan, tokens, room), flush=True)
    needed = {"memory_needed_bytes": plan.needed(tokens), "disk_needed_bytes": plan.on_disk(tokens)}
    return needed | {"memory_free_bytes": room.memory, "disk_free_bytes": room.disk + room.held}


def _report(services: Services, archive: Archive, result: dict[str, Any], covered: Coverage) -> None:
    if services.options.json:
        summary = {"archive": archive.name, "documents": covered.documents, "read": covered.read}
        tokens = {"tokens_read": covered.tokens_read, "tokens_total": covered.tokens_total}
        not_read = [{"document": name, "reason": reason} for name, reason in covered.not_read]
        print_json({**summary, **tokens, "not_read": not_read, **result})
        return
    for item in result.get("duplicates", ()):
        print(
            f"{clean(item['name'])}: same content as {clean(item['same_as'])}, stored once", file=sys.stderr
        )
    for item in result.get("failed", ()):
        hint = f" {clean(item['hint'])}" if item["hint"] else ""
        print(f"{clean(item['name'])}: {clean(item['error'])}.{hint}", file=sys.stderr)
    added, known = result.get("added", 0), result.get("unchanged", 0)
    files = "file" if added == 1 else "files"
    print(f"Added {added} {files}" + (f", {known} known already." if known else "."))
    read = f"{covered.read} of {covered.documents} documents read"
    print(f"{read}, {covered.tokens_read:,} tokens in the context.")
    for name, reason in covered.not_read[:20]:
        print(f"Not read: {clean(name)} ({clean(reason)})")
    if len(covered.not_read) > 20:
        print(f"Not read: {len(covered.not_read) - 20} more; see `archives status {clean(archive.name)}`")
