"""The student's arithmetic: straight-through spikes, adapted products, attention, and all of it fused."""

import pytest
import torch

from engine.convert.data import Passage
from engine.convert.examples import Branch, build
from engine.convert.fused import Spiked, can_fuse
from engine.convert.softmax import MASKED, attend, attend_causally
from engine.convert.student import AdaptedLinear, Student, visible
from engine.tokenizer import Tokenizer
from kernels.spike import decode_counts, encode_counts
from tests.tiny import tiny_model_dir


def test_spikes_round_forward_and_pass_gradients_straight_through():
    x = torch.randn(5, 16, requires_grad=True)
    y = Spiked.apply(x, 2.0, torch.float32)
    assert torch.allclose(y, decode_counts(*encode_counts(x.detach(), 2.0)))
    upstream = torch.randn(5, 16)
    y.backward(upstream)
    assert torch.equal(x.grad, upstream)


def test_gradients_of_the_adapted_product_are_those_of_autograd():
    draw = torch.Generator().manual_seed(0)
    shapes = ((7, 12), (9, 12), (3, 12), (9, 3))
    parts = [
        torch.randn(s, dtype=torch.float64, generator=draw, requires_grad=i != 1)
        for i, s in enumerate(shapes)
    ]
    assert torch.autograd.gradcheck(AdaptedLinear.apply, parts)
    x, weight, down, up = parts
    assert torch.allclose(AdaptedLinear.apply(*parts), x @ (weight + up @ down).T)


def test_plain_products_attend_as_the_fused_kernel_does():
    q, k, v = torch.randn(4, 9, 8), torch.randn(2, 9, 8), torch.randn(2, 9, 8)
    mask = torch.zeros(9, 9).masked_fill_(~torch.ones(9, 9, dtype=torch.bool).tril(), MASKED)
    wide = [x.repeat_interleave(2, 0) for x in (k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(q, *wide, attn_mask=mask)
    assert torch.allclose(attend(q, k, v, mask), expected, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_by_blocks_of_queries_is_the_whole(masked):
    length = 700  # three blocks, the last one short
    q, k, v = (torch.randn(heads, length, 8) for heads in (4, 2, 2))
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    if masked:
        seen[500:, 300:400] = False
    mask = torch.zeros(length, length).masked_fill_(~seen, MASKED)
    found = attend_causally(q, k, v, mask if masked else None)
    assert torch.allclose(found, attend(q, k, v, mask), atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("spiking", [True, False])
def test_fused_operations_compute_and_learn_the_same(tmp_path, spiking):
    if not can_fuse("cpu"):
        pytest.skip("torch's compiler finds no C++ compiler here")
    folder = tiny_model_dir(tmp_path)
    place = Passage("p", "Lease 1", "leases", "Tenant 1 pays 100 euro a month.")
    group = build(Tokenizer.load(folder), [place], [Branch("What pays tenant 1?", "100 euro")])
    hidden, gradients = [], []
    for fused in (False, True):
        student = Student(folder, 4, 0, torch.float32, fused=fused)
        student.spiking = spiking
        hidden.append(student([group]))
        hidden[-1].square().sum().backward()
        gradients.append([value.grad for value in student.adapters.named_tensors().values()])
    # Sums in another order differ in the last of 24 bits; a count that it moved would differ by a whole Vth.
    assert torch.allclose(hidden[0], hidden[1], rtol=1e-4, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(one.abs().max() + 1))


def test_a_visible_mask_hides_what_comes_later(tmp_path):
    folder = tiny_model_dir(tmp_path)
    place = Passage("p", "Lease 1", "leases", "Tenant 1 pays 100 euro a month.")
    group = build(Tokenizer.load(folder), [place], [Branch("Who?", None), Branch("What?", None)])
    assert not (visible(group) > MASKED / 2).triu(1).any()  # attention by blocks counts on it
