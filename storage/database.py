"""The database: connections, transactions, errors that a person understands."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from storage import migrations
from storage.errors import InvalidInputError, SchemaError, translate, translated

BUSY_TIMEOUT_MS = 10_000
_READS = re.compile(r"\s*(SELECT|PRAGMA|EXPLAIN|VALUES)\b", re.IGNORECASE)


class Database:
    """One database, by URL. Safe to share between threads; each process makes its own.

    A session that only reads never waits for a writer. The first write of a session takes SQLite's single
    writer lock (waiting up to 10 s) and starts from the newest data, so a read followed by a write cannot
    deadlock; what was read before is as old as under PostgreSQL's READ COMMITTED. Keep writing sessions
    short, and do not nest them.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        try:
            self.url: URL = make_url(url)
        except ArgumentError as error:
            hint = "Use sqlite:///path/to/file.db or postgresql+psycopg://user@host/name."
            raise InvalidInputError("bad_database_url", f"Not a database URL: {url[:200]}", hint) from error
        self.engine = _make_engine(self.url, busy_timeout_ms)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def migrate(self) -> None:
        """Bring the schema to this version's; refuse a newer one."""
        with translated():
            migrations.migrate(self.engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with self._sessions() as session:
            try:
                yield session
                session.commit()
            except (SQLAlchemyError, sqlite3.Error) as error:
                session.rollback()
                raise translate(error) or error from error
            except BaseException:
                session.rollback()
                raise

    def close(self) -> None:
        """Close pooled connections."""
        self.engine.dispose()


def _make_engine(url: URL, busy_timeout_ms: int) -> Engine:
    name = url.get_backend_name()
    if name not in ("sqlite", "postgresql"):
        raise InvalidInputError("bad_database_url", f"{name} is not supported.", "Use SQLite or PostgreSQL.")
    on_disk = name != "sqlite" or url.database not in (None, "", ":memory:")
    pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 32, "pool_timeout": 10} if on_disk else {}
    try:
        engine = create_engine(url, **pool)
    except ModuleNotFoundError as error:
        hint = f"Install it into .venv: pip install {error.name}"
        raise SchemaError(
            "driver_missing", f"The driver {error.name} for this database is missing.", hint
        ) from error
    if name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, busy_timeout_ms))
        event.listen(engine, "before_cursor_execute", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, never by the driver
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
    _switch_to_wal(connection, busy_timeout_ms)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL loses the last commits in a power cut
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -32000")
    connection.execute("PRAGMA journal_size_limit = 67108864")


def _switch_to_wal(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    """Switching does not honour busy_timeout, so two processes that start together need a loop."""
    deadline = time.monotonic() + busy_timeout_ms / 1000
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(
    connection: Connection,
    cursor: sqlite3.Cursor,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    raw = cursor.connection
    writes = _READS.match(statement) is None
    if raw.in_transaction:
        if not (writes and connection.info.get("reading")):
            return
        raw.commit()  # a read snapshot cannot be upgraded safely: end it, take the lock, see the newest data
    raw.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    connection.info["reading"] = not writes
