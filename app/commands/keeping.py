"""`archives`, the part that changes what is in an archive or keeps it safe."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import keeping, library
from app.commands.output import ProgressLine, clean, print_json, print_table
from app.commands.signals import stoppable
from app.errors import UserError
from app.fitting import gigabytes
from app.following import Follower
from app.services import Services
from storage import Archive, Job, documents, jobs, tags, trash


def undelete(services: Services, chosen: Namespace) -> int:
    """Bring back an archive that was deleted since the last start."""
    with services.database.session() as s:
        gone = trash.list_trash(s)
    wanted = next((key for key, name in gone.items() if name.casefold() == chosen.archive.casefold()), None)
    if wanted is None:
        known = ", ".join(gone.values()) or "nothing"
        hint = f"In the trash: {known}. It is emptied when the worker starts."
        raise UserError("not_in_trash", f"No deleted archive {chosen.archive!r}.", hint)
    archive = library.undelete_archive(services, wanted)
    return _say(services, {"id": archive.id, "name": archive.name}, f"{archive.name!r} is back.")


def describe(services: Services, chosen: Namespace) -> int:
    """Say what an archive holds."""
    archive = library.describe_archive(services, _find(services, chosen).id, chosen.text)
    values = {"id": archive.id, "description": archive.description}
    return _say(services, values, f"Described {archive.name!r}.")


def tag(services: Services, chosen: Namespace) -> int:
    """Give an archive or documents of it these tags and no others."""
    archive = _find(services, chosen)
    with services.database.session() as s:
        kept = tags.clean_tags(chosen.tags)
        if chosen.document:
            found = documents.find_documents(s, archive.id, chosen.document)
            tags.tag_documents(s, archive.id, [row.id for row in found], kept)
        else:
            tags.tag_archive(s, archive.id, kept)
    return _say(services, {"tags": kept}, f"Tags: {', '.join(kept) or 'none'}.")


def move(services: Services, chosen: Namespace) -> int:
    """Move documents in the context."""
    archive = _find(services, chosen)
    with services.database.session() as s:
        found = documents.find_documents(s, archive.id, chosen.documents)
    first = library.move_documents(services, archive, [row.id for row in found], chosen.to - 1)
    said = f"Moved. The archive is read again from document {first + 1} on."
    return _say(services, {"read_again_from": first + 1}, said)


def replace(services: Services, chosen: Namespace) -> int:
    """Put a new version in a document's place."""
    archive, path = _find(services, chosen), Path(chosen.file).expanduser()
    if not path.is_file():
        raise UserError("file_missing", f"There is no file {path}.", "Check the path.")
    with services.database.session() as s:
        found = documents.find_documents(s, archive.id, [chosen.document])
    if len(found) > 1:
        raise UserError(
            "many_documents", f"{len(found)} documents are called so.", "Name it with its folder."
        )
    with path.open("rb") as stream:
        library.replace_document(services, found[0].id, path.name, stream)
    result = _follow(services, lambda s: jobs.enqueue(s, "ingest", archive.id, {}, once=True))
    if failed := result.get("failed"):
        raise UserError(
            "not_replaced", f"{failed[0]['name']}: {failed[0]['error']}.", "The old version stays."
        )
    _follow(services, lambda s: library.request_reading(s, archive.id))
    return _say(services, {"document": found[0].name}, f"Replaced {found[0].name!r}.")


def read_again(services: Services, chosen: Namespace) -> int:
    """Read an archive from its first token; with --parse parse its documents again too."""
    archive = _find(services, chosen)
    if chosen.parse:
        with services.database.session() as s:
            rows = documents.list_documents(s, archive.id)
        library.parse_again(services, archive, [row.id for row in rows])
        _follow(services, lambda s: jobs.enqueue(s, "ingest", archive.id, {}, once=True))
    read = _follow(services, lambda s: jobs.enqueue(s, "read", archive.id, {"again": True}, once=True))
    return _say(services, read, f"Read {read.get('read_now', 0):,} tokens again.")


def duplicates(services: Services, chosen: Namespace) -> int:
    """Documents that are nearly the same."""
    archive = _find(services, chosen)
    found = _follow(services, lambda s: jobs.enqueue(s, "duplicates", archive.id, {}, once=True))
    with services.database.session() as s:
        names = {row.id: row.name for row in documents.list_documents(s, archive.id)}
    pairs = [
        {"one": names[pair["one"]], "other": names[pair["other"]], "alike": pair["alike"]}
        for pair in found.get("pairs", ())
        if pair["one"] in names and pair["other"] in names
    ]
    if services.options.json:
        print_json({"documents": found.get("documents", 0), "pairs": pairs})
    elif pairs:
        rows = [(f"{pair['alike']:.0%}", pair["one"], pair["other"]) for pair in pairs]
        print_table(("ALIKE", "DOCUMENT", "AND"), rows)
    else:
        print("No two documents are nearly the same. (The same content is stored once anyway.)")
    return 0


def disk(services: Services, chosen: Namespace) -> int:
    """What an archive takes on the disk."""
    used = keeping.disk_use(services, _find(services, chosen).id)
    said = ", ".join(f"{name} {gigabytes(size)}" for name, size in used.items())
    free = keeping.free_disk(services)
    return _say(services, {**used, "free": free}, f"On the disk: {said}. Free: {gigabytes(free)}.")


def backup(services: Services, chosen: Namespace) -> int:
    """Write an archive to one file."""
    archive, out = _find(services, chosen), Path(chosen.out).expanduser().absolute()
    if not out.parent.is_dir():
        raise UserError("folder_missing", f"There is no folder {out.parent}.", "Make it first.")
    if out.exists() and not chosen.force:
        raise UserError("file_exists", f"{out} exists already.", "Name another file, or add --force.")
    payload = {"file": str(out)}
    result = _follow(services, lambda s: jobs.enqueue(s, "backup", archive.id, payload, once=True))
    return _say(services, result, f"Wrote {out} ({gigabytes(result['bytes'])}).")


def restore(services: Services, chosen: Namespace) -> int:
    """Make an archive from a backup."""
    payload = {"file": str(Path(chosen.file).expanduser().absolute()), "name": chosen.name or ""}
    result = _follow(services, lambda s: jobs.enqueue(s, "restore", None, payload, once=True))
    said = f"Restored {result['archive']!r} with {result['documents']:,} documents."
    return _say(services, result, said)


def _find(services: Services, chosen: Namespace) -> Archive:
    with services.database.session() as s:
        return library.find_archive(s, chosen.archive)


def _follow(services: Services, make: Callable[[Session], Job]) -> dict[str, Any]:
    line = ProgressLine()
    with stoppable() as stop:
        follower = Follower(services, stop=stop)
        follower.on_job = line.show
        try:
            return dict(follower.do(make).result or {})
        finally:
            line.end()


def _say(services: Services, values: dict[str, Any], sentence: str) -> int:
    if services.options.json:
        print_json(values)
    else:
        print(clean(sentence))
    return 0
