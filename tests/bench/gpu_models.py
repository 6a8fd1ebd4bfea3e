"""Models of the right shape with random weights, made on the device: speed does not depend on values."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.config import parse_config
from engine.engine import Engine
from engine.families import FAMILIES
from engine.placement import place
from engine.sources import CODES, FLOATS
from tests.tiny import SETTINGS

SMALL = {
    "model_type": "engram", "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536,
    "num_heads": 9, "num_kv_heads": 3, "head_dim": 64, "norm_eps": 1e-5, "rope_theta": 100_000.0,
    "sinks": 4, "gate_rank": 16, "gate_normalizer": 16.0, "windows": [1024] * 30, "linear_layers": [],
    "spike_k": 3.0,
}  # fmt: skip
"""The default model."""

LARGE = {
    "model_type": "gla_swa", "vocab_size": 152_064, "hidden_size": 3584, "intermediate_size": 18_944,
    "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "sliding_window": 4096,
    "norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": False,
}  # fmt: skip
"""SpikingBrain-7B."""


class RandomSource:
    """A checkpoint that has whatever is asked for, random, on `device`."""

    def __init__(self, device: torch.device) -> None:
        self._draw = torch.Generator(device).manual_seed(0)
        self._device = device

    def take(self, name: str, *shape: int, dtypes: Sequence[torch.dtype] = FLOATS) -> Tensor:
        """Codes in -127..127, scales that keep the stream's size, norms 1, biases 0, weights normal."""
        new = {"device": self._device}
        if tuple(dtypes) == CODES:
            return torch.randint(-127, 128, shape, generator=self._draw, dtype=torch.int8, **new)
        if name.endswith("scale"):
            return torch.full(shape, 1 / (73 * 576**0.5), **new)
        if len(shape) == 1:
            return torch.zeros(shape, **new) if name.endswith("bias") else torch.ones(shape, **new)
        normal = torch.randn(shape, generator=self._draw, dtype=torch.bfloat16, **new)
        return normal.mul_(shape[-1] ** -0.5)

    def has(self, name: str) -> bool:
        """Nothing optional."""
        return False

    def skip(self, name: str) -> None:
        """Nothing to skip."""


def small(device: torch.device, tiny: bool, full_attention: bool = False) -> Engine:
    """The default model's shape; with `full_attention` every layer sees everything."""
    raw = dict(SMALL)
    if tiny:
        raw |= {name: value for name, value in SETTINGS.items() if name != "num_layers"}
        raw |= {"windows": [32, 32]}
    if full_attention:
        raw |= {"windows": [-1] * len(raw["windows"]), "sinks": 0}
    return _engine(raw, device, True)


def large(device: torch.device, tiny: bool) -> Engine:
    """SpikingBrain-7B's shape."""
    raw = dict(LARGE)
    if tiny:
        raw |= {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
        raw |= {"num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": 16}
    return _engine(raw, device, False)


def _engine(raw: dict, device: torch.device, spiking: bool) -> Engine:
    config = parse_config(raw)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    placement = place(str(device), dtype, "torch" if device.type == "cpu" else "triton")
    weights = FAMILIES[config.model_type].load(RandomSource(device), config, spiking, dtype)
    return Engine(config, weights, None, "random", spiking, dtype, placement)
