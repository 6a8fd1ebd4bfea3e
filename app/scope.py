"""Which documents a question is put to: chosen by name, by tag, by field; each choice narrows the others.

A field is a folder that documents were added from (`legal/lease.md` is of the field legal).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from app.errors import UserError
from app.request import Request
from storage import Document, NotFoundError, documents
from storage.tags import document_tags


@dataclass(frozen=True, slots=True)
class Choices:
    """What the documents of an archive can be chosen by: {tag or field: ids of its documents}."""

    tags: dict[str, set[int]] = field(default_factory=dict)
    fields: dict[str, set[int]] = field(default_factory=dict)


def load_choices(s: Session, archive_id: int, rows: Sequence[Document]) -> Choices:
    """Tags and fields of these documents, by name."""
    tags: dict[str, set[int]] = {}
    fields: dict[str, set[int]] = {}
    known = document_tags(s, archive_id)
    for row in rows:
        for tag in known.get(row.id, ()):
            tags.setdefault(tag, set()).add(row.id)
        for folder in folders(row.name):
            fields.setdefault(folder, set()).add(row.id)
    common = {name for name, ids in fields.items() if len(ids) == len(rows)}  # tells nothing apart
    return Choices(_sorted(tags), _sorted({name: ids for name, ids in fields.items() if name not in common}))


def _sorted(found: dict[str, set[int]]) -> dict[str, set[int]]:
    return {name: found[name] for name in sorted(found, key=str.casefold)}


def folders(name: str) -> tuple[str, ...]:
    """The folders in a document's name."""
    return tuple(part for part in name.split("/")[:-1] if part)


def find_scope(s: Session, archive_id: int, request: Request) -> list[Document] | None:
    """The documents a request is restricted to, in the archive's order; None: all of them.

    An unknown name, tag or field, or a choice that leaves no document, is an error that says so.
    """
    if not (request.documents or request.tags or request.fields):
        return None
    every = documents.list_documents(s, archive_id)
    choices = load_choices(s, archive_id, every)
    rows = find_documents(s, archive_id, request.documents) if request.documents else every
    for what, wanted, known in (
        ("tag", request.tags, choices.tags),
        ("field", request.fields, choices.fields),
    ):
        if wanted:
            ids = set().union(*(_named(what, name, known) for name in wanted))
            rows = [row for row in rows if row.id in ids]
    if not rows:
        hint = "Choose fewer restrictions: a document must fit each kind of them."
        raise UserError("empty_selection", "No document fits everything that was chosen.", hint)
    return rows


def _named(what: str, name: str, known: dict[str, set[int]]) -> set[int]:
    by_name = {key.casefold(): ids for key, ids in known.items()}
    if (ids := by_name.get(name.strip().casefold())) is not None:
        return ids
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    there = ", ".join(list(known)[:8]) or "none yet"
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"There are: {there}."
    raise UserError(f"unknown_{what}", f"No document has the {what} {name[:80]!r}.", hint)


def find_documents(s: Session, archive_id: int, names: Sequence[str]) -> list[Document]:
    """Documents by name; an unknown name is an error that suggests close ones."""
    try:
        return documents.find_documents(s, archive_id, names)
    except NotFoundError as error:
        there = [document.name for document in documents.list_documents(s, archive_id)]
        unknown = [name for name in names if not any(same_name(name, known) for known in there)]
        close = difflib.get_close_matches(unknown[0], there, n=3, cutoff=0.4) if unknown else []
        if not close:
            raise
        meant = " or ".join(map(repr, close))
        raise NotFoundError(error.code, error.message, f"Did you mean {meant}?") from error


def same_name(name: str, known: str) -> bool:
    """Whether a name, or the last part of a path, names a document."""
    name, known = name.casefold(), known.casefold()
    return name in (known, known.rsplit("/", 1)[-1])


def describe_scope(request: Request, names: Iterable[str]) -> str:
    """`documents tagged lease` and the like, for people; empty for the whole archive."""
    parts = []
    if request.tags:
        parts.append(f"tagged {' or '.join(request.tags)}")
    if request.fields:
        parts.append(f"of {' or '.join(request.fields)}")
    listed = list(names)
    if request.documents or (not parts and listed):
        parts.append(", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else ""))
    return "; ".join(parts)
