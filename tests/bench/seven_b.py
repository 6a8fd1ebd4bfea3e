"""SpikingBrain-7B at full size through the product: memory at its peak, seconds to load, tokens a second.

python tests/bench/seven_b.py --folder FOLDER [--forms w8aspike bf16] [--layers 28] [--vocab 152064]

A checkpoint in the released form (golden README 3.2, 4.1: sharded bfloat16, W8ASpike with scales) is written
to FOLDER with random weights, 15 GB a form, added, checked, made default, loaded and run as any model is, and
deleted. No released weights are needed: speed and memory do not depend on their values.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.installing import adopt_model
from app.services import Services
from app.settings import Options
from app.worker import Worker
from engine.config import parse_config
from engine.convert.shard_writer import ShardWriter
from engine.families import FAMILIES
from engine.families.layout import SCALES
from engine.weights import ShapeSource
from storage import jobs
from tests.bench.record import ROOT, record
from tests.released import RELEASED_7B
from tests.tokenizer_files import train_backend

GROUP = 128
SHARD = 4 << 30
NOISE = 1 << 26
QUANTISED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "gk_proj")


def tensors(raw: dict[str, Any], spiking: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Random bfloat16 tensors of a whole checkpoint; pieces of one block of noise, drawn once."""
    draw = torch.Generator().manual_seed(0)
    noise = (torch.randn(NOISE, generator=draw) * 0.02).to(torch.bfloat16)
    source = ShapeSource()
    FAMILIES["gla_swa"].load(source, parse_config(raw, quantised=spiking), False, torch.bfloat16)
    for number, (name, shape) in enumerate(source.shapes.items()):
        count = torch.Size(shape).numel()
        if "norm" in name:
            yield name, torch.ones(shape, dtype=torch.bfloat16)
            continue
        rolled = noise.roll(number * 7919)
        yield name, rolled.repeat(-(-count // NOISE))[:count].view(shape)
        base = name.removesuffix(".weight")
        if spiking and name.endswith(".weight") and base.endswith(QUANTISED):
            groups = rolled.repeat(-(-count // NOISE))[:count].view(shape[0], -1, GROUP)
            yield base + SCALES, groups.abs().amax(dim=-1, keepdim=True) / 127


def write(folder: Path, raw: dict[str, Any], spiking: bool) -> int:
    """The checkpoint, and the bytes of its files."""
    shapes = ShapeSource()
    FAMILIES["gla_swa"].load(shapes, parse_config(raw, quantised=spiking), False, torch.bfloat16)
    total = 2 * sum(torch.Size(shape).numel() for shape in shapes.shapes.values())
    with ShardWriter(folder, total, "writing", SHARD) as writer:
        for name, tensor in tensors(raw, spiking):
            writer.add(name, tensor)
        train_backend().save(str(writer.folder / "tokenizer.json"))
        named = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
        (writer.folder / "tokenizer_config.json").write_text(json.dumps(named))
        writer.finish(raw)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@contextmanager
def watched(values: dict[str, Any], name: str) -> Iterator[None]:
    """Seconds of the body, and the most resident memory in it."""
    process, over = psutil.Process(), threading.Event()
    peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.perf_counter()
    try:
        yield
    finally:
        values[f"{name}_s"] = round(time.perf_counter() - started, 2)
        over.set()
        thread.join()
        values[f"{name}_peak_rss_bytes"] = peak


def measure(home: Path, source: Path, read: int, written: int) -> dict[str, Any]:
    """Add, check, make default, load, read and decode; run in a process of its own."""
    values: dict[str, Any] = {}
    services = Services(Options(home=home))
    with services.database.session() as s:
        job = jobs.enqueue(s, "model", None, {"do": "add", "source": str(source), "name": "seven"})
    with watched(values, "add_and_check"):
        Worker(services).run_until_idle()
    with services.database.session() as s:
        done = jobs.get_job(s, job.id)
    if done.status != "done" or done.result is None or done.result["inspection"]["problems"]:
        raise SystemExit(f"the model could not be added: {done.error or done.result}")
    values["planned_weights_bytes"] = done.result["inspection"]["plan"]["weights"]
    with watched(values, "make_default"):
        adopt_model(services, "seven")
    before = psutil.Process().memory_info().rss
    with watched(values, "load"):
        engine = services.engine
    values["weights_bytes"] = engine.nbytes
    beyond = values["load_peak_rss_bytes"] - before - engine.nbytes
    values |= {"rss_before_bytes": before, "load_peak_beyond_weights_bytes": beyond}
    ids = torch.randint(0, engine.config.vocab_size, (read,), generator=torch.Generator().manual_seed(1))
    state = engine.new_state()
    list(engine.read(ids[:16].tolist(), state))
    with watched(values, "read"):
        list(engine.read(ids[16:].tolist(), state))
    values["read_tokens_per_s"] = round((read - 16) / values["read_s"], 3)
    with watched(values, "decode"):
        list(engine.generate(ids[:1].tolist(), state, max_new_tokens=written, stop_ids=()))
    values["decode_tokens_per_s"] = round(written / values["decode_s"], 3)
    run = engine.last_run
    values |= {"spikes_per_channel": run.spikes_per_channel if run else None, "state_bytes": state.nbytes}
    values |= {"backend": engine.backend, "description": engine.config.describe()}
    services.close()
    return values


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for files; never in the repository")
    parser.add_argument("--forms", nargs="+", default=["w8aspike", "bf16"], choices=("w8aspike", "bf16"))
    parser.add_argument("--layers", type=int, default=RELEASED_7B["num_hidden_layers"])
    parser.add_argument("--vocab", type=int, default=RELEASED_7B["vocab_size"])
    parser.add_argument("--read", type=int, default=256, help="tokens to read")
    parser.add_argument("--write", type=int, default=16, help="tokens to decode")
    parser.add_argument("--out", type=Path, help="results file (default: results/seven_b.jsonl)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.folder, options.measure, options.read, options.write)))
        return
    folder = options.folder.absolute()
    if folder.is_relative_to(ROOT):
        parser.error("--folder must lie outside the repository")
    raw = RELEASED_7B | {"num_hidden_layers": options.layers, "vocab_size": options.vocab}
    raw["attn_layers"] = list(range(1, options.layers, 2))
    for form in options.forms:
        source, home = folder / form, folder / f"home-{form}"
        try:
            size = write(source, raw, form == "w8aspike")
            command = [sys.executable, __file__, "--folder", str(home), "--measure", str(source)]
            command += ["--read", str(options.read), "--write", str(options.write)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            settings = {"form": form, "layers": options.layers, "vocab": options.vocab}
            settings |= {"read": options.read, "write": options.write, "file_bytes": size}
            record("seven_b", settings, json.loads(done.stdout.splitlines()[-1]), options.out)
        finally:
            shutil.rmtree(source, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
