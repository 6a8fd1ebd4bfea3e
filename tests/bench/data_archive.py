"""Documents made of a data folder's passages (see its README): development sets, filled with contexts.

What is asked of the development sets can so be asked of an archive of millions of tokens.
"""

import json
import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from app.bench.text import FIELDS, filler, subjects
from engine.convert.data import EVAL_SETS, Passage, passage, read_eval, read_lines
from tests.bench.archive import FACTS

CHARS_A_TOKEN = 3.65  # of the tokenizer, titles included
DOCUMENT_CHARS = 40_000
SHORT_CHARS = 2_000
EVAL_SHARE = 0.4  # of the tokens at most, where not all development documents fit
INDEX = "passages.json"
NEEDLES = "needles.json"
LENGTHS = (4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304)
DEPTHS = (0.1, 0.3, 0.5, 0.7, 0.9)
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
    # Short ones first, so that a needle can stand near its depth in the first 4,096 tokens too.
    chosen.sort(key=lambda document: min(_length(document), SHORT_CHARS))
    needles = _with_needles(chosen, tokens, seed)
    held = {}
    for number, (name, group) in enumerate(chosen):
        path = folder / f"{number:05d}-{name}.txt"
        path.write_text(_text(group), "utf-8")
        held |= {item.cid: path.name for item in group}
    (folder.parent / INDEX).write_text(json.dumps(held), "utf-8")
    (folder.parent / NEEDLES).write_text(json.dumps(needles), "utf-8")
    return len(chosen)


def _with_needles(chosen: list[Document], tokens: int, seed: int) -> list[dict[str, Any]]:
    """Puts a needle at each of `DEPTHS` of the first n tokens for each n of `LENGTHS` up to `tokens`; their
    facts, with n, depth and the `cid` of their documents.
    """
    draw = random.Random(f"{seed}:needles")
    names = {field: subjects(field, draw) for field in FIELDS}
    ends = list(accumulate(_length(document) / CHARS_A_TOKEN for document in chosen))
    wanted = [(n, depth, bisect_left(ends, depth * n)) for n in LENGTHS if n <= tokens for depth in DEPTHS]
    needles = []
    for number, (n, depth, place) in sorted(enumerate(wanted), key=lambda pair: -pair[1][2]):
        field = FIELDS[number % len(FIELDS)]
        who = next(names[field])
        fact, cid = FACTS[field](draw, who), f"needle{number}"
        text = " ".join((filler(field, who, draw), fact.sentence, filler(field, who, draw)))
        chosen.insert(place, ("note", [Passage(cid, f"Note on {who}", who, text)]))
        needles.append({"cid": cid, "length": n, "depth": depth} | asdict(fact))
    return needles


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
