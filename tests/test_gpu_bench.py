"""The GPU measurements' dry run on a machine without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_step_runs_dry_and_writes_its_line(tmp_path):
    environment = os.environ | {"PYTHON": sys.executable, "OUT": str(tmp_path)}
    command = ["bash", str(ROOT / "tests" / "bench" / "gpu.sh"), "--tiny"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text("utf-8").splitlines()]
    steps = {line["settings"]["step"] for line in lines}
    assert steps == {
        "gla_correct", "window_correct", "spikes_correct", "gla_speed", "window_speed", "spike_speed",
        "event_speed", "search_speed", "small_reading", "small_decode", "large_reading", "large_decode",
        "first_token", "delta_correct", "delta_speed",
    }  # fmt: skip
    assert all(line["settings"]["dry_run"] and "failed" not in line for line in lines)


def test_a_step_that_fails_is_named_and_the_next_one_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    from tests.bench.gpu_timing import Runner

    def broken() -> None:
        raise RuntimeError("out of memory\nlong story")

    runner = Runner(tmp_path, tiny=True)
    runner.step("first", broken)
    runner.step("second", lambda: {"ms": 1.0})
    assert runner.finish() == 1
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text("utf-8").splitlines()]
    assert [line.get("failed") for line in lines] == ["RuntimeError: out of memory", None]
    assert '"failed": ["first"]' in capsys.readouterr().out
