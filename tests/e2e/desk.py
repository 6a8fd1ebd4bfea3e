"""What a test needs and is not about, made through the product's own services: an archive, an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import library
from app.questions import submit
from app.request import Request
from app.services import Services
from app.settings import Options
from storage import Archive, Document, Finding, archives, documents, findings, jobs

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

    def named(self, name: str) -> Archive:
        """The archive of this name."""
        with self.services.database.session() as s:
            return archives.get_archive(s, name)

    def rest(self, archive: Archive) -> None:
        """Wait until nothing is left to do for the archive."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with self.services.database.session() as s:
                busy = jobs.list_jobs(s, archive.id, active=True)
            if not busy:
                return
            time.sleep(0.05)
        raise TimeoutError(f"{archive.name}: {[(job.kind, job.status, job.message) for job in busy]}")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answers wait as long as this lasts."""
        self._hold.touch()
        try:
            yield
        finally:
            self._hold.unlink(missing_ok=True)
