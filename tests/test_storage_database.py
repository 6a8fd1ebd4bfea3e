"""Sessions: transactions, locks, and what a person is told when the database cannot be used."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from storage_rows import add_archive, new_database

from storage import (
    BusyError,
    Database,
    DiskFullError,
    InvalidInputError,
    SchemaError,
    StorageError,
    archives,
    jobs,
)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def test_session_commits_and_rows_stay_usable(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
    assert archive.name == "Papers"
    with db.session() as s:
        assert [a.name for a in archives.list_archives(s)] == ["Papers"]


def test_error_inside_a_session_undoes_it(db: Database) -> None:
    def add_and_stop() -> None:
        with db.session() as s:
            add_archive(s)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        add_and_stop()
    with db.session() as s:
        assert archives.list_archives(s) == []


def test_sqlite_runs_with_wal_foreign_keys_and_full_sync(db: Database) -> None:
    with db.session() as s:
        values = [
            s.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert values == ["wal", 1, 2]


def test_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    with new_database(tmp_path) as db, db.session() as writer:
        add_archive(writer)
        reader = Database(str(db.url), busy_timeout_ms=0)
        with reader.session() as s:
            assert archives.list_archives(s) == []
        reader.close()


def test_second_writer_is_told_that_the_database_is_locked(tmp_path: Path) -> None:
    with new_database(tmp_path) as db, db.session() as writer:
        add_archive(writer)
        other = Database(str(db.url), busy_timeout_ms=20)
        with pytest.raises(BusyError) as caught, other.session() as s:
            add_archive(s, "Other")
        other.close()
    assert caught.value.code == "database_locked"
    assert caught.value.hint


def test_lock_held_by_another_program_ends_in_the_same_error(db: Database, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "engram.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    impatient = Database(str(db.url), busy_timeout_ms=20)
    with pytest.raises(BusyError, match="in use"), impatient.session() as s:
        jobs.enqueue(s, "read", None, {})
    impatient.close()
    holder.rollback()
    holder.close()


def test_read_then_write_survives_a_writer_in_between(db: Database) -> None:
    """An upgrade of a read snapshot would fail at once with "database is locked"."""
    with db.session() as first:
        assert archives.list_archives(first) == []
        with db.session() as second:
            add_archive(second, "Second")
        add_archive(first, "First")
    with db.session() as s:
        assert [a.name for a in archives.list_archives(s)] == ["Second", "First"]


def test_many_threads_that_read_then_write_all_succeed(db: Database) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                with db.session() as s:
                    archives.list_archives(s)
                    add_archive(s, f"{number}-{step}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with db.session() as s:
        assert len(archives.list_archives(s)) == 30


def test_full_disk_is_said_and_nothing_is_half_stored(db: Database) -> None:
    with db.session() as s:
        add_archive(s, "Kept")
        pages = s.scalar(text("PRAGMA page_count"))
        s.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(DiskFullError) as caught, db.session() as s:
        archives.create_archive(s, "Lost", "x" * 2_000_000)
    assert caught.value.code == "disk_full"
    assert "space" in caught.value.hint
    db.close()
    with db.session() as s:
        assert [a.name for a in archives.list_archives(s)] == ["Kept"]


def test_unmigrated_database_says_so(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(SchemaError) as caught, db.session() as s:
        archives.list_archives(s)
    db.close()
    assert caught.value.code == "not_migrated"


def test_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "engram.db").write_bytes(b"not a database, but long enough to look at" * 50)
    db = Database(f"sqlite:///{tmp_path / 'engram.db'}")
    with pytest.raises(StorageError) as caught:
        db.migrate()
    db.close()
    assert caught.value.code == "database_damaged"


def test_missing_folder_says_so(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'nowhere' / 'engram.db'}")
    with pytest.raises(StorageError) as caught:
        db.migrate()
    assert caught.value.code == "cannot_open"


@pytest.mark.parametrize("url", ["", "not a url", "mysql://localhost/x"])
def test_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Database(url)
    assert caught.value.code == "bad_database_url"
    assert caught.value.hint


def test_folder_names_with_url_characters_work(tmp_path: Path) -> None:
    from storage import Home

    home = Home(tmp_path / "50% done? #1 ü").ensure()
    db = Database(home.database_url)
    db.migrate()
    db.close()
    assert (home.path / "engram.db").is_file()
