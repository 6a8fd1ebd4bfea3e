"""Search of binary codes by Hamming distance, exhaustive."""

from kernels.hamming.cpu import hamming_distances, pack_signs
from kernels.hamming.reference import hamming_distances_reference

__all__ = ["hamming_distances", "hamming_distances_reference", "pack_signs"]
