"""The command line as real processes: what they load, how they stop, who does the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_home import make_home, prose, write_files
from cli_home import FILES, QUESTION, ROOT, archive, environment, home, run

from app.services import Services
from app.settings import Options
from storage import WorkerRecord, jobs

__all__ = ["archive", "home"]  # fixtures


def workers(services: Services) -> list[WorkerRecord]:
    with services.database.session() as s:
        return jobs.list_workers(s)


def newest(services: Services, kind: str) -> Any:
    with services.database.session() as s:
        return next((job for job in jobs.list_jobs(s) if job.kind == kind), None)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def test_ingest_then_ask_in_processes_of_their_own(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    folder = write_files(tmp_path / "in", {**FILES, "empty.txt": ""})
    done = run("ingest", "Papers", str(folder), home=home)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 documents read" in done.stdout
    assert "in/empty.txt" in done.stderr
    assert "tokens/s" in done.stderr or "tokens (100%)" in done.stderr
    asked = run("ask", "Papers", QUESTION, "--json", home=home)
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["question"] == QUESTION
    assert [item["document"] for item in answer["context"]["not_read"]] == ["in/empty.txt"]


@pytest.mark.parametrize("words", [["--help"], ["archives"], ["export", "Papers", "--out", "{}/x.md"]])
def test_light_commands_do_not_load_the_model_library(
    archive: str, home: Path, tmp_path: Path, words: list[str]
) -> None:
    words = [word.format(tmp_path) for word in words]
    code = (
        "import sys; from app.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(7 if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(
        command, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_environment_is_set_before_torch_can_be_loaded() -> None:
    code = (
        "import os, runpy, sys; sys.argv = ['app', '--help']\n"
        "try: runpy.run_module('app', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    bare = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run([sys.executable, "-c", code], env=bare, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "PASSIVE 0 False"


def test_a_question_put_to_a_living_worker_is_answered_by_it(archive: str, home: Path) -> None:
    command = [sys.executable, "-m", "app", "worker"]
    worker = subprocess.Popen(command, env=environment(home), cwd=ROOT, stderr=subprocess.DEVNULL)
    services = Services(Options(home=home))
    try:
        wait_until(lambda: any(record.alive for record in workers(services)))
        done = run("ask", archive, QUESTION, "--json", home=home)
        assert done.returncode == 0, done.stderr
        job = newest(services, "ask")
        assert job.status == "done"
        assert f":{worker.pid}:" in (job.worker or "")
    finally:
        worker.terminate()
        assert worker.wait(timeout=30) == 0


def test_ctrl_c_while_reading_saves_and_hands_back(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    folder = write_files(tmp_path / "in", {f"{n}.txt": prose(n, 60) for n in range(12)})
    services = Services(Options(home=home))
    command = [sys.executable, "-m", "app", "ingest", "Papers", str(folder)]
    process = subprocess.Popen(command, env=environment(home), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (job := newest(services, "read")) is not None and job.done > 1024)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert told.splitlines()[-1].endswith("Run the same command again to go on.")
    assert newest(services, "read").status == "queued"
    assert list(home.glob("states/*/*.state"))
