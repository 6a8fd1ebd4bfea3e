"""Archives: collections read as one context."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage import fulltext
from storage.errors import InvalidInputError, NotFoundError
from storage.models import Archive, Document, Passage
from storage.tags import forget_tags
from storage.texts import clean_line, clean_text
from storage.trash import forget_trash, trashed_ids

MAX_NAME = 200
MOST_DESCRIPTION = 2_000


def create_archive(s: Session, name: str, description: str = "") -> Archive:
    """Make an archive; its name must be new, whatever its letter case."""
    archive = Archive(name=_free_name(s, name), description=clean_line(description))
    s.add(archive)
    s.flush()
    return archive


def get_archive(s: Session, name_or_id: str | int) -> Archive:
    """Find an archive by id or by name; the name wins when it is a number too."""
    found = None
    if isinstance(name_or_id, str):
        found = _by_name(s, name_or_id)
    if found is None and str(name_or_id).isdecimal() and len(str(name_or_id)) < 10:
        found = s.get(Archive, int(name_or_id))
    if found is None or found.id in trashed_ids(s):
        raise NotFoundError(
            "unknown_archive", f"There is no archive {str(name_or_id)[:MAX_NAME]!r}.", _known_names(s)
        )
    return found


def list_archives(s: Session) -> list[Archive]:
    """All archives, oldest first."""
    gone = trashed_ids(s)
    return [archive for archive in s.scalars(select(Archive).order_by(Archive.id)) if archive.id not in gone]


def rename_archive(s: Session, archive_id: int, name: str) -> Archive:
    """Give an archive another name."""
    archive = get_archive(s, archive_id)
    archive.name = _free_name(s, name, archive_id)
    s.flush()
    return archive


def describe_archive(s: Session, archive_id: int, description: str) -> Archive:
    """Say in a sentence or two what an archive holds."""
    archive, text = get_archive(s, archive_id), clean_text(description).strip()
    if len(text) > MOST_DESCRIPTION:
        raise InvalidInputError("too_long", f"A description has at most {MOST_DESCRIPTION:,} characters.")
    archive.description = text
    s.flush()
    return archive


def free_name(s: Session, name: str) -> str:
    """`name`, or `name (2)` and so on where it is taken."""
    cleaned = clean_line(name)[: MAX_NAME - 8] or "Archive"
    candidate, number = cleaned, 2
    while _by_name(s, candidate) is not None:
        candidate, number = f"{cleaned} ({number})", number + 1
    return candidate


def delete_archive(s: Session, archive_id: int) -> list[str]:
    """Delete an archive for good; returns hashes of originals that nothing uses any more."""
    archive = s.get(Archive, archive_id) or get_archive(s, archive_id)
    hashes = set(s.scalars(select(Document.sha256).where(Document.archive_id == archive_id)))
    fulltext.remove(s, select(Passage.id).where(Passage.archive_id == archive_id))
    s.delete(archive)
    s.flush()
    forget_tags(s, archive_id)
    forget_trash(s, archive_id)
    used = set(s.scalars(select(Document.sha256).distinct()))
    return sorted(hashes - used)


def lock_archive(s: Session, archive_id: int) -> None:
    """Let one transaction at a time change an archive's list of documents."""
    own = update(Archive).where(Archive.id == archive_id).values(name=Archive.name)
    if not s.execute(own.execution_options(synchronize_session=False)).rowcount:  # type: ignore[attr-defined]
        get_archive(s, archive_id)


def _free_name(s: Session, name: str, own_id: int | None = None) -> str:
    cleaned = clean_line(name)
    if not cleaned or len(cleaned) > MAX_NAME:
        raise InvalidInputError(
            "bad_name", f"An archive's name has 1 to {MAX_NAME} characters.", "Choose another name."
        )
    other = _by_name(s, cleaned)
    if other is not None and other.id != own_id:
        raise InvalidInputError(
            "name_taken", f"An archive named {other.name!r} exists already.", "Choose another name."
        )
    return cleaned


def _by_name(s: Session, name: str) -> Archive | None:
    cleaned = clean_line(name)
    exact = s.scalar(select(Archive).where(Archive.name == cleaned))
    return exact or s.scalar(select(Archive).where(func.lower(Archive.name) == cleaned.lower()).limit(1))


def _known_names(s: Session) -> str:
    names = [archive.name for archive in list_archives(s)[:6]]
    if not names:
        return "There is none yet: add documents with `ingest ARCHIVE PATH` or in the Library page."
    return "Archives: " + ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") + "."
