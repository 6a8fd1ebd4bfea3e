"""The small parts of the app: errors in words, options, speed and time left, progress lines, access."""

from __future__ import annotations

import errno
import io
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.access import is_loopback, password_fits, protection
from app.commands.output import ProgressLine, clean, duration
from app.commands.serve import ROOT, check_address, page_command, page_environment
from app.errors import AppError, UserError, describe
from app.measuring import Stretch
from app.services import Services
from app.settings import Options
from app.task import Speed
from devices import DeviceError, Measurement, Meter
from engine.errors import ModelError, StateError
from engine.runs import RunStats
from storage import BusyError, InvalidInputError, Job, NotFoundError


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (UserError("empty_question", "Empty."), "empty_question", 2),
        (AppError("model_missing", "Missing."), "model_missing", 1),
        (NotFoundError("unknown_archive", "None."), "unknown_archive", 2),
        (InvalidInputError("bad_name", "Bad."), "bad_name", 2),
        (BusyError("database_locked", "Locked."), "database_locked", 1),
        (StateError("damaged", code="state_damaged"), "state_damaged", 1),
        (ModelError("none", code="no_model"), "no_model", 2),
        (DeviceError("no such device"), "device_error", 2),
        (OSError(errno.ENOSPC, "No space left", "/x"), "disk_full", 1),
        (MemoryError(), "out_of_memory", 1),
        (RuntimeError("a gear came loose"), "internal", 1),
    ],
)
def test_every_error_has_a_code_words_and_an_exit_code(error: Exception, code: str, exit_code: int) -> None:
    problem = describe(error)
    assert (problem.code, problem.exit_code) == (code, exit_code)
    assert problem.message


def test_an_error_is_one_line_whatever_it_holds() -> None:
    line = describe(UserError("x", "Two\nlines", "and\ta hint")).line()
    assert line == "error: Two lines. and a hint"


def test_arguments_win_over_the_environment_and_pass_to_children(tmp_path: Path) -> None:
    env = {"ENGRAM_HOME": str(tmp_path), "ENGRAM_DEVICE": "cuda", "ENGRAM_MODEL": "big"}
    options = Options.from_env(env, device="cpu")
    assert (options.home, options.device, options.model) == (tmp_path, "cpu", "big")
    assert Options.from_env(options.environment()) == options


def test_speed_counts_work_and_not_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    speed = Speed()
    assert speed.at(clock[0], 0) is None
    clock[0] += 2
    assert speed.at(clock[0], 20) == 10
    with speed.paused():
        clock[0] += 60
    clock[0] += 2
    assert speed.at(clock[0], 40) == 10


def test_speed_follows_what_happens_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    speed, done, rate = Speed(), 0, None
    for step in [1] * 60 + [5] * 60:
        rate = speed.at(clock[0], done)
        clock[0] += 1
        done += step
    assert rate == pytest.approx(5, rel=0.1)


def test_a_stretch_shared_with_a_question_has_no_energy_of_its_own() -> None:
    class Measuring(Meter):
        @contextmanager
        def measure(self) -> Any:
            yield Measurement(energy_j=5.0, power_w=1.0, source="a meter")

    run = RunStats(10, 1.0, 100, 1.1, 0.2)
    stretch = Stretch(Measuring(()))
    stretch.begin(100)
    alone = stretch.end(200, run)
    assert (alone["tokens"], alone["energy_j"], alone["power_source"]) == (100, 5.0, "a meter")
    stretch.begin(200)
    stretch.interrupted(3.0)
    time.sleep(0.01)
    shared = stretch.end(200, run)
    assert shared == {}
    stretch.begin(200)
    stretch._began_at -= 10
    stretch.interrupted(3.0)
    shared = stretch.end(300, run)
    assert shared["seconds"] == pytest.approx(7, abs=0.5)
    assert (shared["energy_j"], shared["power_source"]) == (None, "not available")


def job(**values: Any) -> Job:
    given = {"id": 1, "kind": "read", "status": "running", "done": 1024.0, "total": 4096.0, "unit": "tokens"}
    return Job(**(given | {"message": "reading a.txt", "rate": 512.0, "eta_s": 75.0} | values))


def test_progress_in_a_log_is_a_line_now_and_then() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for done in range(0, 4097, 64):
        line.show(job(done=float(done)))
    line.end()
    lines = stream.getvalue().splitlines()
    assert 8 <= len(lines) <= 12
    assert "reading a.txt: 832 of 4,096 tokens (20%), 512 tokens/s, 1 min 15 s left" in lines


def test_progress_on_a_terminal_renews_one_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    line = ProgressLine(stream)
    line.show(job(message="reading a long name"))
    line.show(job(message="b"))
    line.end()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().count("\r") >= 3


def test_names_cannot_drive_the_terminal() -> None:
    assert clean("a\x1b[31mred\x07\nb") == "a[31mred b"
    assert [duration(s) for s in (None, 4, 200, 7500)] == ["?", "4 s", "3 min 20 s", "2 h 5 min"]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.1.4", False),
        ("x", False),
    ],
)
def test_only_this_machines_addresses_are_open(address: str, local: bool) -> None:
    assert is_loopback(address) is local


def test_another_address_needs_a_password_or_oidc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services(Options(home=tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ENGRAM_PASSWORD", raising=False)
    with pytest.raises(UserError, match="without a password"):
        check_address("0.0.0.0", services)
    monkeypatch.setenv("ENGRAM_PASSWORD", "open sesame")
    check_address("0.0.0.0", services)
    assert password_fits("open sesame")
    assert not password_fits("open")
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    secrets.write_text('[auth]\ncookie_secret = "x"\n')
    assert protection({}, tmp_path) == "oidc"


def test_the_page_is_served_without_telemetry_and_with_our_options(tmp_path: Path) -> None:
    command = page_command("127.0.0.1", 8600)
    for pair in (
        ["--server.address", "127.0.0.1"],
        ["--browser.gatherUsageStats", "false"],
        ["--server.port", "8600"],
    ):
        at = command.index(pair[0])
        assert command[at : at + 2] == pair
    assert (ROOT / "streamlit_app.py").is_file()
    environment = page_environment(Services(Options(home=tmp_path, model="big")))
    assert (environment["ENGRAM_HOME"], environment["ENGRAM_MODEL"]) == (str(tmp_path), "big")


def test_a_page_open_to_the_network_takes_visitors_by_any_name() -> None:
    assert "--server.allowedHosts" not in page_command("127.0.0.1", None)
    command = page_command("0.0.0.0", None)
    assert command[command.index("--server.allowedHosts") + 1] == "*"


def test_an_empty_password_protects_nothing() -> None:
    assert protection({"ENGRAM_PASSWORD": ""}, Path("/nowhere")) in (None, "oidc")
    assert not password_fits("", {"ENGRAM_PASSWORD": ""})
