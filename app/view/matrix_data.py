"""A matrix as the page holds it: loaded in one go, filtered, turned into a table of words."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pandas.io.formats.style import Styler

from app import matrix as service
from app.view.colours import colours
from app.view.frame import services
from app.view.words import count
from storage import (
    Archive,
    CellRecord,
    Job,
    Matrix,
    MatrixDocument,
    MatrixQuestion,
    MatrixTable,
    NotFoundError,
    jobs,
    matrices,
)

# status -> (mark, words); a plainly supported answer carries no mark, so that the marks tell what to look at.
STATUS = {
    "supported": ("", "supported"),
    "partly_supported": ("◐", "partly supported"),
    "not_found": ("∅", "not found"),
    "corrected": ("✎", "corrected by hand"),
    "failed": ("✕", "failed"),
    "pending": ("…", "not answered yet"),
}
# What is to be looked at stands out, what is missing steps back; a plain answer is in ink.
TINTS = {
    "partly_supported": "warn",
    "not_found": "soft",
    "pending": "soft",
    "failed": "bad",
    "corrected": "accent",
}
MOST_TINTED = 5_000  # cells; colouring more takes longer than the page may
SHOWN = 82  # characters of an answer in the table: three lines of a cell
DOCUMENT = "Document"


@dataclass(frozen=True, slots=True)
class Held:
    """A matrix with its cells and the jobs that fill it; `failed` is the last job if it failed."""

    matrix: Matrix
    table: MatrixTable
    active: list[Job]
    failed: Job | None


def load_matrices(archive: Archive) -> list[Matrix]:
    """The archive's matrices, oldest first."""
    with services().database.session() as s:
        return matrices.list_matrices(s, archive.id)


def load(matrix_id: int) -> Held:
    """The matrix as it stands now."""
    with services().database.session() as s:
        matrix = matrices.get_matrix(s, matrix_id)
        table = matrices.load_table(s, matrix_id)
        own = [
            job
            for job in jobs.list_jobs(s, matrix.archive_id)
            if job.kind == service.KIND and job.payload.get("matrix_id") == matrix_id
        ]
    active = [job for job in own if job.status in ("queued", "running")]
    failed = own[0] if own and own[0].status == "failed" and not active else None
    return Held(matrix, table, sorted(active, key=lambda job: job.status != "running"), failed)


def find_cell(cell_id: int) -> tuple[Matrix, CellRecord] | None:
    """A cell with its matrix; None when it was deleted."""
    with services().database.session() as s:
        try:
            return matrices.matrix_of_cell(s, cell_id), matrices.get_cell(s, cell_id)
        except NotFoundError:
            return None


def status_of(cell: CellRecord | None) -> str:
    """The status a person sees: a correction wins."""
    if cell is None:
        return "pending"
    return "corrected" if cell.corrected else cell.status


def cell_words(cell: CellRecord | None) -> str:
    """What stands in the table: a mark where one is due, and the answer or the status."""
    status = status_of(cell)
    mark, words = STATUS.get(status, ("", status))
    said = cell.shown if cell is not None and status in ("supported", "partly_supported", "corrected") else ""
    return f"{mark} {' '.join(said.split()) or words}".strip()


def chosen_rows(held: Held, words: str, statuses: Sequence[str]) -> list[MatrixDocument]:
    """Documents whose name or cells hold the words and of which a cell has one of the statuses."""
    wanted, folded = set(statuses), words.casefold().strip()

    def cells(document: MatrixDocument) -> list[CellRecord | None]:
        return [held.table.cells.get((document.id, column.id)) for column in held.matrix.questions]

    def fits(document: MatrixDocument) -> bool:
        own = cells(document)
        if wanted and not any(status_of(cell) in wanted for cell in own):
            return False
        texts = [document.name, *(cell_words(cell) for cell in own)]
        return not folded or any(folded in text.casefold() for text in texts)

    return [document for document in held.table.documents if fits(document)]


def shortened(words: str) -> str:
    """What fits into a cell of the table; the whole answer is one click away."""
    return words if len(words) <= SHOWN else words[: SHOWN - 1].rsplit(" ", 1)[0] + " …"


def as_frame(held: Held, rows: Sequence[MatrixDocument]) -> pd.DataFrame:
    """One row a document, one column a question."""
    data = {
        DOCUMENT: [row.name for row in rows],
        **{
            column.label: [shortened(cell_words(held.table.cells.get((row.id, column.id)))) for row in rows]
            for column in held.matrix.questions
        },
    }
    return pd.DataFrame(data)


def tinted(held: Held, rows: Sequence[MatrixDocument]) -> pd.DataFrame | Styler:
    """The same with the colour of each cell's status."""
    frame, shade = as_frame(held, rows), colours()
    if frame.size > MOST_TINTED:
        return frame
    tints = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for column in held.matrix.questions:
        statuses = [status_of(held.table.cells.get((row.id, column.id))) for row in rows]
        tints[column.label] = [f"color: {shade[TINTS[s]]}" if s in TINTS else "" for s in statuses]
    return frame.style.apply(lambda _: tints, axis=None)


def selected(held: Held, rows: Sequence[MatrixDocument], at: tuple[int, str]) -> CellRecord | None:
    """The cell at (row, label) of the table; None in the column of names or outside."""
    row, label = at
    column = column_named(held, label)
    if column is None or not 0 <= row < len(rows):
        return None
    return held.table.cells.get((rows[row].id, column.id))


def column_named(held: Held, label: str) -> MatrixQuestion | None:
    """The question of that label."""
    return next((column for column in held.matrix.questions if column.label == label), None)


def summary(held: Held) -> str:
    """`60 cells: 41 supported, 12 not found, 7 not answered yet.`"""
    counts = held.table.counts()
    said = [f"{count(counts[status])} {words}" for status, (_, words) in STATUS.items() if status in counts]
    unread = sum(document.status != "ready" for document in held.table.documents)
    tail = f" {count(unread, 'document is', 'documents are')} not read." if unread else ""
    return f"{count(len(held.table.cells), 'cell')}: {', '.join(said) or 'none yet'}.{tail}"
