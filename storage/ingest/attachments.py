"""Taking the attachments of e-mails out into files under neutral names."""

from __future__ import annotations

import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from storage.ingest.names import sanitize_name
from storage.ingest.parsed import ParseFailure, ParseLimits
from storage.ingest.readers.mail import attachments, file_name, messages

_SUFFIXES = {"application/pdf": ".pdf", "text/html": ".html", "text/plain": ".txt", "text/csv": ".csv"}


def take_attachments(
    path: Path, name: str, kind: str, into: Path, limits: ParseLimits
) -> list[dict[str, Any]]:
    """Write each attachment into a file of `into`; returns {"file", "name", "error"} as unpacking does."""
    found: list[dict[str, Any]] = []
    written = 0
    for number, message in enumerate(messages(path, kind), 1):
        folder = f"{name}/{number}" if kind == "mbox" else name
        for part in attachments(message):
            data = _content(part)
            written += len(data)
            shown = sanitize_name(f"{folder}/{_name(part)}")
            if written > limits.expanded_mb * 1_000_000 or len(found) >= limits.members:
                raise ParseFailure(
                    "failed",
                    f"Its attachments are more than {limits.members:,} files or {limits.expanded_mb:,} MB",
                    "Split the mailbox into smaller ones and add those.",
                )
            if not data:
                found.append({"file": None, "name": shown, "error": "The attachment is empty"})
                continue
            target = into / f"{len(found) + 1:06d}"
            target.write_bytes(data)
            found.append({"file": target.name, "name": shown, "error": None})
    return found


def _name(part: EmailMessage) -> str:
    """The last part of the name: an attachment has no folder to be in."""
    named = re.split(r"[/\\]", file_name(part))[-1].strip()
    return named or "attachment" + _SUFFIXES.get(part.get_content_type(), "")


def _content(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        return first.as_bytes() if isinstance(first, EmailMessage) else b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
