"""The student on long text by segments: window attention with sinks, joined by gated linear attention.

Both branches share the projections: heads = SWA(q, k, v) + mix * norm(GLA(relu q, relu k, v, gate)), no
rotary positions in the second (DESIGN 4). State and window keys go on to the next segment without gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.convert.softmax import MASKED, attend_causally
from engine.convert.student import Student
from kernels.gla import gla_chunked

OPEN = 4.0
"""Initial bias of the gates: logsigmoid(4) / 16 forgets a thousandth a token."""


@dataclass(slots=True)
class Memory:
    """What one segment leaves to the next: rotated keys and values of each layer with the place of each, the
    unrotated keys and values of the sinks, and linear states.
    """

    position: int = 0
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    places: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    sinks: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    states: dict[int, Tensor] = field(default_factory=dict)


class GatedBranches(nn.Module):
    """Low-rank gates, norm and mix of the linear branch of some layers; mix starts at `mix`."""

    def __init__(
        self, layers: Sequence[int], width: int, keys: int, dim: int, heads: int, rank: int, mix: float
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.gates: dict[int, dict[str, nn.Parameter]] = {}
        for i in layers:
            values = {
                "down": torch.randn(rank, width, generator=draw) * width**-0.5,
                "up": torch.zeros(keys, rank),
                "bias": torch.full((keys,), OPEN),
                "norm": torch.ones(dim),
                "mix": torch.full((heads,), mix),
            }
            self.gates[i] = {name: nn.Parameter(value) for name, value in values.items()}
            for name, value in self.gates[i].items():
                self.register_parameter(f"{i}/{name}", value)

    def named_tensors(self) -> dict[str, nn.Parameter]:
        """The parameters under the names they have in an adapter file."""
        return {
            f"layers.{i}.gate.{part}": value
            for i, group in self.gates.items()
            for part, value in group.items()
        }


class Hybrid(Student):
    """A student with linear branches in `linear` layers; those in `alone` have no window beside it."""

    def __init__(
        self,
        folder: Path,
        linear: Sequence[int],
        alone: Sequence[int] = (),
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        fused: bool = False,
    ) -> None:
        super().__init__(folder, None, dtype=dtype, device=device, fused=fused)
        raw = self.raw
        self.window, self.sinks = raw["windows"][0], raw["sinks"]
        self.normalizer = raw["gate_normalizer"]
        self.alone = frozenset(alone)
        shape = (raw["hidden_size"], self.kv_heads * self.dim, self.dim, self.heads, raw["gate_rank"])
        self.branches = GatedBranches(linear, *shape, mix=1.0 if alone else 0.0).to(device)

    def segment(self, ids: Tensor, memory: Memory) -> list[Tensor]:
        """Residual streams [T, d] of the next tokens of a text; `memory` is carried on."""
        places = torch.arange(memory.position, memory.position + len(ids))
        turn = self.turn(places)
        known = torch.cat((memory.places, places))
        masks = self._masks(places, known)

        def attention(i: int, joined: Tensor, inner: Tensor) -> Tensor:
            q, k, v = self.heads_of(joined)
            out: Tensor | None = None
            if i not in self.alone:
                out = self._windowed(i, q, k, v, turn, masks, memory)
            if i in self.branches.gates:
                branch = self._linear_branch(i, q, k, v, inner, memory)
                out = branch if out is None else out + branch
            assert out is not None
            return out.reshape(len(ids), -1)

        streams = self.blocks(ids.to(self.device), attention)
        memory.position += len(ids)
        self._forget(memory, known)
        return streams

    def _linear_branch(
        self, i: int, q: Tensor, k: Tensor, v: Tensor, inner: Tensor, memory: Memory
    ) -> Tensor:
        gates = self.branches.gates[i]
        count = len(q)
        gate = F.linear(F.linear(inner, gates["down"]), gates["up"], gates["bias"])
        decay = F.logsigmoid(gate).div(self.normalizer).view(count, self.kv_heads, self.dim).transpose(0, 1)
        grouped = F.relu(q.float()).transpose(0, 1).reshape(self.kv_heads, -1, count, self.dim)
        keys, values = F.relu(k.float()).transpose(0, 1), v.float().transpose(0, 1)
        out, state = gla_chunked(grouped, keys, values, decay, memory.states.get(i))
        memory.states[i] = state.detach()
        heads = out.reshape(self.heads, count, self.dim).transpose(0, 1)
        normed = F.rms_norm(heads, (self.dim,), gates["norm"], self.eps) * gates["mix"][:, None]
        return normed.to(v.dtype)

    def _windowed(
        self,
        i: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        turn: tuple[Tensor, Tensor],
        masks: tuple[Tensor, Tensor],
        memory: Memory,
    ) -> Tensor:
        """The last `window` keys; beyond them the sinks, at the fixed distance the engine gives them."""
        keys = torch.cat((memory.keys.get(i, k[:0]), self.turned(k, *turn)))
        values = torch.cat((memory.values.get(i, v[:0]), v))
        if i not in memory.sinks:
            memory.sinks[i] = (k[: self.sinks].detach(), v[: self.sinks].detach())
        sink_keys, sink_values = memory.sinks[i]
        sink_keys = self.turned(sink_keys, *self.turn(torch.arange(-len(sink_keys), 0) - self.window))
        group, scale = self.heads // self.kv_heads, self.dim**-0.5
        scores = [
            torch.einsum("tgjd,ngd->gjtn", x.reshape(len(q), self.kv_heads, group, self.dim), y) * scale
            + mask
            for x, y, mask in zip((self.turned(q, *turn), q), (keys, sink_keys), masks, strict=True)
        ]
        shares = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
        out = torch.einsum("gjtn,ngd->tgjd", shares, torch.cat((values, sink_values)))
        memory.keys[i], memory.values[i] = keys.detach(), values.detach()
        return out.reshape(len(q), self.heads, self.dim)

    def _masks(self, places: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Additive masks over the window's keys [T, N] and over the sinks that have left it [T, S]."""
        back = places[:, None] - known[None, :]
        first = places[:, None] - torch.arange(min(self.sinks, int(known[-1]) + 1))[None, :]
        seen = ((back >= 0) & (back <= self.window), first > self.window)
        near, far = (torch.zeros(s.shape).masked_fill_(~s, MASKED).to(self.device, self.dtype) for s in seen)
        return near, far

    def _forget(self, memory: Memory, known: Tensor) -> None:
        kept = (known >= memory.position - self.window).nonzero().flatten()
        memory.places = known[kept]
        for held in (memory.keys, memory.values):
            for i in held:
                held[i] = held[i][kept.to(self.device)]


class Teacher(Student):
    """The base with full attention, for any length."""

    @torch.no_grad()
    def read(self, ids: Tensor) -> list[Tensor]:
        """Residual streams [T, d] of a whole text."""
        turn = self.turn(torch.arange(len(ids)))

        def attention(_: int, joined: Tensor, __: Tensor) -> Tensor:
            q, k, v = self.heads_of(joined)
            parts = (
                self.turned(q, *turn).transpose(0, 1),
                self.turned(k, *turn).transpose(0, 1),
                v.transpose(0, 1),
            )
            return attend_causally(*parts).transpose(0, 1).reshape(len(ids), -1)

        return self.blocks(ids.to(self.device), attention)
