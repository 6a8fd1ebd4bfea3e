"""Findings as Markdown. Document text is data: nothing in it may act as markup."""

from __future__ import annotations

import re
import unicodedata

from storage.export import wording
from storage.export.record import CitationRecord, FindingRecord

_SPECIAL = re.compile(r"[\\`*_\[\]#|~$^={}]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=www)\.|@|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
_LINE_START = re.compile(r"^([-+:]|\d{1,9}(?=[.)](?: |$)))")
_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def render(findings: list[FindingRecord]) -> str:
    """The whole document."""
    blocks = [f"# {escape(wording.heading(findings))}"]
    for number, finding in enumerate(findings, 1):
        blocks += _finding(number, finding)
    cited = wording.cited_documents(findings)
    if cited:
        blocks.append("## Documents cited")
        blocks.append("\n".join(f"- {escape(name)}, {wording.page_list(pages)}" for name, pages in cited))
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """One line of text that Markdown shows as it is: no formatting, HTML, link or list comes of it."""
    line = " ".join(_clean(text).split())
    line = re.sub(r"[&<>]", lambda match: _HTML[match[0]], line)
    line = _SPECIAL.sub(r"\\\g<0>", line)
    line = _LINK.sub(r"\\\g<0>", line)
    return _LINE_START.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], line)


def _finding(number: int, finding: FindingRecord) -> list[str]:
    headline, question = wording.headline(finding.question)
    blocks = [f"## {number}. {escape(headline)}"]
    if question:
        blocks.append(_paragraphs(question))
    blocks.append(_paragraphs(wording.answer_text(finding)))
    blocks.append(f"**{escape(wording.status_line(finding))}**")
    if finding.citations:
        blocks += ["### Sources", *map(_citation, finding.citations)]
    blocks += ["### Coverage", "\n".join(f"- {escape(line)}" for line in wording.coverage_lines(finding))]
    blocks += ["### Provenance", _table(wording.provenance_rows(finding))]
    return blocks


def _citation(citation: CitationRecord) -> str:
    place = f"**\\[{citation.number}\\]** {escape(citation.document)}, page {citation.page}"
    return f"{place} *({wording.quote_state(citation)})*\n\n{_quote(citation.quote)}"


def _paragraphs(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", _clean(text).strip())
    return "\n\n".join("  \n".join(map(escape, part.splitlines())) for part in paragraphs)


def _quote(text: str) -> str:
    lines = [escape(line) for line in _clean(text).strip().splitlines()]
    return "\n".join(f"> {line}  " if line else ">" for line in lines).rstrip()


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(
        [
            "| Item | Value |",
            "| --- | --- |",
            *(f"| {escape(label)} | {escape(value)} |" for label, value in rows),
        ]
    )


def _clean(text: str) -> str:
    """Line feeds only, and no control characters."""
    text = _BREAKS.sub("\n", text)
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")
