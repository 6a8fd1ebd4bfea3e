"""The same model computed in another way, to compare with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.config import FULL_ATTENTION
from engine.engine import Engine


def full_attention(engine: Engine) -> Engine:
    """The same weights with full attention in every layer that has a window."""
    layers = tuple(
        layer if layer.window is None else replace(layer, window=FULL_ATTENTION)
        for layer in engine.config.layers
    )
    config = replace(engine.config, layers=layers, sinks=0)
    decoder = engine.decoder
    name = f"full attention of {engine.fingerprint}"
    identity = (name, engine.spiking, decoder.cache_dtype, engine.placement)
    return Engine(config, decoder.weights, engine.tokenizer, *identity)


def has_whole_layers(engine: Engine) -> bool:
    """Whether this engine computes layers in one compiled call each."""
    return engine.spiking and engine.decoder.ops.layers is not None


@contextmanager
def single_operations(engine: Engine) -> Iterator[None]:
    """Within the block the engine takes no whole layers."""
    ops = engine.decoder.ops
    layers, ops.layers = ops.layers, None
    try:
        yield
    finally:
        ops.layers = layers
