"""Timing on a GPU, by its own clock, and steps that go on after another's failure."""

import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import triton

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.record import record

Call = Callable[[], Any]


class Runner:
    """Runs measurements one after the other; each result is a line of `folder`/gpu.jsonl, failures too."""

    def __init__(self, folder: Path, tiny: bool) -> None:
        self.tiny = tiny
        self.device = torch.device("cpu" if tiny else "cuda")
        self.failed: list[str] = []
        self._file = folder / "gpu.jsonl"

    def step(self, name: str, measure: Call) -> None:
        """Run `measure`, which returns a dictionary or makes several; each is written as it comes."""
        started = time.perf_counter()
        try:
            found = measure()
            for values in [found] if isinstance(found, dict) else found:
                self._write(name, started, values)
        except Exception as error:
            traceback.print_exc()
            self.failed.append(name)
            self._write(name, started, {"failed": f"{type(error).__name__}: {error}".splitlines()[0]})
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _write(self, name: str, started: float, values: dict[str, Any]) -> None:
        spent = round(time.perf_counter() - started, 1)
        settings = {"step": name, "triton": triton.__version__, "dry_run": self.tiny, "step_s": spent}
        record("gpu", settings, values, self._file)

    def finish(self) -> int:
        """The exit code: 1 if a step failed."""
        print(json.dumps({"failed": self.failed}), flush=True)
        return 1 if self.failed else 0

    def interleaved(self, calls: dict[str, Call], rounds: int = 5, repeat: int = 3) -> dict[str, float]:
        """Median milliseconds of each call, measured in turn (A B A B ...) after two warm-ups each."""
        rounds, repeat = (1, 1) if self.tiny else (rounds, repeat)
        for call in calls.values():
            for _ in range(1 if self.tiny else 2):
                call()
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(self.milliseconds(call, repeat))
        return {name: statistics.median(found) for name, found in times.items()}

    def milliseconds(self, call: Call, repeat: int = 1) -> float:
        """Mean milliseconds of `repeat` calls, by the device's clock."""
        if self.device.type != "cuda":
            started = time.perf_counter()
            for _ in range(repeat):
                call()
            return (time.perf_counter() - started) * 1000 / repeat
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for _ in range(repeat):
            call()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / repeat


def against(times: dict[str, float], **more: Any) -> dict[str, Any]:
    """A result line: milliseconds of each, and how many times as fast as each peer the first is."""
    ours, *peers = times
    line: dict[str, Any] = {f"{name}_ms": round(value, 4) for name, value in times.items()}
    line |= {f"speed_against_{peer}": round(times[peer] / times[ours], 3) for peer in peers}
    return line | more
