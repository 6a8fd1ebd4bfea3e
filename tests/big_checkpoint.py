"""A synthetic checkpoint of some hundred megabytes, and what loading it costs in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[1]
CONFIG = {
    "model_type": "llama",
    "vocab_size": 64_000,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": 2,
    "num_attention_heads": 10,
    "num_key_value_heads": 10,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
MEASURE = """
import json, sys, threading, time
import psutil
from engine import Engine
from engine.host import prepare_cpu
prepare_cpu()
me = psutil.Process()
def cost(dtype):
    before = peak = me.memory_info().rss
    over = threading.Event()
    def watch():
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, me.memory_info().rss)
    thread = threading.Thread(target=watch); thread.start()
    engine = Engine.load(sys.argv[1], dtype=dtype)
    over.set(); thread.join()
    return {"weights": engine.nbytes, "peak": peak - before}
print(json.dumps({dtype: cost(dtype) for dtype in ("bfloat16", "float32")}))
"""


def write_big_llama(folder: Path) -> Path:
    """Two shards of bfloat16 with an index; the embedding alone has 82 MB."""
    folder.mkdir()
    d, inner, vocab = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    tables = {
        "model.embed_tokens.weight": (vocab, d),
        "lm_head.weight": (vocab, d),
        "model.norm.weight": (d,),
    }
    layers: dict[str, tuple[int, ...]] = {}
    for i in range(CONFIG["num_hidden_layers"]):
        base = f"model.layers.{i}."
        layers |= {base + f"{name}.weight": (d,) for name in ("input_layernorm", "post_attention_layernorm")}
        layers |= {f"{base}self_attn.{name}_proj.weight": (d, d) for name in "qkvo"}
        layers |= {f"{base}mlp.{name}_proj.weight": (inner, d) for name in ("gate", "up")}
        layers[base + "mlp.down_proj.weight"] = (d, inner)
    placed = {}
    for number, shapes in enumerate((tables, layers), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({n: torch.ones(s, dtype=torch.bfloat16) for n, s in shapes.items()}, folder / file)
        placed |= dict.fromkeys(shapes, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def loading_cost(folder: Path) -> dict[str, dict[str, int]]:
    """By dtype: bytes of the weights, and of resident memory that loading adds at its peak."""
    command = [sys.executable, "-c", MEASURE, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGRAM_NATIVE": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    cost: dict[str, dict[str, int]] = json.loads(done.stdout)
    return cost
