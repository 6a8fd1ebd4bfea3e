"""The models as pages and commands show them, and what can be asked of the worker about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app import library
from app.archives_to_read import StaleArchive, archives_to_read
from app.installed import (
    EMBEDDED,
    default_name,
    is_linked,
    is_model,
    model_names,
    model_path,
    origin,
    remove_model,
    unfinished,
)
from app.model_reports import Report, forget_report, load_reports
from app.services import Services
from storage import Job, jobs


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model: where it lies, where it came from, and what its last check found."""

    name: str
    path: Path
    source: str
    bytes: int
    installed: bool
    linked: bool
    default: bool
    report: Report | None

    @property
    def embedded(self) -> bool:
        """Whether it is the one that comes with Engram."""
        return self.name == EMBEDDED


def list_models(services: Services) -> list[ModelEntry]:
    """The model that comes with Engram first, then the others by name."""
    with services.database.session() as s:
        reports = load_reports(s)
    names = dict.fromkeys([EMBEDDED, *model_names(services.home)])
    return [_entry(services, name, reports.get(name)) for name in names]


def _entry(services: Services, name: str, report: Report | None) -> ModelEntry:
    path = model_path(services.home, name)
    files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return ModelEntry(
        name=name,
        path=path,
        source="comes with Engram"
        if name == EMBEDDED
        else str(origin(services.home, name).get("source", "")),
        bytes=sum(file.stat().st_size for file in files),
        installed=is_model(path),
        linked=is_linked(services.home, name),
        default=default_name(services.home) == name,
        report=report,
    )


def half_added(services: Services) -> list[str]:
    """Models whose adding was broken off and that no job is adding now."""
    adding = {str(job.payload.get("name")) for job in model_jobs(services) if job.finished_at is None}
    return [name for name in unfinished(services.home) if name not in adding]


def model_jobs(services: Services) -> list[Job]:
    """The jobs on models, the newest first."""
    with services.database.session() as s:
        return [job for job in jobs.list_jobs(s, limit=50) if job.kind == "model"]


def request_adding(services: Services, source: str, name: str = "", *, copy: bool = False) -> Job:
    """Have a model added; wrong words are refused at once."""
    from app.installed import free_name
    from app.model_sources import find_source

    found = find_source(source.strip())
    chosen = free_name(services.home, name.strip() or found.name)
    return _request(services, {"do": "add", "source": found.label, "name": chosen, "copy": copy})


def request_check(services: Services, name: str) -> Job:
    """Have a model checked."""
    return _request(services, {"do": "check", "name": name})


def request_default(services: Services, name: str) -> Job:
    """Have a model checked and made the default one."""
    return _request(services, {"do": "default", "name": name})


def remove(services: Services, name: str) -> None:
    """Delete a model, or forget the link to it."""
    remove_model(services.home, name)
    with services.database.session() as s:
        forget_report(s, name)


def stale_archives(services: Services) -> list[StaleArchive]:
    """Archives that the default model must read before they can be asked; empty while it is not known."""
    with services.database.session() as s:
        report = load_reports(s).get(services.model_name)
        if report is None or report.inspection is None:
            return []
        return archives_to_read(s, report.inspection["fingerprint"], report.inspection["recall"])


def read_again(services: Services) -> int:
    """Have the worker read those archives; how many."""
    stale = stale_archives(services)
    with services.database.session() as s:
        for archive in stale:
            library.request_reading(s, archive.id)
    return len(stale)


def _request(services: Services, payload: dict[str, object]) -> Job:
    with services.database.session() as s:
        return jobs.enqueue(s, "model", None, payload, once=True)
