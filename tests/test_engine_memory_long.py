"""Memory that grows with the context: its limit, and the size of a process that reads for long."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from golden import DATA
from safetensors.torch import save_file

from engine import Engine
from engine.config import parse_config
from engine.errors import StateError
from engine.families import FAMILIES
from engine.sources import ShapeSource
from engine.spill import DEFAULT_LIMIT, SpillSettings

FOLDER = DATA / "sse_swa_moba_tiny"


def test_limit_and_folder_come_from_the_environment(monkeypatch, tmp_path):
    for name in ("ENGRAM_MEMORY_MB", "ENGRAM_SPILL_DIR", "ENGRAM_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert SpillSettings.default().limit_bytes == DEFAULT_LIMIT
    monkeypatch.setenv("ENGRAM_HOME", str(tmp_path))
    assert SpillSettings.default().folder == tmp_path / "states"
    monkeypatch.setenv("ENGRAM_SPILL_DIR", str(tmp_path / "large"))
    monkeypatch.setenv("ENGRAM_MEMORY_MB", "7")
    assert SpillSettings.default() == SpillSettings(7 << 20, tmp_path / "large")
    monkeypatch.setenv("ENGRAM_MEMORY_MB", "1 GB")
    with pytest.raises(StateError, match="1 GB"):
        Engine.load(FOLDER)


LONG = """
import sys, psutil
from engine import Engine
engine = Engine.load(sys.argv[1])
state, process, sizes = engine.new_state(), psutil.Process(), []
for step in engine.read((i * i % 251 for i in range(8192)), state):
    sizes.append(process.memory_info().rss)
print(sizes[3], max(sizes[3:]), state.nbytes, state.spilled_nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted otherwise elsewhere")
def test_a_long_reading_keeps_the_process_small(tmp_path):
    """8,192 tokens of 6 KiB of keys and values each: 50 MB, of which 4 may stay."""
    raw = json.loads((FOLDER / "config.json").read_text())
    raw["attn"] |= {"moba_chunk_size": 256, "full_layers": [], "num_heads": 4, "num_kv_heads": 4}
    raw |= {"head_dim": 64, "num_hidden_layers": 3, "attn": raw["attn"] | {"layers": [0, 1, 2]}}
    source, draw = ShapeSource(), torch.Generator().manual_seed(0)
    FAMILIES["sse_swa_moba"].load(source, parse_config(raw), False, torch.float32)
    save_file(
        {name: torch.randn(shape, generator=draw) / 8 for name, shape in source.shapes.items()},
        tmp_path / "model.safetensors",
    )
    (tmp_path / "config.json").write_text(json.dumps(raw))
    environment = os.environ | {"ENGRAM_MEMORY_MB": "4", "ENGRAM_SPILL_DIR": str(tmp_path / "spill")}
    done = subprocess.run(
        [sys.executable, "-c", LONG, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    early, most, total, spilled = map(int, done.stdout.split())
    assert total > 50e6
    assert spilled > 45e6
    assert most - early < 10e6
