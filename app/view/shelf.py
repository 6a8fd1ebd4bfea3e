"""What the Library page shows of one archive, taken from the database in one go."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.languages import languages_of, statement
from app.view.coverage import coverage_sentence
from app.view.frame import services
from app.view.progress import is_active
from app.view.words import count
from storage import Coverage, archives, documents, jobs
from storage.models import Archive, Document, Job

LONG_WORK = ("ingest", "read", "backup", "duplicates")


@dataclass(frozen=True, slots=True)
class Work:
    """The jobs of an archive that are under way, and the last one if it failed."""

    active: list[Job]
    failed: Job | None


@dataclass(frozen=True, slots=True)
class Shelf:
    """An archive's documents, the work on them, and the coverage in a sentence."""

    documents: list[Document]
    work: Work
    sentence: str
    languages: str  # what the model in use can and cannot read of them
    tokens: int

    @property
    def complete(self) -> bool:
        """Whether there is something to ask and nothing is going on."""
        return not self.work.active and any(document.status == "ready" for document in self.documents)


def load_archives() -> list[Archive]:
    """All archives, oldest first."""
    with services().database.session() as s:
        return archives.list_archives(s)


def load_work(archive_id: int | None) -> Work:
    """The work as it stands now; cheap, however many documents. None: what belongs to no archive."""
    with services().database.session() as s:
        own = [] if archive_id is None else jobs.list_jobs(s, archive_id, limit=50)
        found = [job for job in own if job.kind in LONG_WORK]
        found += [job for job in jobs.list_jobs(s, limit=50) if job.kind == "restore"]
    active = sorted(
        (job for job in found if is_active(job)), key=lambda job: (job.status != "running", job.id)
    )
    return Work(active, _failure(found, active))


def load_shelf(archive_id: int) -> Shelf:
    """The shelf as it stands now."""
    work = load_work(archive_id)
    with services().database.session() as s:
        rows = in_order(documents.list_documents(s, archive_id))
        covered = documents.coverage(s, archive_id)
        model = model_in_use(s)
    read = languages_of(model, services().home.models / model)
    spoken = statement((row.language for row in rows if row.tokens), read)
    return Shelf(rows, work, _sentence(covered, work.active), spoken, covered.tokens_read)


def in_order(rows: Sequence[Document]) -> list[Document]:
    """Documents in the order of adding, those of the context among them in its order."""
    placed = [row for row in rows if row.position is not None]
    following = iter(sorted(placed, key=lambda row: row.position or 0))
    return [row if row.position is None else next(following) for row in rows]


def model_in_use(s: Session) -> str:
    """The living worker's model, else the one that is chosen."""
    named = [str(worker.info.get("model") or "") for worker in jobs.list_workers(s) if worker.alive]
    return next(filter(None, named), services().model_name)


def _failure(found: Sequence[Job], active: Sequence[Job]) -> Job | None:
    last = max(found, key=lambda job: job.id, default=None)
    return last if last is not None and last.status == "failed" and not active else None


def _sentence(covered: Coverage, active: Sequence[Job]) -> str:
    # While work goes on the table tells the state of each document; naming the waiting ones would be noise.
    sentence = coverage_sentence(covered.documents, covered.read, [] if active else covered.not_read)
    tokens = covered.tokens_read
    return f"{sentence} {count(tokens, 'token')} in the context." if tokens else sentence
