"""What can go wrong with stored data, told so that a person knows what to do next."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StorageError(Exception):
    """Base of everything this package raises: a stable code, a sentence, and what to do about it."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class NotFoundError(StorageError):
    """The named thing is not in the database or on the disk."""


class InvalidInputError(StorageError):
    """The caller gave something that cannot be stored or understood."""


class BusyError(StorageError):
    """Another process holds what is needed; trying again later can succeed."""


class DiskFullError(StorageError):
    """No room left to write."""


class SchemaError(StorageError):
    """The database is not one this version can work with."""


_LOCKED_HINT = (
    "Close other programs that have the database open (a backup, a database viewer, a second Engram),"
    " then try again."
)
_FULL_HINT = "Free space on the disk that holds the home folder, then start again: nothing stored was lost."
_DAMAGED_HINT = "Restore engram.db from a backup, or move it away and add the documents again."
_ACCESS_HINT = "Give your user write permission on the home folder, or choose another one with --home."
_SETUP_HINT = "Start Engram once (python3 start.py): it sets the database up."
_SERVER_HINT = (
    "Check that the database server runs and that the address, user and password in the URL are right."
)

# Fragments of the drivers' own messages: they give no finer class than OperationalError.
_MEANINGS: tuple[tuple[str, type[StorageError], str, str, str], ...] = (
    ("locked", BusyError, "database_locked", "The database is in use by another program.", _LOCKED_HINT),
    ("disk is full", DiskFullError, "disk_full", "The disk is full.", _FULL_HINT),
    ("no space left", DiskFullError, "disk_full", "The disk is full.", _FULL_HINT),
    (
        "disk i/o error",
        StorageError,
        "disk_error",
        "The disk failed while the database was in use.",
        _DAMAGED_HINT,
    ),
    ("readonly", StorageError, "read_only", "The database cannot be written: it is read-only.", _ACCESS_HINT),
    ("unable to open", StorageError, "cannot_open", "The database file cannot be opened.", _ACCESS_HINT),
    ("malformed", StorageError, "database_damaged", "The database file is damaged.", _DAMAGED_HINT),
    ("not a database", StorageError, "database_damaged", "The database file is damaged.", _DAMAGED_HINT),
    ("no such table", SchemaError, "not_migrated", "The database has not been set up yet.", _SETUP_HINT),
    ("does not exist", SchemaError, "not_migrated", "The database has not been set up yet.", _SETUP_HINT),
    ("connection", StorageError, "unreachable", "The database server cannot be reached.", _SERVER_HINT),
    (
        "password",
        StorageError,
        "unreachable",
        "The database server refused the user or password.",
        _SERVER_HINT,
    ),
)


def translate(error: BaseException) -> StorageError | None:
    """The StorageError that says what a driver's error means, or None when it is not a driver's."""
    if isinstance(error, PoolTimeoutError):
        return BusyError(
            "database_locked", "All connections to the database are in use.", "Try again in a moment."
        )
    if not isinstance(error, SQLAlchemyError | sqlite3.Error):
        return translate_os(error)
    if isinstance(error, IntegrityError | sqlite3.IntegrityError):
        message = "This does not fit what is stored: it exists already, or what it belongs to is gone."
        return InvalidInputError("conflict", message, "Reload and try again.")
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    for fragment, kind, code, message, hint in _MEANINGS:
        if fragment in text.lower():
            return kind(code, message, hint)
    return StorageError("database_error", f"The database refused: {text.strip().splitlines()[0][:300]}")


def translate_os(error: BaseException) -> StorageError | None:
    """The same for the file system: full disk, no permission, missing path."""
    if not isinstance(error, OSError):
        return None
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError("disk_full", f"The disk is full{where}.", _FULL_HINT)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        hint = "Give your user permission there, or choose another home folder with --home."
        return StorageError("no_permission", f"Not permitted{where}.", hint)
    if isinstance(error, FileNotFoundError):
        return NotFoundError("file_missing", f"No such file{where}.", "Check the path.")
    return StorageError("disk_error", f"The file system refused{where}: {error.strerror or error}.")


@contextmanager
def translated() -> Iterator[None]:
    """Turn driver and file-system errors raised inside into StorageError, cause kept."""
    try:
        yield
    except StorageError:
        raise
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error
