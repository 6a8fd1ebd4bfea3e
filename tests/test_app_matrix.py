"""The matrix job: every cell answered from its own document, kept at once, never twice, never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from app_home import by_name, write_files
from matrix_home import FILES, NOTICE, TERM, archive, cells_of, fill, services

from app import cells, filling, library, matrix
from app.errors import AppError, UserError
from app.services import Services
from app.worker import Worker
from storage import (
    Archive,
    CellData,
    QuestionData,
    jobs,
    matrices,
)

__all__ = ["archive", "services"]  # fixtures
ROOT = Path(__file__).resolve().parent.parent


def test_every_cell_ends_with_a_status_and_costs_are_kept(services: Services, archive: Archive) -> None:
    made = fill(services, archive)
    found = cells_of(services, made)
    assert set(found) == {(name, label) for name in FILES for label in ("Notice", "Term")}
    assert {cell.status for cell in found.values()} <= {"supported", "partly_supported", "not_found"}
    with services.database.session() as s:
        run = matrices.get_matrix(s, made.id).run
        job = next(job for job in jobs.list_jobs(s, archive.id) if job.kind == matrix.KIND)
        assert matrices.models_used(s, made.id) == [
            {"model": "default", "fingerprint": services.engine.fingerprint, "device": "cpu"}
        ]
    assert (run["cells"], run["model"], run["device"]) == (6, "default", "cpu")
    assert run["tokens"] > 0
    assert run["power_source"]
    assert (job.status, job.done, job.total, job.unit) == ("done", 6, 6, "cells")


def test_only_the_named_documents_are_asked(services: Services, archive: Archive) -> None:
    found = cells_of(services, fill(services, archive, NOTICE, names=("elm.txt",)))
    assert set(found) == {("elm.txt", "Notice")}


def test_answers_that_are_there_are_not_worked_out_again(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(services, archive)
    before = cells_of(services, made)
    monkeypatch.setattr(cells.CellReader, "answer", lambda *given: pytest.fail("asked twice"))
    matrix.fill(services, made.id)
    Worker(services).run_until_idle()
    assert cells_of(services, made) == before


def test_a_cell_is_asked_again_alone_and_its_correction_stays(services: Services, archive: Archive) -> None:
    made = fill(services, archive)
    before = cells_of(services, made)
    cell = before["oak.txt", "Term"]
    matrix.correct(services, cell.id, "ten years (checked)")
    matrix.ask_again(services, made.id, [cell.id])
    Worker(services).run_until_idle()
    after = cells_of(services, made)
    assert after["oak.txt", "Term"].correction == "ten years (checked)"
    assert after["oak.txt", "Term"].answered_at != cell.answered_at
    assert after["elm.txt", "Term"] == before["elm.txt", "Term"]


def test_documents_without_text_say_why(services: Services, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    library.add_files(services, archive, [tmp_path / "empty.txt"])
    Worker(services).run_until_idle()
    cell = cells_of(services, fill(services, archive))["empty.txt", "Notice"]
    assert cell.status == "failed"
    assert cell.error.startswith("Not read: ")


def test_one_failing_document_leaves_the_others(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = cells.CellReader.answer

    def failing(self: Any, document_id: int, questions: Any) -> Any:
        if document_id == by_name(services, archive)["elm.txt"].id:
            raise AppError("broken", "This page is broken.")
        return answer(self, document_id, questions)

    monkeypatch.setattr(cells.CellReader, "answer", failing)
    made = fill(services, archive)
    found = cells_of(services, made)
    assert (found["elm.txt", "Term"].status, found["elm.txt", "Term"].error) == (
        "failed",
        "This page is broken.",
    )
    assert found["ash.txt", "Term"].status != "failed"
    monkeypatch.setattr(cells.CellReader, "answer", answer)
    matrix.fill(services, made.id)
    Worker(services).run_until_idle()
    assert cells_of(services, made)["elm.txt", "Term"].status != "failed"


def test_a_matrix_made_before_the_reading_is_filled_after_it(services: Services, tmp_path: Path) -> None:
    fresh = library.create_archive(services, "Fresh")
    library.add_files(services, fresh, [write_files(tmp_path / "in", FILES)])
    made = fill(services, fresh)
    found = cells_of(services, made)
    assert len(found) == 6
    assert "pending" not in {cell.status for cell in found.values()}
    with services.database.session() as s:
        done = jobs.list_jobs(s, fresh.id)
    in_order = sorted(done, key=lambda job: str(job.finished_at))
    assert [job.kind for job in in_order] == ["matrix", "ingest", "read", "matrix"]
    assert {job.status for job in done} == {"done"}


def test_a_deleted_matrix_stops_its_job(services: Services, archive: Archive) -> None:
    made = matrix.make(services, archive, "Gone", [NOTICE])
    matrix.delete(services, made.id)
    with services.database.session() as s:
        assert matrices.list_matrices(s, archive.id) == []
        jobs.enqueue(s, matrix.KIND, archive.id, {"matrix_id": made.id})
    Worker(services).run_until_idle()
    with services.database.session() as s:
        assert jobs.list_jobs(s, archive.id)[0].status == "done"


def test_cancelling_keeps_what_is_filled(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.task.BEAT_S", 0.01)
    made = matrix.make(services, archive, "Leases", [NOTICE, TERM])
    with services.database.session() as s:
        job = matrix.active_jobs(s, made)[0]
    step = filling.Filling._fill

    def slow(self: Any, *given: Any) -> None:
        step(self, *given)
        library.cancel(services, job.id)
        while not self._task.asked_to_end:
            time.sleep(0.01)

    monkeypatch.setattr(filling.Filling, "_fill", slow)
    Worker(services).run_until_idle()
    with services.database.session() as s:
        assert jobs.get_job(s, job.id).status == "cancelled"
        assert matrices.count_cells(s, made.id) == (2, 6)


SLOWED = """
import sys, time
from app import filling
step = filling.Filling._fill
def slowly(self, *given):
    step(self, *given)
    time.sleep(30)
filling.Filling._fill = slowly
from app.cli import main
sys.exit(main(["worker"]))
"""


def test_a_killed_worker_loses_no_finished_cell(services: Services, archive: Archive) -> None:
    made = matrix.make(services, archive, "Leases", [NOTICE, TERM])
    environment = {**os.environ, "ENGRAM_HOME": str(services.home.path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWED], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 300
        while not any(cell.status != "pending" for cell in cells_of(services, made).values()):
            assert time.monotonic() < deadline, "the worker filled nothing"
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = {key: cell for key, cell in cells_of(services, made).items() if cell.status != "pending"}
    assert 0 < len(kept) < 6
    worker = Worker(services)
    worker._take_over()
    worker.run_until_idle()
    after = cells_of(services, made)
    assert {key: after[key] for key in kept} == kept
    assert "pending" not in {cell.status for cell in after.values()}


def test_joules_add_up_only_where_all_are_known() -> None:
    values = {"seconds": 2.0, "tokens": 10, "energy_j": 5.0, "power_source": "RAPL"}
    once = filling.added({}, {"model": "m"}, values, 3)
    assert (once["energy_j"], once["cells"], once["seconds"]) == (5.0, 3, 2.0)
    assert filling.added(once, {}, values, 1)["energy_j"] == 10.0
    assert filling.added(once, {}, values | {"energy_j": None}, 1)["energy_j"] is None


def test_no_question_and_unknown_documents_are_refused(services: Services, archive: Archive) -> None:
    with pytest.raises(UserError, match="at least one question"):
        matrix.make(services, archive, "x", [])
    with pytest.raises(UserError, match="empty"):
        matrix.make(services, archive, "x", [QuestionData(" ")])
    with pytest.raises(Exception, match="No document"):
        matrix.make(services, archive, "x", [NOTICE], ["nowhere.txt"])
    with services.database.session() as s:
        assert matrices.list_matrices(s, archive.id) == []


def test_a_vanished_cell_is_no_matter(services: Services, archive: Archive) -> None:
    with services.database.session() as s:
        matrices.store_cells(s, [(12345, CellData("not_found"))], {})
