"""Memory that grows with the context: bounded in RAM, on disk beyond, whole after saving."""

import errno
import gc
import json
import os
import weakref

import pytest
import torch
from golden import DATA
from safetensors.torch import load_file, save_file

from engine import ContextState, Engine
from engine.errors import StateError
from engine.spill import DEFAULT_LIMIT, SpillSettings

FOLDER = DATA / "sse_swa_moba_tiny"
LAYERS = (0, 2, 5)
LIMIT = 1 << 17
IDS = torch.randint(0, 256, (640,), generator=torch.Generator().manual_seed(1)).tolist()


@pytest.fixture(scope="module")
def engine():
    return Engine.load(FOLDER)


@pytest.fixture
def spill(engine, tmp_path, monkeypatch):
    """A folder for the rest, where 128 KiB of keys and values stay in RAM."""
    folder = tmp_path / "spill"
    monkeypatch.setattr(engine.decoder, "spill", SpillSettings(LIMIT, folder))
    return folder


@pytest.fixture(scope="module")
def read(engine, tmp_path_factory):
    """A state that has read all of IDS."""
    engine.decoder.spill = SpillSettings(LIMIT, tmp_path_factory.mktemp("read"))
    state = engine.new_state()
    engine.hidden(IDS, state)
    return state


@pytest.fixture
def state(read, spill):
    return read.clone()


def _blocks(state):
    return [state.layers[i].blocks for i in LAYERS]


def _file(state):
    """The open file of the first layer's memory."""
    return next(page for page in state.layers[0].blocks.pages if not page.ram_nbytes)._file.file


def test_keys_stay_in_ram_up_to_the_limit_and_go_to_disk_beyond(engine, state):
    grown = sum(layer.growth_bytes_per_token(engine.config, 4) for layer in engine.config.layers)
    memory = _blocks(state)
    held = sum(blocks.ram_nbytes for blocks in memory)
    assert state.spilled_nbytes == sum(blocks.spilled_nbytes for blocks in memory) > 2 * LIMIT
    # Means of blocks are the index that stays in RAM: 1/16 of the keys here, 1/1024 at the released sizes.
    assert held - sum(blocks.tensors()["means"].nbytes for blocks in memory) <= LIMIT + 16_384
    assert state.nbytes > held + state.spilled_nbytes
    assert grown * len(IDS) <= held + state.spilled_nbytes < 1.1 * grown * len(IDS)
    assert all(blocks.length == len(IDS) for blocks in memory)


def test_what_lies_on_disk_changes_no_result(engine, spill, monkeypatch):
    spilled = engine.logits(IDS)
    monkeypatch.setattr(engine.decoder, "spill", SpillSettings(DEFAULT_LIMIT, spill))
    state = engine.new_state()
    whole = engine.logits(IDS, state)
    assert state.spilled_nbytes == 0
    torch.testing.assert_close(spilled, whole, rtol=0, atol=1e-4)


def test_the_file_has_no_name_and_goes_with_the_state(engine, spill):
    state = engine.new_state()
    engine.hidden(IDS, state)
    assert list(spill.iterdir()) == []  # nothing is left behind, however the process ends
    file = weakref.ref(_file(state))
    twin = state.clone()
    del state
    gc.collect()
    assert not file().closed
    del twin
    gc.collect()
    assert file() is None


@pytest.mark.parametrize("cut", [100, 639, 640])
def test_saved_and_loaded_it_goes_on_as_if_nothing_was(engine, spill, tmp_path, cut):
    straight = engine.new_state()
    engine.hidden(IDS[:cut], straight)
    straight.save(tmp_path / "s.state")
    resumed = ContextState.load(tmp_path / "s.state", engine)
    assert resumed.tokens_read == cut
    assert all(blocks.length == cut for blocks in _blocks(resumed))
    (tmp_path / "s.state").unlink()  # a thinned checkpoint; what was loaded keeps its pages
    for _ in range(2):
        more = IDS[:50]
        assert torch.equal(engine.logits(more, resumed), engine.logits(more, straight))
        resumed.save(tmp_path / "again.state")
        resumed = ContextState.load(tmp_path / "again.state", engine)
        assert resumed.nbytes - resumed.spilled_nbytes < straight.nbytes


def test_a_saved_state_is_a_safetensors_file_with_all_it_holds(engine, state, tmp_path):
    state.save(tmp_path / "s.state")
    named = load_file(tmp_path / "s.state")
    assert named.keys() == {*state.tensors(), *state.pages()}
    assert all(torch.equal(tensor, named[name]) for name, tensor in state.tensors().items())
    assert all(torch.equal(page.load(), named[name]) for name, page in state.pages().items())


def test_a_state_saved_under_another_limit_goes_on(engine, state, spill, tmp_path, monkeypatch):
    expected = engine.logits(IDS[:100], state.clone())
    state.save(tmp_path / "s.state")
    for limit in (1, 1 << 16, DEFAULT_LIMIT):
        monkeypatch.setattr(engine.decoder, "spill", SpillSettings(limit, spill))
        resumed = ContextState.load(tmp_path / "s.state", engine)
        torch.testing.assert_close(engine.logits(IDS[:100], resumed), expected, rtol=0, atol=1e-4)


def test_copies_share_full_pages_and_nothing_else(engine, state):
    twin = state.clone()
    before = engine.logits(IDS[:20], state.clone())
    engine.hidden(IDS[:300], twin)
    assert twin.tokens_read == 940
    for mine, other in zip(_blocks(state), _blocks(twin), strict=True):
        assert other.pages[: len(mine.pages)] == mine.pages
    assert torch.equal(engine.logits(IDS[:20], state), before)


def test_where_open_files_cannot_be_deleted_saved_pages_are_copied(engine, state, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.spill.DELETES_OPEN_FILES", False)
    state.save(tmp_path / "s.state")
    resumed = ContextState.load(tmp_path / "s.state", engine)
    (tmp_path / "s.state").write_bytes(b"")
    assert torch.equal(engine.logits(IDS[:20], resumed), engine.logits(IDS[:20], state))


def test_a_damaged_page_of_a_saved_state_is_noticed(engine, state, tmp_path):
    path = tmp_path / "s.state"
    state.save(path)
    whole = path.read_bytes()
    at = whole.find(bytes(state.layers[2].blocks.pages[3].load().view(torch.uint8).flatten()[:64].tolist()))
    assert at > 0
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(StateError, match="checksum") as caught:
        ContextState.load(path, engine)
    assert "older checkpoint" in caught.value.hint
    path.write_bytes(whole[:-5])
    with pytest.raises(StateError, match="damaged"):
        ContextState.load(path, engine)
    path.write_bytes(whole)
    assert ContextState.load(path, engine).tokens_read == len(IDS)


def test_a_saved_state_without_its_pages_is_incomplete(engine, state, tmp_path):
    path = tmp_path / "s.state"
    state.save(path)
    with open(path, "rb") as file:
        meta = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    named = load_file(path)
    del named["layers.2.pages.0"]
    save_file(named, path, meta)
    with pytest.raises(StateError, match=r"incomplete.*layers\.2\.pages\.0"):
        ContextState.load(path, engine)
    marks = json.loads(meta["pages"])
    del marks["layers.2.pages.0"]
    save_file(named, path, meta | {"pages": json.dumps(marks)})
    with pytest.raises(StateError, match=r"keys of .* tokens where 640 were read"):
        ContextState.load(path, engine)


def test_a_state_of_another_family_is_refused(engine, state, tmp_path):
    other = Engine.load(DATA / "gla_swa_tiny")
    path = tmp_path / "s.state"
    state.save(path)
    with pytest.raises(StateError, match="another model"):
        ContextState.load(path, other)
    other.new_state().save(path)
    with pytest.raises(StateError, match="another model"):
        ContextState.load(path, engine)
    meta = {"format": "engram-state-1", "fingerprint": engine.fingerprint, "tokens_read": "0"}
    save_file(load_file(path), path, meta | {"passage_count": "0", "seen": "[0, 0, 0, 0, 0, 0]"})
    with pytest.raises(StateError, match="incomplete"):
        ContextState.load(path, engine)


def test_a_damaged_file_of_the_running_process_is_noticed(engine, spill):
    state = engine.new_state()
    engine.hidden(IDS[:600], state)
    pages = [page for page in state.layers[5].blocks.pages if not page.ram_nbytes]
    os.pwrite(pages[-1]._file.file.fileno(), b"????", pages[-1]._offset)
    pages[-1]._verified = False
    with pytest.raises(StateError, match="checksum"):
        engine.hidden(IDS[:50], state)
    os.ftruncate(pages[-1]._file.file.fileno(), 10)
    with pytest.raises(StateError, match="damaged"):
        pages[-1].load()


def test_a_full_disk_is_said_and_the_state_goes_no_further(engine, spill, state, tmp_path, monkeypatch):
    state.save(tmp_path / "s.state")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("engine.spill.raw_bytes", full)
    with pytest.raises(StateError, match="No space left") as caught:
        engine.hidden(IDS, state)
    assert caught.value.code == "disk_full"
    assert "ENGRAM_SPILL_DIR" in caught.value.hint
    monkeypatch.undo()
    with pytest.raises(StateError, match="stopped in the middle"):
        engine.hidden(IDS[:5], state)
    assert ContextState.load(tmp_path / "s.state", engine).tokens_read == len(IDS)


def test_a_folder_that_cannot_be_written_is_named(engine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(engine.decoder, "spill", SpillSettings(1, tmp_path / "file" / "spill"))
    with pytest.raises(StateError, match="cannot be written") as caught:
        engine.hidden(IDS[:50], engine.new_state())
    assert caught.value.code == "spill_refused"
