"""What the threshold factor k trades: perplexity on the sample documents and F1 of answers, against spikes.

python tests/bench/threshold.py --model HOME/models/default --data DATA [--questions 12]

F1 is that of `engine.convert evaluate`: development questions, each with the right passage and two close
ones, by the product's own path; a refusal scores 0. Without --data it is left out. The model is the one that
is shipped (`start.py setup` prepares it with the adapter). Then `ship.py` puts it into assets/measured.
"""

import argparse
import html
import math
import re
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine import Engine
from engine.convert.evaluate import EvaluateSettings, answers
from engine.recording import record_spikes
from tests.bench.record import ROOT, record

FACTORS = (1.0, 1.5, 1.8, 2.1, 2.5, 3.0, 4.0, 6.0)
SETS = ("squad", "physics", "medical")
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


def answered(engine: Engine, data: Path | None, questions: int) -> dict[str, float]:
    """Mean F1 over the questions that the passages answer, and how often a quote holds the answer."""
    if data is None:
        return {}
    asked = EvaluateSettings(SETS, questions, places=())
    found = [judged for judged in answers(engine, data, asked).values() if judged["there"]]
    total = sum(judged["there"] for judged in found)
    names = {"f1": "f1", "quote_contains": "quote_holds_answer"}
    return {
        ours: round(sum(judged[name] * judged["there"] for judged in found) / total, 4)
        for name, ours in names.items()
    } | {"answerable": int(total)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder of the development files")
    parser.add_argument("--questions", type=int, default=12, help="of each set")
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS)
    parser.add_argument("--out", type=Path, help="results file (default: results/threshold.jsonl)")
    options = parser.parse_args()
    own = Engine.load(options.model)
    assert own.config.spike is not None
    samples = token_ids(own)
    shared = {
        "model": options.model.name,
        "fingerprint": own.fingerprint[:12],
        "own_k": own.config.spike.k,
        "texts": len(samples),
        "sets": list(SETS) if options.data else [],
        "questions": options.questions if options.data else 0,
    }
    for k in (None, *options.factors):  # None: not spike-coded
        engine = Engine.load(options.model, **({"spiking": False} if k is None else {"spike_k": k}))
        found, count = perplexity(engine, samples)
        fired = {} if k is None else spikes(engine, samples)
        values = {"k": k, "perplexity": round(found, 3), **fired}
        values |= answered(engine, options.data, options.questions)
        record("threshold", shared | {"tokens": count, "k": k}, values, options.out)


if __name__ == "__main__":
    main()
