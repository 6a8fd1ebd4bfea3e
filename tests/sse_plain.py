"""SpikingBrain-2.0 over a whole sequence in plain arithmetic, from golden semantics 7."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from spiking_brain import rotated
from torch import Tensor

from kernels.delta import delta_recurrent
from kernels.moba import moba_reference
from kernels.window import window_attention_reference


class PlainSparseModel:
    """Reads a checkpoint folder; no cache, no chunks, every position absolute."""

    def __init__(self, folder: Path) -> None:
        self.c = json.loads((folder / "config.json").read_text("utf-8"))
        self.a = self.c["attn"]
        self.w = load_file(folder / "model.safetensors")

    def logits(self, ids: list[int]) -> Tensor:
        """float32 [T, V]."""
        table = self.w["model.embeddings.weight"]
        x = table[torch.tensor(ids)]
        for i in range(self.c["num_hidden_layers"]):
            base = f"model.layers.{i}."
            mixer = self._blocks if i in self.a["layers"] else self._sparse
            x = x + mixer(base + "attn.", self._norm(x, base + "attn_norm"), i)
            inner = self._norm(x, base + "mlp_norm")
            gate, up = (self._linear(f"{base}mlp.{name}_proj", inner) for name in ("gate", "up"))
            x = x + self._linear(base + "mlp.down_proj", F.silu(gate) * up)
        return self._norm(x, "model.norm") @ table.T

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.w[name + ".weight"], self.c["norm_eps"])

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[name + ".weight"])

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1, self.c["head_dim"]).transpose(0, 1)

    def _softmax_inputs(self, base: str, x: Tensor) -> list[Tensor]:
        q, k, v = (self._heads(self._linear(f"{base}{name}_proj", x)) for name in "qkv")
        if self.a["qk_norm"]:
            q, k = self._norm(q, base + "q_norm"), self._norm(k, base + "k_norm")
        return [rotated(q, self.a["rope_theta"]), rotated(k, self.a["rope_theta"]), v]

    def _blocks(self, base: str, x: Tensor, layer: int) -> Tensor:
        topk = None if layer in self.a["full_layers"] else self.a["moba_topk"]
        out = moba_reference(*self._softmax_inputs(base, x), self.a["moba_chunk_size"], topk)
        return self._linear(base + "o_proj", out.float().transpose(0, 1).flatten(1))

    def _sparse(self, base: str, x: Tensor, _layer: int) -> Tensor:
        window, _ = window_attention_reference(
            *self._softmax_inputs(base + "swa_", x), self.a["window_size"] - 1
        )
        window = self._linear(base + "swa_o_proj", window.float().transpose(0, 1).flatten(1))
        heads = self._norm(self._expanded(base, x), base + "sse_o_norm").transpose(0, 1).flatten(1)
        halves = self._linear(base + "sse_o_proj", heads), window
        merged = (
            self._norm(half, base + f"{n}_merge_norm") for half, n in zip(halves, ("sse", "swa"), strict=True)
        )
        return sum(merged) / 2

    def _expanded(self, base: str, x: Tensor) -> Tensor:
        q, k, v = (self._linear(f"{base}sse_{name}_proj", x) for name in "qkv")
        low = [self._linear(f"{base}lora_{name}_proj.0", x) for name in "qk"]
        other = [self._linear(f"{base}lora_{n}_proj.1", y) for n, y in zip("qk", low, strict=True)]
        q, k, other_q, other_k, v = (self._heads(F.silu(y)) for y in (q, k, q + other[0], k + other[1], v))
        gate = F.softplus(self._linear(base + "sse_a_proj", x) + self.w[base + "dt_bias"])
        decay = (-self.w[base + "A_log"].exp() * gate).T
        beta = self._linear(base + "sse_b_proj", x).sigmoid().T
        share = self._linear(base + "sse_e_proj", x).softmax(-1)
        heads = len(q)
        out, _ = delta_recurrent(q, k, v, decay[:heads], beta[:heads])
        for j in range(share.shape[1]):
            mine = (share.topk(self.c["num_reader"], dim=-1).indices == j).any(-1)
            some = share[mine, j, None]
            parts = other_q[:, mine] * some, other_k[:, mine] * some, v[:, mine]
            out[:, mine] += delta_recurrent(*parts, decay[heads:, mine], beta[heads:, mine])[0]
        return out
