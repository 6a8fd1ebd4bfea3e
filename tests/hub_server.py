"""A hub on this machine that speaks as much of Hugging Face and ModelScope as adding a model needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The files of one model, `lab/tiny`; `break_after` bytes of a file the connection is cut once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.break_after: dict[str, int] = {}
        self.swapped: dict[str, bytes] = {}
        self.ranges = True
        self.asked: list[tuple[str, str]] = []
        self.address = ""

    def listing(self) -> list[tuple[str, int, str]]:
        """Name, size and SHA-256 of each file."""
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        return [(p.name, p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]

    def reply(self, path: str) -> Any:
        """JSON for a listing, (name, bytes) for a file, None for anything else."""
        parts = urlsplit(path)
        given = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if re.fullmatch(r"/api/models/lab/tiny(/revision/\w+)?", parts.path):
            siblings = [
                {"rfilename": name, "size": size, "lfs": {"size": size, "sha256": digest, "pointerSize": 1}}
                for name, size, digest in self.listing()
            ]
            return {"id": "lab/tiny", "sha": COMMIT, "siblings": [*siblings, {"rfilename": "../evil.json"}]}
        if parts.path == "/api/v1/models/lab/tiny/repo/files":
            files = [{"Path": n, "Size": s, "Sha256": d, "Type": "blob"} for n, s, d in self.listing()]
            return {"Code": 200, "Data": {"Files": [*files, {"Path": "sub", "Type": "tree", "Size": 0}]}}
        named = re.fullmatch(rf"/lab/tiny/resolve/{COMMIT}/([\w.-]+)", parts.path)
        name = named[1] if named else given.get("FilePath", "")
        if not (named or parts.path == "/api/v1/models/lab/tiny/repo") or not (self.folder / name).is_file():
            return None
        return name, self.swapped.get(name) or (self.folder / name).read_bytes()


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """A running hub."""
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = hub.reply(self.path)
            if found is None:
                self.send_error(404)
            elif isinstance(found, dict):
                self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})
            else:
                self._file(*found)

        def _file(self, name: str, body: bytes) -> None:
            wanted = self.headers.get("Range", "")
            hub.asked.append((name, wanted))
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and hub.ranges else 0
            headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
            cut = hub.break_after.pop(name, None)
            self._send(206 if start else 200, body[start:], headers, cut)

        def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])
            self.close_connection = cut is not None

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_at(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have both clients ask this hub."""
    from huggingface_hub import constants

    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.address)
