"""Reading the training and development files (JSON lines, xz; see the data folder's own README)."""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError

EVAL_SETS = ("squad", "nq", "covidqa", "cuad", "statutes", "medical", "physics", "general", "pubmedqa")

DISTRACTORS = "distractors.json"
"""Ids of the passages that the recall stage finds in place of each passage."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a data file; `title` is what to cite."""

    cid: str
    title: str
    doc: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question about passage `cid`; no answers where the passage does not answer it."""

    cid: str
    source: str
    kind: str
    question: str
    answers: tuple[str, ...]
    answer_start: int
    specific: int


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Records of an xz-packed JSON-lines file; EngineError if it is missing."""
    if not path.is_file():
        raise EngineError(f"no data file {path}", "Give the data folder with --data.", "no_data")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def passage(record: dict[str, Any]) -> Passage:
    """A passage from its record."""
    return Passage(record["cid"], record.get("title", ""), record.get("doc", ""), record["text"])


def question(record: dict[str, Any]) -> Question:
    """A question from its record."""
    return Question(
        cid=record["cid"],
        source=record.get("source", ""),
        kind=record.get("kind", ""),
        question=record["question"],
        answers=tuple(record.get("answers", ())),
        answer_start=record.get("answer_start", -1),
        specific=record.get("spec", 0),
    )


def read_distractors(path: Path) -> dict[str, list[str]]:
    """What the recall stage left at `path`; nothing if it did not run."""
    found: dict[str, list[str]] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def read_eval(folder: Path, name: str) -> tuple[list[Passage], list[Question]]:
    """Passages and questions of the development set `eval_<name>`."""
    if name == "pubmedqa":
        return _abstracts(folder)
    passages, questions = [], []
    for record in read_lines(folder / f"eval_{name}.jsonl.xz"):
        if record["rec"] == "passage":
            passages.append(passage(record))
        else:
            questions.append(question(record))
    return passages, questions


def _abstracts(folder: Path) -> tuple[list[Passage], list[Question]]:
    """PubMedQA's test half: an abstract and its conclusion are a passage each, and the conclusion answers."""
    passages, questions = [], []
    for record in read_lines(folder / "eval_pubmedqa.jsonl.xz"):
        if record["split"] == "test":
            title, conclusion, cid = f"PubMed {record['id']}", record["long_answer"], f"{record['id']}:end"
            passages.append(Passage(record["id"], title, title, "\n".join(record["contexts"])))
            passages.append(Passage(cid, title, title, conclusion))
            asked = (record["question"], (conclusion,), 0, 2)
            questions.append(Question(cid, "pubmedqa", "expert", *asked))
    return passages, questions
