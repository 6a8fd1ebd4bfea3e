"""Reading and writing against llama.cpp on the same base model, in turn on the same machine.

    python tests/bench/llama_cpp.py --model HOME/models/default --bench BUILD/bin/llama-bench
        --gguf MODEL.gguf [MODEL.gguf ...] [--lengths 512 2048 8192] [--runs 3]

Every GGUF file (one a format) is compared in writing and at the shortest length; the fastest reader goes on
to the longer ones. llama.cpp is a tool for this comparison, not a dependency; tests/bench/README.md says how
to build it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.bench.decode import tokens_per_s
from app.bench.text import text_ids
from engine import Engine
from tests.bench.record import record

CONTEXT = 512
NEW_TOKENS = 64
Speed = Callable[[], float]


class Peer:
    """llama-bench on one GGUF file."""

    def __init__(self, binary: Path, gguf: Path, threads: int) -> None:
        self.name = gguf.stem
        self._command = [str(binary), "-m", str(gguf), "-t", str(threads), "-r", "1", "-o", "json"]
        self.about: dict[str, object] = {}

    def reads(self, tokens: int) -> float:
        """Prompt tokens a second of one prompt; batches as llama-bench chooses them."""
        return self._run("-p", str(tokens), "-n", "0", *(["--no-warmup"] if tokens > CONTEXT else []))

    def writes(self) -> float:
        """Tokens written a second behind a context."""
        return self._run("-p", "0", "-n", str(NEW_TOKENS), "-d", str(CONTEXT))

    def _run(self, *words: str) -> float:
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"llama-bench failed on {self.name}: {done.stderr.strip()[-300:]}")
        (row,) = json.loads(done.stdout)
        self.about = {"build": row["build_commit"], "format": row["model_type"], "cpu": row["cpu_info"]}
        return float(row["avg_ts"])


def in_turn(runs: int, sides: dict[str, Speed]) -> dict[str, list[float]]:
    """Speeds of each side, A B A B."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, speed in sides.items():
            found[name].append(speed())
    return found


def best(found: dict[str, list[float]], peers: list[Peer]) -> Peer:
    """The peer of the highest median."""
    return max(peers, key=lambda peer: statistics.median(found[peer.name]))


def write(found: dict[str, list[float]], peer: Peer, out: Path | None, **settings: object) -> None:
    """One line: ours against one peer."""
    ours, theirs = found["ours"], found[peer.name]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    settings |= {"gguf": peer.name, "runs": len(ours)} | peer.about
    values = {
        "tokens_per_s": round(statistics.median(ours), 1),
        "peer_tokens_per_s": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
    }
    record("llama_cpp", settings, values, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True, help="the llama-bench program")
    parser.add_argument("--gguf", type=Path, nargs="+", required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    engine = Engine.load(options.model)
    peers = [Peer(options.bench, path, options.threads) for path in options.gguf]
    ids = list(text_ids(engine.tokenizer, max(options.lengths)))

    def reads(count: int) -> float:
        state, started = engine.new_state(), time.perf_counter()
        for _ in engine.read(ids[:count], state):
            pass
        return count / (time.perf_counter() - started)

    behind = engine.new_state()
    for _ in engine.read(ids[:CONTEXT], behind):
        pass
    reads(CONTEXT)
    chosen = peers
    for length in sorted(options.lengths):
        sides: dict[str, Speed] = {"ours": lambda n=length: reads(n)}  # type: ignore[misc]
        sides |= {peer.name: lambda p=peer, n=length: p.reads(n) for peer in chosen}  # type: ignore[misc]
        found = in_turn(options.runs, sides)
        for peer in chosen:
            write(found, peer, options.out, what="reading", length=length, backend=engine.backend)
        chosen = [best(found, chosen)]
    sides = {"ours": lambda: tokens_per_s(engine, behind.clone(), NEW_TOKENS)}
    sides |= {peer.name: peer.writes for peer in peers}
    found = in_turn(options.runs, sides)
    for peer in peers:
        settings = {"context": CONTEXT, "tokens": NEW_TOKENS, "backend": engine.backend}
        write(found, peer, options.out, what="writing", **settings)


if __name__ == "__main__":
    main()
