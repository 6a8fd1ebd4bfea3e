"""LaTeX source: sections as headings, commands taken off, mathematics kept as written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import clean
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers import latex_commands as known
from storage.ingest.readers.source import Source
from storage.ingest.tables import TableGrid

_SECTION = re.compile(
    r"\\(part|chapter|section|subsection|subsubsection|paragraph)\*?[ \t]*(?:\[[^\]\n]{0,300}\][ \t]*)?(?=\{)"
)
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n(?![ \t]*\n)[ \t]*)?")
_INPUT = re.compile(r"\\(?:input|include)\s{0,5}\{([^{}]{1,100})\}")
_BEGIN = re.compile(r"\\begin\s{0,5}\{([A-Za-z]{1,30}\*?)\}")
_SPECIAL = re.compile(r"[\\${}~\v]")
_WORD = re.compile(r"([A-Za-z]+)\*?[ \t]*(?:\n(?![ \t]*\n)[ \t]*)?")
_OPTION = re.compile(r"[ \t]*\[[^\]]{0,500}\]")
_DEEP = 60


def read(source: Source) -> ParsedDocument:
    """Read a LaTeX file; files that it takes in are not followed, and that is said."""
    builder = source.builder()
    text = clean(source.text(builder)).replace("\f", "\n")
    text = _COMMENT.sub(r"\1", text)
    parts = list(dict.fromkeys(_INPUT.findall(text)))
    if parts:
        builder.warn("parts in other files are not included: " + ", ".join(parts[:10]))
    _add_document(text, builder)
    return source.finish(builder)


def _add_document(text: str, builder: TextBuilder) -> None:
    start = text.find("\\begin{document}")
    end = text.rfind("\\end{document}")
    body = text[start + 16 if start >= 0 else 0 : end if end > start else len(text)]
    for command, level in (("title", 1), ("author", 0)):
        found = re.search(rf"\\{command}\s{{0,5}}(?:\[[^\]]{{0,200}}\])?\s{{0,5}}(?=\{{)", text)
        if not found:
            continue
        argument, after = braced(text, found.end())
        shown = " ".join(to_text(argument).split())
        if level:
            builder.title = shown
            builder.heading(level, shown)
        else:
            builder.paragraph(shown)
        body = body.replace(text[found.start() : after], "")
    body = body.replace("\\begin{abstract}", "\\section*{Abstract}").replace("\\end{abstract}", "\n\n")
    _add_sections(body, builder)


def _add_sections(body: str, builder: TextBuilder) -> None:
    done = 0
    for match in _SECTION.finditer(body):
        if match.start() < done:
            continue
        _add_paragraphs(body[done : match.start()], builder)
        title, done = braced(body, match.end())
        builder.heading(known.SECTIONS[match[1]] + 1, to_text(title))
    _add_paragraphs(body[done:], builder)


def _add_paragraphs(text: str, builder: TextBuilder) -> None:
    """Source lines join to paragraphs; list items and rows (vertical tabs) keep lines of their own."""
    for block in re.split(r"\n[ \t]*\n", to_text(text)):
        lines = [" ".join(line.split()) for line in block.split("\v")]
        builder.paragraph("\n".join(line for line in lines if line))


def braced(text: str, start: int) -> tuple[str, int]:
    """Return (what is inside the braces that open at `start`, position after them); "" if none open there."""
    if text[start : start + 1] != "{":
        return "", start
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        sign = match.group()
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return text[start + 1 : match.start()], match.end()
    return text[start + 1 :], len(text)


def to_text(source: str, depth: int = 0) -> str:
    """Plain text of a piece of LaTeX; mathematics stays as it is written."""
    if depth > _DEEP:
        return source
    pieces: list[str] = []
    at = 0
    while match := _SPECIAL.search(source, at):
        pieces.append(source[at : match.start()])
        sign = match.group()
        if sign == "$":
            at = _math_end(source, match.start())
            pieces.append(source[match.start() : at])
        elif sign == "\\":
            shown, at = _command(source, match.start(), depth)
            pieces.append(shown)
        else:
            pieces.append(" " if sign == "~" else "")
            at = match.end()
    pieces.append(source[at:])
    return _quotes("".join(pieces)) if depth == 0 else "".join(pieces)


def _quotes(text: str) -> str:
    return text.replace("``", "“").replace("''", "”").replace("---", "—").replace("--", "–")


def _math_end(source: str, start: int) -> int:
    mark = "$$" if source.startswith("$$", start) else "$"
    at = start + len(mark)
    while (end := source.find(mark, at)) >= 0:
        if source[end - 1] != "\\":
            return end + len(mark)
        at = end + 1
    return start + len(mark)


def _command(source: str, start: int, depth: int) -> tuple[str, int]:
    """Return (text shown for the command at `start`, position after it)."""
    word = _WORD.match(source, start + 1)
    if word is None:
        return _sign(source, start)
    name, at = word[1], word.end()
    if name in ("begin", "end"):
        return _environment(source, start, at, depth)
    if name in known.SIGNS:
        return known.SIGNS[name] + (" " if source[at - 1 : at] in " \n" else ""), at
    if name in known.ACCENTS:
        return _accent(name, source, at)
    if name == "item":
        option = _OPTION.match(source, at)
        return "\v- " + (f"{option[0].strip()[1:-1]} " if option else ""), option.end() if option else at
    while option := _OPTION.match(source, at):
        at = option.end()
    if name in known.DROPPED:
        return _drop(source, at, known.DROPPED[name])
    return _shown_argument(name, source, at, depth)


def _shown_argument(name: str, source: str, at: int, depth: int) -> tuple[str, int]:
    argument, end = braced(source, at)
    if name in known.CITATIONS:
        return f"[{argument}]", end
    if name in known.REFERENCES:
        return argument, end
    if name == "href":
        shown, end = braced(source, end)
        return f"{to_text(shown, depth + 1)} ({argument})", end
    if name == "multicolumn":
        _, end = braced(source, end)
        argument, end = braced(source, end)
    shown = to_text(argument, depth + 1)
    if name == "footnote":
        return f" (footnote: {shown})", end
    if name == "caption":
        return f"\n\n{shown}\n\n", end
    return shown, end


def _drop(source: str, at: int, count: int) -> tuple[str, int]:
    """Skip a command's arguments; \\newcommand's first may come without braces."""
    bare = re.compile(r"\\[A-Za-z]+").match(source, at) if count > 1 else None
    at = bare.end() if bare else at
    for _ in range(count - bool(bare)):
        while option := _OPTION.match(source, at):
            at = option.end()
        _, at = braced(source, at)
    return "", at


def _sign(source: str, start: int) -> tuple[str, int]:
    sign = source[start + 1 : start + 2]
    if sign in ("(", "["):
        close = source.find("\\)" if sign == "(" else "\\]", start)
        end = close + 2 if close >= 0 else start + 2
        return source[start:end], end
    if sign == "\\":
        option = _OPTION.match(source, start + 2)
        return "\v", option.end() if option else start + 2
    if sign and sign in known.ACCENTS:
        return _accent(sign, source, start + 2)
    return {"-": "", "/": "", ",": " ", ";": " ", ":": " ", "!": "", "@": ""}.get(sign, sign), start + 2


def _accent(sign: str, source: str, at: int) -> tuple[str, int]:
    argument, end = braced(source, at)
    if end == at:
        letter = re.compile(r"\\?[A-Za-z]").match(source, at)
        if letter is None:
            return "", at
        argument, end = letter.group(), letter.end()
    argument = argument.replace("\\", "")
    return unicodedata.normalize("NFC", argument[:1] + known.ACCENTS[sign]) + argument[1:], end


def _environment(source: str, start: int, at: int, depth: int) -> tuple[str, int]:
    begin = _BEGIN.match(source, start)
    if begin is None:
        _, end = braced(source, at)
        return "\n\n", end
    name = begin[1]
    plain = name.rstrip("*")
    special: dict[frozenset[str], Callable[[str], str]] = {
        known.MATH: lambda inner: f"\\begin{{{name}}}{inner}\\end{{{name}}}",
        known.VERBATIM: lambda inner: "\n\n" + inner.strip("\n").replace("\n", "\v") + "\n\n",
        known.HIDDEN: lambda inner: "",
        known.TABULAR: lambda inner: _table(inner, depth),
    }
    for names, show in special.items():
        if plain in names:
            close = source.find(f"\\end{{{name}}}", begin.end())
            inner = source[begin.end() : close if close >= 0 else len(source)]
            return show(inner), close + len(name) + 6 if close >= 0 else len(source)
    end = begin.end()
    while option := _OPTION.match(source, end):
        end = option.end()
    if plain in ("thebibliography", "minipage", "multicols", "tabbing"):
        _, end = braced(source, end)
    return "\n\n", end


def _table(inner: str, depth: int) -> str:
    """Rows end in a double backslash, cells in an ampersand; the column specification comes first."""
    at = 0
    while option := _OPTION.match(inner, at):
        at = option.end()
    while inner[at : at + 1] == "{":
        _, at = braced(inner, at)
    inner = re.sub(r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot)\b", "", inner[at:])
    grid = TableGrid()
    for row in re.split(r"\\\\(?:\[[^\]]{0,50}\])?", inner):
        if row.strip():
            for cell in re.split(r"(?<!\\)&", row):
                grid.add_cell(" ".join(to_text(cell, depth + 1).split()), header=False)
            grid.end_row()
    return "\n\n" + "\v".join(line for line in grid.lines() if line) + "\n\n"
