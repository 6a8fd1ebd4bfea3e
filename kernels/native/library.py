"""Compiling and loading the shared library of `engram.cpp`."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from ctypes import c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("engram.cpp")
FLAGS = (
    "-O3 -march=native -std=c++17 -shared -fPIC -pthread "
    "-fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math -ffinite-math-only"
).split()
COMPILERS = ("c++", "g++", "clang++")
BUILD_SECONDS = 180

POINTER, LONG, FLOAT = c_void_p, c_int64, c_float
SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "engram_start": ([c_int], None),
    "engram_has_attention": ([], c_int),
    "engram_encode": ([POINTER, POINTER, FLOAT, FLOAT, LONG, LONG, POINTER, POINTER, POINTER, LONG], LONG),
    "engram_swiglu_encode": (
        [POINTER, POINTER, POINTER, FLOAT, LONG, LONG, POINTER, POINTER, POINTER, LONG],
        LONG,
    ),
    "engram_dequantize": ([POINTER, POINTER, POINTER, LONG, LONG, POINTER, c_int], None),
}
ATTENTION: list[Any] = [
    POINTER,
    LONG,
    LONG,
    POINTER,
    LONG,
    LONG,
    POINTER,
    LONG,
    POINTER,
    LONG,
    POINTER,
    POINTER,
]
ATTENTION += [LONG] * 8 + [POINTER]


class BuildError(Exception):
    """The kernels could not be compiled or loaded; the message says why."""


class NativeLibrary:
    """The loaded library; functions are attributes."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self.functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise BuildError(f"the compiled kernels cannot be loaded: {error}") from error
        for name, (arguments, result) in SIGNATURES.items():
            function = getattr(self.functions, name)
            function.argtypes, function.restype = arguments, result
        self.has_attention = bool(self.functions.engram_has_attention())
        if self.has_attention:
            self.functions.engram_window_attention.argtypes = ATTENTION
            self.functions.engram_window_attention.restype = None
        self.functions.engram_start(threads)


@cache
def load(threads: int) -> NativeLibrary:
    """The library, compiled first if need be (some seconds, once per processor and version); BuildError if
    it cannot.
    """
    return NativeLibrary(build(), threads)


def build(folder: Path | None = None) -> Path:
    """Compile into `folder` (default: the person's cache folder) unless it is there already; the file's
    path.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if sys.platform == "win32" or compiler is None:
        raise BuildError("no C++ compiler found")
    folder = folder or cache_folder()
    target = folder / f"engram-{_identity(compiler)}.so"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(descriptor)
    try:
        command = [compiler, *FLAGS, str(SOURCE), "-o", temporary]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        if done.returncode:
            line = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-200:])
            raise BuildError(f"{compiler} failed: {line.strip()}")
        os.replace(temporary, target)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{compiler} failed: {error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def cache_folder() -> Path:
    """Where compiled kernels are kept: $ENGRAM_KERNEL_CACHE, or `engram` in the person's cache folder."""
    named = os.environ.get("ENGRAM_KERNEL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else (Path(base) if base else Path.home() / ".cache") / "engram"


def _identity(compiler: str) -> str:
    """Changes with the source, the flags, the compiler and the processor (compiled code fits one
    instruction set).
    """
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode() + version + _processor().encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
