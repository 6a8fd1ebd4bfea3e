"""Driver and file-system errors become sentences with a code and a hint."""

from __future__ import annotations

import sqlite3
import sys

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage import Database, InvalidInputError, SchemaError, StorageError
from storage.errors import translate, translated


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("database is locked", "database_locked"),
        ("database table is locked", "database_locked"),
        ("database or disk is full", "disk_full"),
        ("disk I/O error", "disk_error"),
        ("attempt to write a readonly database", "read_only"),
        ("unable to open database file", "cannot_open"),
        ("database disk image is malformed", "database_damaged"),
        ("file is not a database", "database_damaged"),
        ("no such table: archives", "not_migrated"),
        ('could not extend file "base/1": No space left on device', "disk_full"),
        ('relation "archives" does not exist', "not_migrated"),
        ("connection to server at 10.0.0.1 failed: Connection refused", "unreachable"),
        ('FATAL: password authentication failed for user "x"', "unreachable"),
    ],
)
def test_drivers_messages_are_understood(message: str, code: str) -> None:
    for error in (
        sqlite3.OperationalError(message),
        OperationalError("SELECT 1", {}, sqlite3.OperationalError(message)),
    ):
        found = translate(error)
        assert found is not None
        assert found.code == code
        assert found.message.endswith(".")
        assert found.hint
        assert "sqlite3" not in found.message


def test_unknown_driver_error_keeps_its_words() -> None:
    found = translate(sqlite3.OperationalError('near "SELEC": syntax error'))
    assert found is not None
    assert (found.code, "syntax error" in found.message) == ("database_error", True)


def test_broken_rule_is_the_callers_mistake() -> None:
    found = translate(
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed: archives.name"))
    )
    assert isinstance(found, InvalidInputError)
    assert found.code == "conflict"


def test_no_free_connection_is_busy() -> None:
    found = translate(PoolTimeoutError("QueuePool limit"))
    assert found is not None
    assert found.code == "database_locked"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "/x"), "disk_full"),
        (PermissionError(13, "Permission denied", "/x"), "no_permission"),
        (OSError(30, "Read-only file system", "/x"), "no_permission"),
        (FileNotFoundError(2, "No such file", "/x"), "file_missing"),
        (OSError(5, "Input/output error", "/x"), "disk_error"),
    ],
)
def test_file_errors_name_the_file(error: OSError, code: str) -> None:
    found = translate(error)
    assert found is not None
    assert (found.code, "/x" in found.message) == (code, True)


def test_other_errors_pass_through() -> None:
    assert translate(ValueError("x")) is None
    with pytest.raises(ValueError, match="x"), translated():
        raise ValueError("x")


def test_cause_is_kept() -> None:
    with pytest.raises(StorageError) as caught, translated():
        raise sqlite3.OperationalError("database is locked")
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SchemaError) as caught:
        Database("postgresql+psycopg://host/name")
    assert caught.value.code == "driver_missing"
    assert "psycopg" in caught.value.hint
