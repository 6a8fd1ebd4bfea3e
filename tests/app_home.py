"""A home folder with the tiny model in it, for tests of the app: real engine, real storage, milliseconds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_model_dir

from app import library
from app.services import Services
from app.settings import Options
from app.worker import Worker
from engine import Engine
from storage import Archive, Document, documents


@cache
def tiny_model() -> Path:
    """The tiny model's folder, made once a test run."""
    folder = Path(tempfile.mkdtemp(prefix="engram-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return tiny_model_dir(folder)


@cache
def tiny_engine() -> Engine:
    """The tiny model, loaded once a test run."""
    return Engine.load(tiny_model())


def make_home(folder: Path) -> Path:
    """A home whose default model is the tiny one."""
    home = folder / "engram-home"
    (home / "models").mkdir(parents=True)
    shutil.copytree(tiny_model(), home / "models" / "default")
    return home


def make_services(folder: Path) -> Services:
    """Services over such a home; the model is shared with the other tests of this process."""
    home = folder / "engram-home"
    return Services(Options(home=home if home.exists() else make_home(folder)), engine=tiny_engine())


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Text files by name below `folder`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def fill(services: Services, folder: Path, files: dict[str, str], name: str = "Archive") -> Archive:
    """An archive with these files parsed and read."""
    archive = library.create_archive(services, name)
    paths = [write_files(folder, files) / file for file in files]
    library.add_files(services, archive, paths)
    Worker(services).run_until_idle()
    return archive


@cache
def _read_home(files: tuple[tuple[str, str], ...], name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="engram-read-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    services = make_services(folder)
    fill(services, folder / "in", dict(files), name)
    services.close()
    return services.home.path


def copy_read(folder: Path, files: dict[str, str], name: str = "Archive") -> Services:
    """Services over a home with these files read: read once a test run, copied for each test."""
    shutil.copytree(_read_home(tuple(files.items()), name), folder / "engram-home", dirs_exist_ok=True)
    return make_services(folder)


def services_with(files: dict[str, str], name: str) -> Any:
    """The fixture `services` over an archive of that name with these files read."""

    @pytest.fixture
    def services(tmp_path: Path) -> Iterator[Services]:
        made = copy_read(tmp_path, files, name)
        yield made
        made.close()

    return services


def by_name(services: Services, archive: Archive) -> dict[str, Document]:
    """The archive's documents."""
    with services.database.session() as s:
        return {document.name: document for document in documents.list_documents(s, archive.id)}


def prose(seed: int, paragraphs: int) -> str:
    """Text that differs by seed, a paragraph of some fifty words each."""
    words = "river stone lamp window paper garden market letter bridge winter copper signal".split()
    lines = []
    for number in range(paragraphs):
        picked = [words[(seed * 7 + number * 3 + k * k) % len(words)] for k in range(48)]
        lines.append(f"Paragraph {seed}.{number}: {' '.join(picked)}.")
    return "\n\n".join(lines) + "\n"
