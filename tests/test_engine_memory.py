"""Loading holds the weights and little more: no second copy, no file left in memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from golden import DATA
from safetensors.torch import save_file

from engine import Engine
from engine.config import parse_config
from engine.families import FAMILIES
from engine.sources import ShapeSource

WIDE = {
    "hidden_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 3072,
    "vocab_size": 4096,
    "attn_layers": [1, 3, 5],
}
# torch and its allocator are there before; the peak is the process's own, so each load has a process.
MEASURE = """
import resource, sys
from engine import Engine
Engine.load(sys.argv[1], dtype=sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
engine = Engine.load(sys.argv[2], dtype=sys.argv[3])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((peak - before) * 1024, engine.nbytes)
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """About 71 M random parameters in bfloat16."""
    folder = tmp_path_factory.mktemp("wide")
    raw = json.loads((DATA / "gla_swa_tiny" / "config.json").read_text()) | WIDE
    source = ShapeSource()
    FAMILIES["gla_swa"].load(source, parse_config(raw), False, torch.bfloat16)
    tensors = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in source.shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(raw))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted otherwise elsewhere")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_peak_memory_is_the_weights_and_one_tensor(wide, dtype):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(DATA / "gla_swa_tiny"), str(wide), dtype],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    grown, weights = map(int, done.stdout.split())
    file = (wide / "model.safetensors").stat().st_size
    assert weights == pytest.approx(file * (2 if dtype == "float32" else 1), rel=0.01)
    # The largest tensor is 8 MB in the file; holding the file too would take its 140 MB.
    assert grown < weights + 40e6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_weights_that_need_no_conversion_stay_in_the_file(wide):
    engine = Engine.load(wide, dtype="bfloat16")
    down = engine.decoder.weights.layers[0].down.weight
    with open("/proc/self/maps", encoding="utf-8") as maps:
        mapped = [line.split() for line in maps if str(wide) in line]
    spans = [[int(end, 16) for end in line[0].split("-")] for line in mapped]
    assert any(low <= down.data_ptr() < high for low, high in spans)
