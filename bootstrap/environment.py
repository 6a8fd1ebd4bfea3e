"""The virtual environment in the checkout: made, filled, repaired, and left alone once it fits."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bootstrap.console import StartError, say
from bootstrap.installer import pip_report, run_installer, run_pip
from bootstrap.processes import locked

SUPPORTED = ((3, 11), (3, 12), (3, 13))
RUNTIME, TESTING, OCR = "requirements.txt", "requirements-test.txt", "requirements-ocr.txt"
# The first pip whose --dry-run reads metadata only, instead of downloading gigabytes to plan for them.
PIP = "pip>=25.2"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a checkout's environment lies."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.program("python")

    @property
    def stamp(self) -> Path:
        """Written last: which requirement files are installed, by their hash."""
        return self.venv / "engram.json"

    @property
    def unfinished(self) -> Path:
        """Exists while packages are being installed; found at a start, it tells of an interruption."""
        return self.venv / "engram-installing"

    @property
    def log(self) -> Path:
        return self.venv / "engram-install.log"

    def program(self, name: str) -> Path:
        """A program inside the environment."""
        return self.venv / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


def ensure_environment(env: Environment, testing: bool = False, ocr: bool = False) -> None:
    """Make the environment fit the requirement files; nothing is run or fetched when it already does."""
    files = (RUNTIME, *([TESTING] if testing else []), *([OCR] if ocr else []))
    if is_current(env, files):
        return
    with locked(env.root / ".venv.lock", "Another start.py is setting up; waiting for it."):
        if not is_current(env, files):
            _build(env, files)


def is_current(env: Environment, files: tuple[str, ...]) -> bool:
    """Whether the last installation ended well and was made from these very requirement files."""
    if env.unfinished.exists() or not env.python.exists():
        return False
    stamp = read_stamp(env)
    return all(stamp.get(name) == digest(env.root / name) for name in files)


def read_stamp(env: Environment) -> dict[str, str]:
    """The record of the last finished installation; empty if there is none or it is unreadable."""
    try:
        stamp = json.loads(env.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def digest(path: Path) -> str:
    """SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _build(env: Environment, files: tuple[str, ...]) -> None:
    if env.unfinished.exists():
        say("The last installation was interrupted; starting the environment afresh.")
        _remove(env)
    elif env.venv.exists() and not _usable(env):
        say("The environment in .venv does not work here any more; making it anew.")
        _remove(env)
    if not env.python.exists():
        _create(env)
    # Packages for tests and text recognition stay known, and are kept up to date, once they are installed.
    files = tuple(dict.fromkeys((*files, *(name for name in (TESTING, OCR) if name in read_stamp(env)))))
    wanted = {name: digest(env.root / name) for name in files}
    env.unfinished.touch()
    try:
        _install(env, files)
    except StartError:
        env.unfinished.unlink()  # pip ended by itself, so what it left behind is whole
        raise
    temporary = env.stamp.with_suffix(".new")
    temporary.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, env.stamp)
    env.unfinished.unlink()


def _usable(env: Environment) -> bool:
    """Whether the environment's Python runs, has pip, and is one that Engram supports."""
    code = "import sys, pip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([str(env.python), "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and tuple(map(int, done.stdout.split())) in SUPPORTED


def _remove(env: Environment) -> None:
    if any(env.venv.iterdir()) and not (env.venv / "pyvenv.cfg").exists():
        raise StartError(
            f"{env.venv} is in the way and is no virtual environment.", "Move it away, then run this again."
        )
    try:
        shutil.rmtree(env.venv)
    except OSError as error:
        message = f"{env.venv} cannot be removed: {error}."
        raise StartError(message, "Remove it yourself, then run this again.") from error


def _create(env: Environment) -> None:
    say(f"Making the environment in {env.venv} (Python {sys.version_info[0]}.{sys.version_info[1]})")
    command = [sys.executable, "-m", "venv", str(env.venv)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(env.venv, ignore_errors=True)
        raise StartError(
            f"Python's venv module failed: {(done.stderr or done.stdout).strip()[-300:]}",
            "Check that the folder can be written to; on Debian and Ubuntu: apt install python3-venv.",
        )


def _install(env: Environment, files: tuple[str, ...]) -> None:
    say("Installing what Engram needs; this happens once and takes some minutes.")
    failed = "pip could not be brought up to date"
    run_pip(env.python, ["install", "--quiet", PIP], env.log, failed)
    pin = torch_pin((env.root / RUNTIME).read_text(encoding="utf-8"))
    if sys.platform == "linux" and not has_nvidia() and not _has_package(env, pin):
        _install_cpu_torch(env, pin)
    named = [word for name in files for word in ("-r", str(env.root / name))]
    failed = "The packages of " + " and ".join(files) + " could not be installed"
    run_pip(env.python, ["install", "--progress-bar", "raw", *named], env.log, failed)


def torch_pin(requirements: str) -> str:
    """The pinned PyTorch of a requirement file, as `torch==VERSION`."""
    match = re.search(r"^torch==[^\s;#]+", requirements, re.MULTILINE)
    if match is None:
        raise StartError("requirements.txt pins no torch version.", "Restore the file from the repository.")
    return match[0]


def has_nvidia() -> bool:
    """Whether this Linux machine has an NVIDIA GPU with its driver."""
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def cuda_packages(report: dict) -> list[str]:
    """The packages of a pip report that serve only an NVIDIA GPU."""
    names = (item["metadata"]["name"].lower() for item in report["install"])
    return sorted(name for name in names if name.startswith(("nvidia-", "cuda-")))


def _has_package(env: Environment, pin: str) -> bool:
    """Whether a pinned package is there already, in whatever vendor's build (2.13.0+cpu, 2.13.0+rocm7)."""
    name, version = pin.split("==")
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([str(env.python), "-c", code, name], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip().split("+")[0] == version


def _install_cpu_torch(env: Environment, pin: str) -> None:
    """Where pip would bring CUDA libraries, bring the CPU build by uv, which knows where it is kept."""
    surplus = cuda_packages(pip_report(env.python, pin, env.log))
    if not surplus:
        return
    say(f"No NVIDIA GPU here: taking the CPU build of {pin}, not {len(surplus)} CUDA packages of about 3 GB.")
    try:
        run_pip(env.python, ["install", "--quiet", "uv"], env.log, "uv could not be installed")
        command = [str(env.program("uv")), "pip", "install", "--python", str(env.python)]
        command += ["--torch-backend", "cpu", pin]
        run_installer(command, env.log, "The CPU build could not be fetched")
    except StartError as error:
        say(f"{error.message} {error.hint}")
        say("Going on with pip's usual build instead: it works the same, but downloads about 3 GB.")
