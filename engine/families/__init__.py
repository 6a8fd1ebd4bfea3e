"""Model families: how each reads its config and its tensors. Parsing needs no torch, loading does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from engine.config import ModelConfig
from engine.config_reader import ConfigReader
from engine.families import engram, gla_swa, gla_swa_moe, llama, qwen, sse_swa_moba

if TYPE_CHECKING:
    import torch

    from engine.sources import Source
    from engine.weights import ModelWeights


class Family(NamedTuple):
    """`parse` takes every key it knows; `load` every tensor, spike-coded or dense in the given dtype."""

    parse: Callable[[ConfigReader], ModelConfig]
    load: Callable[[Source, ModelConfig, bool, torch.dtype], ModelWeights]


FAMILIES = {
    "engram": Family(engram.parse, engram.load),
    "gla_swa": Family(gla_swa.parse, gla_swa.load),
    "gla_swa_moe": Family(gla_swa_moe.parse, gla_swa_moe.load),
    "llama": Family(llama.parse, llama.load),
    "qwen2": Family(qwen.parse_qwen2, qwen.load),
    "qwen3": Family(qwen.parse_qwen3, qwen.load),
    "sse_swa_moba": Family(sse_swa_moba.parse, sse_swa_moba.load),
}
