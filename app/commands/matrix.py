"""`matrix`: questions put to every document, the table written to a file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sqlalchemy.orm import Session

from app import library, matrix
from app.commands.output import ProgressLine, print_json
from app.commands.signals import stoppable
from app.errors import UserError
from app.following import Follower
from app.questions import check_question
from app.scope import find_documents
from app.services import Services
from storage import Archive, Job, Matrix, QuestionData, documents, jobs, matrices
from storage.export.matrix_file import FORMATS, export_matrix, to_matrix_record
from storage.export.target import writer_for

ADDRESS = "http://127.0.0.1:8501"  # where the page is served unless the person chose otherwise


def run(services: Services, chosen: Namespace) -> int:
    """Make or go on with the matrix of these questions and documents, fill it, write it."""
    target = Path(chosen.out).expanduser()
    writer_for(FORMATS, target)  # a wrong name is told before the work, not after it
    questions = asked(chosen)
    with services.database.session() as s:
        archive = library.find_archive(s, chosen.archive)
        held = _find_or_make(s, archive, questions, chosen)
    line = ProgressLine()
    with stoppable() as stop:
        follower = Follower(services, alone=bool(chosen.model or chosen.device), stop=stop)
        follower.on_job = line.show
        try:
            follower.do(lambda s: _request(s, held.id))
        finally:
            line.end()
    return _write(services, archive, held.id, target)


def asked(chosen: Namespace) -> list[QuestionData]:
    """The questions of the template, then those of the file."""
    if not chosen.questions and not chosen.template:
        raise UserError("usage", "Give --questions FILE, --template FIELD, or both.")
    found = matrix.template_questions(chosen.template) if chosen.template else []
    if chosen.questions:
        found += matrix.read_questions(Path(chosen.questions).expanduser())
    for item in found:
        check_question(item.question)
    return found


def _find_or_make(s: Session, archive: Archive, questions: list[QuestionData], chosen: Namespace) -> Matrix:
    ids = [row.id for row in find_documents(s, archive.id, chosen.document)] if chosen.document else []
    if not documents.list_documents(s, archive.id):
        raise UserError("empty_archive", f"{archive.name!r} holds no documents.", "Add some with `ingest`.")
    same = matrix.find_same(s, archive.id, questions, ids)
    title = chosen.title or (chosen.template or "Matrix").capitalize()
    return same or matrices.create_matrix(s, archive.id, title, questions, ids)


def _request(s: Session, matrix_id: int) -> Job:
    """A job of our own, to be claimed here when no worker runs; an older one then finds nothing left."""
    held = matrices.get_matrix(s, matrix_id)
    matrices.sync_cells(s, matrix_id)
    matrices.ask_failed_again(s, matrix_id)
    return jobs.enqueue(s, matrix.KIND, held.archive_id, {"matrix_id": matrix_id}, matrix.PRIORITY)


def _write(services: Services, archive: Archive, matrix_id: int, target: Path) -> int:
    with services.database.session() as s:
        held, table = matrices.get_matrix(s, matrix_id), matrices.load_table(s, matrix_id)
        models = matrices.models_used(s, matrix_id)
    record = to_matrix_record(held, table, archive.name, models, ADDRESS)
    path = export_matrix(record, target)
    if services.options.json:
        print_json({"file": str(path), "matrix": matrix_id, "cells": len(table.cells), **table.counts()})
    else:
        print(record.coverage_lines()[0])
        print(f"Wrote {path}")
    return 0
