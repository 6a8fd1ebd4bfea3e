"""Reading, decoding and first tokens on the GPU, with random weights of the default model's and of
SpikingBrain-7B's shape.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.engine import Engine
from tests.bench.gpu_models import large, small
from tests.bench.gpu_timing import Runner, against
from tests.bench.record import RESULTS

MEASURED_S = 12.0
"""No longer context is tried once one took this long."""


def ids(engine: Engine, count: int) -> Iterator[int]:
    """Token ids without end in themselves, the same each time."""
    return itertools.islice(itertools.cycle(range(7, engine.config.vocab_size, 13)), count)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Wall clock until the device has finished."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def read(engine: Engine, count: int) -> None:
    """Read `count` tokens into a new state."""
    state = engine.new_state()
    for _ in engine.read(ids(engine, count), state):
        pass


class Reading:
    """The measurements of one model."""

    def __init__(self, runner: Runner, make: Callable[..., Engine], lengths: list[int]) -> None:
        self.run, self.make, self.lengths = runner, make, lengths
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """Made when first needed, so that a failure belongs to a step."""
        if self._engine is None:
            self._engine = self.make(self.run.device, self.run.tiny)
            read(self._engine, self.lengths[0])
        return self._engine

    def speed(self) -> Iterator[dict[str, Any]]:
        """Tokens a second by length: the median of three runs, one where it takes long."""
        engine = self.engine
        for length in self.lengths:
            times: list[float] = []
            while len(times) < (1 if self.run.tiny else 3) and not (times and times[-1] > MEASURED_S):
                times.append(seconds(lambda n=length: read(engine, n), self.run.device))
            middle = statistics.median(times)
            line = {"length": length, "runs": len(times), "tokens_per_s": round(length / middle, 1)}
            line |= {"s": round(middle, 4), "s_min": round(min(times), 4), "s_max": round(max(times), 4)}
            if self.run.device.type == "cuda":
                line["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
            yield line | {"backend": engine.backend, "weight_bytes": engine.nbytes}

    def decode(self) -> dict[str, Any]:
        """Milliseconds a token after a context, against reading every weight once at the speed of a copy."""
        engine, count = self.engine, 3 if self.run.tiny else 32
        state = engine.new_state()
        engine.hidden(list(ids(engine, self.lengths[0])), state)
        tokens = list(engine.generate([7], state, max_new_tokens=3, stop_ids=()))
        runs = []
        for _ in range(1 if self.run.tiny else 3):
            work = engine.generate(tokens[-1:], state, max_new_tokens=count, stop_ids=())
            runs.append(seconds(lambda w=work: list(w), self.run.device) / count)
        speed = self._copy_speed()
        floor = engine.nbytes / speed
        middle = statistics.median(runs)
        return {
            "ms_per_token": round(middle * 1000, 4), "tokens_per_s": round(1 / middle, 2),
            "floor_ms_per_token": round(floor * 1000, 4), "times_floor": round(middle / floor, 2),
            "copy_bytes_per_s": round(speed), "weight_bytes": engine.nbytes,
        }  # fmt: skip

    def _copy_speed(self) -> float:
        """Bytes a second that a copy reads and writes."""
        size = 1 << (16 if self.run.tiny else 30)
        source = torch.ones(size, dtype=torch.int8, device=self.run.device)
        target = torch.empty_like(source)
        times = self.run.interleaved({"copy": lambda: target.copy_(source)})
        return 2 * size / times["copy"] * 1000


def first_token(runner: Runner) -> Iterator[dict[str, Any]]:
    """Time to the first token of the default model's shape, and of the same with full attention (SDPA); what
    was not measured is fitted by a quadratic, and says so.
    """
    ours, full = small(runner.device, runner.tiny), small(runner.device, runner.tiny, full_attention=True)
    full.decoder._coders[0].ops.window_attention = _flash  # type: ignore[method-assign]
    lengths = [64, 96, 128] if runner.tiny else [16_384, 32_768, 65_536, 131_072, 262_144]
    seen: dict[int, float] = {}
    for length in lengths:
        if seen and max(seen.values()) * 4 > MEASURED_S * 2:
            break
        calls = {"ours": lambda n=length: _first(ours, n), "full_attention": lambda n=length: _first(full, n)}
        times = runner.interleaved(calls, rounds=3, repeat=1)
        seen[length] = times["full_attention"] / 1000
        yield against(times, length=length, fitted=False)
    x, y = np.array(list(seen)), np.array(list(seen.values()))
    fit = np.polyfit(x, y, 2) if len(x) > 2 else None
    for length in () if runner.tiny or fit is None else (262_144, 1_048_576, 2_097_152, 4_194_304):
        if length not in seen:
            mine = seconds(lambda n=length: _first(ours, n), runner.device)
            error = float(np.abs(np.polyval(fit, x) / y - 1).max())
            guess = float(np.polyval(fit, length))
            yield {
                "length": length, "fitted": True, "ours_s": round(mine, 3),
                "fitted_full_attention_s": round(guess, 3), "fit_error_share": round(error, 4),
                "fitted_speed_against_full_attention": round(guess / mine, 2),
            }  # fmt: skip


def _first(engine: Engine, count: int) -> None:
    state = engine.new_state()
    for _ in engine.read(ids(engine, count - 1), state):
        pass
    next(engine.generate([7], state, max_new_tokens=1, stop_ids=()))


def _flash(q, k, v, left, sinks=None, position=0):
    """Full attention as torch computes it best: queries [H, T, D] at the end of the keys [Hk, N, D]."""
    from torch.nn.attention.bias import causal_lower_right

    mask = causal_lower_right(q.shape[1], k.shape[1])
    wide = (x.repeat_interleave(q.shape[0] // k.shape[0], 0)[None] for x in (k, v))
    return (
        F.scaled_dot_product_attention(q[None].to(k.dtype), *wide, attn_mask=mask)[0].transpose(0, 1).float()
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["small", "large", "first_token"])
    parser.add_argument("--tiny", action="store_true", help="small sizes on the processor: a dry run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    runner = Runner(options.out, options.tiny)
    if options.what == "first_token":
        runner.step("first_token", lambda: first_token(runner))
        return runner.finish()
    lengths = {"small": [4096, 65_536, 262_144, 1_048_576], "large": [4096, 16_384, 65_536]}[options.what]
    model = Reading(
        runner, {"small": small, "large": large}[options.what], [40, 80] if options.tiny else lengths
    )
    runner.step(f"{options.what}_reading", model.speed)
    runner.step(f"{options.what}_decode", model.decode)
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main())
