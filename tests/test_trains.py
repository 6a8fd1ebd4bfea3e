"""Spike trains in the page process are those of the kernels; recorded spikes are those the model fires."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from app_home import tiny_engine

from app.projecting import PAPER, project, rates
from app.trains import CODINGS, UNSIGNED, encode, steps_needed
from engine import Engine
from engine.errors import ModelError
from engine.recording import SITES, record_spikes
from kernels.spike import coding
from kernels.spike.reference import encode_counts


@pytest.mark.parametrize("mode", CODINGS)
@pytest.mark.parametrize("counts", [[0], [1, -1, 3, -7, 0], [130, -3019, 5], [127, -128]])
def test_trains_equal_the_kernels(mode: str, counts: list[int]) -> None:
    ours = np.array(counts, dtype=np.int32)
    theirs = torch.tensor(counts).abs() if mode in UNSIGNED else torch.tensor(counts)
    steps = steps_needed(ours, mode)
    assert steps == max(1, coding.steps_needed(theirs, mode))
    for number in (steps, 3):
        expected = coding.encode_train(theirs, mode, number)
        assert np.array_equal(encode(ours, mode, number), expected.numpy())


def test_every_coding_of_the_kernels_is_offered() -> None:
    assert set(CODINGS) == set(coding.MODES)


def test_every_layer_input_is_recorded_with_what_its_spikes_reach() -> None:
    engine = tiny_engine()
    found = record_spikes(engine, [1, 5, 9, 200])
    c = engine.config
    assert [(r.layer, r.site) for r in found] == [(i, site) for i in range(c.num_layers) for site in SITES]
    width, inner, dim = c.hidden_size, c.intermediate_size, c.head_dim
    first = found[:4]
    assert [r.counts.shape[1] for r in first] == [width, c.num_heads * dim, width, inner]
    reached = [(c.num_heads + 2 * c.num_kv_heads) * dim, width, 2 * inner, width]
    assert [r.outputs for r in first] == reached


def test_the_first_layers_counts_are_the_formulas() -> None:
    engine = tiny_engine()
    ids = [1, 5, 9, 200]
    hidden = engine.decoder.embed(torch.tensor(ids))
    weight = engine.decoder.weights.layers[0].attn_norm
    normed = torch.nn.functional.rms_norm(hidden, (hidden.shape[-1],), weight, engine.config.norm_eps)
    assert engine.config.spike is not None
    counts, _ = encode_counts(normed, engine.config.spike.k)
    recorded = record_spikes(engine, ids)[0].counts
    assert float((recorded - counts).abs().max()) <= 1  # ties may round either way
    assert float((recorded == counts).float().mean()) > 0.99


def test_recording_changes_nothing_and_agrees_with_the_tally() -> None:
    engine = tiny_engine()
    ids = list(range(3, 35))
    before = engine.logits(ids)
    found = record_spikes(engine, ids)
    assert torch.equal(engine.logits(ids), before)
    assert engine.last_run is not None
    sampled = [np.abs(r.counts[::32].numpy()) for r in found]
    places = sum(counts.size for counts in sampled)
    spikes = sum(int(np.bitwise_count(counts).sum()) for counts in sampled)
    assert engine.last_run.spikes_per_channel == pytest.approx(spikes / places)


def test_a_model_without_spikes_says_so(tmp_path: object) -> None:
    from app_home import tiny_model

    with pytest.raises(ModelError, match="not spike-coded"):
        record_spikes(Engine.load(tiny_model(), spiking=False), [1])
    with pytest.raises(ValueError, match="at most"):
        record_spikes(tiny_engine(), [1] * 2000)


SITE = {"places": 100, "bits": 113, "unary": 200, "silent": 18, "low_bits": 93, "outputs": 10}


def test_rates_are_over_all_places() -> None:
    found = rates([SITE, SITE])
    assert (found.spikes_per_channel, found.silent_share) == (1.13, 0.18)
    assert found.sparsity == pytest.approx(1 - 93 / 300)


@pytest.mark.parametrize(("coding_name", "spikes"), [("bitwise_bidirectional", 113), ("ternary", 200)])
def test_the_projection_counts_additions_and_multiplications(coding_name: str, spikes: int) -> None:
    found = project([SITE], 2, coding_name)
    assert found.spiking_pj == pytest.approx(spikes * 10 / 2 * 0.03)
    assert found.int8_pj == pytest.approx(100 * 10 / 2 * 0.23)
    assert found.fp16_pj == pytest.approx(100 * 10 / 2 * 1.5)


def test_the_papers_figures_are_those_of_the_paper() -> None:
    assert PAPER == {"spikes_per_channel": 1.13, "silent_share": 0.184, "sparsity": 0.6915}
