"""What a worker clears away when it starts: the trash, originals nothing uses, folders of killed parsers."""

from __future__ import annotations

import logging
import time

from sqlalchemy.orm import Session

from app import library
from app.errors import describe
from app.services import Services
from storage import StorageError, documents, jobs
from storage.scratch import sweep_scratch
from storage.trash import forget_removed, trashed_ids

log = logging.getLogger(__name__)
YOUNG_S = 3600.0
"""An upload is stored before it is entered: originals younger than this may be on their way in."""


def tidy(services: Services) -> None:
    """Make room; what cannot be cleared now is left for the next start."""
    try:
        with services.database.session() as s:
            busy = [job for job in jobs.list_jobs(s, active=True) if job.kind == "restore"]
            gone = set() if busy else trashed_ids(s)
            removed = forget_removed(s)
        for archive_id in gone:
            library.purge_archive(services, archive_id)
        with services.database.session() as s:
            keep = documents.stored_hashes(s) | _waiting_zips(s)
        for sha256 in removed - keep:
            services.files.delete(sha256)
        swept = services.files.sweep(keep, YOUNG_S) + sweep_scratch(time.time())
        if swept or gone:
            log.info("cleared %d archives of the trash, %d files and folders", len(gone), swept)
    except (StorageError, OSError) as error:
        log.warning("not everything could be cleared away: %s", describe(error).message)


def _waiting_zips(s: Session) -> set[str]:
    """Uploaded ZIP files that a job has yet to unpack."""
    active = jobs.list_jobs(s, active=True, limit=100_000)
    return {str(item["sha256"]) for job in active for item in job.payload.get("zips", ())}
