"""`archives`: list, create, rename, delete, show."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from app import library
from app.commands import keeping
from app.commands.confirming import confirm
from app.commands.output import clean, duration, print_json, print_table
from app.services import Services
from storage import Archive, Coverage, Document, Job, archives, documents, jobs


def run(services: Services, chosen: Namespace) -> int:
    """Do what the action says; without one, list."""
    actions = {"list": _list, "create": _create, "rename": _rename, "delete": _delete, "status": _status}
    name = chosen.action or "list"
    return (actions.get(name) or getattr(keeping, name.replace("-", "_")))(services, chosen)


def _list(services: Services, chosen: Namespace) -> int:
    with services.database.session() as s:
        found = [(row, documents.coverage(s, row.id)) for row in archives.list_archives(s)]
    if services.options.json:
        print_json([_summary(archive, covered) for archive, covered in found])
    elif found:
        rows = [
            (a.id, a.name, c.documents, c.read, f"{c.tokens_read:,}", f"{c.tokens_total:,}", a.description)
            for a, c in found
        ]
        head = ("ID", "NAME", "DOCUMENTS", "READ", "TOKENS READ", "TOKENS", "DESCRIPTION")
        print_table(head, rows)
    else:
        print("There is no archive yet. Make one: python -m app ingest NAME PATH...")
    return 0


def _create(services: Services, chosen: Namespace) -> int:
    archive = library.create_archive(services, chosen.archive, chosen.description)
    return _say(services, archive, f"Created {archive.name!r}.")


def _rename(services: Services, chosen: Namespace) -> int:
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
    renamed = library.rename_archive(services, archive.id, chosen.name)
    return _say(services, renamed, f"Renamed {archive.name!r} to {renamed.name!r}.")


def _delete(services: Services, chosen: Namespace) -> int:
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
        covered = documents.coverage(s, archive.id)
    if not chosen.yes:
        confirm(f"Delete {archive.name!r} with its {covered.documents} documents and all findings?")
    if chosen.for_good:
        library.purge_archive(services, archive.id)
        return _say(services, archive, f"Deleted {archive.name!r} for good.")
    library.delete_archive(services, archive.id)
    back = f"archives undelete {archive.name!r}"
    return _say(services, archive, f"Deleted {archive.name!r}. Until Engram is restarted: {back}")


def _status(services: Services, chosen: Namespace) -> int:
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
        covered = documents.coverage(s, archive.id)
        rows = documents.list_documents(s, archive.id)
        active = jobs.list_jobs(s, archive.id, active=True)
        alive = jobs.worker_alive(s)
    if services.options.json:
        details = {"list": [_document(row) for row in rows], "jobs": [_job(job) for job in active]}
        print_json(_summary(archive, covered) | details | {"worker": alive})
        return 0
    print(f"{clean(archive.name)}: {covered.read} of {covered.documents} documents read, ", end="")
    print(f"{covered.tokens_read:,} of {covered.tokens_total:,} tokens")
    for job in active:
        left = f", {duration(job.eta_s)} left" if job.eta_s is not None else ""
        print(f"{job.kind} {job.status}: {job.done:,.0f} of {job.total:,.0f} {job.unit}{left}")
    if active and not alive:
        print("No worker is running. Start one: python -m app worker")
    table = [(row.name, row.status, row.pages, f"{row.tokens:,}", _remark(row)) for row in rows]
    print_table(("DOCUMENT", "STATUS", "PAGES", "TOKENS", "REMARK"), table)
    return 0


def _remark(row: Document) -> str:
    return " ".join(filter(None, (row.error, row.hint, *row.warnings)))


def _summary(archive: Archive, covered: Coverage) -> dict[str, Any]:
    return {
        "id": archive.id,
        "name": archive.name,
        "description": archive.description,
        "documents": covered.documents,
        "read": covered.read,
        "tokens_read": covered.tokens_read,
        "tokens_total": covered.tokens_total,
        "not_read": [{"document": name, "reason": reason} for name, reason in covered.not_read],
    }


def _document(row: Document) -> dict[str, Any]:
    keys = ("id", "name", "status", "media_type", "bytes", "pages", "characters", "tokens")
    return {key: getattr(row, key) for key in (*keys, "title", "error", "hint", "warnings")}


def _job(job: Job) -> dict[str, Any]:
    keys = ("id", "kind", "status", "done", "total", "unit", "message", "rate", "eta_s")
    return {key: getattr(job, key) for key in keys}


def _say(services: Services, archive: Archive, sentence: str) -> int:
    if services.options.json:
        print_json({"id": archive.id, "name": archive.name})
    else:
        print(sentence)
    return 0
