"""Checking a checkpoint by its headers: everything amiss is named, what loading would give is foretold."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from app_home import make_services, tiny_model
from gguf_files import write_llama
from golden import DATA
from safetensors.torch import load_file, save_file

from app.errors import UserError
from app.installing import check_model, refuse_unusable
from engine import Engine
from engine.errors import ModelError
from engine.inspecting import inspect_checkpoint

Change = Callable[[dict[str, torch.Tensor]], object]


def changed(folder: Path, name: str, change: Change) -> Path:
    """A copy of a golden checkpoint with other tensors."""
    shutil.copytree(DATA / name, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("name", ["tiny", "gla_swa_tiny", "w8aspike_tiny", "gguf"])
def test_a_check_foretells_what_loading_gives(name: str, tmp_path: Path) -> None:
    if name == "gguf":
        path = write_llama(tmp_path / "base.gguf")
    else:
        path = tiny_model() if name == "tiny" else DATA / name
    found, engine = inspect_checkpoint(path), Engine.load(path)
    assert [text for text in found.problems if "tokenizer" not in text] == []
    assert found.fingerprint == engine.fingerprint
    assert found.recall == bool(engine.code_bits)
    assert found.description == engine.config.describe()
    assert found.plan.weights == pytest.approx(engine.nbytes, rel=0.05)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("gla_swa_tiny", lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "up_proj.weight' is missing"),
        ("gla_swa_tiny", lambda t: t.update(extra=torch.zeros(2)), "'extra' is not part"),
        ("gla_swa_tiny", lambda t: t.update({"model.norm.weight": torch.zeros(3)}), "has shape [3]"),
        (
            "gla_swa_tiny",
            lambda t: t.update({"model.norm.weight": torch.zeros(64, dtype=torch.int8)}),
            "holds int8",
        ),
        (
            "w8aspike_tiny",
            lambda t: t.pop("model.layers.1.attn.q_proj.weight_quantizer.scales"),
            "q_proj.weight_quantizer.scales' is missing",
        ),
    ],
)
def test_what_is_amiss_is_named(name: str, change: Change, says: str, tmp_path: Path) -> None:
    problems = inspect_checkpoint(changed(tmp_path / "model", name, change)).problems
    assert [text for text in problems if says in text]


def test_all_missing_tensors_are_named_at_once(tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if ".mlp." in name]:
            del tensors[name]

    problems = inspect_checkpoint(changed(tmp_path / "model", "gla_swa_tiny", change)).problems
    assert len([text for text in problems if "is missing" in text]) == 12


def test_a_truncated_file_and_an_unknown_kind_are_errors(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "gla_swa_tiny", tmp_path / "model")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        inspect_checkpoint(folder)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"model_type": "mamba"}))
    with pytest.raises(ModelError, match="unknown model type 'mamba'"):
        inspect_checkpoint(folder)


def _retyped(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.float8_e4m3fn)
    save_file(tensors, folder / "model.safetensors")


def _reworded(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        raw = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(raw | changes))

    return change


def _lengthened_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes((1 << 60).to_bytes(8, "little") + file.read_bytes()[8:])


def _pickled(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "extra key": (_reworded(surprise=1), "config.json has keys that Engram does not know: surprise"),
    "unknown type": (_reworded(model_type="mamba"), "unknown model type 'mamba'"),
    "no type": (_reworded(model_type=None), "unknown model type None"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "is not valid JSON"),
    "no object": (lambda f: (f / "config.json").write_text("[]"), "is not an object"),
    "wrong dtype": (_retyped, "'model.norm.weight' holds float8_e4m3fn"),
    "no safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04K."), "cannot be read"),
    "empty file": (lambda f: (f / "model.safetensors").write_bytes(b""), "cannot be read"),
    "endless header": (_lengthened_header, "cannot be read as safetensors"),
    "pickles": (_pickled, "no .safetensors file"),
    "shard missing": (
        lambda f: (f / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}})
        ),
        "lacks the files model-00002-of-00002.safetensors",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_checkpoint_is_one_clear_sentence_in_the_product(
    damage: str, tmp_path: Path
) -> None:
    change, words = DAMAGES[damage]
    folder = shutil.copytree(DATA / "gla_swa_tiny", tmp_path / "model")
    change(folder)
    services = make_services(tmp_path)
    report = check_model(services, str(folder))
    services.close()
    told = [report.error["message"]] if report.error else report.inspection["problems"]  # type: ignore[index]
    assert len([text for text in told if words in text]) == 1
    assert not report.usable
    assert not any("Unexpected" in text or "Traceback" in text for text in told)
    with pytest.raises(UserError, match=re.escape(words)):
        refuse_unusable(replace(report, inspection=report.inspection and {"problems": [words]}))
    with pytest.raises(ModelError):
        Engine.load(folder)


def test_a_missing_tokenizer_is_a_problem_for_reading() -> None:
    assert "there is no tokenizer" in inspect_checkpoint(DATA / "gla_swa_tiny").problems[0]


def test_the_check_reads_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr("engine.sources.TensorSource.take", refuse)
    assert inspect_checkpoint(tiny_model()).problems == ()
