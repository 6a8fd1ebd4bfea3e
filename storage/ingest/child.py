"""The child process that parses hostile files: `python -m storage.ingest.child`.

One JSON request a line on standard input, one JSON reply a line on standard output; results go to the file
that the request names. Limits are set on this process itself, so that whatever a file does ends here.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from storage.ingest.parsed import ParseFailure, ParseLimits

try:
    import resource
except ImportError:  # Windows: the parent's wall clock is the only limit
    resource = None  # type: ignore[assignment]

_NICENESS = 5  # the model reads meanwhile, and its threads wait for each other
_DAMAGED = (
    "It is probably damaged. Open it in another program, save it anew or print it to PDF, and add that."
)


def main() -> None:
    """Serve requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _send(replies, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        limits = ParseLimits(**request["limits"])
        restrict(limits)
        reply = answer(request, limits)
        if resource is not None:
            signal.alarm(0)
        _send(replies, reply)
        if reply["last"]:
            return


def _send(replies: TextIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def restrict(limits: ParseLimits) -> None:
    """Bound memory, processor time and file size; the alarm ends this process should the parent be gone."""
    if resource is None:
        return
    spent = resource.getrusage(resource.RUSAGE_SELF)
    used_s = math.ceil(spent.ru_utime + spent.ru_stime)
    memory = limits.memory_mb * 1024 * 1024
    output = max(4 * limits.text_mb, limits.expanded_mb) * 1_000_000 + 64_000_000
    _limit(resource.RLIMIT_CPU, used_s + limits.seconds + 2)
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_FSIZE, output)
    _limit(resource.RLIMIT_CORE, 0)
    signal.alarm(limits.seconds + 10)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(kind, (value, hard))
    except (ValueError, OSError):  # macOS has limits that it names but does not let one set
        return


def answer(request: dict[str, Any], limits: ParseLimits) -> dict[str, Any]:
    """Do one request; every exception becomes a reply. `last`: this process is no longer to be trusted."""
    work = _WORKS[request["work"]]
    try:
        _write(Path(request["out"]), work(request, limits))
    except ParseFailure as failure:
        return _reply(failure.status, failure.error, failure.hint)
    except MemoryError:
        error = f"The file needs more than {limits.memory_mb:,} MB of memory to parse"
        return _reply("failed", error, "Split it into smaller files and add those.", last=True)
    except RecursionError:
        return _reply("failed", "The file is nested too deeply to parse", _DAMAGED, last=True)
    except FileNotFoundError:
        return _reply("failed", "The file is no longer there", "Add it again.")
    except OSError as error:
        if error.errno == errno.EINVAL:  # a container that points before its own start
            return _reply("failed", "The file is damaged or incomplete", _DAMAGED)
        return _reply("failed", f"The file could not be read: {error.strerror or error}", "Add it again.")
    except Exception as error:  # a parser's own bug on a hostile file is that file's failure, not ours
        name = f"{type(error).__name__}: {error}"[:300]
        return _reply("failed", f"The file could not be parsed ({name})", _DAMAGED, last=True)
    return {"ok": True, "last": False}


def _reply(status: str, error: str, hint: str, last: bool = False) -> dict[str, Any]:
    return {"ok": False, "status": status, "error": error, "hint": hint, "last": last}


def _write(path: Path, result: Any) -> None:
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(result):
            file.write(piece)


def _parse(request: dict[str, Any], limits: ParseLimits) -> dict[str, Any]:
    from storage.ingest.readers import read

    deadline = time.monotonic() + limits.seconds
    return asdict(read(Path(request["path"]), request["name"], limits, deadline))


def _unpack(request: dict[str, Any], limits: ParseLimits) -> list[dict[str, Any]]:
    from storage.ingest.unpacking import unpack

    return unpack(Path(request["path"]), request["name"], Path(request["into"]), limits)


def _detach(request: dict[str, Any], limits: ParseLimits) -> list[dict[str, Any]]:
    from storage.ingest.attachments import take_attachments
    from storage.ingest.formats import tell_format

    path = Path(request["path"])
    kind = tell_format(path, request["name"])
    return take_attachments(path, request["name"], kind, Path(request["into"]), limits)


def _recognise(request: dict[str, Any], limits: ParseLimits) -> dict[str, Any]:
    from storage.ingest.recognition import recognise

    return recognise(Path(request["path"]), request["name"], int(request["page"]))


_WORKS: dict[str, Callable[[dict[str, Any], ParseLimits], Any]] = {
    "parse": _parse,
    "unpack": _unpack,
    "detach": _detach,
    "recognise": _recognise,
}

if __name__ == "__main__":
    main()
