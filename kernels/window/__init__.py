"""Sliding-window softmax attention with attention sinks and grouped heads."""

from kernels.window.cpu import window_attention
from kernels.window.reference import Sinks, window_attention_reference

__all__ = ["Sinks", "window_attention", "window_attention_reference"]
