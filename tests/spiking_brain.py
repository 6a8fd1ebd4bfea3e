"""SpikingBrain-7B and W8ASpike over a whole sequence in plain arithmetic, from golden semantics 3 and 4."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from kernels.gla import gla_recurrent
from kernels.rotary import inverse_frequencies, rotate
from kernels.spike import encode_counts
from kernels.window import window_attention_reference


class PlainModel:
    """Reads a checkpoint folder; no cache, no chunks, every position absolute."""

    def __init__(self, folder: Path) -> None:
        self.c = json.loads((folder / "config.json").read_text("utf-8"))
        self.w = {name: t.float() for name, t in load_file(folder / "model.safetensors").items()}
        self.spiking = any(name.endswith("scales") for name in self.w)

    def logits(self, ids: list[int]) -> Tensor:
        """float32 [T, V]."""
        x = self.w["model.embeddings.weight"][torch.tensor(ids)]
        for i in range(self.c["num_hidden_layers"]):
            base = f"model.layers.{i}."
            mixer = self._window if i in self.c["attn_layers"] else self._gla
            x = x + mixer(base + "attn.", self._norm(x, base + "attn_norm"))
            inner = self._norm(x, base + "mlp_norm")
            gate, up = (self._linear(f"{base}mlp.{name}_proj", inner) for name in ("gate", "up"))
            x = x + F.linear(F.silu(gate) * up, self.w[base + "mlp.down_proj.weight"])
        return F.linear(self._norm(x, "model.norm"), self.w["lm_head.weight"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.w[name + ".weight"], self.c["norm_eps"])

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.w[name + ".weight"], self.w.get(name + ".bias")
        if not self.spiking:
            return F.linear(x, weight, bias)
        scales = self.w[name + ".weight_quantizer.scales"]
        groups = weight.view(len(weight), scales.shape[1], -1)
        counts, vth = encode_counts(x, 3.0)
        return F.linear(counts * vth, (torch.round(groups / scales) * scales).view_as(weight), bias)

    def _heads(self, name: str, x: Tensor) -> Tensor:
        dim = self.c["hidden_size"] // self.c["num_attention_heads"]
        return self._linear(name, x).view(len(x), -1, dim).transpose(0, 1)

    def _gla(self, base: str, x: Tensor) -> Tensor:
        q, k, v = (self._heads(f"{base}{name}_proj", x) for name in "qkv")
        if self.spiking:
            gate = self._heads(base + "gk_proj", x)
        else:
            low = F.linear(x, self.w[base + "gk_proj.0.weight"])
            gate = F.linear(low, self.w[base + "gk_proj.1.weight"], self.w[base + "gk_proj.1.bias"])
            gate = gate.view(len(x), len(k), -1).transpose(0, 1)
        group = len(q) // len(k)
        k, v, decay = (t.repeat_interleave(group, 0) for t in (F.relu(k), v, F.logsigmoid(gate) / 16))
        out, _ = gla_recurrent(F.relu(q), k, v, decay)
        return self._linear(base + "o_proj", self._norm(out, base + "g_norm").transpose(0, 1).flatten(1))

    def _window(self, base: str, x: Tensor) -> Tensor:
        q, k, v = (self._heads(f"{base}{name}_proj", x) for name in "qkv")
        q, k = (rotated(t, self.c["rope_theta"]) for t in (q, k))
        if self.spiking:
            counts, vth = encode_counts(q, 3.0)
            q, k, v = counts * vth, _int8(k), _int8(v)
        out, _ = window_attention_reference(q, k, v, self.c["sliding_window"])
        return self._linear(base + "o_proj", out.float().transpose(0, 1).flatten(1))


def rotated(x: Tensor, theta: float) -> Tensor:
    """`x` [H, T, D] at positions 0, 1, ...: the reference's float32 frequencies, angles in float64."""
    angle = torch.arange(x.shape[1])[:, None] * inverse_frequencies(x.shape[2], theta).double()
    return rotate(x, angle.cos().float(), angle.sin().float())


def _int8(x: Tensor) -> Tensor:
    scale = (x.abs().amax(-1, keepdim=True) / 127).clamp(1e-5, 1e4)
    return torch.round(x / scale).clamp(-128, 127) * scale
