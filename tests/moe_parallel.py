"""The gla_swa_moe family over a whole sequence in plain arithmetic, and tiny random checkpoints of it."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine import Engine
from engine.config import parse_config
from engine.families import FAMILIES
from engine.sources import ShapeSource
from kernels.rotary import inverse_frequencies, rotate

CONFIG = {
    "model_type": "gla_swa_moe",
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "norm_eps": 1e-6,
    "rope_theta": 1e4,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "sliding_window": 12,
    "window_layers": [0, 1, 2],
    "full_layers": [3],
    "linear_layers": [0, 1, 2, 3],
    "linear_gate": "key",
    "num_sink_tokens": 5,
    "dense_layers": [0, 2],
    "num_experts": 4,
    "num_experts_per_tok": 1,
    "num_shared_experts": 1,
    "moe_intermediate_size": 40,
}


def tiny_moe_dir(folder: Path, seed: int = 0, **changes) -> Path:
    """Write a random checkpoint whose every tensor matters; `changes` go into its config."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = CONFIG | changes
    source = ShapeSource()
    FAMILIES["gla_swa_moe"].load(source, parse_config(raw), False, torch.float32)
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in source.shapes.items():
        value = torch.randn(shape, generator=draw)
        if name.endswith("norm.weight"):
            value = 1 + 0.3 * value
        elif len(shape) == 2 and "embeddings" not in name and "sink" not in name:
            value *= shape[1] ** -0.5 * (3 if "router" in name else 1)
        tensors[name] = value
    (folder / "config.json").write_text(json.dumps(raw), "utf-8")
    save_file(tensors, folder / "model.safetensors")
    return folder


def changed(folder: Path, target: Path, change) -> Engine:
    """The model of `folder` with its tensors changed in place, written to `target`."""
    target.mkdir()
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    (target / "config.json").write_text((folder / "config.json").read_text("utf-8"))
    save_file(tensors, target / "model.safetensors")
    return Engine.load(target)


class PlainMoe:
    """Reads a checkpoint folder; sinks and text are one sequence under one mask, token by token experts."""

    def __init__(self, folder: Path) -> None:
        self.c = json.loads((folder / "config.json").read_text("utf-8"))
        self.w = {name: t.double() for name, t in load_file(folder / "model.safetensors").items()}
        self.chosen: list[list[int]] = []

    def logits(self, ids: list[int]) -> Tensor:
        """float64 [T, V]."""
        self.chosen, sinks = [], self.c["num_sink_tokens"]
        x = self.w["model.embeddings.weight"][torch.tensor(ids)]
        if sinks:
            x = torch.cat((self.w["model.sink_tokens.weight"], x))
        for i in range(self.c["num_hidden_layers"]):
            base = f"model.layers.{i}."
            x = x + self._mixer(i, base + "attn.", self._norm(x, base + "attn_norm"))
            x = x + self._mlp(i, base + "mlp.", self._norm(x, base + "mlp_norm"))
        return F.linear(self._norm(x[sinks:], "model.norm"), self.w["lm_head.weight"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.w[name + ".weight"], self.c["norm_eps"])

    def _mixer(self, i: int, base: str, x: Tensor) -> Tensor:
        q, k, v = (
            F.linear(x, self.w[f"{base}{n}_proj.weight"], self.w.get(f"{base}{n}_proj.bias"))
            .view(len(x), -1, self.c["hidden_size"] // self.c["num_attention_heads"])
            .transpose(0, 1)
            for n in "qkv"
        )
        k, v = (t.repeat_interleave(len(q) // len(k), 0) for t in (k, v))
        heads = 0
        if i in self.c["window_layers"] + self.c["full_layers"]:
            left = self.c["sliding_window"] if i in self.c["window_layers"] else 10**9
            heads = self._softmax(q, k, v, left)
        if i in self.c["linear_layers"]:
            if self.c["window_layers"] + self.c["full_layers"]:
                heads = self._norm(heads, base + "s_norm")
            heads = heads + self._norm(tied_loop(q, k, v), base + "g_norm")
        return F.linear(heads.transpose(0, 1).flatten(1), self.w[base + "o_proj.weight"])

    def _softmax(self, q: Tensor, k: Tensor, v: Tensor, left: int) -> Tensor:
        """One query at a time: its own positions of the sinks, its own list of keys."""
        sinks, dim = self.c["num_sink_tokens"], q.shape[-1]
        theta = inverse_frequencies(dim, self.c["rope_theta"]).double()
        rows = []
        for t in range(q.shape[1]):
            place = t - sinks
            first = max(0, place - left)
            seen = list(range(sinks)) + ([sinks + j for j in range(first, place + 1)] if place >= 0 else [])
            distance = [
                place - (j - sinks) if j >= sinks or place < 0 else min(place, left) + sinks - j for j in seen
            ]
            angle = torch.tensor(distance).double()[:, None] * theta
            # Turning the query forward by its distance from the key is the rotary product of the two.
            turned = rotate(q[:, t : t + 1].expand(-1, len(seen), -1), angle.cos(), angle.sin())
            score = (turned * k[:, seen]).sum(-1) * dim**-0.5
            rows.append((torch.softmax(score, -1)[..., None] * v[:, seen]).sum(1))
        return torch.stack(rows, dim=1)

    def _mlp(self, i: int, base: str, x: Tensor) -> Tensor:
        if i in self.c["dense_layers"]:
            return self._swiglu(x, base)
        out = self._swiglu(x, base + "shared_experts.")
        chances = torch.softmax(F.linear(x, self.w[base + "router.weight"]), -1)
        self.chosen.append(chances.argmax(-1).tolist())
        for t in range(len(x)):
            for e in chances[t].topk(self.c["num_experts_per_tok"]).indices.tolist():
                joined = self.w[f"{base}experts.{e}.gate_up_proj.weight"] @ x[t]
                gate, up = joined.chunk(2)
                down = self.w[f"{base}experts.{e}.down_proj.weight"] @ (F.silu(gate) * up)
                out[t] += chances[t, e] * down
        return out

    def _swiglu(self, x: Tensor, base: str) -> Tensor:
        gate, up, down = (self.w[f"{base}{n}_proj.weight"] for n in ("gate", "up", "down"))
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def tied_loop(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """S = (1 - k) S + k v^T, o = q S / sqrt(D), q and k through a sigmoid; [H, T, D] each."""
    q, k = torch.sigmoid(q), torch.sigmoid(k)
    state, rows = q.new_zeros(len(q), q.shape[2], v.shape[2]), []
    for t in range(q.shape[1]):
        state = (1 - k[:, t])[..., None] * state + k[:, t, :, None] * v[:, t, None, :]
        rows.append((q[:, t, None, :] @ state)[:, 0] * q.shape[2] ** -0.5)
    return torch.stack(rows, dim=1)
