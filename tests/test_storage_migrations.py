"""The schema: in order, recorded, all or nothing, never backwards; equal to the models."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from storage import Database, SchemaError, migrations
from storage.models import Base


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'engram.db'}"


def _migrate(address: str) -> None:
    database = Database(address)
    database.migrate()
    database.close()


def test_migrated_schema_equals_the_models(tmp_path: Path) -> None:
    _migrate(url(tmp_path))
    engine = create_engine(url(tmp_path))
    found = inspect(engine)
    for name, table in Base.metadata.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert set(columns) == set(table.columns.keys()), name
        assert {n for n, c in columns.items() if c["nullable"]} == {
            c.name for c in table.columns if c.nullable
        }, name
        assert {i["name"] for i in found.get_indexes(name)} == {i.name for i in table.indexes}, name
        keys = {
            (k["constrained_columns"][0], k["referred_table"], k["options"]["ondelete"])
            for k in found.get_foreign_keys(name)
        }
        assert keys == {(k.parent.name, k.column.table.name, k.ondelete) for k in table.foreign_keys}, name
    engine.dispose()


def test_both_dialects_have_the_same_steps() -> None:
    steps = [[(m.version, m.name) for m in migrations.known(dialect)] for dialect in ("sqlite", "postgresql")]
    assert steps[0] == steps[1]
    assert [version for version, _ in steps[0]] == list(range(1, len(steps[0]) + 1))


def test_postgresql_tables_have_the_models_columns() -> None:
    statements = "\n".join(s for m in migrations.known("postgresql") for s in m.statements)
    for name, table in Base.metadata.tables.items():
        created = statements.split(f"CREATE TABLE {name} (")[1].split("\n)")[0]
        words = {line.strip().split()[0].strip('"') for line in created.splitlines() if line.strip()}
        words |= set(re.findall(rf"ALTER TABLE {name} ADD COLUMN (\w+)", statements))
        assert {column.name for column in table.columns} <= words, name


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    _migrate(url(tmp_path))
    engine = create_engine(url(tmp_path))
    assert migrations.migrate(engine) == []
    engine.dispose()


def test_steps_are_applied_in_order_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sqlite.sql").write_text("ALTER TABLE a ADD COLUMN y INTEGER;\n")
    (tmp_path / "0001_first.sqlite.sql").write_text(
        "CREATE TABLE a (x INTEGER);\n\nCREATE INDEX i ON a (x);\n"
    )
    engine = create_engine(url(tmp_path))
    assert [m.name for m in migrations.migrate(engine, tmp_path)] == ["first", "second"]
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT version, name FROM schema_migrations ORDER BY version")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(1, "first"), (2, "second")]


def test_failing_step_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "0001_first.sqlite.sql").write_text("CREATE TABLE a (x INTEGER);\n")
    (tmp_path / "0002_second.sqlite.sql").write_text(
        "CREATE TABLE b (x INTEGER);\n\nCREATE TABLE a (x INTEGER);\n"
    )
    database = Database(url(tmp_path))
    with pytest.raises(Exception, match="already exists"):
        migrations.migrate(database.engine, tmp_path)
    assert inspect(database.engine).get_table_names() == []
    database.close()


def test_newer_schema_is_refused_clearly(tmp_path: Path) -> None:
    _migrate(url(tmp_path))
    database = Database(url(tmp_path))
    with database.session() as s:
        s.execute(text("INSERT INTO schema_migrations VALUES (9999, 'future', '2099-01-01')"))
    with pytest.raises(SchemaError) as caught:
        database.migrate()
    database.close()
    assert caught.value.code == "newer_schema"
    assert "9999" in caught.value.message
    assert "Update" in caught.value.hint


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    starters = [context.Process(target=_migrate, args=(url(tmp_path),)) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [starter.exitcode for starter in starters] == [0, 0]
