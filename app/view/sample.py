"""The sample archive that comes with Engram, and questions that fit it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.view.frame import ASSETS

FOLDER = ASSETS / "sample" / "documents"


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question the sample archive answers, with the words the answer holds and where they stand."""

    domain: str
    question: str
    answer: str
    document: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample archive's name, what it is, and its questions."""

    archive: str
    description: str
    questions: tuple[SampleQuestion, ...]
    unanswerable: tuple[str, ...]


@cache
def sample() -> Sample:
    """The sample as described beside its documents."""
    data = json.loads((FOLDER.parent / "questions.json").read_text(encoding="utf-8"))
    questions = tuple(SampleQuestion(**entry) for entry in data["questions"])
    return Sample(data["archive"], data["description"], questions, tuple(data["unanswerable"]))


FIELDS = ("legal", "medical", "physics")


def field_sample(field: str) -> tuple[str, str, Path]:
    """Name, description and folder of the sample archive of one field."""
    count = sum(path.is_file() for path in (FOLDER / field).iterdir())
    return f"Sample: {field}", f"{count} documents of the sample, all {field}.", FOLDER / field


def is_sample(name: str) -> bool:
    """Whether an archive of this name is the sample, or a second copy of it."""
    return name == sample().archive or name.startswith(sample().archive + " ")
