"""The numbers that Word shows before paragraphs ("4.2", "(a)") and does not store with their text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docx.document import Document

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ROMAN = (
    (1000, "m"),
    (900, "cm"),
    (500, "d"),
    (400, "cd"),
    (100, "c"),
    (90, "xc"),
    (50, "l"),
    (40, "xl"),
    (10, "x"),
    (9, "ix"),
    (5, "v"),
    (4, "iv"),
    (1, "i"),
)


@dataclass(frozen=True, slots=True)
class _Level:
    kind: str
    pattern: str
    start: int


class Numbering:
    """Counts a document's numbered paragraphs in order."""

    def __init__(self, document: Document) -> None:
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._abstract_of: dict[str, str] = {}
        self._of_style: dict[str, tuple[str, int]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        part = next(
            (
                r.target_part
                for r in document.part.rels.values()
                if not r.is_external and r.reltype.endswith("/numbering")
            ),
            None,
        )
        if part is not None:
            self._load(part.element)
        for style in document.styles.element.iter(f"{_W}style"):
            found = _reference(style.find(f"{_W}pPr"))
            if found:
                self._of_style[style.get(f"{_W}styleId", "")] = found

    def label(self, paragraph: Any) -> str:
        """The number or bullet of the next paragraph, "" if it has none; call it once for each, in order."""
        properties = paragraph.find(f"{_W}pPr")
        found = _reference(properties)
        if found is None and properties is not None:
            found = self._of_style.get(_value(properties, "pStyle") or "")
        if found is None:
            return ""
        number_id, depth = found
        abstract_id = self._abstract_of.get(number_id, "")
        levels = self._abstract.get(abstract_id, {})
        level = levels.get(depth)
        if level is None or level.kind == "none":
            return ""
        if level.kind == "bullet":
            return "-"
        return self._count(abstract_id, levels, depth)

    def _count(self, abstract_id: str, levels: dict[int, _Level], depth: int) -> str:
        counts = self._counts.setdefault(abstract_id, {})
        counts[depth] = counts.get(depth, levels[depth].start - 1) + 1
        for deeper in [at for at in counts if at > depth]:
            del counts[deeper]

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            above = levels.get(at, levels[depth])
            kind = above.kind if at == depth or above.kind != "bullet" else "decimal"
            return write_number(counts.get(at, above.start), kind)

        return re.sub(r"%(\d)", shown, levels[depth].pattern)[:40]

    def _load(self, root: Any) -> None:
        for abstract in root.iter(f"{_W}abstractNum"):
            levels = self._abstract.setdefault(abstract.get(f"{_W}abstractNumId", ""), {})
            for level in abstract.iter(f"{_W}lvl"):
                start = _value(level, "start") or "1"
                levels[_depth(level.get(f"{_W}ilvl"))] = _Level(
                    _value(level, "numFmt") or "decimal",
                    _value(level, "lvlText") or "",
                    int(start) if start.isdigit() and len(start) < 6 else 1,
                )
        for number in root.findall(f"{_W}num"):
            self._abstract_of[number.get(f"{_W}numId", "")] = _value(number, "abstractNumId") or ""


def _reference(properties: Any) -> tuple[str, int] | None:
    numbers = properties.find(f"{_W}numPr") if properties is not None else None
    number_id = _value(numbers, "numId") if numbers is not None else None
    return (number_id, _depth(_value(numbers, "ilvl"))) if number_id else None


def _value(element: Any, name: str) -> str | None:
    child = element.find(f"{_W}{name}")
    value = child.get(f"{_W}val") if child is not None else None
    return str(value) if value is not None else None


def _depth(value: str | None) -> int:
    return int(value) if value and value.isdigit() and len(value) == 1 else 0


def write_number(number: int, kind: str) -> str:
    """Write a list number the way Word shows it."""
    if kind in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        text = letters[:20]
    elif kind in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        text = ""
        for value, sign in _ROMAN:
            text += sign * (number // value)
            number %= value
    else:
        return f"{number:02d}" if kind == "decimalZero" else str(number)
    return text.upper() if kind.startswith("upper") else text
