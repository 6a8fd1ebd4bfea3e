"""Settings of the process that computes on the CPU: threads, memory allocator, kernels."""

import ctypes
import os
import sys
from functools import cache

import psutil
import torch

from engine.config import ModelConfig
from engine.errors import ModelError
from kernels.native import BuildError, NativeOps, load
from kernels.ops import Ops, TorchOps

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEEP_BYTES = 1 << 30
LARGE = 1_000_000_000


@cache
def prepare_cpu() -> None:
    """Once per process: one thread a physical core (OMP_NUM_THREADS overrules), and freed activations kept
    for the next chunk.

    glibc gives every activation of some megabytes back to the system, so each chunk would fault its pages in
    again (measured: an elementwise product of 12 MB five times slower).
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, psutil.cpu_count(logical=False) or psutil.cpu_count() or 1))
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL(None)
            libc.mallopt(M_MMAP_THRESHOLD, KEEP_BYTES)
            libc.mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
        except (OSError, AttributeError):
            return


def attention_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it in hardware, else float32."""
    features = torch.cpu.get_capabilities()
    fast = features.get("avx512_bf16") or features.get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def compute_dtype(name: str, config: ModelConfig) -> torch.dtype:
    """The dtype of that name; "auto" is the fast one for our own format and for checkpoints of a billion
    parameters or more, which come in bfloat16 and would take twice their size, and float32 for small ones.
    """
    if name == "auto":
        large = config.parameter_count() >= LARGE
        return attention_dtype() if config.model_type == "engram" or large else torch.float32
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in kinds:
        raise ModelError(f"unknown dtype {name!r}", f"Use one of: auto, {', '.join(kinds)}.")
    return kinds[name]


def choose_ops() -> tuple[Ops, str]:
    """The CPU operations to run and why: compiled kernels, or torch's where $ENGRAM_NATIVE is 0 or they
    cannot be built.
    """
    if os.environ.get("ENGRAM_NATIVE") == "0":
        return TorchOps(), "compiled kernels switched off"
    try:
        return NativeOps(load(torch.get_num_threads())), ""
    except BuildError as error:
        return TorchOps(), str(error)


def describe_cpu() -> str:
    """What torch computes with, for people: 'torch 2.13 AVX512, 2 threads'."""
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"torch {torch.__version__} {capability}, {threads} thread" + ("" if threads == 1 else "s")
