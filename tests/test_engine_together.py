"""Sequences that know nothing of each other, read together: each as if it had been read alone."""

import pytest
import torch

from engine import Engine
from engine.stepping import gathered
from tests.tiny import tiny_model_dir

LENGTHS = (5, 40, 1, 333, 700, 2, 1300, 64)


@pytest.fixture(scope="module", params=[False, True], ids=["windows", "gated branches too"])
def model(tmp_path_factory, request):
    return tiny_model_dir(tmp_path_factory.mktemp("model"), gates=request.param)


def _sequences():
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(3, 300, (count,), generator=draw).tolist() for count in LENGTHS]


@pytest.mark.parametrize("spiking", [True, False])
def test_read_together_each_sequence_gives_what_it_gives_alone(model, spiking):
    engine = Engine.load(model, dtype="float32", spiking=spiking)
    together = list(engine.hidden_each(_sequences()))
    assert [len(hidden) for hidden in together] == list(LENGTHS)
    for ids, hidden in zip(_sequences(), together, strict=True):
        alone = engine.hidden(ids)
        apart = (hidden - alone).abs().amax(dim=1)
        # As for chunks of one text: float32 sums in another order; spike-coded, a count may round otherwise.
        close = apart < 500 * 2**-24 * float(alone.abs().max())
        assert float(close.float().mean()) > (0.9 if spiking else 0.9999)
        assert float(apart.max()) < 0.1 * float(alone.abs().max())


def test_short_sequences_share_products_with_the_weights(tmp_path, monkeypatch):
    engine, products = Engine.load(tiny_model_dir(tmp_path)), []
    (coder,) = {id(one): one for one in engine.decoder._coders}.values()
    own = coder.norm_linear
    monkeypatch.setattr(
        coder, "norm_linear", lambda layer, x, *rest: products.append(len(x)) or own(layer, x, *rest)
    )
    seen, layers = engine.decoder.tokens_seen, len(engine.decoder.weights.layers)
    streams = engine.hidden_each(_sequences())
    next(streams)
    assert products == [sum(LENGTHS[:6])] * layers, "only when asked for"
    assert engine.last_run.tokens == sum(LENGTHS[:6])
    assert sum(map(len, streams)) == sum(LENGTHS[1:])
    longer = [count for piece in (1024, 276, 64) for count in [piece] * layers]
    assert products[layers:] == longer, "one longer than a segment is read by itself, in pieces"
    assert engine.decoder.tokens_seen - seen == sum(LENGTHS)


def test_four_segments_at_most_are_read_at_once(tmp_path, monkeypatch):
    engine, products = Engine.load(tiny_model_dir(tmp_path)), []
    own = engine.decoder.forward_each
    monkeypatch.setattr(
        engine.decoder,
        "forward_each",
        lambda streams, *rest: products.append(len(streams)) or own(streams, *rest),
    )
    assert len(list(engine.hidden_each([[5] * 900] * 5))) == 5
    assert products == [4, 1]


def test_gated_branches_are_read_abreast_from_an_empty_state(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path, gates=True), dtype="float32", spiking=False)
    assert engine.decoder.reads_abreast
    twice = list(engine.hidden_each([_sequences()[1]] * 2))
    assert torch.equal(*twice), "one's memory is not the other's"
    halfway = list(engine.advance_each(engine.embed_each(_sequences()[:2]), 0, 1))
    whole = list(engine.advance_each(halfway, 1))
    for streams, ids in zip(whole, _sequences()[:2], strict=True):
        assert torch.allclose(streams, engine.hidden(ids), rtol=1e-4, atol=1e-4)


def test_nothing_and_what_is_no_token_are_taken_as_they_are_alone(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path))
    assert list(engine.hidden_each([])) == []
    assert [len(hidden) for hidden in engine.hidden_each([[], [5, 6], []])] == [0, 2, 0]
    for bad in (-1, engine.config.vocab_size):
        with pytest.raises(ValueError, match="token ids must lie in"):
            list(engine.hidden_each([[5, 6], [bad]]))


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([], []),
        ([3], [[3]]),
        ([3, 4], [[3, 4]]),
        ([3, 4, 5], [[3, 4], [5]]),
        ([99, 1], [[99], [1]]),
        ([7, 0], [[7, 0]]),
    ],
)
def test_groups_hold_what_fits_in_order(lengths, groups):
    found = gathered([[1] * length for length in lengths], 8)
    assert [[len(ids) for ids in group] for group in found] == groups
