"""Preparing the default model from a GGUF file."""

import json

import pytest
import torch
from safetensors.torch import save_file

from engine import Engine
from engine.errors import ModelError
from engine.gguf_source import unpermute
from engine.prepare import main, prepare
from tests.gguf_files import interleaved, write_llama
from tests.tiny import SETTINGS, tiny_tensors


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("gguf") / "base.gguf")


def test_unpermuting_undoes_the_interleaving():
    weight = torch.randn(32, 5)
    assert torch.equal(unpermute(interleaved(weight, 4), 4), weight)


def test_the_prepared_model_computes_what_its_weights_say(gguf, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("engine.prepare.ADAPTER", tmp_path / "none")  # ours fits the real base only
    assert main(["--gguf", str(gguf), "--out", str(tmp_path / "model")]) == 0
    assert "Model ready" in capsys.readouterr().out
    engine = Engine.load(tmp_path / "model", dtype="float32")
    assert engine.config.layers[0].window == 1024
    assert engine.tokenizer is not None
    assert engine.tokenizer.decode(engine.tokenizer.encode("The patient")) == "The patient"
    direct = tmp_path / "direct"
    direct.mkdir()
    (direct / "config.json").write_text((tmp_path / "model" / "config.json").read_text("utf-8"), "utf-8")
    tensors = {k: v for k, v in tiny_tensors(0, False).items() if not k.startswith("recall.")}
    save_file(tensors, direct / "model.safetensors")
    ids = list(range(3, 120))
    assert torch.equal(engine.logits(ids), Engine.load(direct, dtype="float32").logits(ids))


def test_the_score_that_sifts_is_put_beside_the_weights_and_leaves_the_fingerprint(gguf, tmp_path):
    adapter = tmp_path / "adapter.safetensors"
    directions = torch.randn(2, SETTINGS["hidden_size"])
    save_file({"ranking.layer": torch.tensor([1]), "ranking.directions": directions}, adapter)
    prepare(gguf, tmp_path / "plain", None)
    prepare(gguf, tmp_path / "sifting", adapter)
    plain, sifting = Engine.load(tmp_path / "plain"), Engine.load(tmp_path / "sifting")
    assert sifting.fingerprint == plain.fingerprint
    assert plain.decoder.weights.ranking is None
    assert torch.equal(sifting.decoder.weights.ranking.directions, directions)
    prepare(gguf, tmp_path / "sifting", None)
    assert Engine.load(tmp_path / "sifting").decoder.weights.ranking is None


def test_the_adapter_is_merged_and_changes_the_fingerprint(gguf, tmp_path):
    adapter = tmp_path / "adapter.safetensors"
    save_file({k: v for k, v in tiny_tensors(0, True).items() if "recall." in k or ".gate." in k}, adapter)
    prepare(gguf, tmp_path / "plain")
    prepare(gguf, tmp_path / "trained", adapter)
    plain, trained = Engine.load(tmp_path / "plain"), Engine.load(tmp_path / "trained")
    assert (plain.code_bits, trained.code_bits) == (0, 512)
    assert plain.fingerprint != trained.fingerprint


def test_preparing_again_replaces_the_folder_and_leaves_nothing_else(gguf, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("x")
    prepare(gguf, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (folder / "old").exists()
    assert json.loads((folder / "config.json").read_text("utf-8"))["model_type"] == "engram"


def test_a_damaged_file_leaves_the_older_model_alone(gguf, tmp_path, capsys):
    broken, folder = tmp_path / "broken.gguf", tmp_path / "model"
    prepare(gguf, folder)
    broken.write_bytes(b"GGUF" + bytes(40))
    assert main(["--gguf", str(broken), "--out", str(folder)]) == 1
    assert "broken.gguf" in capsys.readouterr().err
    assert (folder / "model.safetensors").is_file()
    with pytest.raises(ModelError):
        prepare(tmp_path / "missing.gguf", folder)
