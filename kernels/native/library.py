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

SOURCE = Path(__file__).with_name("engram.cpp")
FLAGS = (
    "-O3 -march=native -std=c++17 -shared -fPIC -pthread "
    "-fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math -ffinite-math-only"
).split()
COMPILERS = ("c++", "g++", "clang++")
BUILD_SECONDS = 180

KINDS = {"p": c_void_p, "l": c_int64, "f": c_float, "i": c_int, "-": None}
SIGNATURES = {
    "engram_start": "i -",
    "engram_has_attention": " i",
    "engram_layer_limit": " l",
    "engram_encode": "ppffllpppl l",
    "engram_swiglu_encode": "pppfllpppl l",
    "engram_dequantize": "pppllpi -",
    "engram_linear": "ppffpplllipp -",
    "engram_feed_forward": "ppffpppplllp -",
    "engram_event_product": "ppllp -",
    "engram_table": "pfpplllp -",
    "engram_group_product": "pppllllp -",
    "engram_place": "ppplppllllppppl -",
    "engram_hamming": "ppllp -",
}
"""Arguments and result of each function: pointer, 64-bit and plain integer, float, nothing."""
ATTENTION = "pllpllplplppllllllllp -"


class BuildError(Exception):
    """The kernels could not be compiled or loaded; the message says why."""


class NativeLibrary:
    """The loaded library; functions are attributes."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self.functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise BuildError(f"the compiled kernels cannot be loaded: {error}") from error
        for name, signature in SIGNATURES.items():
            self._declare(name, signature)
        self.has_attention = bool(self.functions.engram_has_attention())
        if self.has_attention:
            self._declare("engram_window_attention", ATTENTION)
        self.layer_limit = int(self.functions.engram_layer_limit())
        self.functions.engram_start(threads)

    def _declare(self, name: str, signature: str) -> None:
        function, (arguments, result) = getattr(self.functions, name), signature.split(" ")
        function.argtypes, function.restype = [KINDS[kind] for kind in arguments], KINDS[result]


_loaded: list[NativeLibrary] = []


def loaded() -> NativeLibrary | None:
    """The library if this process has loaded it already."""
    return _loaded[-1] if _loaded else None


@cache
def load(threads: int) -> NativeLibrary:
    """The library, compiled first if need be (some seconds, once per processor and version); BuildError if
    it cannot.
    """
    library = NativeLibrary(build(), threads)
    _loaded.append(library)
    return library


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
    sources = b"".join(path.read_bytes() for path in [SOURCE, *sorted(SOURCE.parent.glob("*.h"))])
    digest = hashlib.sha256(sources + " ".join(FLAGS).encode() + version + _processor().encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
