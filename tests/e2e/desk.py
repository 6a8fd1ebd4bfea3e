"""What a test needs and is not about, made through the product's own services: an archive, an answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app import library
from app.questions import submit
from app.request import Request
from app.services import Services
from app.settings import Options
from storage import Archive, Document, Finding, documents, findings, jobs

WAIT_S = 120.0


class Desk:
    """The running product's home folder from within: its worker does the work."""

    def __init__(self, home: Path) -> None:
        self.services = Services(Options(home=home))
        self._hold = home / "hold"

    def close(self) -> None:
        """Give back the database connections."""
        self.services.close()

    def archive(self, name: str, *paths: Path) -> Archive:
        """An archive of these files, read as far as they can be."""
        made = library.create_archive(self.services, name)
        library.add_files(self.services, made, paths)
        self.rest(made)
        return made

    def ask(self, archive: Archive, request: Request | str) -> Finding:
        """A question and its answer."""
        finding = submit(self.services, archive, request).finding
        self.rest(archive)
        with self.services.database.session() as s:
            return findings.get_finding(s, finding.id)

    def documents(self, archive: Archive) -> list[Document]:
        """The archive's documents as they stand."""
        with self.services.database.session() as s:
            return documents.list_documents(s, archive.id)

    def rest(self, archive: Archive) -> None:
        """Wait until nothing is left to do for the archive."""
        until(lambda: not self._active(archive), lambda: f"{archive.name}: {self._active(archive)}")

    def beat(self, archive: Archive) -> None:
        """Wait until the worker has looked at what is wanted of the archive's job in hand."""
        before = self._active(archive)
        until(lambda: self._active(archive) != before, lambda: f"no heartbeat of {before}")

    def _active(self, archive: Archive) -> list[tuple[str, str, str]]:
        with self.services.database.session() as s:
            active = jobs.list_jobs(s, archive.id, active=True)
        return [(job.kind, job.status, str(job.heartbeat_at)) for job in active]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answers wait as long as this lasts."""
        self._hold.touch()
        try:
            yield
        finally:
            self._hold.unlink(missing_ok=True)


def until(true: Callable[[], bool], words: Callable[[], str]) -> None:
    """Look again until it is true; TimeoutError with these words."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(words())
        time.sleep(0.05)
