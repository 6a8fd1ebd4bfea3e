"""The order of an archive's context changed by hand: documents moved, replaced, parsed anew."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from storage.archives import lock_archive
from storage.documents import get_document, mark_unread, reading_order, remove_document, requeue_document
from storage.errors import InvalidInputError
from storage.settings import delete_setting, get_setting, set_setting
from storage.tags import document_tags, tag_documents

_WAITING = "placing:"


def place_documents(s: Session, archive_id: int, ids: Sequence[int]) -> int:
    """Put the documents of the context into this order; returns the first place that changed (their number
    where none did). What stands from there on must be read again.
    """
    lock_archive(s, archive_id)
    rows = {row.id: row for row in reading_order(s, archive_id)}
    if len(ids) != len(rows) or set(ids) != set(rows):
        raise InvalidInputError(
            "bad_order", "The order does not name each document that has text once.", "Reload and try again."
        )
    changed = [place for place, key in enumerate(ids) if rows[key].position != place]
    for place, key in enumerate(ids):
        rows[key].position = place
    s.flush()
    if changed:
        mark_unread(s, archive_id, changed[0])
    return changed[0] if changed else len(ids)


def move_documents(s: Session, archive_id: int, ids: Sequence[int], to: int) -> int:
    """Move documents, in their present order, so that the first stands at place `to` (0 is the first)."""
    order = [row.id for row in reading_order(s, archive_id)]
    moved = [key for key in order if key in set(ids)]
    rest = [key for key in order if key not in set(ids)]
    to = min(max(to, 0), len(rest))
    return place_documents(s, archive_id, [*rest[:to], *moved, *rest[to:]])


def parse_anew(s: Session, document_id: int) -> None:
    """Have a document parsed once more; it comes back to its place when that is done."""
    document = get_document(s, document_id)
    if document.position is not None:
        _wait(s, document.archive_id, document_id, {"position": document.position})
    requeue_document(s, document_id)


def replace_when_parsed(s: Session, document_id: int, old_id: int) -> None:
    """Have a new document take an older one's place, name and tags once it is parsed; until then, and should
    that fail, the older one stays.
    """
    _wait(s, get_document(s, old_id).archive_id, document_id, {"replaces": old_id})


def settle_place(s: Session, document_id: int) -> str | None:
    """A document was parsed: if a place waits for it, put it there. The hash of an original that nothing uses
    any more, if any.
    """
    archive_id = get_document(s, document_id).archive_id
    waiting = dict(get_setting(s, f"{_WAITING}{archive_id}", {}))
    place = waiting.pop(str(document_id), None)
    if place is None:
        return None
    if waiting:
        set_setting(s, f"{_WAITING}{archive_id}", waiting)
    else:
        delete_setting(s, f"{_WAITING}{archive_id}")
    if "replaces" not in place:
        move_documents(s, archive_id, [document_id], int(place["position"]))
        return None
    return _take_over(s, archive_id, document_id, int(place["replaces"]))


def _take_over(s: Session, archive_id: int, document_id: int, old_id: int) -> str | None:
    from storage.models import Document

    old = s.get(Document, old_id)
    if old is None or old.archive_id != archive_id:
        return None
    name, position, tags = old.name, old.position, document_tags(s, archive_id).get(old_id, [])
    unused = remove_document(s, old_id)
    get_document(s, document_id).name = name
    tag_documents(s, archive_id, [document_id], tags)
    if position is not None:
        move_documents(s, archive_id, [document_id], position)
    s.flush()
    return unused[0] if unused else None


def _wait(s: Session, archive_id: int, document_id: int, place: dict[str, int]) -> None:
    waiting = dict(get_setting(s, f"{_WAITING}{archive_id}", {}))
    set_setting(s, f"{_WAITING}{archive_id}", waiting | {str(document_id): place})
