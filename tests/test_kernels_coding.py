"""Spike trains under five codings against those of the published implementation."""

import pytest
import torch
from golden import cases, tensors

from kernels.spike.coding import (
    MODES,
    decode_train,
    encode_train,
    firing_rate,
    plane_weights,
    shift_counts,
    steps_needed,
)

CASES = cases("spike_coding")
TRAINS = [case for case in CASES["encode"] if "raises" not in case]
REFUSED = [case for case in CASES["encode"] if "raises" in case]
SHIFTED = [case for case in CASES["wrapper"] if "raises" not in case]


def _name(case):
    return case["name"]


@pytest.mark.parametrize("case", TRAINS, ids=_name)
def test_trains_equal_the_reference_spike_by_spike(case):
    golden = tensors("spike_coding")
    counts, spikes = (golden[f"{case['name']}.{part}"] for part in ("counts", "spikes"))
    train = encode_train(counts, case["mode"], case["T_argument"])
    assert train.dtype == torch.int8
    assert torch.equal(train, spikes)
    assert len(train) == case["T"]
    assert int(train.count_nonzero()) == case["nonzero_spikes"]
    rate = firing_rate(train)
    assert rate is None if case["firing_rate"] is None else rate == pytest.approx(case["firing_rate"], 1e-6)


@pytest.mark.parametrize("case", TRAINS, ids=_name)
def test_decoding_equals_the_reference_with_twos_complement_signed(case):
    golden = tensors("spike_coding")
    counts, spikes, decoded = (golden[f"{case['name']}.{part}"] for part in ("counts", "spikes", "decoded"))
    ours, expected = decode_train(spikes, case["mode"]), decoded.long()
    if case["mode"] == "bitwise_twos_complement":  # the reference reads the planes as an unsigned number
        expected = expected - spikes[0].long() * 2 ** case["T"]
    assert torch.equal(ours, expected)
    if case["lossless"] or case["T"] >= steps_needed(counts, case["mode"]):
        assert torch.equal(ours, counts.long())


@pytest.mark.parametrize("case", REFUSED, ids=_name)
def test_what_cannot_be_coded_is_refused(case):
    with pytest.raises(ValueError, match=r"whole numbers|negative|at least one step"):
        encode_train(torch.tensor(case["counts"]), case["mode"], case["T_argument"])


@pytest.mark.parametrize("case", SHIFTED, ids=_name)
def test_shifted_counts_give_the_reference_trains(case):
    golden, name = tensors("spike_coding"), f"wrap.{case['name']}"
    counts, zero = golden[f"{name}.counts"], torch.zeros(1, dtype=torch.int64)
    shifted = counts
    if case["x_zero_given"]:
        shifted, zero = shift_counts(counts, case["mode"])
    train = encode_train(shifted, case["mode"])
    assert torch.equal(train, golden[f"{name}.spikes"])
    assert firing_rate(train) == pytest.approx(case["firing_rate"], 1e-6)
    assert torch.equal(decode_train(train, case["mode"]) - zero, counts.long())


@pytest.mark.parametrize("mode", MODES[:4])
def test_a_product_of_planes_is_the_product_of_counts(mode):
    golden = tensors("spike_coding")
    unsigned = mode in ("binary", "bitwise_unsigned")
    counts, weight = golden["matmul.xpos" if unsigned else "matmul.x"], golden["matmul.w"]
    train = encode_train(counts, mode).float()
    product = torch.einsum(
        "t,tij->ij", plane_weights(len(train), mode).float(), train @ weight[: counts.shape[1]]
    )
    torch.testing.assert_close(product, golden[f"matmul.{mode}.y"], rtol=0, atol=1e-5)


def test_the_first_layer_of_w8aspike_fires_the_reference_train():
    golden = tensors("w8aspike_tiny/io")
    counts = golden["first_linear.spikes_int"]
    train = encode_train(counts, "bitwise_bidirectional")
    assert torch.equal(train, golden["first_linear.spike_train_bitwise"])
    assert firing_rate(train) == pytest.approx(float(golden["first_linear.firing_rate_bitwise"]), 1e-6)
    unary = firing_rate(encode_train(counts, "ternary"))
    assert unary == pytest.approx(float(golden["first_linear.firing_rate_ternary"]), 1e-6)


def test_unknown_codings_are_named():
    for call in (lambda: encode_train(torch.zeros(2), "morse"), lambda: plane_weights(3, "morse")):
        with pytest.raises(ValueError, match="morse"):
            call()
