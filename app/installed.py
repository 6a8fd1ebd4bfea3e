"""The models of this machine: folders and GGUF files under HOME/models, links to others, the default one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from app.errors import UserError
from storage import Home, translated

EMBEDDED = "default"
"""The name of the model that comes with Engram."""
LINK = ".link.json"
CHOICE = ".default.json"
STAGING = ".adding-"
ORIGIN = "origin.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def is_model(path: Path) -> bool:
    """Whether a model lies there: a folder with a config.json or a GGUF file."""
    return (path / "config.json").is_file() or (path.suffix == ".gguf" and path.is_file())


def model_names(home: Home) -> list[str]:
    """Names of the models under HOME/models, links included."""
    if not home.models.is_dir():
        return []
    found = [path for path in home.models.iterdir() if not path.name.startswith(".")]
    linked = [path.name.removesuffix(LINK) for path in found if path.name.endswith(LINK)]
    return sorted({*linked, *(path.name for path in found if is_model(path))})


def model_path(home: Home, name: str) -> Path:
    """Where the model of this name lies, or the path that the name is."""
    named = home.models / name
    if name == EMBEDDED or (_NAME.fullmatch(name) and is_model(named)):
        return named
    linked = _read(home.models / f"{name}{LINK}") if _NAME.fullmatch(name) else None
    return Path(str((linked or {}).get("path") or name)).expanduser().resolve()


def origin(home: Home, name: str) -> dict[str, Any]:
    """Where an added model came from: `source`, `revision`, `added_at`; empty for others."""
    path = model_path(home, name)
    return _read(home.models / f"{name}{LINK}") or _read(_origin_file(path)) or {}


def is_linked(home: Home, name: str) -> bool:
    """Whether the model lies elsewhere and is only known here by its path."""
    return (home.models / f"{name}{LINK}").is_file()


def free_name(home: Home, name: str) -> str:
    """`name` if a new model may have it; UserError if not."""
    if not _NAME.fullmatch(name):
        raise UserError(
            "bad_model_name",
            f"{name[:100]!r} is no name for a model.",
            "Use up to 80 letters, digits, dots, dashes and underscores; --name gives another.",
        )
    if name == EMBEDDED or {name, f"{name}.gguf"} & set(model_names(home)):
        raise UserError("model_exists", f"A model named {name!r} exists already.", "Choose another: --name.")
    return name


def link_model(home: Home, name: str, path: Path, about: dict[str, Any]) -> None:
    """Make a checkpoint that lies elsewhere known under a name."""
    _write(home.models / f"{free_name(home, name)}{LINK}", {"path": str(path), **about})


def staging_folder(home: Home, name: str) -> Path:
    """Where the files of a model gather until all are there."""
    return home.models / f"{STAGING}{name}"


def unfinished(home: Home) -> list[str]:
    """Names of models whose adding was broken off; adding them again goes on."""
    return sorted(path.name.removeprefix(STAGING) for path in home.models.glob(f"{STAGING}*"))


def note_origin(staging: Path, about: dict[str, Any]) -> None:
    """Say in a staging folder what gathers there, so that it can be gone on with."""
    _write(staging / ORIGIN, about)


def unfinished_source(home: Home, name: str) -> str:
    """What the broken-off adding of a model was told to add."""
    return str((_read(staging_folder(home, name) / ORIGIN) or {}).get("source", ""))


def settle(home: Home, name: str, about: dict[str, Any]) -> Path:
    """Move a complete staging folder to its place, in one step; a single GGUF file becomes NAME.gguf."""
    staging = staging_folder(home, name)
    with translated():
        ggufs = list(staging.glob("*.gguf"))
        if ggufs and not (staging / "config.json").is_file():
            target = home.models / (name if name.endswith(".gguf") else f"{name}.gguf")
            _write(_origin_file(target), about)
            ggufs[0].rename(target)
            shutil.rmtree(staging)
            return target
        note_origin(staging, about)
        return staging.rename(home.models / name)


def remove_model(home: Home, name: str) -> None:
    """Delete a model, or forget the link to one that lies elsewhere; also what adding it left half-done."""
    if name == EMBEDDED:
        raise UserError("model_needed", "The model that comes with Engram cannot be removed.", "Keep it.")
    known = name in model_names(home)
    if not known and name not in unfinished(home):
        raise unknown_model(home, name)
    if default_name(home) == name:
        make_default(home, EMBEDDED)
    with translated():
        shutil.rmtree(staging_folder(home, name), ignore_errors=True)
        if not known:
            return
        (home.models / f"{name}{LINK}").unlink(missing_ok=True)
        path = home.models / name
        _origin_file(path).unlink(missing_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def default_name(home: Home) -> str:
    """The model used where nobody names one."""
    name = str((_read(home.models / CHOICE) or {}).get("name") or EMBEDDED)
    return name if name == EMBEDDED or is_model(model_path(home, name)) else EMBEDDED


def make_default(home: Home, name: str) -> None:
    """Use this model where nobody names one."""
    if name != EMBEDDED and name not in model_names(home):
        raise unknown_model(home, name)
    _write(home.models / CHOICE, {"name": name})


def unknown_model(home: Home, name: str) -> UserError:
    """There is no model of that name: which there are."""
    known = ", ".join(model_names(home)) or "none yet"
    hint = f"Installed: {known}. A path to a checkpoint folder or GGUF file works too."
    return UserError("unknown_model", f"There is no model {name!r}.", hint)


def _origin_file(path: Path) -> Path:
    return path / ORIGIN if path.suffix != ".gguf" else path.with_name(f".{path.name}.origin.json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, value: dict[str, Any]) -> None:
    with translated():
        part = path.with_name(f".{path.name.lstrip('.')}.part")
        part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)
