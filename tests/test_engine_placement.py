"""The engine on other kernels and devices: Triton's through a whole model, and what is missing."""

import pytest
import torch

from engine import ContextState, Engine, placement
from engine.errors import DeviceError
from engine.window_cache import Rotary, WindowCache
from kernels.int8.cpu import float_product
from kernels.ops import TorchOps
from tests import tiny
from tests.golden import DATA, tensors


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two layers, a window of 16: every kernel runs, few times."""
    patch = pytest.MonkeyPatch()
    patch.setitem(tiny.SETTINGS, "num_layers", 2)
    patch.setattr(tiny, "WINDOW", 16)
    folder = tiny.tiny_model_dir(tmp_path_factory.mktemp("model"), gates=True)
    patch.undo()
    return folder


@pytest.fixture(scope="module")
def engines(model):
    return tuple(Engine.load(model, dtype="float32", kernels=kernels) for kernels in ("torch", "triton"))


def _ids(count: int) -> list[int]:
    return torch.randint(3, 300, (count,), generator=torch.Generator().manual_seed(0)).tolist()


def test_a_model_in_triton_equals_the_plain_one_in_logits_state_and_spikes(engines, tmp_path):
    plain, triton = engines
    assert "Triton" in triton.backend
    assert "Triton" not in plain.backend
    assert plain.fingerprint == triton.fingerprint
    ids, states = _ids(40), [engine.new_state() for engine in engines]
    expected = plain.logits(ids, states[0])
    first, counted = triton.logits(ids[:37], states[1]), triton.last_run
    rest = triton.logits(ids[37:], states[1])
    # Some hundred roundings of 2^-24 relative to the largest on the way to a logit, summed in another order.
    limit = 500 * 2**-24 * float(expected.abs().max())
    assert float((torch.cat((first, rest)) - expected).abs().max()) < limit
    for name, held in states[0].tensors().items():
        assert float((states[1].tensors()[name] - held).abs().max()) < 1e-4
    plain.logits(ids[:37], plain.new_state())
    assert counted.silent_share == pytest.approx(plain.last_run.silent_share, abs=1e-3)
    assert counted.spikes_per_channel == pytest.approx(plain.last_run.spikes_per_channel, abs=1e-3)
    states[1].save(tmp_path / "s.state")
    moved = ContextState.load(tmp_path / "s.state", plain)
    assert list(triton.generate([7], states[1], max_new_tokens=2)) == list(
        plain.generate([7], moved, max_new_tokens=2)
    )


def test_released_spiking_weights_run_in_triton(monkeypatch):
    io = tensors("w8aspike_tiny/io")
    engine = Engine.load(DATA / "w8aspike_tiny", kernels="triton")
    out = engine.logits(io["input_ids"][0, :20].tolist())
    torch.testing.assert_close(out, io["logits"][0, :20], rtol=0, atol=1e-4)


def test_longer_segments_change_nothing_but_rounding(model, monkeypatch, tmp_path):
    short = Engine.load(model, dtype="float32", spiking=False)
    monkeypatch.setattr(placement, "SEGMENT", 4096)
    long = Engine.load(model, dtype="float32", spiking=False)
    ids, states = _ids(2200), [short.new_state(), long.new_state()]
    assert [p.tokens_read for p in long.read(ids[:2100], states[1])] == [2100]
    list(short.read(ids[:2100], states[0]))
    states[0].save(tmp_path / "s.state")
    carried = ContextState.load(tmp_path / "s.state", long)
    expected = short.logits(ids[2100:], states[0])
    for state in (states[1], carried):
        apart = float((long.logits(ids[2100:], state) - expected).abs().max())
        assert apart < 1000 * 2**-24 * float(expected.abs().max())


@pytest.mark.parametrize("kernels", ["torch", "triton"])
def test_a_window_may_start_segments_of_any_length(kernels):
    ops = TorchOps() if kernels == "torch" else placement.place("cpu", torch.float32, "triton").ops
    rotary = Rotary(8, 1e4, segment=24, apply=ops.rotate)
    cache = WindowCache(1, 8, 8, 2, torch.float32)
    keys = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(0))
    cache.extend(keys[:, :24], keys[:, :24], rotary)
    cache.extend(keys[:, 24:], keys[:, 24:], rotary)
    assert torch.equal(cache.live()[0], keys[:, 22:])
    with pytest.raises(ValueError, match="segment of 24"):
        cache.extend(keys, keys, rotary)


def test_products_without_an_int8_unit_are_exact():
    draw = torch.Generator().manual_seed(0)
    a = torch.randint(-128, 128, (3, 2500), generator=draw, dtype=torch.int8)
    b = torch.randint(-128, 128, (2500, 5), generator=draw, dtype=torch.int8)
    a[0], b[:, 0] = -128, -128
    assert torch.equal(float_product(a, b).double(), a.double() @ b.double())


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "built without CUDA|no CUDA device"),
        ("npu", "needs the package torch_npu"),
        ("xpu", "finds no xpu device"),
        ("meta", "not there"),
        ("gpu0", "is not a device"),
    ],
)
def test_a_device_that_is_not_there_says_what_is_missing(model, device, message):
    with pytest.raises(DeviceError, match=message) as caught:
        Engine.load(model, device=device)
    assert caught.value.hint


def test_the_number_of_a_device_must_exist(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(placement.find_device("cuda:1")) == "cuda:1"
    assert placement.automatic() == "cuda"
    with pytest.raises(DeviceError, match="sees 2"):
        placement.find_device("cuda:2")


def test_without_triton_an_accelerator_runs_plain_torch_and_says_so(monkeypatch):
    monkeypatch.setattr(placement.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(placement, "find_device", torch.device)
    placed = placement.place("cuda", torch.bfloat16)
    assert (placed.ops.name, placed.note) == ("torch", "Triton is not installed")
    assert placed.segment == placement.DEVICE_SEGMENT
    with pytest.raises(DeviceError, match="not installed"):
        placement.place("cuda", torch.bfloat16, "triton")
    monkeypatch.undo()
    monkeypatch.setattr(placement, "find_device", torch.device)
    monkeypatch.setenv("ENGRAM_TRITON", "0")
    assert placement.place("cuda", torch.bfloat16).note == "Triton kernels switched off"


def test_kernels_that_cannot_be_had_are_refused(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(DeviceError, match="no compiler for the processor"):
        placement.place("cpu", torch.float32, "triton")
    monkeypatch.setenv("ENGRAM_NATIVE", "0")
    with pytest.raises(DeviceError, match="compiled kernels"):
        placement.place("cpu", torch.float32, "compiled")


def test_a_kernel_that_fails_its_trial_gives_the_reason(monkeypatch):
    from kernels import triton_ops

    def broken(_device: torch.device) -> None:
        raise RuntimeError("no C compiler\nsecond line")

    monkeypatch.setattr(triton_ops, "self_test", broken)
    with pytest.raises(DeviceError, match=r"do not run on cpu: no C compiler$"):
        placement.place("cpu", torch.float32, "triton")
