"""Names of files as people see them: never a path that climbs, never a control character."""

from __future__ import annotations

import unicodedata

MAX_NAME = 200
_DROPPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def sanitize_name(name: str) -> str:
    """Make a name safe to show and to store: forward slashes only inside it, no "..", at most 200 characters.

    Markup such as "<b>" stays as text: escaping it is the work of the page that shows it.
    """
    shown = unicodedata.normalize("NFC", name.replace("\\", "/"))
    shown = "".join(_safe_character(character) for character in shown)
    parts = [part.strip() for part in shown.split("/")]
    parts = [part for part in parts if part not in ("", ".", "..")]
    if parts and len(parts[0]) == 2 and parts[0][1] == ":" and parts[0][0].isalpha():
        parts = parts[1:]  # a Windows drive is no part of a name
    return _shorten("/".join(parts)) or "unnamed"


def _safe_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    if category in _DROPPED:
        return " " if character in "\t\n\r" else ""
    return character


def _shorten(name: str) -> str:
    """Keep the end, where file name and suffix are, and as much of the start as fits."""
    if len(name) <= MAX_NAME:
        return name
    last = name.rsplit("/", 1)[-1]
    stem, dot, suffix = last.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, dot, suffix = last, "", ""
    ending = dot + suffix
    if len(last) >= MAX_NAME:
        return stem[: MAX_NAME - len(ending) - 1].rstrip() + "…" + ending
    folder = name[: len(name) - len(last) - 1]
    return folder[: MAX_NAME - len(last) - 2].rstrip("/ ") + "…/" + last
