"""What the tests of the matrix share: an archive that was read, a matrix over it, a judge of plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_home import copy_read, make_services

from app import matrix
from app.services import Services
from app.worker import Worker
from storage import Archive, CellRecord, Matrix, QuestionData, archives, matrices

FILES = {
    "oak.txt": "The lease of Oak House runs for ten years. The notice period is six months.\n",
    "elm.txt": "The lease of Elm House runs for two years. The rent is due on the first of each month.\n",
    "ash.txt": "The notice period of the Ash House lease is three months. Pets are not allowed.\n",
}
NOTICE = QuestionData("What is the notice period?", "Notice")
TERM = QuestionData("For how many years does the lease run?", "Term")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES, "Leases")
    with services.database.session() as s:
        return archives.get_archive(s, "Leases")


def fill(
    services: Services, archive: Archive, *questions: QuestionData, names: tuple[str, ...] = ()
) -> Matrix:
    """A matrix of these questions, filled."""
    made = matrix.make(services, archive, "Leases", questions or (NOTICE, TERM), names)
    Worker(services).run_until_idle()
    return made


def cells_of(services: Services, made: Matrix) -> dict[tuple[str, str], CellRecord]:
    """The cells by document name and label."""
    with services.database.session() as s:
        table = matrices.load_table(s, made.id)
        labels = {column.id: column.label for column in matrices.get_matrix(s, made.id).questions}
    names = {row.id: row.name for row in table.documents}
    return {(names[d], labels[q]): cell for (d, q), cell in table.cells.items()}
