"""Spike coding of activations: integer counts per channel, rare bursts carried apart."""

from kernels.spike.cpu import Spikes, encode, norm_encode
from kernels.spike.reference import decode_counts, encode_counts, threshold

__all__ = ["Spikes", "decode_counts", "encode", "encode_counts", "norm_encode", "threshold"]
