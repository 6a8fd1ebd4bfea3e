"""The matrix job: fills pending cells document by document; every finished document is kept at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from app.cells import CellReader
from app.errors import INTERNAL, describe
from app.measuring import Stretch
from app.services import Services
from app.task import Task
from storage import (
    BusyError,
    CellData,
    CellRecord,
    DiskFullError,
    Matrix,
    MatrixDocument,
    NotFoundError,
    jobs,
    matrices,
    metrics,
)

KEEP_S = 10.0  # how often the run's figures are written beside the cells
WAITING = ("queued", "parsing")
UNCODED = ("parsed", "reading")  # searchable by words already, by recall code only once read
READING = ("ingest", "read")
LATER = -1  # the priority of a job that comes after all reading
LOOK_S = 1.0
UNREAD = {"needs_ocr": "images without text, needs OCR", "skipped": "there is no text in it"}


def run_matrix(services: Services, task: Task) -> dict[str, Any]:
    """Answer every pending cell of the matrix that the job names; what was answered before stays."""
    matrix_id = int(task.job.payload.get("matrix_id", 0))
    try:
        with services.database.session() as s:
            matrix = matrices.get_matrix(s, matrix_id)
            matrices.sync_cells(s, matrix_id)
        return Filling(services, task, matrix).run()
    except NotFoundError as error:
        if error.code != "unknown_matrix":
            raise
        return {}  # deleted while it waited or was being filled


class Filling:
    """One run over the pending cells, with what it costs."""

    def __init__(self, services: Services, task: Task, matrix: Matrix) -> None:
        self._services = services
        self._task = task
        self._matrix = matrix
        self._done = self._counted = 0
        task.progress(0, 0, "cells", "loading the model", at_once=True)
        engine = services.engine
        self._about = {
            "model": services.model_name,
            "fingerprint": engine.fingerprint,
            "device": engine.device,
            "backend": engine.backend,
        }
        self._stretch = Stretch(services.meter)
        self._kept_at = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Go on until nothing is pending; what is still to be read is left to a job after the reading."""
        while self._task.job.payload.get("after_reading") and self._reading("running"):
            self._task.between()
            time.sleep(LOOK_S)
        try:
            self._task.progress(0, 0, "cells", "searching every passage", at_once=True)
            reader = CellReader(self._services, self._matrix.archive_id)
            self._stretch.begin(0)
            for document, cells in self._waiting():
                self._stretch.interrupted(self._task.between())
                self._fill(reader, document, cells)
            self._keep(reader)
        finally:
            self._stretch.close()
        if self._reading("queued", "running"):
            payload = {"matrix_id": self._matrix.id, "after_reading": True}
            with self._services.database.session() as s:
                jobs.enqueue(s, self._task.job.kind, self._matrix.archive_id, payload, LATER, once=True)
        with self._services.database.session() as s:
            done, total = matrices.count_cells(s, self._matrix.id)
        self._task.progress(done, total, "cells", "filled", at_once=True)
        return {"answered": self._done, "pending": total - done, "tokens": reader.tokens_read}

    def _reading(self, *statuses: str) -> bool:
        """Whether the archive is being read, or is about to be."""
        with self._services.database.session() as s:
            active = jobs.list_jobs(s, self._matrix.archive_id, active=True)
        return any(job.kind in READING and job.status in statuses for job in active)

    def _waiting(self) -> Iterator[tuple[MatrixDocument, list[CellRecord]]]:
        """Documents with their pending cells; cells asked again meanwhile come in another round."""
        seen: set[int] = set()
        while True:
            with self._services.database.session() as s:
                self._matrix = matrices.get_matrix(s, self._matrix.id)  # questions may have been added
                rows = {row.id: row for row in matrices.load_table(s, self._matrix.id).documents}
                pending = matrices.pending_cells(s, self._matrix.id)
            not_yet = WAITING + UNCODED if self._reading("queued", "running") else WAITING
            ready = [
                c for c in pending if c.document_id in rows and rows[c.document_id].status not in not_yet
            ]
            new = [cell for cell in ready if cell.id not in seen]
            if not new:
                return
            seen |= {cell.id for cell in new}
            for document_id, cells in groupby(new, key=lambda cell: cell.document_id):
                yield rows[document_id], list(cells)

    def _fill(self, reader: CellReader, document: MatrixDocument, cells: Sequence[CellRecord]) -> None:
        answers = self._answers(reader, document, cells)
        run = {key: self._about[key] for key in ("model", "fingerprint", "device")}
        with self._services.database.session() as s:
            matrices.store_cells(s, answers, run)
            done, total = matrices.count_cells(s, self._matrix.id)
        self._done += len(answers)
        self._task.progress(done, total, "cells", f"answering from {document.name}")
        if time.monotonic() - self._kept_at > KEEP_S:
            self._keep(reader)

    def _answers(
        self, reader: CellReader, document: MatrixDocument, cells: Sequence[CellRecord]
    ) -> list[tuple[int, CellData]]:
        if not document.has_text:
            reason = document.error or UNREAD.get(document.status, "it could not be read")
            return [(cell.id, CellData("failed", error=f"Not read: {reason}")) for cell in cells]
        asked = {cell.question_id for cell in cells}
        columns = [column for column in self._matrix.questions if column.id in asked]
        try:
            found = reader.answer(document.id, columns)
        except (DiskFullError, BusyError, MemoryError):
            raise
        except Exception as error:  # one document must not take the other thousand along
            problem = describe(error)
            if problem.code == INTERNAL and not self._done:
                raise  # the very first document fails for a reason that the next will share
            return [(cell.id, CellData("failed", error=problem.message)) for cell in cells]
        return [(cell.id, found[cell.question_id]) for cell in cells]

    def _keep(self, reader: CellReader) -> None:
        """Add this stretch to what the matrix has cost so far."""
        values = self._stretch.end(reader.tokens_read, None)
        self._kept_at = time.monotonic()
        with self._services.database.session() as s:
            matrix = matrices.get_matrix(s, self._matrix.id)
            matrices.set_run(s, matrix.id, added(matrix.run, self._about, values, self._done - self._counted))
            if values:
                about = {"archive_id": matrix.archive_id, "job_id": self._task.job.id}
                metrics.add_metric(s, "matrix", {**self._about, **values}, **about)
        self._counted = self._done
        self._stretch.begin(reader.tokens_read)


def added(
    before: dict[str, Any], about: dict[str, Any], values: dict[str, Any], cells: int
) -> dict[str, Any]:
    """The run of a matrix after one more stretch: all figures add up, joules only where all are known."""
    if not values:
        return {**before, **about}
    joules = values["energy_j"]
    known = joules is not None and before.get("energy_j", 0.0) is not None
    total = {key: before.get(key, 0) + values[key] for key in ("seconds", "tokens")}
    return {
        **about,
        **total,
        "cells": before.get("cells", 0) + cells,
        "energy_j": before.get("energy_j", 0.0) + joules if known else None,
        "power_source": values["power_source"],
    }
