"""Reference tensors computed by published implementations (tests/data/README.md says which)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

DATA = Path(__file__).parent / "data"


@cache
def tensors(name: str) -> dict[str, Tensor]:
    """All tensors of tests/data/<name>.safetensors."""
    return load_file(DATA / f"{name}.safetensors")


def cases(name: str) -> Any:
    """The case descriptions of tests/data/<name>.json."""
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))
