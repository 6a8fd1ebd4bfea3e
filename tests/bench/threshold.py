"""What the threshold factor k trades: perplexity against spikes, on the self-written sample documents.

python tests/bench/threshold.py --model HOME/models/default
"""

import argparse
import html
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine import Engine
from engine.recording import record_spikes
from tests.bench.record import ROOT, record

FACTORS = (0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
SHIPPED = ROOT / "assets" / "measured" / "threshold.json"
WINDOW_BITS = 3


def texts() -> list[str]:
    """The sample documents that are text, tags taken out."""
    folder = ROOT / "assets" / "sample"
    paths = sorted(path for path in folder.rglob("*.*") if path.suffix in (".txt", ".md", ".html"))
    return [html.unescape(re.sub(r"<[^>]+>", " ", path.read_text("utf-8"))) for path in paths]


def token_ids(engine: Engine) -> list[list[int]]:
    """Each text's ids after a separator, at most a chunk."""
    assert engine.tokenizer is not None
    return [[engine.tokenizer.separator_id, *engine.tokenizer.encode(text)][:1024] for text in texts()]


def perplexity(engine: Engine, samples: list[list[int]]) -> tuple[float, int]:
    """Perplexity over all tokens but the first of each text, and their number."""
    loss, count = 0.0, 0
    for ids in samples:
        logits = engine.logits(ids)[:-1]
        loss += float(F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
        count += len(ids) - 1
    return math.exp(loss / count), count


def spikes(engine: Engine, samples: list[list[int]]) -> dict[str, float]:
    """Shares over every coded place (token, channel) of every text."""
    places = fired = silent = window = 0
    for ids in samples:
        for site in record_spikes(engine, ids):
            counts = np.abs(site.counts.numpy())
            places += counts.size
            fired += int(np.bitwise_count(counts).sum(dtype=np.int64))
            silent += int((counts == 0).sum())
            window += int(np.bitwise_count(counts & (2**WINDOW_BITS - 1)).sum(dtype=np.int64))
    return {
        "spikes_per_channel": round(fired / places, 4),
        "silent_share": round(silent / places, 4),
        "sparsity_3_bit": round(1 - window / (WINDOW_BITS * places), 4),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS)
    options = parser.parse_args()
    dense = Engine.load(options.model, spiking=False)
    samples = token_ids(dense)
    plain, count = perplexity(dense, samples)
    own = Engine.load(options.model).config.spike
    points, shared = [], {"texts": len(samples), "tokens": count, "model": options.model.name}
    line: dict = {}
    for k in options.factors:
        engine = Engine.load(options.model, spike_k=k)
        point = {"k": k, "perplexity": round(perplexity(engine, samples)[0], 3), **spikes(engine, samples)}
        points.append(point)
        line = record("threshold", shared | {"k": k}, point | {"perplexity_dense": round(plain, 3)})
    SHIPPED.parent.mkdir(parents=True, exist_ok=True)
    shipped = {
        "source": "tests/bench/results/threshold.jsonl",
        "date": line["date"],
        "machine": line["machine"]["cpu"],
        **shared,
        "own_k": own.k if own else None,
        "perplexity_dense": round(plain, 3),
        "points": points,
    }
    SHIPPED.write_text(json.dumps(shipped, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
