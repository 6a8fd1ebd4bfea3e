"""Archives, settings and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from storage_rows import add_archive, add_text, new_database

from storage import Database, InvalidInputError, NotFoundError, archives, findings, jobs, metrics, settings


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        yield database


def test_archive_is_found_by_name_case_and_id(db: Database) -> None:
    with db.session() as s:
        made = archives.create_archive(s, "  Case   files ", "about")
        assert made.name == "Case files"
        assert archives.get_archive(s, "case FILES") is made
        assert archives.get_archive(s, made.id) is made
        assert archives.get_archive(s, str(made.id)) is made


def test_name_that_is_a_number_wins_over_the_id(db: Database) -> None:
    with db.session() as s:
        first = archives.create_archive(s, "2")
        archives.create_archive(s, "other")
        assert archives.get_archive(s, "2") is first


@pytest.mark.parametrize("name", ["nope", "99999999999999999999", "1'; DROP TABLE archives; --", "\0\ud800"])
def test_unknown_archive_names_those_there_are(db: Database, name: str) -> None:
    with db.session() as s:
        add_archive(s, "Leases")
    with pytest.raises(NotFoundError) as caught, db.session() as s:
        archives.get_archive(s, name)
    assert caught.value.code == "unknown_archive"
    assert "Leases" in caught.value.hint


@pytest.mark.parametrize("name", ["", " \n\t ", "x" * 201])
def test_bad_name_is_refused(db: Database, name: str) -> None:
    with pytest.raises(InvalidInputError) as caught, db.session() as s:
        archives.create_archive(s, name)
    assert caught.value.code == "bad_name"


def test_taken_name_is_refused_also_on_rename(db: Database) -> None:
    with db.session() as s:
        add_archive(s, "One")
        two = add_archive(s, "Two")
        archives.rename_archive(s, two.id, "TWO")
    for attempt in (lambda s: add_archive(s, "one"), lambda s: archives.rename_archive(s, two.id, "one")):
        with pytest.raises(InvalidInputError, match="exists already"), db.session() as s:
            attempt(s)


def test_delete_removes_everything_and_names_unused_originals(db: Database) -> None:
    with db.session() as s:
        gone, kept = add_archive(s, "Gone"), add_archive(s, "Kept")
        shared = add_text(s, gone, "shared.txt", "muon lifetime\n")
        add_text(s, kept, "shared.txt", "muon lifetime\n")
        own = add_text(s, gone, "own.txt", "neutron\n")
        job = jobs.enqueue(s, "ask", gone.id, {})
        findings.create_finding(s, gone.id, job.id, "Why?")
        metrics.add_metric(s, "ask", {"ttft_s": 0.5}, archive_id=gone.id, job_id=job.id)
    with db.session() as s:
        assert archives.delete_archive(s, gone.id) == [own.sha256]
    with db.session() as s:
        counts = {
            table: s.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("documents", "pages", "passages", "passages_fts", "jobs", "findings", "run_metrics")
        }
        assert [a.name for a in archives.list_archives(s)] == ["Kept"]
    assert counts == {
        "documents": 1,
        "pages": 1,
        "passages": 1,
        "passages_fts": 1,
        "jobs": 0,
        "findings": 0,
        "run_metrics": 0,
    }
    assert shared.sha256 != own.sha256


def test_an_archives_number_is_never_used_again(db: Database) -> None:
    with db.session() as s:
        first = add_archive(s, "First").id
        archives.delete_archive(s, first)
    with db.session() as s:
        assert add_archive(s, "Second").id > first


def test_settings_keep_json(db: Database) -> None:
    with db.session() as s:
        settings.set_setting(s, "device", {"name": "cpu", "tries": [1, None]})
        settings.set_setting(s, "device", {"name": "cuda"})
        settings.set_setting(s, "empty", None)
        settings.set_setting(s, "a_b", 1)
    with db.session() as s:
        assert settings.get_setting(s, "device") == {"name": "cuda"}
        assert settings.get_setting(s, "empty", "default") is None
        assert settings.get_setting(s, "missing", 7) == 7
        assert settings.list_settings(s, "a_") == {"a_b": 1}
        settings.delete_setting(s, "device")
        assert settings.get_setting(s, "device") is None


def test_metrics_newest_first(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s)
        for number in range(3):
            metrics.add_metric(s, "read", {"tokens": number}, archive_id=archive.id)
        metrics.add_metric(s, "ask", {})
    with db.session() as s:
        assert [m.values["tokens"] for m in metrics.list_metrics(s, "read", archive.id, limit=2)] == [2, 1]
