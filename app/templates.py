"""Questions that fit a field, kept as data in assets/matrix/templates.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storage import QuestionData

FILE = Path(__file__).resolve().parent.parent / "assets" / "matrix" / "templates.json"


@dataclass(frozen=True, slots=True)
class Template:
    """A field's questions."""

    name: str
    title: str
    questions: tuple[QuestionData, ...]


@cache
def templates() -> dict[str, Template]:
    """Every template by name."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: Template(name, entry["title"], tuple(QuestionData(**item) for item in entry["questions"]))
        for name, entry in data.items()
    }
