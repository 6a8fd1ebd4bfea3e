"""start.py --window: a window of its own, which stops everything when closed; the desktop's menu."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_start_launch import FAKE_APP

from bootstrap import main, window
from bootstrap.console import StartError

ROOT = Path(__file__).resolve().parent.parent
SCREEN = {"DISPLAY": ":0"}


def test_without_a_display_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no display") as caught:
        window.window_command(tmp_path, {}, "linux")
    assert "Leave --window out" in caught.value.hint


def test_without_display_nothing_is_set_up_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(main, "ensure_environment", lambda *given, **named: pytest.fail("set up"))
    assert main.main(["--window"]) == 1
    assert "no display" in capsys.readouterr().err


def test_without_such_a_browser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "find_browser", lambda platform: None)
    with pytest.raises(StartError) as caught:
        window.window_command(tmp_path, SCREEN, "linux")
    assert "Install Chromium" in caught.value.hint


def test_the_window_has_a_profile_of_its_own_and_no_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert window.find_browser("linux", lambda name: None) is None
    assert window.find_browser("linux", lambda name: f"/bin/{name}") == "/bin/chromium"
    monkeypatch.setattr(window, "find_browser", lambda platform: "/usr/bin/chromium")
    command = window.window_command(tmp_path, SCREEN, "linux")
    assert command[0] == "/usr/bin/chromium"
    assert f"--user-data-dir={tmp_path / 'window'}" in command


def test_closing_the_window_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(FAKE_APP)
    browser = tmp_path / "bin" / "chromium"
    browser.parent.mkdir()
    browser.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\nsleep 1\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    code = (
        "import sys; from pathlib import Path; from bootstrap.launch import run; "
        "from bootstrap.processes import child_environment as e; r = Path(sys.argv[1]); "
        "sys.exit(run(Path(sys.executable), r, r / 'home', e(r, r / 'home'), window=True))"
    )
    own = {"DISPLAY": ":0", "PATH": f"{browser.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | own
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    assert "--app=http://127.0.0.1:" in (tmp_path / "asked").read_text()
    assert "The window was closed" in done.stderr
    assert not (tmp_path / "home" / "running.json").exists()


def test_the_desktop_entry_starts_the_window_whatever_the_folder_is_called(tmp_path: Path) -> None:
    strange = tmp_path / "my $files 100%"
    entry = window.install_entry(strange, {"XDG_DATA_HOME": str(tmp_path / "data")}, "linux")
    assert entry == tmp_path / "data" / "applications" / "engram.desktop"
    parsed = configparser.RawConfigParser()
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(entry, "utf-8")
    fields = dict(parsed["Desktop Entry"])
    assert fields["Name"] == "Engram"
    line = fields["Exec"].replace("\\\\", "\\").replace("\\$", "$").replace("%%", "%")
    words = shlex.split(line)
    assert words[1:] == [str(strange / "start.py"), "--window"]
    assert json.dumps(fields["Terminal"]) == '"false"'
    assert (ROOT / "assets" / "icon.svg").is_file()


def test_other_systems_are_told_what_to_do_instead(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Linux desktops"):
        window.install_entry(tmp_path, {}, "darwin")
