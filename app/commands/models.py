"""`models`: what is installed."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.commands.output import print_json, print_table
from app.services import DEFAULT_MODEL, Services, model_names


def run(services: Services, chosen: Namespace) -> int:
    """List the models under HOME/models, with what their configuration says."""
    names = model_names(services.home)
    found = [_describe(services, name) for name in dict.fromkeys([DEFAULT_MODEL, *names])]
    if services.options.json:
        print_json(found)
        return 0
    print_table(("", "NAME", "SIZE", "WHAT"), [_row(item) for item in found])
    return 0


def _row(item: dict[str, Any]) -> tuple[str, str, str, str]:
    size = f"{item['bytes'] / 1e6:.0f} MB" if item["bytes"] else ""
    return ("*" if item["chosen"] else "", item["name"], size, item["note"])


def _describe(services: Services, name: str) -> dict[str, Any]:
    path = services.home.models / name
    files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return {
        "name": name,
        "installed": bool(files),
        "chosen": services.options.model == name,
        "path": str(path),
        "bytes": sum(file.stat().st_size for file in files),
        "note": _note(path) if files else "not prepared yet: python3 start.py setup",
    }


def _note(path: Path) -> str:
    if path.is_file():
        return "GGUF file"
    from engine.config import parse_config
    from engine.errors import EngineError

    try:
        return parse_config(json.loads((path / "config.json").read_text("utf-8"))).describe()
    except (OSError, ValueError, EngineError) as error:
        return f"cannot be used: {error}"
