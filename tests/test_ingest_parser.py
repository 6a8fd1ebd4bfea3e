"""The parsing child process: reuse, limits, and what a person is told when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.ingest import ParseFailure, ParseLimits, Parser, parse, process

ROOT = Path(__file__).resolve().parents[1]
FAKE = """
import os, signal, sys, time
print('{"ready": true}', flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("Hello there")
    return path


def test_one_child_serves_many_files(note: Path):
    with Parser() as parser:
        parser.parse(note, "note.txt")
        first = parser._child
        parser.parse(note, "note.txt")
        assert parser._child is first


def test_a_child_that_died_between_files_is_replaced(note: Path):
    with Parser() as parser:
        parser.parse(note, "note.txt")
        assert parser._child is not None
        os.kill(parser._child._process.pid, signal.SIGKILL)
        parser._child._process.wait()
        assert parser.parse(note, "note.txt").text == "Hello there\n"


def test_closing_leaves_neither_child_nor_files(note: Path):
    parser = Parser()
    parser.parse(note, "note.txt")
    child, folder = parser._child, parser._folder
    parser.close()
    assert child is not None
    assert not child.alive
    assert folder is not None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed on this file (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by the system, most likely for lack of memory"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", "took longer than 1 s"),
        ("time.sleep(60)", "took longer than 1 s"),
        ("sys.exit(3)", "crashed on this file (exit code 3)"),
        ("print('{half a reply', end='')", "crashed on this file (exit code 0)"),
    ],
)
def test_a_dying_child_is_explained(note: Path, monkeypatch: pytest.MonkeyPatch, deed: str, words: str):
    monkeypatch.setattr(process, "_BOOTSTRAP", FAKE + deed)
    with pytest.raises(ParseFailure) as caught:
        parse(note, "note.txt", ParseLimits(seconds=1))
    assert words in caught.value.error
    assert caught.value.status == "failed"
    assert caught.value.hint


def test_a_child_that_cannot_start_is_explained(note: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_BOOTSTRAP", "raise SystemExit(1)")
    with pytest.raises(ParseFailure, match="could not be started"):
        parse(note, "note.txt")


def test_a_slow_file_is_stopped_and_the_next_one_read(tmp_path: Path, note: Path):
    slow = tmp_path / "slow.txt"
    slow.write_bytes(b"a-\n" * 10_000_000)
    with Parser(ParseLimits(seconds=1)) as parser:
        started = time.monotonic()
        with pytest.raises(ParseFailure, match="took longer than 1 s"):
            parser.parse(slow, "slow.txt")
        assert time.monotonic() - started < 5
        assert parser.parse(note, "note.txt").text == "Hello there\n"


def test_the_child_bounds_itself(note: Path):
    with Parser(ParseLimits(seconds=50, memory_mb=700)) as parser:
        parser.parse(note, "note.txt")
        assert parser._child is not None
        limits = Path(f"/proc/{parser._child._process.pid}/limits").read_text()
    shown = {line[:25].strip(): line[25:].split()[0] for line in limits.splitlines()[1:]}
    assert int(shown["Max address space"]) == 700 * 1024 * 1024
    assert int(shown["Max cpu time"]) in range(52, 55)
    assert shown["Max core file size"] == "0"


def test_parsing_works_without_the_resource_module(note: Path, monkeypatch: pytest.MonkeyPatch):
    hidden = "import sys\nsys.modules['resource'] = None\n"
    monkeypatch.setattr(process, "_BOOTSTRAP", hidden + process._BOOTSTRAP)
    assert parse(note, "note.txt").text == "Hello there\n"


def test_the_child_imports_neither_database_nor_torch(note: Path):
    code = process._BOOTSTRAP.replace("main()", "print(sorted(sys.modules))")
    command = [sys.executable, "-P", "-c", code, str(ROOT / "storage")]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "storage.ingest.child" in modules
    assert not any(f"'{name}'" in modules for name in ("sqlalchemy", "torch", "numpy", "lxml", "pypdf"))


def test_the_child_runs_as_a_module_too():
    command = [sys.executable, "-m", "storage.ingest.child"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == '{"ready": true}\n'


def test_ingest_imports_only_storage():
    for path in (ROOT / "storage" / "ingest").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for sibling in ("app", "engine", "kernels", "devices", "torch"):
            assert f"from {sibling}" not in source
            assert f"import {sibling}" not in source
