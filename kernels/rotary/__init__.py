"""Rotary positions, relative to the window so that they stay exact at any length."""

from kernels.rotary.reference import inverse_frequencies, rotate, rotate_reference

__all__ = ["inverse_frequencies", "rotate", "rotate_reference"]
