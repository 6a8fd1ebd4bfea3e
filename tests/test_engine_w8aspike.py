"""The spikes and the group-wise INT8 weights of W8ASpike, against tensors of the published implementation."""

import pytest
import torch
from golden import DATA, tensors
from safetensors.torch import load_file, save_file
from spiking_brain import PlainModel

from engine import Engine
from engine.w8aspike import W8ASpikeCoder

ATOL = 1e-4
FOLDER = DATA / "w8aspike_tiny"


@pytest.fixture
def engine():
    return Engine.load(FOLDER)


@pytest.fixture
def io():
    return tensors("w8aspike_tiny/io")


@pytest.fixture
def ids(io):
    return io["input_ids"][0].tolist()


class _Recorder(W8ASpikeCoder):
    """Keeps the counts of every layer input in order, and those of the window queries."""

    def _counted(self, spikes):
        self.seen.append(spikes)
        return spikes

    def attended(self, q, k, v):
        coded, keys, values = super().attended(q, k, v)
        self.queries.append((q, coded))
        return coded, keys, values


def test_every_spike_count_and_threshold_equals_the_reference(engine, io, ids):
    own = engine.decoder._coders[0]
    recorder = _Recorder(3.0, own.tally, own.ops)
    recorder.seen, recorder.queries = [], []
    engine.decoder._coders = [recorder] * len(engine.decoder._coders)
    engine.hidden(ids)
    inputs = ("attn.q_proj", "attn.o_proj", "mlp.gate_proj")
    names = [f"layer.{i}.{name}" for i in range(3) for name in inputs]
    for name, spikes in zip(names, recorder.seen, strict=True):
        assert torch.equal(spikes.counts(), io[f"spikes_int.{name}"][0].int()), name
        torch.testing.assert_close(spikes.vth, io[f"vth.{name}"][0], rtol=1e-6, atol=0)
    ((query, coded),) = recorder.queries
    expected = io["spikes_int.layer.1.attn.q_states"][0].transpose(0, 1)
    vth = io["vth.layer.1.attn.q_states"][0].transpose(0, 1)
    assert torch.equal(torch.round(query / vth).int(), expected.int())
    assert torch.equal(torch.round(coded / vth).int(), expected.int())


def test_the_first_linear_layer_equals_the_reference(engine, io):
    layer, coder = engine.decoder.weights.layers[0].qkv, engine.decoder._coders[0]
    assert layer.weight.dtype == torch.int8
    spikes = coder.plain(io["first_linear.input"][0])
    assert torch.equal(spikes.counts(), io["first_linear.spikes_int"][0].int())
    out = coder.linear(layer, spikes)[:, :256]
    torch.testing.assert_close(out, io["first_linear.output"][0], rtol=0, atol=1e-5)
    sign = layer.scale.sign().repeat_interleave(128, dim=1)
    assert torch.equal((layer.weight * sign)[:256].int(), io["first_linear.weight_int"].int())
    assert int(io["first_linear.weight_int"].max()) == 128


def test_a_run_reports_its_spikes(engine, ids):
    engine.hidden(ids)
    assert 0 < engine.last_run.silent_share < 1
    assert engine.last_run.spikes_per_channel > 0.5


def test_w8aspike_without_spikes_is_the_plain_checkpoint(ids):
    """Dense weights and activations: what remains without quantiser, one-matrix gate and all."""
    engine = Engine.load(FOLDER, spiking=False)
    assert not engine.spiking
    model = PlainModel(FOLDER)
    spiked = model.logits(ids)
    model.w = {name: t for name, t in model.w.items() if not name.endswith("scales")}
    model.spiking = False
    for i in (0, 2):
        gate = f"model.layers.{i}.attn.gk_proj"
        model.w[gate + ".0.weight"] = torch.eye(256)
        model.w[gate + ".1.weight"], model.w[gate + ".1.bias"] = (
            model.w[gate + ".weight"],
            model.w[gate + ".bias"],
        )
    torch.testing.assert_close(engine.logits(ids), model.logits(ids), rtol=0, atol=ATOL)
    assert float((engine.logits(ids) - spiked).abs().max()) > 0.1


def test_weight_codes_beyond_int8_are_computed_and_not_clipped(ids, tmp_path):
    """Scales may be fitted smaller than max / 127; the reference does not clamp."""
    tensors_ = load_file(FOLDER / "model.safetensors")
    for name in tensors_:
        if "o_proj.weight_quantizer" in name:
            tensors_[name] = tensors_[name] / 4
    (tmp_path / "config.json").write_text((FOLDER / "config.json").read_text("utf-8"))
    save_file(tensors_, tmp_path / "model.safetensors")
    engine = Engine.load(tmp_path)
    assert engine.decoder.weights.layers[0].out.scale is None
    torch.testing.assert_close(
        engine.logits(ids[:20]), PlainModel(tmp_path).logits(ids[:20]), rtol=0, atol=ATOL
    )
