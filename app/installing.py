"""The model job: files of a model gathered with progress, checked before anything is loaded, put in place."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.archives_to_read import archives_to_read
from app.errors import AppError, UserError, describe
from app.fetching import OnBytes, RemoteFile, fetch, held_bytes
from app.fitting import gigabytes, memory_there, refuse_loading
from app.installed import (
    free_name,
    link_model,
    make_default,
    model_path,
    note_origin,
    settle,
    staging_folder,
)
from app.model_reports import Report, save_report
from app.model_sources import INDEX, LocalFiles, Source, choose_files, find_source
from app.services import Services
from app.task import Task
from storage import DiskFullError

SPARE_BYTES = 200_000_000


def run_model(services: Services, task: Task) -> dict[str, Any]:
    """Do what the job's payload says: {"do": "add" | "check" | "default", ...}."""
    payload = task.job.payload
    match payload["do"]:
        case "add":
            return Installation(services, task).run()
        case "check":
            task.progress(0, 0, "files", f"checking {payload['name']}", at_once=True)
            return asdict(check_model(services, str(payload["name"])))
        case "default":
            return adopt_model(services, str(payload["name"]))
    raise ValueError(f"unknown work on models {payload['do']!r}")


def check_model(services: Services, name: str) -> Report:
    """Check a model by its headers and keep the report for the page."""
    from engine.errors import EngineError
    from engine.inspecting import inspect_checkpoint

    found, problem = None, None
    path = model_path(services.home, name)
    try:
        inspection = inspect_checkpoint(path)
        found = inspection.as_dict()
    except (EngineError, OSError) as error:
        problem = describe(error).as_dict()["error"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(name, now, found, problem, memory_there())
    with services.database.session() as s:
        save_report(s, report)
    return report


def adopt_model(services: Services, name: str) -> dict[str, Any]:
    """Make a model the default one, if it can be loaded; tells which archives it must read first."""
    from engine.memory_plan import MemoryPlan

    report = check_model(services, name)
    refuse_unusable(report)
    assert report.inspection is not None
    refuse_loading(MemoryPlan(**report.inspection["plan"]), name, report.memory_bytes)
    make_default(services.home, name)
    with services.database.session() as s:
        stale = archives_to_read(s, report.inspection["fingerprint"], report.inspection["recall"])
    return {"default": name, "to_read": [asdict(item) for item in stale]}


def refuse_unusable(report: Report) -> None:
    """AppError in the check's own words where the model cannot be used."""
    if report.error is not None:
        raise UserError(report.error["code"], report.error["message"], report.error["hint"])
    assert report.inspection is not None
    problems = report.inspection["problems"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        hint = f"`models check {report.name}` names all. Download the files again, or remove the model."
        raise UserError("model_unusable", f"{report.name} cannot be used: {problems[0]}{more}.", hint)


class Installation:
    """One model on its way from its source to HOME/models; broken off, it goes on where it stopped."""

    def __init__(self, services: Services, task: Task) -> None:
        payload = task.job.payload
        self._services, self._task = services, task
        self._source: Source = find_source(str(payload["source"]), str(payload.get("revision") or ""))
        self._name = free_name(services.home, str(payload.get("name") or self._source.name))
        self._wanted = str(payload.get("file") or "")
        self._link = isinstance(self._source, LocalFiles) and not payload.get("copy")
        self._done = self._total = 0

    def run(self) -> dict[str, Any]:
        """Gather, check, put in place; returns the report."""
        self._task.progress(0, 0, "MB", f"asking for {self._source.label}", at_once=True)
        if self._link:
            return self._link_it(Path(self._source.label))
        files = choose_files(self._source.files(), self._wanted)
        folder = staging_folder(self._services.home, self._name)
        folder.mkdir(exist_ok=True)
        note_origin(folder, self._about())
        self._make_room(files, folder)
        for file in files:
            if file.name.endswith((".safetensors", ".gguf")):
                self._refuse_early(folder)
            if file.name in self._needed(files, folder):
                fetch(file, folder, self._advance(file))
        return self._settle(folder)

    def _link_it(self, path: Path) -> dict[str, Any]:
        choose_files(self._source.files(), path.name if path.is_file() else "")
        link_model(self._services.home, self._name, path, self._about())
        report = check_model(self._services, self._name)
        return asdict(report)

    def _make_room(self, files: list[RemoteFile], folder: Path) -> None:
        self._total = sum(file.size or 0 for file in files)
        self._done = sum(held_bytes(file, folder) for file in files)
        missing = self._total - self._done
        free = shutil.disk_usage(folder).free
        if missing + SPARE_BYTES > free:
            raise DiskFullError(
                "disk_full",
                f"{self._name} needs {gigabytes(missing)} more on the disk; {gigabytes(free)} are free.",
                "Free space on the disk that holds the home folder, then add the model again.",
            )

    def _refuse_early(self, folder: Path) -> None:
        """A model that Engram cannot run is refused before its weights are fetched."""
        from engine.checkpoint import open_checkpoint
        from engine.config import parse_config

        if (folder / "config.json").is_file():
            parse_config(open_checkpoint(folder).raw)

    def _needed(self, files: list[RemoteFile], folder: Path) -> set[str]:
        """All files but the weights that an index, once it is here, does not name."""
        names = {file.name for file in files}
        if not (folder / INDEX).is_file():
            return names
        text = (folder / INDEX).read_text("utf-8", "replace")
        return {name for name in names if not name.endswith(".safetensors") or f'"{name}"' in text}

    def _advance(self, file: RemoteFile) -> OnBytes:
        def advance(count: int) -> None:
            self._done += count
            self._task.between()
            self._show(f"fetching {file.name}")

        return advance

    def _show(self, message: str, at_once: bool = False) -> None:
        self._task.progress(self._done / 1e6, self._total / 1e6, "MB", message, at_once=at_once)

    def _about(self) -> dict[str, Any]:
        added = datetime.now(UTC).isoformat(timespec="seconds")
        return {"source": self._source.label, "revision": self._source.revision, "added_at": added}

    def _settle(self, folder: Path) -> dict[str, Any]:
        self._show(f"checking {self._name}", at_once=True)
        for stale in folder.glob("*.part"):
            stale.unlink()
        placed = settle(self._services.home, self._name, self._about())
        report = check_model(self._services, placed.name)
        if report.error is not None:
            raise AppError("model_unusable", report.error["message"], report.error["hint"])
        return asdict(report)
