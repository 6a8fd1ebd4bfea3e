"""The parent's side of parsing: one child process at a time, watched, and replaced when a file breaks it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage.ingest.names import sanitize_name
from storage.ingest.parsed import ParsedDocument, ParsedPage, ParseFailure, ParseLimits
from storage.ingest.process import Child, ChildDied, ChildTimeout
from storage.ingest.scans import OCR_LIMITS, can_recognise, needs_ocr, recognised, refuse_scan
from storage.scratch import scratch_prefix

_FILES_PER_CHILD = 200
OnPage = Callable[[str, int, int], None]  # name, page, pages
_DAMAGED = (
    "It is probably damaged. Open it in another program, save it anew or print it to PDF, and add that."
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: where it was unpacked to, or why it was not (`path` is None then)."""

    path: Path | None
    name: str
    error: str | None = None


class Parser:
    """Parses many files with one child process: `with Parser() as parser: parser.parse(path, name)`.

    Starting a child costs about 0.1 s and the imports of its formats; it is replaced after a failure.
    Not for use from several threads at once.
    """

    def __init__(self, limits: ParseLimits | None = None, on_page: OnPage | None = None) -> None:
        self.limits = limits or ParseLimits()
        self._on_page = on_page
        self._recogniser: Parser | None = None
        self._folder: Path | None = None
        self._child: Child | None = None
        self._served = 0

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child and remove its temporary files."""
        if self._recogniser is not None:
            self._recogniser.close()
            self._recogniser = None
        self._drop_child()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def interrupt(self) -> None:
        """End the work in hand, from another thread; it then fails."""
        for parser in (self, self._recogniser):
            child = parser._child if parser is not None else None
            if child is not None:
                child.kill()

    def parse(self, path: Path, name: str) -> ParsedDocument:
        """Parse one file, shown to people as `name`; ParseFailure says why it gave no text.

        Scanned pages are read by text recognition if that is installed, a page at a time; `on_page` is told
        of each before it is read and may raise to end it.
        """
        document = _document(self._work("parse", path, name))
        if needs_ocr(document) and can_recognise():
            count = len(document.pages)

            def recognise(index: int) -> tuple[str, float | None]:
                if self._on_page is not None:
                    self._on_page(name, index + 1, count)
                return self._recognise(path, name, index)

            document = recognised(document, recognise)
        refuse_scan(document)
        return document

    def _recognise(self, path: Path, name: str, index: int) -> tuple[str, float | None]:
        """One page's text and confidence; a page that breaks the recogniser stays unread."""
        if self._recogniser is None:
            self._recogniser = Parser(OCR_LIMITS)
        try:
            found = self._recogniser._work("recognise", path, name, page=str(index))
        except ParseFailure:
            return "", None
        return str(found["text"]), found["confidence"]

    def unpack_zip(self, path: Path, into: Path, name: str | None = None) -> list[Member]:
        """Unpack a ZIP's files into `into` under neutral names; each bad member carries its own error."""
        return self._members("unpack", path, into, name or path.name)

    def detach(self, path: Path, into: Path, name: str) -> list[Member]:
        """Take the attachments of an e-mail or mailbox out into `into`, as `unpack_zip` does files."""
        return self._members("detach", path, into, name)

    def _members(self, work: str, path: Path, into: Path, name: str) -> list[Member]:
        into.mkdir(parents=True, exist_ok=True)
        found = self._work(work, path, name, into=str(into.resolve()))
        return [
            Member(into / item["file"] if item["file"] else None, item["name"], item["error"])
            for item in found
        ]

    def _work(self, work: str, path: Path, name: str, **more: str) -> Any:
        check_readable(path)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=scratch_prefix("parse", os.getpid())))
        out = self._folder / "result.json"
        request = {
            "work": work,
            "path": str(path.resolve()),
            "name": sanitize_name(name),
            "out": str(out),
            "limits": asdict(self.limits),
            **more,
        }
        try:
            reply = self._ask(request)
            if not reply["ok"]:
                raise ParseFailure(reply["status"], reply["error"], reply["hint"])
            return json.loads(out.read_bytes())
        except (OSError, ValueError):
            raise ParseFailure("failed", "The parser gave no usable result for this file", _DAMAGED) from None
        finally:
            out.unlink(missing_ok=True)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None or not self._child.alive:
            self._drop_child()
            self._child = _start()
        self._served += 1
        try:
            reply = self._child.ask(request, self.limits.seconds)
        except ChildTimeout:
            raise self._too_slow() from None
        except ChildDied as death:
            raise self._explain(death.returncode) from None
        except BaseException:
            self._drop_child()  # interrupted in the middle: its answer would be taken for the next file's
            raise
        if reply["last"] or self._served >= _FILES_PER_CHILD:
            self._drop_child()
        return reply

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child, self._served = None, 0

    def _too_slow(self) -> ParseFailure:
        self._drop_child()
        error = f"Parsing took longer than {self.limits.seconds:,} s and was stopped"
        return ParseFailure(
            "failed", error, "Split the file into smaller ones, or save it in a simpler form."
        )

    def _explain(self, returncode: int) -> ParseFailure:
        """Say in words how the child died."""
        self._drop_child()
        if os.name == "posix" and returncode in (-signal.SIGXCPU, -signal.SIGALRM):
            return self._too_slow()
        if os.name == "posix" and returncode == -signal.SIGKILL:
            return ParseFailure(
                "failed",
                "Parsing was killed by the system, most likely for lack of memory",
                "Close other programs and add the file again, or split it.",
            )
        how = signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"
        return ParseFailure("failed", f"The parser crashed on this file ({how})", _DAMAGED)


def parse(path: Path, name: str, limits: ParseLimits | None = None) -> ParsedDocument:
    """Parse one file in a child process of its own; ParseFailure says why it gave no text."""
    with Parser(limits) as parser:
        return parser.parse(path, name)


def unpack_zip(
    path: Path, into: Path, limits: ParseLimits | None = None, name: str | None = None
) -> list[Member]:
    """Unpack a ZIP in a child process; members are called "archive.zip/inner/name.pdf" after `name`."""
    with Parser(limits) as parser:
        return parser.unpack_zip(path, into, name)


def check_readable(path: Path) -> None:
    """Refuse, in words, what is not a file that can be read."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ParseFailure("failed", "This is a folder, not a file", "Add the folder itself instead.")
        if not stat.S_ISREG(kind):
            raise ParseFailure("failed", "This is a device or a pipe, not a file", "Add regular files.")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise ParseFailure("failed", "The file is no longer there", "Add it again.") from None
    except PermissionError:
        hint = "Give yourself the right to read it and add it again."
        raise ParseFailure("failed", "Reading the file is not permitted", hint) from None
    except (OSError, ValueError) as error:
        raise ParseFailure("failed", f"The file could not be read: {error}", "Add it again.") from None


def _start() -> Child:
    try:
        return Child()
    except (ChildDied, ChildTimeout, OSError) as error:
        hint = "Close other programs and try again; if it stays so, set up the environment anew."
        raise ParseFailure("failed", f"The parsing process could not be started ({error!r})", hint) from error


def _document(data: dict[str, Any]) -> ParsedDocument:
    return ParsedDocument(
        media_type=str(data["media_type"]),
        title=str(data["title"]),
        pages=tuple(
            ParsedPage(int(p["number"]), str(p["text"]), bool(p["needs_ocr"])) for p in data["pages"]
        ),
        headings=tuple((int(offset), str(path)) for offset, path in data["headings"]),
        warnings=tuple(str(warning) for warning in data["warnings"]),
        language=str(data["language"]),
    )
