"""Tags of archives and documents: short words a person sorts them by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from storage.errors import InvalidInputError
from storage.settings import delete_setting, get_setting, list_settings, set_setting
from storage.texts import clean_line

MOST_TAGS, MOST_CHARACTERS = 20, 40
_ARCHIVE, _DOCUMENTS = "tags:archive:", "tags:documents:"


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Tags on one line each, without repeats (whatever their letter case), in the order given."""
    kept: dict[str, str] = {}
    for tag in map(clean_line, tags):
        if len(tag) > MOST_CHARACTERS:
            raise InvalidInputError("bad_tag", f"A tag has at most {MOST_CHARACTERS} characters.")
        if tag:
            kept.setdefault(tag.casefold(), tag)
    if len(kept) > MOST_TAGS:
        raise InvalidInputError("too_many_tags", f"At most {MOST_TAGS} tags.", "Remove some first.")
    return list(kept.values())


def archive_tags(s: Session) -> dict[int, list[str]]:
    """Tags of every archive that has some."""
    return {int(key.removeprefix(_ARCHIVE)): list(value) for key, value in list_settings(s, _ARCHIVE).items()}


def tag_archive(s: Session, archive_id: int, tags: Iterable[str]) -> list[str]:
    """Give an archive these tags and no others."""
    kept = clean_tags(tags)
    _store(s, f"{_ARCHIVE}{archive_id}", kept)
    return kept


def document_tags(s: Session, archive_id: int) -> dict[int, list[str]]:
    """Tags of an archive's documents by document id."""
    return {int(key): list(tags) for key, tags in get_setting(s, f"{_DOCUMENTS}{archive_id}", {}).items()}


def tag_documents(s: Session, archive_id: int, document_ids: Sequence[int], tags: Iterable[str]) -> None:
    """Give these documents these tags and no others."""
    known, kept = document_tags(s, archive_id), clean_tags(tags)
    known |= dict.fromkeys(document_ids, kept)
    _store(s, f"{_DOCUMENTS}{archive_id}", {str(key): value for key, value in known.items() if value})


def forget_tags(s: Session, archive_id: int) -> None:
    """The archive is gone."""
    delete_setting(s, f"{_ARCHIVE}{archive_id}")
    delete_setting(s, f"{_DOCUMENTS}{archive_id}")


def _store(s: Session, key: str, value: list[str] | dict[str, list[str]]) -> None:
    if value:
        set_setting(s, key, value)
    else:
        delete_setting(s, key)
