"""Findings as JSON, with a schema version; written and read back."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.columns import utc_now
from storage.errors import InvalidInputError, translated
from storage.export.record import CitationRecord, FindingRecord, Report

SCHEMA = "engram.findings/1"


def render(report: Report) -> str:
    """The whole document; lone surrogates become the replacement character. Numbers of citations count
    within their finding, as `ask --json` gives them.
    """
    content = {
        "schema": SCHEMA,
        "exported_at": utc_now().isoformat(),
        "title": report.heading,
        "introduction": report.introduction,
        "findings": [asdict(f) for f in report.findings],
    }
    text = json.dumps(content, ensure_ascii=False, indent=2, default=_plain, allow_nan=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") + "\n"


def load_findings(path: Path) -> list[FindingRecord]:
    """Read an export back; another schema is refused."""
    with translated():
        text = Path(path).read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidInputError("bad_json", f"{Path(path).name} is not JSON: {error}.") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InvalidInputError(
            "bad_schema", f"Not findings of schema {SCHEMA}, but {schema!r}.", "Export them again."
        )
    return [_finding(item) for item in content["findings"]]


def _finding(item: dict[str, Any]) -> FindingRecord:
    times = {name: item[name] and datetime.fromisoformat(item[name]) for name in ("asked_at", "finished_at")}
    citations = tuple(CitationRecord(**citation) for citation in item["citations"])
    lists = {name: tuple(item.get(name, ())) for name in ("documents", "tags")}
    return FindingRecord(**item | times | lists | {"citations": citations})


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
