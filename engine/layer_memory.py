"""The empty memory of one layer: its window of keys and values, the state of its linear attention."""

import torch
from torch import Tensor

from engine.config import LayerConfig, ModelConfig
from engine.window_cache import WindowCache


def window_cache(
    config: ModelConfig, layer: LayerConfig, dtype: torch.dtype, true_positions: bool, device: torch.device
) -> WindowCache | None:
    """A cache that keeps keys and values in `dtype`; None if the layer has no window."""
    if layer.window is None:
        return None
    heads, dim = config.num_kv_heads, config.head_dim
    return WindowCache(heads, dim, layer.window, config.sinks, dtype, true_positions, device)


def linear_state(config: ModelConfig, layer: LayerConfig, device: torch.device) -> Tensor | None:
    """Zeros float32 [Hk, D, D], for sparse states [1 + N, H, D, D]; None if the layer has neither."""
    dim = config.head_dim
    if layer.sparse is not None:
        return torch.zeros(1 + layer.sparse.partitions, config.num_heads, dim, dim, device=device)
    return torch.zeros(config.num_kv_heads, dim, dim, device=device) if layer.linear else None
