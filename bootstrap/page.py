"""The page from outside: its port, whether it answers, and showing it to the person."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap.console import StartError

HOST = "127.0.0.1"
USUAL_PORT = 8501


def choose_port(asked: int | None, usual: Sequence[int] = tuple(range(USUAL_PORT, USUAL_PORT + 20))) -> int:
    """The port the person asked for, or the first free one of the usual ones, or any free one."""
    if asked is not None:
        if not port_is_free(asked):
            raise StartError(
                f"Port {asked} is taken by another program.",
                "Name another with --port, or leave --port out: then a free one is found.",
            )
        return asked
    for port in usual:
        if port_is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of this machine now."""
    with socket.socket() as probe:
        if os.name != "nt":  # there the option would let two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def page_settings(port: int) -> dict[str, str]:
    """Streamlit's settings as environment variables: local, without its own browser and without telemetry."""
    return {
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_ADDRESS": HOST,
        "STREAMLIT_SERVER_HEADLESS": "true",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }


def answers(port: int) -> bool:
    """Whether a page on this port says that it is healthy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    return False


def has_display(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser opened from here would be seen by anybody."""
    if environment.get("CI"):
        return False
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def open_browser(address: str, wanted: bool) -> None:
    """Open the page in the person's browser if there is a screen; the printed address serves otherwise."""
    if wanted and has_display():
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(address)


def running_file(home: Path) -> Path:
    """Where a running start.py notes its address and process ids."""
    return home / "running.json"


def record_running(home: Path, port: int, processes: Mapping[str, int]) -> None:
    """Note what runs, for a second start and for people who look for the processes."""
    record = {"address": address_of(port), "port": port, "start": os.getpid(), **processes}
    temporary = running_file(home).with_suffix(".new")
    temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")
    os.replace(temporary, running_file(home))


def running_address(home: Path) -> str | None:
    """The address of an Engram that already runs over this home folder, if its page answers."""
    try:
        record = json.loads(running_file(home).read_text(encoding="utf-8"))
        port, start = int(record["port"]), int(record["start"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address_of(port) if _is_alive(start) and answers(port) else None


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there; that its page answers must do
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def address_of(port: int) -> str:
    """The page's address as people open it."""
    return f"http://{HOST}:{port}"
