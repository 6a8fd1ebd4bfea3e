"""The embedded spiking language model: reading, state, recall, answering.

Importing this package does not import torch; the names below do, when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.state import ContextState

_HOMES = {"Engine": "engine.engine", "ContextState": "engine.state"}

__all__ = ["ContextState", "Engine"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
