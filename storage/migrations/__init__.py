"""Schema changes: numbered SQL files, one a dialect, applied in order, recorded, all or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from storage.columns import utc_now
from storage.errors import SchemaError

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"(\d{4})_(\w+)\.(sqlite|postgresql)\.sql")
_RECORD = "schema_migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    statements: tuple[str, ...]


def known(dialect: str, folder: Path = _FOLDER) -> list[Migration]:
    """The migrations this version carries for a dialect, in order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match and match[3] == dialect:
            statements = (part.strip() for part in path.read_text(encoding="utf-8").split(";\n"))
            found.append(Migration(int(match[1]), match[2], tuple(part for part in statements if part)))
    return found


def applied(connection: Connection) -> set[int]:
    """Versions recorded in the database."""
    if not inspect(connection).has_table(_RECORD):
        return set()
    return set(connection.execute(text(f"SELECT version FROM {_RECORD}")).scalars())


def migrate(engine: Engine, folder: Path = _FOLDER) -> list[Migration]:
    """Apply what is missing in one transaction and return it."""
    steps = known(engine.dialect.name, folder)
    with engine.connect() as connection:
        done = applied(connection)
    _refuse_newer(done, steps)
    if all(step.version in done for step in steps):
        return []  # the usual start takes no writer lock
    with engine.begin() as connection:
        _lock(connection)
        done = applied(connection)
        _refuse_newer(done, steps)
        missing = [step for step in steps if step.version not in done]
        for step in missing:
            _apply(connection, step)
    return missing


def _lock(connection: Connection) -> None:
    """Let one process migrate at a time; the others then find it done."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(20260101)"))
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {_RECORD}"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
    )


def _apply(connection: Connection, step: Migration) -> None:
    for statement in step.statements:
        connection.exec_driver_sql(statement)
    record = text(f"INSERT INTO {_RECORD} (version, name, applied_at) VALUES (:version, :name, :at)")
    connection.execute(record, {"version": step.version, "name": step.name, "at": utc_now().isoformat()})


def _refuse_newer(done: set[int], steps: list[Migration]) -> None:
    newest = max((step.version for step in steps), default=0)
    if done and max(done) > newest:
        raise SchemaError(
            "newer_schema",
            f"This database was made by a newer Engram (schema {max(done)}; this one knows up to {newest}).",
            "Update Engram, or use another home folder with --home.",
        )
