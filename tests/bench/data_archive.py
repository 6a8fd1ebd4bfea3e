"""Documents made of a data folder's passages (see its README): development sets, filled with contexts.

What is asked of the development sets can so be asked of an archive of millions of tokens.
"""

import json
import random
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from engine.convert.data import EVAL_SETS, Passage, passage, read_eval, read_lines

CHARS_A_TOKEN = 3.65  # of the tokenizer, titles included
DOCUMENT_CHARS = 40_000
EVAL_SHARE = 0.4  # of the tokens at most, where not all development documents fit
INDEX = "passages.json"
Document = tuple[str, list[Passage]]


def write_documents(data: Path, folder: Path, tokens: int, seed: int = 0) -> int:
    """Write text files of about `tokens` tokens into `folder`, and beside it which file holds which passage;
    returns the number of files. A folder that is there already is left as it is.
    """
    if folder.is_dir():
        return sum(1 for _ in folder.iterdir())
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    asked = [item for name in EVAL_SETS for item in _documents(name, read_eval(data, name)[0])]
    draw.shuffle(asked)
    chosen = list(_up_to(asked, EVAL_SHARE * tokens * CHARS_A_TOKEN))
    left = tokens * CHARS_A_TOKEN - sum(_length(item) for item in chosen)
    filling = list(_documents("context", map(passage, read_lines(data / "contexts.jsonl.xz"))))
    draw.shuffle(filling)
    chosen += _up_to(filling, left)
    draw.shuffle(chosen)
    held = {}
    for number, (name, group) in enumerate(chosen):
        path = folder / f"{number:05d}-{name}.txt"
        path.write_text(_text(group), "utf-8")
        held |= {item.cid: path.name for item in group}
    (folder.parent / INDEX).write_text(json.dumps(held), "utf-8")
    return len(chosen)


def _documents(name: str, items: Iterable[Passage]) -> Iterator[Document]:
    """Passages of one source document together, long ones in parts."""
    for _, group in groupby(items, key=lambda p: p.doc or p.title):
        part: list[Passage] = []
        for item in group:
            if part and sum(len(p.text) for p in part) + len(item.text) > DOCUMENT_CHARS:
                yield name, part
                part = []
            part.append(item)
        yield name, part


def _up_to(documents: Iterable[Document], chars: float) -> Iterator[Document]:
    for item in documents:
        if chars <= 0:
            return
        chars -= _length(item)
        yield item


def _length(document: Document) -> int:
    return sum(len(item.text) for item in document[1])


def _text(group: list[Passage]) -> str:
    """Passages under the headings they stand under."""
    parts, title = [], None
    for item in group:
        if item.title != title:
            parts.append(item.title)
            title = item.title
        parts.append(item.text)
    return "\n\n".join(parts) + "\n"
