"""Archives that were deleted but can still be brought back, and documents that were removed."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from storage.columns import utc_now
from storage.errors import InvalidInputError, NotFoundError
from storage.models import Archive
from storage.settings import delete_setting, get_setting, list_settings, set_setting

_ARCHIVE = "trash:archive:"
_REMOVED = "trash:documents:"
_HIDDEN_NAME = "\u2421"


def trashed_ids(s: Session) -> set[int]:
    """Ids of archives in the trash."""
    return {int(key.removeprefix(_ARCHIVE)) for key in list_settings(s, _ARCHIVE)}


def list_trash(s: Session) -> dict[int, str]:
    """The names of archives in the trash by id, the latest deleted first; hidden ones are left out."""
    found = list_settings(s, _ARCHIVE)
    shown = {int(key.removeprefix(_ARCHIVE)): value for key, value in found.items() if not value["hidden"]}
    latest = sorted(shown, key=lambda archive_id: str(shown[archive_id]["at"]), reverse=True)
    return {archive_id: str(shown[archive_id]["name"]) for archive_id in latest}


def trash_archive(s: Session, archive: Archive, *, hidden: bool = False) -> None:
    """Put an archive away, its name free for another; `hidden`: nobody is offered it back."""
    value = {"name": archive.name, "at": utc_now().isoformat(), "hidden": hidden}
    set_setting(s, f"{_ARCHIVE}{archive.id}", value)
    archive.name = f"{_HIDDEN_NAME}{archive.id} {archive.name}"[:200]
    s.flush()


def untrash_archive(s: Session, archive_id: int) -> Archive:
    """Bring an archive back under its name, numbered if the name is taken by now."""
    from storage.archives import free_name

    key = f"{_ARCHIVE}{archive_id}"
    value, archive = get_setting(s, key), s.get(Archive, archive_id)
    if value is None or archive is None:
        hint = "What was deleted can be brought back until Engram is restarted."
        raise NotFoundError("not_in_trash", "This archive cannot be brought back any more.", hint)
    delete_setting(s, key)
    archive.name = free_name(s, str(value["name"]))
    s.flush()
    return archive


def forget_trash(s: Session, archive_id: int) -> None:
    """The archive is gone for good."""
    delete_setting(s, f"{_ARCHIVE}{archive_id}")
    delete_setting(s, f"{_REMOVED}{archive_id}")


def note_removed(s: Session, archive_id: int, document: dict[str, Any]) -> None:
    """Keep what it takes to add a removed document again: name, sha256, bytes."""
    kept = [entry for entry in removed_documents(s, archive_id) if entry["sha256"] != document["sha256"]]
    set_setting(s, f"{_REMOVED}{archive_id}", [*kept, document][-1000:])


def removed_documents(s: Session, archive_id: int) -> list[dict[str, Any]]:
    """Documents removed since the last restart, the latest last."""
    return list(get_setting(s, f"{_REMOVED}{archive_id}", []))


def take_removed(s: Session, archive_id: int) -> list[dict[str, Any]]:
    """The same, and none of them is removed any more."""
    found = removed_documents(s, archive_id)
    if not found:
        raise InvalidInputError("nothing_removed", "Nothing was removed since Engram was started.")
    delete_setting(s, f"{_REMOVED}{archive_id}")
    return found


def forget_removed(s: Session) -> set[str]:
    """After a restart nothing comes back; the hashes of the originals that were kept for it."""
    found = list_settings(s, _REMOVED)
    for key in found:
        delete_setting(s, key)
    return {str(entry["sha256"]) for entries in found.values() for entry in entries}
