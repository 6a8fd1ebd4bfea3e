"""The sentences that every export format shares."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from storage.export.record import MARK, CitationRecord, FindingRecord

STATUS = {
    "running": "Not finished yet",
    "supported": "Supported by the cited quotes",
    "partly_supported": "Partly supported by the cited quotes",
    "not_found": "Not found in this archive",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_HEADLINE = 200
_NOT_AVAILABLE = "not available"


def headline(question: str) -> tuple[str, str]:
    """A question as a heading, and in full below it when it is too long for one (else "")."""
    line = " ".join(question.split())
    if len(line) <= _HEADLINE:
        return line, ""
    return line[:_HEADLINE].rsplit(" ", 1)[0] + " …", question.strip()


def status_line(finding: FindingRecord) -> str:
    """The verdict, with the confidence when there is one."""
    words = STATUS.get(finding.status, finding.status)
    return words if finding.confidence is None else f"{words} (confidence {finding.confidence:.0%})"


def answer_text(finding: FindingRecord) -> str:
    """The answer, or why there is none."""
    return finding.answer.strip() or finding.error.strip() or "There is no answer."


def answer_pieces(text: str, numbers: Iterable[int]) -> list[tuple[str, int | None]]:
    """The answer cut at its citation marks: (text, None) or ("[2]", 2); other marks stay text."""
    known, pieces, last = set(numbers), [], 0
    for mark in MARK.finditer(text):
        if int(mark[1]) in known:
            pieces += [(text[last : mark.start()], None), (mark[0], int(mark[1]))]
            last = mark.end()
    pieces.append((text[last:], None))
    return [piece for piece in pieces if piece[0]]


def quote_state(citation: CitationRecord) -> str:
    """Whether the quote was found verbatim in the stored text, and whether that text was recognised."""
    state = "verified verbatim" if citation.verified else "NOT verified"
    if not citation.recognised:
        return state
    sure = citation.recognised_confidence
    return f"{state} in recognised text (OCR{'' if sure is None else f', confidence {sure:.0%}'})"


def coverage_lines(finding: FindingRecord) -> list[str]:
    """What the answer is based on, then every document that was not read, with the reason."""
    context, lines = finding.context, []
    if finding.documents:
        lines.append(f"Asked only of: {', '.join(finding.documents)}")
    read, total = context.get("tokens_read"), context.get("tokens_total")
    if read is None or total is None:
        return [*lines, "How much of the archive had been read was not recorded."]
    whole = "the archive"
    if context.get("documents"):
        whole = f"an archive of {_number(context['documents'], 'document')}"
    lines.append(f"{read:,} of {total:,} tokens of {whole} had been read when this was answered.")
    not_read = context.get("not_read") or []
    lines += [f"Not read: {item.get('document', '')} ({item.get('reason', '')})" for item in not_read]
    if not not_read:
        lines.append("Nothing was left out.")
    return lines


def provenance_rows(finding: FindingRecord) -> list[tuple[str, str]]:
    """What the answer ran on and what it cost; energy always with its source."""
    run = finding.run
    source = run.get("power_source")
    rows = [
        ("Archive", finding.archive),
        ("Archive state", _state(finding.context)),
        ("Asked", moment(finding.asked_at)),
        ("Answered", moment(finding.finished_at)),
        ("Model", str(run.get("model") or "")),
        ("Model fingerprint", str(run.get("fingerprint") or "")),
        ("Device", str(run.get("device") or "")),
        ("Backend", str(run.get("backend") or "")),
        ("Time to first token", measure(run.get("ttft_s"), "s")),
        ("Reading speed", measure(run.get("read_tokens_per_s"), "tokens/s")),
        ("Writing speed", measure(run.get("write_tokens_per_s"), "tokens/s")),
        ("Energy", measured_by(run.get("energy_j"), "J", source)),
        ("Power", measured_by(run.get("power_w"), "W", source)),
        ("Idle power", measured_by(run.get("idle_power_w"), "W", source) if run.get("idle_power_w") else ""),
        ("About power", str(run.get("power_reason") or "")),
        ("About the device", str(run.get("device_note") or "")),
        ("Spikes per channel", measure(run.get("spikes_per_channel"), "")),
        ("Silent channels", _share(run.get("silent_share"))),
    ]
    return [(label, value) for label, value in rows if value]


def cited_documents(findings: Iterable[FindingRecord]) -> list[tuple[str, list[int]]]:
    """Every document quoted anywhere, with its pages, by name."""
    pages: dict[str, set[int]] = {}
    for finding in findings:
        for citation in finding.citations:
            pages.setdefault(citation.document, set()).add(citation.page)
    return [(name, sorted(pages[name])) for name in sorted(pages, key=str.casefold)]


def page_list(pages: list[int]) -> str:
    """ "page 3" or "pages 3, 7"."""
    return ("page " if len(pages) == 1 else "pages ") + ", ".join(map(str, pages))


def moment(value: datetime | None) -> str:
    """A time as people write it, in UTC."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _state(context: dict[str, Any]) -> str:
    """How far the archive had been read when the answer was given."""
    read, total = context.get("tokens_read"), context.get("tokens_total")
    if read is None or total is None:
        return ""
    return f"{read:,} of {_number(total, 'token')} read, {_number(context.get('documents') or 0, 'document')}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def measure(value: Any, unit: str) -> str:
    """A number with its unit; nothing where there is none."""
    if not isinstance(value, int | float):
        return ""
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".strip()


def measured_by(value: Any, unit: str, source: Any) -> str:
    """A measured number with what measured it, or "not available"."""
    if not isinstance(value, int | float):
        return _NOT_AVAILABLE
    return f"{measure(value, unit)} ({source or 'source not recorded'})"


def _share(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else ""
