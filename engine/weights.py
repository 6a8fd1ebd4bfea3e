"""Weights of a decoder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.coding import Linear


@dataclass(frozen=True, slots=True)
class LowRank:
    """A gate in two steps on the normalised stream: `down` [rank, d], `up` [Hk D, rank], `bias` [Hk D]."""

    down: Tensor
    up: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Gates:
    """Weights of one gated linear attention branch: its decay (a Linear takes the input that q, k, v take,
    None is tied to the key), the norm of its heads [D]; `mix` [H] scales it in parallel use, None where it
    stands alone; `softmax_norm` [D] is of the softmax heads it is added to, where those are normalised too.
    """

    decay: LowRank | Linear | None
    norm: Tensor
    mix: Tensor | None
    softmax_norm: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts of one layer: `router` float32 [N, d], and of each expert `gate_up` [2 I, d] and
    `down` [d, I].
    """

    router: Tensor
    gate_up: tuple[Linear, ...]
    down: tuple[Linear, ...]


@dataclass(frozen=True, slots=True)
class SparseState:
    """Sparse state expansion of one layer (golden README 7.2): `qkv` [3 H D, d]; the low-rank steps `low`
    [2 D, d], `up_q` and `up_k` [H D, D]; float32 `gates` [4 H, d] (decay, then write strength), `decay` and
    `bias` [2 H], `router` [N, d]; `norm` [D] of its heads, `out` [d, H D]; norms [d] of what it and the
    window give.
    """

    qkv: Linear
    low: Tensor
    up_q: Tensor
    up_k: Tensor
    gates: Tensor
    decay: Tensor
    bias: Tensor
    router: Tensor
    norm: Tensor
    out: Linear
    merge_norm: Tensor
    window_norm: Tensor


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer: `qkv` [(H + 2 Hk) D, d], `out` [d, H D], `gate_up` [2 I, d], `down` [d, I]; norms of queries
    and keys [D] where the family has them. Beside routed `experts`, `gate_up` and `down` are the shared ones.
    """

    attn_norm: Tensor
    qkv: Linear
    out: Linear
    gates: Gates | None
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear
    q_norm: Tensor | None = None
    k_norm: Tensor | None = None
    experts: Experts | None = None
    sparse: SparseState | None = None


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """Recall codes: weighted mean hidden state after `layer` layers, minus a mean [d], times a projection
    [bits, d], by sign.

    Passages (read inside a stream) and questions (read alone) have their own mean and projection. `salience`
    [V]: how much each token counts (None: all the same).
    """

    layer: int
    mean: Tensor
    projection: Tensor
    query_mean: Tensor
    query_projection: Tensor
    salience: Tensor | None = None

    def weigh(self, ids: Tensor, separator: int | None) -> Tensor:
        """How much each of the tokens [T] counts in a mean: float32 [T]; a separator counts nothing."""
        weights = torch.ones(len(ids), device=ids.device) if self.salience is None else self.salience[ids]
        return weights if separator is None else weights * (ids != separator)


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """What a passage promises, told after `layer` layers of reading it with a question: the sum over its two
    features (`engine.sifting.Prompt.features`) times `directions` [2, d].
    """

    layer: int
    directions: Tensor


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """All tensors of a decoder; `embedding` is looked up, `head` gives logits; `sinks` [S, d] float32 are
    embeddings of learned sink tokens.
    """

    embedding: Linear
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Linear
    recall: RecallWeights | None
    sinks: Tensor | None = None
    ranking: RankingWeights | None = None

    def arranged(self, arrange: Callable[[Tensor], Tensor]) -> "ModelWeights":
        """The same weights, INT8 ones of the layers (not of the tables) laid out by `arrange`."""

        def linear(part: Linear) -> Linear:
            return replace(part, weight=arrange(part.weight)) if part.weight.dtype == torch.int8 else part

        layers = [
            replace(x, qkv=linear(x.qkv), out=linear(x.out), gate_up=linear(x.gate_up), down=linear(x.down))
            for x in self.layers
        ]
        return replace(self, layers=tuple(layers))

    def nbytes(self) -> int:
        """Bytes of all distinct tensors."""
        seen: dict[int, int] = {}

        def visit(value: Any) -> None:
            if isinstance(value, Tensor):
                place = id(value) if value.is_meta else value.data_ptr()
                seen[place] = value.numel() * value.element_size()
            elif isinstance(value, tuple):
                for item in value:
                    visit(item)
            elif hasattr(value, "__dataclass_fields__"):
                for name in value.__dataclass_fields__:
                    visit(getattr(value, name))

        visit(self)
        return sum(seen.values())


def moved(value: Any, device: torch.device, known: dict[int, Tensor] | None = None) -> Any:
    """The same weights (or any part of them) on `device`; tensors shared between places stay shared."""
    known = {} if known is None else known
    if isinstance(value, Tensor):
        return known.setdefault(id(value), value.to(device))
    if isinstance(value, tuple):
        return tuple(moved(item, device, known) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__
        return replace(value, **{name: moved(getattr(value, name), device, known) for name in names})
    return value
