"""Reading, state and generation on a tiny random model."""

import pytest
import torch

from engine import ContextState, Engine
from engine.errors import ModelError, StateError
from tests.tiny import tiny_model_dir


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model_dir(tmp_path_factory.mktemp("model"), gates=True)


@pytest.fixture(scope="module")
def engine(model):
    return Engine.load(model, dtype="float32")


def _ids(count: int, seed: int = 0) -> list[int]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(3, 300, (count,), generator=draw).tolist()


@pytest.mark.parametrize("spiking", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 64, 333])
def test_chunking_does_not_show(model, spiking, chunk):
    engine = Engine.load(model, dtype="float32", spiking=spiking)
    ids = _ids(1100)
    whole = engine.logits(ids)
    state = engine.new_state()
    parts = torch.cat([engine.logits(ids[i : i + chunk], state) for i in range(0, len(ids), chunk)])
    # float32 sums of a few hundred terms in another order: 2^-24 times their number, times the logits' size.
    close = (parts - whole).abs().amax(dim=1) < 500 * 2**-24 * float(whole.abs().max())
    # Spiking: a quotient within float noise of a half may round to the neighbouring count, now and then,
    # for a token.
    assert float(close.float().mean()) > (0.9 if spiking else 0.9999)
    assert float((parts - whole).abs().max()) < 0.1 * float(whole.abs().max())
    assert state.tokens_read == len(ids)


@pytest.mark.parametrize("cut", [1, 5, 31, 32, 33, 100, 1023, 1024, 1025])
def test_save_load_continue_equals_uninterrupted(engine, tmp_path, cut):
    ids = _ids(1200)
    straight = engine.new_state()
    engine.hidden(ids[:cut], straight)
    straight.save(tmp_path / "s.state")
    resumed = ContextState.load(tmp_path / "s.state", engine)
    assert resumed.tokens_read == cut
    torch.testing.assert_close(
        engine.logits(ids[cut:], resumed), engine.logits(ids[cut:], straight), rtol=0, atol=1e-4
    )


def test_a_reading_resumed_at_a_chunk_end_gives_the_same_bits(engine, tmp_path):
    ids, ends = _ids(3000), [700, 1500, 2900]
    whole, resumed, codes = engine.new_state(), engine.new_state(), []
    expected = [c for p in engine.read(ids, whole, ends) for c in p.codes]
    reading = engine.read(ids, resumed, ends)
    codes += next(reading).codes
    reading.close()
    resumed.save(tmp_path / "s.state")
    resumed = ContextState.load(tmp_path / "s.state", engine)
    codes += [c for p in engine.read(ids[resumed.tokens_read :], resumed, ends) for c in p.codes]
    assert codes == expected
    assert [index for index, _ in codes] == [0, 1, 2]
    assert all(torch.equal(t, resumed.tensors()[name]) for name, t in whole.tensors().items())


def test_reading_leaves_the_same_state_as_logits(engine):
    ids = _ids(150)
    read, judged = engine.new_state(), engine.new_state()
    list(engine.read(ids, read))
    engine.logits(ids, judged)
    for name, tensor in judged.tensors().items():
        torch.testing.assert_close(read.tensors()[name], tensor, rtol=0, atol=1e-5)


def test_reading_reports_progress_and_takes_any_iterable(engine):
    state = engine.new_state()
    progress = list(engine.read(iter(_ids(2500)), state))
    assert [p.tokens_read for p in progress] == [1024, 2048, 2500]
    assert progress[-1].tokens_per_s > 0
    assert engine.last_run.tokens == 2500
    assert 0 < engine.last_run.silent_share < 1


def test_state_does_not_grow_with_the_context(engine):
    state, sizes = engine.new_state(), []
    for _ in range(4):
        list(engine.read(_ids(2048), state))
        sizes.append(state.nbytes)
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537])
def test_lengths_around_two_to_the_sixteen(engine, length):
    state = engine.new_state()
    for _ in engine.read((3 + i % 200 for i in range(length)), state):
        pass
    assert state.tokens_read == length
    assert engine.logits([5], state).isfinite().all()


def test_position_four_million_equals_position_zero(engine):
    """Positions count inside the window: the same last tokens far away give the same output."""
    ids, tail = _ids(2048), _ids(20, seed=1)
    near = engine.new_state()
    engine.hidden(ids, near)
    far = near.clone()
    far.tokens_read += 4096 * 1024
    for layer in far.layers:
        layer.window.seen += 4096 * 1024
    assert torch.equal(engine.logits(tail, far), engine.logits(tail, near))


def test_clone_is_independent(engine):
    state = engine.new_state()
    engine.hidden(_ids(50), state)
    twin = state.clone()
    before = engine.logits(_ids(5, 2), state.clone())
    engine.hidden(_ids(200, 3), twin)
    assert torch.equal(engine.logits(_ids(5, 2), state), before)


def test_state_of_another_model_is_refused(engine, tmp_path):
    engine.new_state().save(tmp_path / "s.state")
    other = Engine.load(tiny_model_dir(tmp_path, seed=9), dtype="float32")
    with pytest.raises(StateError, match="another model"):
        ContextState.load(tmp_path / "s.state", other)
    with pytest.raises(ModelError, match="another model"):
        other.logits([5], engine.new_state())


def test_settings_that_change_results_change_the_fingerprint(model):
    prints = {
        Engine.load(model, dtype=d, spiking=s).fingerprint
        for d in ("float32", "bfloat16")
        for s in (True, False)
    }
    assert len(prints) == 4


def test_damaged_and_missing_states_are_refused(engine, tmp_path):
    path = tmp_path / "s.state"
    with pytest.raises(StateError, match="no saved state"):
        ContextState.load(path, engine)
    engine.new_state().save(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StateError, match="damaged"):
        ContextState.load(path, engine)
    path.write_bytes(b"")
    with pytest.raises(StateError, match="damaged"):
        ContextState.load(path, engine)


def test_a_failed_save_keeps_the_older_file(engine, tmp_path, monkeypatch):
    path = tmp_path / "s.state"
    engine.new_state().save(path)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    state = engine.new_state()
    engine.hidden(_ids(9), state)
    with pytest.raises(OSError, match="No space"):
        state.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.state"]


def test_untrained_gates_contribute_exactly_nothing(tmp_path):
    plain = Engine.load(tiny_model_dir(tmp_path, gates=False), dtype="float32")
    assert all(layer.linear for layer in plain.config.layers)
    state = plain.new_state()
    plain.hidden(_ids(100), state)
    assert all(not layer.linear.any() for layer in state.layers)


def test_trained_gates_carry_what_the_window_forgot(engine):
    early = [engine.new_state() for _ in range(2)]
    for seed, state in enumerate(early):
        engine.hidden(_ids(10, seed) + _ids(400, 7), state)
    assert not torch.equal(engine.logits([5], early[0]), engine.logits([5], early[1]))


def test_greedy_generation_is_the_argmax_of_teacher_forcing(engine):
    prompt = _ids(40)
    out = list(engine.generate(prompt, max_new_tokens=8, stop_ids=()))
    forced = engine.logits(prompt + out[:-1])[len(prompt) - 1 :].argmax(dim=-1).tolist()
    assert out == forced


def test_sampling_repeats_with_its_seed_and_varies_without(engine):
    def draw(seed: int) -> list[int]:
        return list(engine.generate(_ids(10), max_new_tokens=12, temperature=1.5, seed=seed, stop_ids=()))

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in range(4)}) > 1


def test_generation_stops_at_a_stop_token(engine):
    first = next(iter(engine.generate(_ids(10), max_new_tokens=1, stop_ids=())))
    assert list(engine.generate(_ids(10), max_new_tokens=5, stop_ids=[first])) == []


def test_ids_outside_the_vocabulary_are_refused(engine):
    with pytest.raises(ValueError, match="token ids"):
        engine.logits([5, 512])
    with pytest.raises(ValueError, match="at least one"):
        next(engine.generate([]))


def test_a_question_has_a_code_and_the_same_one_each_time(engine):
    code = engine.encode_query("When does the contract end?")
    assert len(code) == 64 == engine.code_bits // 8
    assert code == engine.encode_query("When does the contract end?")
    assert len(engine.encode_query("")) == 64


def test_a_question_longer_than_a_chunk_has_a_code_too(engine):
    assert len(engine.encode_query("When does the contract end? " * 400)) == 64


def test_the_default_model_is_found_in_the_home_folder(tmp_path, monkeypatch):
    tiny_model_dir(tmp_path / "models").rename(tmp_path / "models" / "default")
    monkeypatch.setenv("ENGRAM_HOME", str(tmp_path))
    assert Engine.load().fingerprint == Engine.load("default", models_dir=tmp_path / "models").fingerprint


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_engine_and_the_storage_agree_on_the_home_folder(system, monkeypatch):
    from engine.checkpoint import _home
    from storage import Home

    monkeypatch.delenv("ENGRAM_HOME")
    monkeypatch.setattr("sys.platform", system)
    assert _home() == Home.default().path
