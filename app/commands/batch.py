"""`ask --batch`: many questions into a file that can be continued after any interruption."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from app.asking import ask
from app.errors import UserError, describe
from app.following import Follower
from app.request import Request
from app.services import Services
from storage import Archive

Key = str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the batch; `id` is kept as it was written, text or number."""

    id: str | int
    question: str


def run_batch(
    services: Services,
    archive: Archive,
    source: Path,
    target: Path,
    scope: Request,
    follower: Follower,
) -> int:
    """Ask every question of `source` whose id `target` lacks, one answer a line; 1 if any failed."""
    items = read_questions(source)
    done = answered_ids(target)
    waiting = [item for item in items if _key(item.id) not in done]
    failed = 0
    with target.open("ab") as out:
        for number, item in enumerate(waiting, start=len(items) - len(waiting) + 1):
            print(f"{number} of {len(items)}: {item.id}", file=sys.stderr, flush=True)
            failed += not _answer(services, archive, item, scope, follower, out)
    if services.options.json:
        counts = {"questions": len(items), "asked": len(waiting), "failed": failed, "out": str(target)}
        print(json.dumps(counts))
    return 1 if failed else 0


def _answer(
    services: Services,
    archive: Archive,
    item: Item,
    scope: Request,
    follower: Follower,
    out: BinaryIO,
) -> bool:
    """Write one line: the answer, or why the question cannot be asked. Our own failures leave it open."""
    try:
        line: dict[str, Any] = {
            "id": item.id,
            **ask(services, archive, replace(scope, question=item.question), None, follower),
        }
    except Exception as error:
        problem = describe(error)
        print(f"{item.id}: {problem.line()}", file=sys.stderr, flush=True)
        if problem.exit_code != 2:
            return False
        line = {"id": item.id, "question": item.question, **problem.as_dict()}
    out.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    out.flush()
    os.fsync(out.fileno())
    return "error" not in line


def read_questions(source: Path) -> list[Item]:
    """The questions of a JSONL file; the first bad line is named."""
    items: list[Item] = []
    seen: set[Key] = set()
    for number, text in enumerate(_lines(source), start=1):
        if not text.strip():
            continue
        item = _item(text, number)
        if _key(item.id) in seen:
            raise UserError(
                "bad_batch", f"Line {number}: the id {item.id!r} occurs twice.", "Ids must differ."
            )
        seen.add(_key(item.id))
        items.append(item)
    return items


def _lines(source: Path) -> list[str]:
    try:
        return source.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError("bad_batch", f"{source} is not UTF-8 text.", "Save it as UTF-8.") from error


def _item(text: str, number: int) -> Item:
    wanted = 'Each line must be {"id": ..., "question": "..."}.'
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError("bad_batch", f"Line {number} is not JSON.", wanted) from error
    if not isinstance(value, dict) or not isinstance(value.get("question"), str):
        raise UserError("bad_batch", f"Line {number} has no question.", wanted)
    if not isinstance(value.get("id"), str | int) or isinstance(value.get("id"), bool):
        raise UserError("bad_batch", f"Line {number} has no id.", wanted)
    return Item(value["id"], value["question"])


def answered_ids(target: Path) -> set[Key]:
    """Ids already answered in `target`; a last line that a crash cut short is taken off the file."""
    if not target.exists():
        return set()
    done: set[Key] = set()
    with target.open("rb+") as file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(whole)
                break
            whole += len(line)
            if line.strip():
                done.add(_key(_answered_id(line, target)))
    return done


def _answered_id(line: bytes, target: Path) -> str | int:
    try:
        value: str | int = json.loads(line)["id"]
    except (ValueError, KeyError, TypeError) as error:
        hint = "Name another file with --out, or move this one away."
        raise UserError("bad_out", f"{target} holds something other than answers.", hint) from error
    return value


def _key(identity: str | int) -> Key:
    return json.dumps(identity)
