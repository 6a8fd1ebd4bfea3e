"""Our own CPU kernels, compiled for this processor where a C++ compiler is found."""

from kernels.native.library import BuildError, NativeLibrary, load
from kernels.native.ops import NativeOps

__all__ = ["BuildError", "NativeLibrary", "NativeOps", "load"]
