"""Files of a tokenizer. Imports no torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from engine.errors import ModelError


def read_backend(path: Path) -> Backend:
    """The tokenizer of a tokenizer.json; ModelError if there is none or it is damaged."""
    if not path.is_file():
        raise ModelError(
            f"There is no {path.name} in {path.parent}.", "Prepare the model again: python3 start.py setup."
        )
    try:
        return Backend.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for every malformed file
        raise ModelError(f"{path} is not a tokenizer file: {error}", "Prepare the model again.") from error


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds, nothing if it is missing; ModelError if it is damaged."""
    try:
        return json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}", "Prepare the model again.") from error


def content(token: str | dict[str, Any] | None) -> str | None:
    """The name of a special token, however the file spells it."""
    return token["content"] if isinstance(token, dict) else token


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, "utf-8")
    os.replace(unfinished, path)
