"""JSON and JSON lines: "name: value" lines, numbers as written, long texts as paragraphs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import clean, one_line
from storage.ingest.parsed import ParsedDocument, ParseFailure
from storage.ingest.readers.source import Source

_LONG = 200
_DEPTH = 100
_TITLES = ("title", "name", "headline")


class Pairs(list[tuple[str, Any]]):
    """An object's members in order, repeated names included."""


def read(source: Source) -> ParsedDocument:
    """Read JSON; a file of one JSON value a line is told by its content, whatever its suffix."""
    builder = source.builder()
    text = source.text(builder)
    if not text.strip():
        return source.finish(builder)
    if source.kind == "jsonl":
        add_lines(text, builder)
        return source.finish(builder)
    try:
        add_value(_load(text), builder)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            add_lines(text, builder)
        else:
            builder.warn(f"not valid JSON (line {error.lineno}: {error.msg}); read as plain text")
            builder.paragraph(text)
    return source.finish(builder)


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_int=str, parse_float=str)
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> ParseFailure:
    return ParseFailure(
        "failed",
        "The JSON is nested too deeply to read",
        "Flatten it, or add the texts in it as files of their own.",
    )


def add_lines(text: str, builder: TextBuilder) -> None:
    """Add one record a line; lines that are no JSON stay as text and are named."""
    broken: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            _add_record(_load(line), builder)
        except json.JSONDecodeError:
            broken.append(number)
            builder.paragraph(line)
    if broken:
        shown = ", ".join(str(number) for number in broken[:10]) + (" and more" if len(broken) > 10 else "")
        noun = "line" if len(broken) == 1 else "lines"
        builder.warn(f"{noun} {shown}: not valid JSON, kept as text")


def add_value(value: Any, builder: TextBuilder) -> None:
    """Add a whole file's value; a list's items are records of their own."""
    if isinstance(value, Pairs):
        builder.title = next(
            (item for name, item in value if name.lower() in _TITLES and type(item) is str), ""
        )
        _add_record(value, builder)
    elif isinstance(value, list) and any(isinstance(item, list) for item in value):
        for item in value:
            _add_record(item, builder)
    else:
        _add_record(value, builder)


def _add_record(value: Any, builder: TextBuilder) -> None:
    """Short values in a group of lines, long texts as paragraphs between the groups."""
    builder.end_rows()
    for name, text in flatten(value):
        if len(text) > _LONG or "\n" in text.strip():
            builder.paragraph(f"{name}:\n{text}" if name else text)
        else:
            builder.row(f"{name}: {text}" if name else text)
    builder.end_rows()


def flatten(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (dotted name, text) of every value inside, in order, without recursion."""
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack:
        name, item, depth = stack.pop()
        if depth > _DEPTH:
            raise _too_deep()
        if isinstance(item, Pairs):
            inner = [(f"{name}.{key}" if name else key, child, depth + 1) for key, child in item]
            stack.extend(reversed(inner))
        elif isinstance(item, list) and all(not isinstance(child, list) for child in item):
            if item:
                yield name, "; ".join(_scalar(child) for child in item)
        elif isinstance(item, list):
            inner = [(f"{name}[{number}]", child, depth + 1) for number, child in enumerate(item, 1)]
            stack.extend(reversed(inner))
        else:
            text = _scalar(item)
            if text:
                yield one_line(name), clean(text)


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
