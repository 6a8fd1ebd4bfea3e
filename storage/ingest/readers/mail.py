"""E-mail: a message (EML) or a mailbox (MBOX), each message under its subject; attachments are named."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from storage.ingest.builder import TextBuilder
from storage.ingest.cleaning import one_line
from storage.ingest.decoding import decode
from storage.ingest.parsed import ParsedDocument
from storage.ingest.readers.html import read_markup
from storage.ingest.readers.source import Source

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 1_000
_SEALED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def read(source: Source) -> ParsedDocument:
    """Read a message, or every message of a mailbox as a part of its own."""
    builder = source.builder()
    for number, message in enumerate(messages(source.path, source.kind), 1):
        builder.end_part()
        _add_message(message, number, builder)
    return source.finish(builder)


def messages(path: Path, kind: str) -> Iterator[EmailMessage]:
    """The messages of a file of the kind "eml" or "mbox"."""
    parser = BytesParser(policy=policy.default)
    if kind == "eml":
        with path.open("rb") as file:
            yield _checked(parser.parse(file))
        return

    box = mailbox.mbox(path, create=False)
    try:
        for key in box.iterkeys():
            yield _checked(parser.parsebytes(box.get_bytes(key)))
    finally:
        box.close()


def _checked(message: Message) -> EmailMessage:
    assert isinstance(message, EmailMessage)
    return message


def parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """The leaves of a message in order; a message inside it is one of them, whole."""
    stack: list[Any] = [message]
    for _ in range(_MOST_PARTS):
        if not stack:
            return
        part = stack.pop()
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            stack += reversed(part.get_payload())
        else:
            yield part


def attachments(message: EmailMessage) -> list[EmailMessage]:
    """The parts that are files of their own: not the text, no picture that the text shows inside itself."""
    found = list(parts(message))
    shown = b"".join(_bytes(part) for part in found if part.get_content_type() == "text/html")
    return [part for part in found if _is_file(part) and not _is_shown(part, shown)]


def _is_file(part: EmailMessage) -> bool:
    attached = part.get_content_disposition() == "attachment"
    return attached or part.get_content_type() == "message/rfc822" or bool(file_name(part))


def _is_shown(part: EmailMessage, html: bytes) -> bool:
    name = header(part, "Content-ID").strip("<>").encode()
    image = part.get_content_maintype() == "image"
    return image and (part.get_content_disposition() == "inline" or (bool(name) and b"cid:" + name in html))


def file_name(part: EmailMessage) -> str:
    """The name an attachment carries, or the subject of an attached message."""
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        subject = header(first, "Subject") if isinstance(first, EmailMessage) else ""
        return f"{subject or 'message'}.eml"
    try:
        return one_line(str(part.get_filename() or ""))
    except (ValueError, LookupError, AttributeError, TypeError):  # a malformed header
        return ""


def header(message: EmailMessage, name: str) -> str:
    """A header's text on one line; a malformed one as far as it goes."""
    try:
        return one_line(str(message[name] or ""))
    except (ValueError, LookupError, AttributeError, TypeError, IndexError):
        raw = dict(message.raw_items()).get(name, "")
        return one_line(str(raw))


def _add_message(message: EmailMessage, number: int, builder: TextBuilder) -> None:
    subject = header(message, "Subject")
    builder.title = builder.title or (subject if number == 1 else "")
    builder.heading(1, subject or f"Message {number} without a subject")
    for name in _SHOWN[:-1]:
        value = _date(message) if name == "Date" else header(message, name)
        builder.row(f"{name}: {value}" if value else "")
    builder.end_rows()
    found, files = list(parts(message)), attachments(message)
    if any(part.get_content_type() in _SEALED for part in (message, *found)):
        builder.warn(f"message {number} is encrypted; its text cannot be read")
    body = _body([part for part in found if part not in files])
    if body is not None:
        _add_body(body, builder)
    builder.end_rows()
    builder.row("Attachments: " + "; ".join(file_name(part) or "unnamed" for part in files) if files else "")


def _date(message: EmailMessage) -> str:
    value = header(message, "Date")
    try:
        return f"{parsedate_to_datetime(value):%Y-%m-%d %H:%M %z}".strip()
    except (ValueError, TypeError, IndexError):
        return value


def _body(found: list[EmailMessage]) -> EmailMessage | None:
    """The text to read: plain if there is any in it, else HTML."""
    plain = [part for part in found if part.get_content_type() == "text/plain" and _bytes(part).strip()]
    rich = [part for part in found if part.get_content_type() == "text/html"]
    return next(iter(plain + rich), None)


def _add_body(body: EmailMessage, builder: TextBuilder) -> None:
    text, _ = decode(_bytes(body), _charset(body)) if _bytes(body) else ("", [])
    if body.get_content_type() == "text/html":
        read_markup(text, builder)
        return
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        builder.paragraph(paragraph)


def _charset(part: EmailMessage) -> str:
    try:
        return part.get_content_charset() or ""
    except (ValueError, LookupError, AttributeError, TypeError):
        return ""


def _bytes(part: EmailMessage) -> bytes:
    """A part's content, its transfer encoding undone; what cannot be undone stays as it is."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
