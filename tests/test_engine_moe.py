"""SpikingBrain-76B's architecture at tiny size: parallel branches, tied gates, learned sinks, experts."""

import sys
from types import SimpleNamespace

import pytest
import torch

from engine import ContextState, Engine
from engine.errors import StateError
from engine.gated_linear import gated_heads
from engine.moe import route
from engine.weights import Gates
from tests.moe_parallel import CONFIG, PlainMoe, changed, tied_loop, tiny_moe_dir

# Float32 against float64 through four layers: rounding grows by a few units of the largest logit.
ATOL = 2e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_moe_dir(tmp_path_factory.mktemp("moe") / "m")


@pytest.fixture
def engine(folder):
    return Engine.load(folder)


def _ids(count, seed=0):
    return torch.randint(0, 96, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def _close(ours, truth):
    torch.testing.assert_close(ours.double(), truth.double(), rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_experts_per_tok": 2, "num_shared_experts": 2},
        {"num_sink_tokens": 0, "full_layers": [], "window_layers": [0, 1, 2, 3]},
    ],
)
def test_logits_equal_a_plain_loop_over_tokens_and_experts(tmp_path, changes):
    folder = tiny_moe_dir(tmp_path / "m", **changes)
    ids = _ids(60)
    _close(Engine.load(folder).logits(ids), PlainMoe(folder).logits(ids))


def test_any_chunk_size_and_a_saved_state_give_the_whole_prompts_logits(engine, folder, tmp_path):
    ids = _ids(70, 1)
    whole = PlainMoe(folder).logits(ids)
    for size in (1, 7, 33):
        state, parts = engine.new_state(), []
        for start in range(0, len(ids), size):
            parts.append(engine.logits(ids[start : start + size], state))
            if start == 3 * size:
                state.save(tmp_path / "s.state")
                state = ContextState.load(tmp_path / "s.state", engine)
            elif start == 2 * size:
                state = state.clone()
        _close(torch.cat(parts), whole)
        assert state.tokens_read == len(ids)


def test_reading_past_a_segment_equals_one_window_later(engine, folder):
    """The window slides, positions are counted anew at 1,024: the plain loop has neither."""
    ids = _ids(1100, 2)
    _close(engine.logits(ids)[-30:], PlainMoe(folder).logits(ids)[-30:])


def test_bfloat16_and_its_compiled_attention_stay_near_the_plain_loop(tmp_path):
    """Heads of 16 and few sinks: what the compiled window attention takes, where the processor has it."""
    folder = tiny_moe_dir(tmp_path / "m", hidden_size=64, num_experts_per_tok=4)
    ids = _ids(50, 7)
    truth = PlainMoe(folder).logits(ids)
    ours = Engine.load(folder, dtype="bfloat16").logits(ids)
    # Weights and keys rounded to 8 bits in four layers; sinks taken for tokens of the text move it by 0.7.
    assert float((ours - truth).abs().max()) < 2**-5 * float(truth.abs().max())


def test_generation_equals_repeated_whole_prompts(engine):
    ids = _ids(20, 3)
    made = list(engine.generate(ids, max_new_tokens=6, stop_ids=()))
    for token in made:
        assert int(engine.logits(ids)[-1].argmax()) == token
        ids.append(token)


@pytest.mark.parametrize("row", [0, 4])
def test_every_token_however_late_sees_every_sink(folder, tmp_path, row):
    """Without its linear attention (output norm zero) only the sinks themselves can reach past the window."""

    def silence(tensors, push=0.0):
        for name in tensors:
            if name.endswith("g_norm.weight"):
                tensors[name].zero_()
        tensors["model.sink_tokens.weight"][row] += push

    ids = _ids(300, 4)
    plain = changed(folder, tmp_path / "a", silence).logits(ids)
    moved = changed(folder, tmp_path / "b", lambda t: silence(t, 1.0)).logits(ids)
    assert bool(((plain - moved).abs().amax(dim=1) > 1e-3).all())


def test_sinks_see_each_other_without_a_causal_mask(folder, engine, tmp_path):
    """Moving the last sink moves the first one's keys in the next layer; the text never moves a sink."""

    def push(tensors):
        tensors["model.sink_tokens.weight"][-1] += 1.0

    state, other = engine.new_state(), changed(folder, tmp_path / "m", push).new_state()
    first = [s.layers[1].sinks.keys[:, 0] for s in (state, other)]
    assert float((first[0] - first[1]).abs().max()) > 1e-3
    before = state.layers[1].sinks.keys.clone()
    engine.logits(_ids(40), state)
    assert torch.equal(state.layers[1].sinks.keys, before)
    assert engine.new_state().layers[1].sinks is state.layers[1].sinks


def test_a_new_state_holds_the_sinks_and_no_token(engine):
    state = engine.new_state()
    assert state.tokens_read == 0
    assert float(state.layers[0].linear.abs().sum()) > 0
    assert "layers.0.sink_keys" in state.tensors()
    assert not any("sinks" in name for name in state.tensors())


def test_one_routed_expert_a_token_is_met_beside_the_shared_one(folder, tmp_path):
    """Experts that no token of the text chooses do not matter; each chosen one and the shared one do."""
    ids = _ids(12, 5)
    model = PlainMoe(folder)
    model.logits(ids)
    base = "model.layers.3.mlp."
    met = set(model.chosen[1][CONFIG["num_sink_tokens"] :])  # what sinks choose in the last layer ends there
    assert 0 < len(met) < 4
    plain = Engine.load(folder).logits(ids)
    for name in [f"experts.{e}.down_proj" for e in range(4)] + ["shared_experts.down_proj"]:
        silent = changed(folder, tmp_path / name, lambda t, n=name: t[f"{base}{n}.weight"].zero_())
        matters = not torch.equal(silent.logits(ids), plain)
        assert matters == (name.startswith("shared") or int(name.split(".")[1]) in met), name


def test_the_router_takes_the_likeliest_and_keeps_its_probability():
    router = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    weights, chosen = route(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), router, 1)
    assert chosen.tolist() == [[0], [1]]
    chance = torch.softmax(torch.tensor([2.0, 0.0, 0.0]), 0)[0]
    assert weights[0].item() == pytest.approx(chance.item())
    assert weights[1].item() < 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_experts_stay_in_the_file_until_they_are_met(folder, tmp_path):
    engine = changed(folder, tmp_path / "m", lambda t: t.update({n: x.bfloat16() for n, x in t.items()}))
    assert engine.decoder.weights.layers[1].experts.down[0].weight.dtype == torch.float32
    experts = Engine.load(tmp_path / "m", dtype="bfloat16").decoder.weights.layers[1].experts
    with open("/proc/self/maps", encoding="utf-8") as maps:
        mapped = [line.split()[0] for line in maps if str(tmp_path / "m") in line]
    spans = [[int(end, 16) for end in span.split("-")] for span in mapped]
    for linear in (*experts.gate_up, *experts.down):
        assert any(low <= linear.weight.data_ptr() < high for low, high in spans)


def test_another_models_state_is_refused(engine, tmp_path):
    engine.new_state().save(tmp_path / "s.state")
    other = Engine.load(tiny_moe_dir(tmp_path / "m", seed=1))
    with pytest.raises(StateError, match="another model"):
        ContextState.load(tmp_path / "s.state", other)


@pytest.mark.parametrize("strength", [1.0, 8.0, 60.0])
def test_the_tied_gate_equals_its_plain_loop_under_any_decay(engine, strength):
    draw = torch.Generator().manual_seed(6)
    q, k, v = (torch.randn(h, 150, 8, generator=draw) * strength for h in (4, 2, 2))
    coder = engine.decoder._coders[0]
    layer = SimpleNamespace(gates=Gates(None, torch.ones(8), None))
    heads, _ = gated_heads(coder, engine.config, layer, None, None, (q, k, v), None)
    wide = [x.double() if len(x) == 4 else x.double().repeat_interleave(2, 0) for x in (q, k, v)]
    truth = torch.nn.functional.rms_norm(tied_loop(*wide), (8,), eps=1e-6).transpose(0, 1)
    assert torch.isfinite(heads).all()
    # The bound of the golden operator vectors for chunked kernels (README 8).
    torch.testing.assert_close(heads.double(), truth, rtol=0, atol=5e-5 * float(truth.abs().max()))
