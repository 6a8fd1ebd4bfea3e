"""start.py while Engram runs: ports, waiting for the page, restarting the worker, stopping both."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap import launch, page
from bootstrap.console import StartError
from bootstrap.processes import child_environment, locked, stream

ROOT = Path(__file__).resolve().parent.parent
FAKE_APP = """
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()

print(sys.argv[1], "up", flush=True)
if os.path.exists(sys.argv[1] + ".broken"):
    sys.exit("cannot work: " + sys.argv[1])
if sys.argv[1] == "serve":
    HTTPServer(("127.0.0.1", int(os.environ["STREAMLIT_SERVER_PORT"])), Page).serve_forever()
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose `python -m app` is a page and a worker that do nothing."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(FAKE_APP)
    return tmp_path


@pytest.fixture
def started(root: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts `run` over that checkout in a process of its own, so that it can be signalled."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import sys; from pathlib import Path; from bootstrap.launch import run; "
        "from bootstrap.processes import child_environment as e; r = Path(sys.argv[1]); "
        "sys.exit(run(Path(sys.executable), r, r / 'home', e(r, r / 'home'), browser=False))"
    )
    processes: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(root)]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def record(root: Path) -> dict[str, int]:
    return json.loads((root / "home" / "running.json").read_text())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_ctrl_c_stops_page_and_worker(root: Path, started: Callable[[], subprocess.Popen[str]]) -> None:
    process = started()
    assert first_line(process).startswith("Engram is at http://127.0.0.1:")
    pids = record(root)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert is_gone(pids["worker"])
    assert is_gone(pids["page"])
    assert not (root / "home" / "running.json").exists()


def test_a_killed_worker_is_started_again(root: Path, started: Callable[[], subprocess.Popen[str]]) -> None:
    process = started()
    first_line(process)
    old = record(root)["worker"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: record(root)["worker"] != old)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "The worker ended (signal 9); starting it again" in errors


def test_when_the_page_dies_the_worker_is_stopped(
    root: Path, started: Callable[[], subprocess.Popen[str]]
) -> None:
    process = started()
    first_line(process)
    pids = record(root)
    os.kill(pids["page"], signal.SIGKILL)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "The page ended (signal 9)" in errors
    assert is_gone(pids["worker"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_no_child_outlives_a_killed_start(root: Path, started: Callable[[], subprocess.Popen[str]]) -> None:
    process = started()
    first_line(process)
    pids = record(root)
    process.kill()
    wait_until(lambda: is_gone(pids["worker"]) and is_gone(pids["page"]))


def test_a_second_start_points_to_the_running_one(started: Callable[[], subprocess.Popen[str]]) -> None:
    address = first_line(started()).split()[3]
    second = started()
    assert first_line(second) == f"Engram is already running at {address}\n"
    assert second.wait(20) == 0


def test_a_page_that_cannot_start_shows_its_last_words(
    root: Path, started: Callable[[], subprocess.Popen[str]]
) -> None:
    (root / "serve.broken").touch()
    process = started()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "cannot work: serve" in errors


def test_a_worker_that_never_stays_up_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "worker.broken").touch()
    monkeypatch.setattr(launch, "QUICK_ENDS", 2)
    environment = child_environment(root, root) | page.page_settings(page.choose_port(None))
    command = [sys.executable, "-m", "app"]
    (root / "serve.log").touch()
    worker = launch.Child("worker", [*command, "worker"], root / "worker.log", environment, root)
    served = launch.Child("page", [*command, "serve"], root / "serve.log", environment, root)
    try:
        worker.start()
        served.start()
        with pytest.raises(StartError, match="cannot work: worker") as caught:
            launch.supervise(worker, served, lambda: None, pause_s=0.05)
        assert str(root / "worker.log") in caught.value.hint
    finally:
        launch.stop_all(worker, served)


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    launch._fresh_log(tmp_path, "worker").write_text("yesterday")
    assert launch._fresh_log(tmp_path, "worker").read_text() == ""
    assert (tmp_path / "logs" / "worker.previous.log").read_text() == "yesterday"


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        chosen = page.choose_port(None, usual=(taken,))
        assert chosen != taken
        assert page.port_is_free(chosen)


def test_a_port_asked_for_but_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(StartError, match="taken"):
        page.choose_port(server.getsockname()[1])


def test_the_page_stays_on_this_machine_and_sends_no_statistics() -> None:
    settings = page.page_settings(8501)
    assert settings["STREAMLIT_SERVER_ADDRESS"] == "127.0.0.1"
    assert settings["STREAMLIT_BROWSER_GATHER_USAGE_STATS"] == "false"


@pytest.mark.parametrize(
    ("environment", "platform", "seen"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
    ],
)
def test_a_browser_is_opened_only_where_it_is_seen(
    environment: dict[str, str], platform: str, seen: bool
) -> None:
    assert page.has_display(environment, platform) is seen


def test_a_stale_note_of_a_running_engram_is_ignored(tmp_path: Path) -> None:
    page.record_running(tmp_path, page.choose_port(None), {})
    assert page.running_address(tmp_path) is None
    page.running_file(tmp_path).write_text("{ half")
    assert page.running_address(tmp_path) is None


def test_two_setups_do_not_work_at_the_same_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = "import sys; from pathlib import Path; from bootstrap.processes import locked\n"
    code += "with locked(Path(sys.argv[1]), 'waiting'): print('in')"
    with locked(lock, "waiting"):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(lock)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert other.stderr is not None
        assert other.stderr.readline() == "waiting\n"
        assert other.poll() is None
    output, _ = other.communicate(timeout=10)
    assert output == "in\n"


def test_a_silent_program_is_said_to_be_working(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bootstrap.processes.QUIET_S", 0.05)
    lines: list[str] = []
    code = "import time; time.sleep(0.3); print('done')"
    assert stream([sys.executable, "-c", code], lines.append) == 0
    assert lines == ["done"]
    assert "still working" in capsys.readouterr().err
