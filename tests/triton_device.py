"""Where Triton kernels are tested: on a GPU, else in the interpreter on the processor."""

from collections.abc import Iterator

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def filled() -> Iterator[None]:
    """New memory is filled with NaN, so that a kernel which leaves something unwritten shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
