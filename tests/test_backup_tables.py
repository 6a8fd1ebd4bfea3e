"""A backup restored into a fresh home holds every table as it was: nothing that a person entered is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from app_home import by_name, make_services, prose, services_with
from backup_files import do, edited, rehashed, tampered

from app import matrix
from app.services import Services
from app.worker import Worker
from storage import (
    Archive,
    CellData,
    FoundData,
    QuestionData,
    archives,
    findings,
    jobs,
    matrices,
    passages,
    recognised,
    reports,
    tags,
)
from storage import found as found_rows
from storage.backup.tables import LEFT_OUT, kept_tables, table_rows
from storage.models import Base
from storage.passages import passage_documents
from storage.records import CitationData

FILES = {"a.txt": prose(1, 3), "b.txt": prose(2, 3)}
services = services_with(FILES, "Papers")


@pytest.fixture
def archive(services: Services) -> Archive:
    """An archive in which a person has left something in every table."""
    with services.database.session() as s:
        kept = archives.get_archive(s, "Papers")
        archives.describe_archive(s, kept.id, "Two papers.")
        tags.tag_archive(s, kept.id, ["physics"])
    found = by_name(services, kept)
    one, other = found["a.txt"].id, found["b.txt"].id
    with services.database.session() as s:
        tags.tag_documents(s, kept.id, [other], ["draft"])
        recognised.note(s, other, {1: 0.83})
        asked = [findings.create_finding(s, kept.id, None, f"What {n}?", ["b.txt"]).id for n in range(3)]
        findings.set_citations(s, asked[1], [CitationData(1, other, "b.txt", 1, 0, 4, "Para", True, 0.7)])
        findings.update_finding(
            s, asked[1], status="supported", answer="Para [1]", confidence=0.8, context={"tokens_read": 7},
            run={"model": "default"},
        )  # fmt: skip
        findings.annotate_finding(s, asked[1], "Look again.", ["open"])
        findings.delete_finding(s, asked[0])
        findings.create_finding(s, kept.id, None, "and who?", parent_id=asked[1], details={"kind": "answer"})
        first = passages.list_passages(s, other)[0]
        found_rows.set_found(s, asked[2], [FoundData(first.id, 1, 1.0, None)])
        report = reports.create_report(s, kept.id, "Both", [asked[2], asked[0], asked[1]])
        reports.update_report(s, report.id, introduction="Two findings.")
        columns = [QuestionData("How long?", "Term", "years"), QuestionData("Who?", "Parties")]
        made = matrices.create_matrix(s, kept.id, "Leases", columns, [other])
        cells = matrices.pending_cells(s, made.id)
        answer = CellData("supported", "two years", 0.9, 1, 0, 4, "Para", True)
        matrices.store_cells(s, [(cells[0].id, answer)], {"model": "default"})
        matrices.correct_cell(s, cells[0].id, "three years")
        matrices.set_run(s, made.id, {"cells": 1})
        assert one != other
    return kept


def everything(services: Services, archive: Archive) -> dict[str, Any]:
    """Every row of the archive, in the form of a backup: ids as numbers."""
    found = by_name(services, archive)
    with services.database.session() as s:
        stored, _ = passage_documents(s, archive.id)
        places = {
            "documents": {row.id: place for place, row in enumerate(found.values())},
            "passages": {passage_id: place for place, passage_id in enumerate(stored.tolist())},
        }
        rows = {table.name: table_rows(s, table, archive.id, places) for table in kept_tables()}
        of_documents = tags.document_tags(s, archive.id)
        sure = {row.name: recognised.confidences(s, row.id) for row in found.values()}
        about = (archive.name, archives.get_archive(s, archive.id).description)
        own = tags.archive_tags(s)[archive.id]
    named = {row.name: of_documents.get(row.id, []) for row in found.values()}
    added = [row.created_at for row in found.values()]
    return rows | {"about": about, "own": own, "tags": named, "recognised": sure, "added": added}


def test_a_fresh_home_holds_every_table_as_it_was(
    services: Services, archive: Archive, tmp_path: Path
) -> None:
    before = everything(services, archive)
    assert all(before[table.name] for table in kept_tables()), "the test leaves nothing untried"
    for row in before["findings"]:  # a question that was being answered is not answered by a backup
        row["status"] = "cancelled" if row["status"] == "running" else row["status"]
    out = tmp_path / "papers.zip"
    assert do(services, "backup", archive.id, file=str(out)).status == "done"
    fresh = make_services(tmp_path / "fresh")
    try:
        with fresh.database.session() as s:
            job = jobs.enqueue(s, "restore", None, {"file": str(out)})
        Worker(fresh)._step()
        with fresh.database.session() as s:
            assert jobs.get_job(s, job.id).error == ""
            restored = archives.get_archive(s, "Papers")
            waiting = [job.kind for job in jobs.list_jobs(s, restored.id, active=True)]
        assert everything(fresh, restored) == before
        assert matrix.KIND in waiting, "the cell that was pending is filled"
    finally:
        fresh.close()


def test_a_matrix_whose_documents_are_gone_does_not_ask_all(services: Services, tmp_path: Path) -> None:
    with services.database.session() as s:
        kept = archives.get_archive(s, "Papers")
        made = matrices.create_matrix(s, kept.id, "Gone", [QuestionData("Who?")], [4711])
        assert matrices.load_table(s, made.id).documents == ()
    out = tmp_path / "papers.zip"
    do(services, "backup", kept.id, file=str(out))
    do(services, "restore", file=str(out), name="Again")
    with services.database.session() as s:
        again = archives.get_archive(s, "Again")
        (restored,) = matrices.list_matrices(s, again.id)
        assert matrices.load_table(s, restored.id).documents == ()


@pytest.mark.parametrize(
    ("table", "raw", "says"),
    [
        ("matrix_cells", b'{"rows": [{"status": "supported"}]}', "missing or of the wrong kind"),
        ("reports", b'{"rows": 7}', "not a list"),
        ("citations", None, "belongs to nothing"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    services: Services, archive: Archive, tmp_path: Path, table: str, raw: bytes | None, says: str
) -> None:
    out = tmp_path / "papers.zip"
    do(services, "backup", archive.id, file=str(out))

    def change(members: dict[str, bytes]) -> None:
        if raw is not None:
            rehashed(members, f"tables/{table}.json", raw)
            return
        edited(members, lambda manifest: manifest["members"].pop("tables/findings.json"))
        del members["tables/findings.json"]

    job = do(services, "restore", file=str(tampered(out, tmp_path / "bad.zip", change)), name="Bad")
    assert job.status == "failed"
    assert says in job.error


def test_every_table_of_the_database_is_backed_up_or_left_out_on_purpose() -> None:
    aside = {"archives", "documents", "pages", "passages", "checkpoints", "settings"}
    assert {table.name for table in kept_tables()} | aside | LEFT_OUT == set(Base.metadata.tables)
