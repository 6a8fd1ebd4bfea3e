"""start.py: what its words mean, which Python it refuses, and the environment it hands on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import start
from bootstrap import main as boot
from bootstrap.console import StartError
from bootstrap.environment import Environment
from bootstrap.processes import child_environment, replace
from storage import Home

ROOT = Path(__file__).resolve().parent.parent


class Calls:
    """Stands in for everything that start.py would set going, and notes what it would have been."""

    def __init__(self) -> None:
        self.testing: bool | None = None
        self.ocr: bool | None = None
        self.model_home: Path | None = None
        self.command: list[str] = []
        self.environment: dict[str, str] = {}
        self.run_options: tuple[int | None, bool] | None = None
        self.window: bool | None = None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    seen = Calls()

    def ensure_environment(env: Environment, testing: bool = False, ocr: bool = False) -> None:
        seen.testing, seen.ocr = testing, ocr

    def ensure_model(env: Environment, home: Path, environment: dict[str, str]) -> None:
        seen.model_home = home

    def fake_replace(command: list[object], environment: dict[str, str], cwd: Path | None = None) -> int:
        seen.command = [str(word) for word in command]
        seen.environment = environment
        return 7

    def run(
        python: Path,
        root: Path,
        home: Path,
        environment: dict[str, str],
        port: int | None,
        browser: bool,
        window: bool,
    ) -> int:
        seen.run_options = (port, browser)
        seen.window = window
        seen.environment = environment
        return 0

    monkeypatch.setattr(boot, "ensure_environment", ensure_environment)
    monkeypatch.setattr(boot, "ensure_model", ensure_model)
    monkeypatch.setattr(boot, "replace", fake_replace)
    monkeypatch.setattr(boot, "run", run)
    return seen


@pytest.mark.parametrize("version", [(3, 11), (3, 12, 1), (3, 13, 0)])
def test_supported_pythons_are_accepted(version: tuple[int, ...]) -> None:
    assert start.refusal(version) is None


@pytest.mark.parametrize("version", [(2, 7), (3, 10, 13), (3, 14, 0), (4, 0)])
def test_other_pythons_are_refused_with_the_supported_ones_named(version: tuple[int, ...]) -> None:
    problem = start.refusal(version)
    assert problem is not None
    assert "3.11 to 3.13" in problem
    assert f"Python {version[0]}.{version[1]}" in problem


def test_pyproject_and_start_agree_on_the_pythons() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert start.OLDEST == (3, 11)
    assert start.NEWEST == (3, 13)
    assert 'requires-python = ">=3.11,<3.14"' in text


def test_start_py_keeps_to_syntax_that_an_old_python_parses() -> None:
    text = (ROOT / "start.py").read_text()
    assert not re.search(r"""\bf["']|->|:=|: (str|int|tuple)\b""", text)


def test_no_word_sets_up_everything_and_runs(calls: Calls, tmp_path: Path) -> None:
    assert boot.main(["--home", str(tmp_path), "--port", "8600", "--no-browser"]) == 0
    assert calls.run_options == (8600, False)
    assert calls.model_home == tmp_path
    assert calls.testing is False


def test_setup_prepares_the_model_and_runs_nothing(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert boot.main(["setup", "--home", str(tmp_path)]) == 0
    assert calls.model_home == tmp_path
    assert calls.command == []
    assert calls.run_options is None
    assert str(tmp_path) in capsys.readouterr().err


def test_text_recognition_is_set_up_only_when_asked_for(calls: Calls, tmp_path: Path) -> None:
    boot.main(["setup", "--home", str(tmp_path)])
    assert calls.ocr is False
    boot.main(["setup", "--ocr", "--home", str(tmp_path)])
    assert calls.ocr is True


def test_test_needs_no_model_and_hands_its_words_to_pytest(calls: Calls) -> None:
    assert boot.main(["test", "-k", "storage", "--home"]) == 7
    assert calls.testing is True
    assert calls.model_home is None
    assert calls.command[1:] == ["-m", "pytest", "-k", "storage", "--home"]


def test_any_other_word_is_a_command_of_the_app(calls: Calls) -> None:
    assert boot.main(["--json", "ask", "law", "Who won?", "--document", "a.pdf"]) == 7
    assert calls.command[1:] == ["-m", "app", "--json", "ask", "law", "Who won?", "--document", "a.pdf"]
    assert calls.model_home is not None


@pytest.mark.parametrize(
    "words",
    [
        ["archives"],
        ["devices"],
        ["ask", "--help"],
        ["--model", "/some/folder", "ask"],
        ["ask", "--model=/some/folder"],
    ],
)
def test_the_model_is_prepared_only_where_it_is_used(calls: Calls, words: list[str]) -> None:
    assert boot.main(words) == 7
    assert calls.model_home is None


def test_home_is_found_after_the_command_too(calls: Calls, tmp_path: Path) -> None:
    boot.main(["ask", "law", "Who?", "--home", str(tmp_path)])
    assert calls.model_home == tmp_path
    assert calls.environment["ENGRAM_HOME"] == str(tmp_path)


def test_options_reach_the_children_through_their_environment(calls: Calls) -> None:
    boot.main(["--device=cpu", "--model", "m", "--database", "sqlite:///x.db"])
    wanted = {"ENGRAM_DEVICE": "cpu", "ENGRAM_MODEL": "m", "ENGRAM_DATABASE_URL": "sqlite:///x.db"}
    assert wanted.items() <= calls.environment.items()


@pytest.mark.parametrize("words", [["--home"], ["--nonsense"], ["--port", "many"], ["--port", "70000"]])
def test_a_mistake_in_the_words_is_exit_code_2(
    calls: Calls, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert boot.main(words) == 2
    assert words[0] in capsys.readouterr().err
    assert calls.testing is None


def test_a_failure_says_what_failed_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(env: Environment, testing: bool = False, ocr: bool = False) -> None:
        raise StartError("The disk is full.", "Free some.")

    monkeypatch.setattr(boot, "ensure_environment", fail)
    assert boot.main(["setup"]) == 1
    assert capsys.readouterr().err == "start.py: The disk is full.\nFree some.\n"


def test_a_full_disk_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(env: Environment, testing: bool = False, ocr: bool = False) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boot, "ensure_environment", fail)
    assert boot.main(["setup"]) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_the_usual_home_is_the_one_the_app_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENGRAM_HOME")
    assert boot.home_folder(None) == Home.default().path


def test_children_sleep_in_openmp_and_find_our_packages_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    environment = child_environment(tmp_path, tmp_path / "home")
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["GOMP_SPINCOUNT"] == "0"
    assert environment["PYTHONPATH"] == str(tmp_path)
    assert "PYTHONHOME" not in environment


def test_the_exit_code_of_a_command_is_its_own() -> None:
    code = "import os, sys; from bootstrap.processes import replace; "
    code += "replace([sys.executable, '-c', 'import sys; sys.exit(42)'], os.environ)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ).returncode == 42
    assert replace.__doc__


def test_help_names_every_form_and_works_before_anything_is_set_up() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "start.py"), "--help"], capture_output=True, text=True, check=True
    )
    words = ("setup", "test", "COMMAND", "--home", "--port", "--device", "--model", "--database", "--json")
    assert [word for word in words if word not in done.stdout] == []
    assert done.stderr == ""
