"""The README cannot rot: every command and option it shows exists, and every file it points to."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.main import HELP, Request, parse

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.compile(r"python3? (?P<door>start\.py|-m app)(?P<words>[^\n`]*)")
LINK = re.compile(
    r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)|<img[^>]* src=\"(?!https?:)(?P<image>[^\"]+)\""
)
OF_START = ("", "setup", "test", "help", "desktop")
NAMED = re.compile(r"`(?P<file>(?:e2e/)?test_\w+\.py)::(?P<test>test_\w+)`")


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def shown_requests(text: str) -> Iterator[tuple[str, Request]]:
    """Every command line of a text as (the line, what start.py makes of it); placeholders are no commands."""
    for match in SHOWN.finditer(text):
        words = shlex.split(match["words"].replace("...", ""), comments=True)
        request = parse(words)
        if not re.match(r"[A-Z<\[{]", request.command):
            yield match[0], request


@functools.cache
def help_of(command: str) -> str:
    """What `python -m app COMMAND --help` prints; fails for a command that does not exist."""
    words = [sys.executable, "-m", "app", *([command] if command else []), "--help"]
    environment = os.environ | {"COLUMNS": "300"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"python -m app {command}: {done.stderr}"
    return done.stdout


def test_every_command_and_option_of_the_readme_exists() -> None:
    requests = list(shown_requests(readme()))
    assert any(request.command == "ask" for _, request in requests)
    for line, request in requests:
        if request.command in OF_START:
            assert "start.py" in line, line
            continue
        text = help_of(request.command)
        for option in (word.partition("=")[0] for word in request.rest if word.startswith("--")):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), f"{line}: no {option}"


def test_the_readme_starts_with_the_one_command_that_does_everything() -> None:
    assert next(shown_requests(readme()))[1].command == ""


@pytest.mark.parametrize("word", re.findall(r"serve .* export", HELP)[0].split())
def test_every_command_of_start_help_exists(word: str) -> None:
    assert word in help_of("")
    assert help_of(word)


def test_every_file_that_the_readme_points_to_exists() -> None:
    targets = [match["target"] or match["image"] for match in LINK.finditer(readme())]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_test_that_the_table_of_features_names_exists() -> None:
    rows = [line for line in (ROOT / "tests" / "README.md").read_text("utf-8").splitlines() if "::" in line]
    assert len(rows) > 20
    for row in rows:
        named = list(NAMED.finditer(row))
        assert named, row
        for match in named:
            source = ROOT / "tests" / match["file"]
            assert source.is_file(), match[0]
            assert re.search(rf"^def {match['test']}\(", source.read_text("utf-8"), re.M), match[0]


def test_the_readme_names_the_pythons_that_start_accepts() -> None:
    assert "3.11" in readme()
    assert "3.13" in readme()


def test_a_command_that_does_not_exist_is_found_out() -> None:
    [(_, request)] = shown_requests("Run `python3 start.py --home x dance --fast`.")
    assert (request.command, request.rest) == ("dance", ["--fast"])
    with pytest.raises(AssertionError):
        help_of(request.command)
