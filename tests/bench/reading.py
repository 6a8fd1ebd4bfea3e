"""Reading speed: against transformers' prefill of the same model in the same run, and against length to a
million tokens.

    python tests/bench/reading.py --model HOME/models/default --peer 512 2048 8192 32768 [--runs 3]
    python tests/bench/reading.py --model HOME/models/default --tokens 1000000

Lengths above 8,192 are run once: transformers takes minutes for one.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.bench.text import text_ids
from engine import Engine
from tests.bench.record import record

ONCE_ABOVE = 8192
MARKS = (16_384, 65_536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152, 4_194_304)


def transformers_peer(engine: Engine):
    """transformers' Llama of the same shape in bfloat16 (speed does not depend on the values of the
    weights).
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    c = engine.config
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.hidden_size,
        intermediate_size=c.intermediate_size,
        num_hidden_layers=c.num_layers,
        num_attention_heads=c.num_heads,
        num_key_value_heads=c.num_kv_heads,
        rms_norm_eps=c.norm_eps,
        tie_word_embeddings=True,
        max_position_embeddings=65_536,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def compare(engine: Engine, lengths: list[int], runs: int, out: Path | None) -> None:
    """Ours and transformers' in turn, A B A B, medians of the tokens/s and of the ratio."""
    import torch

    peer = transformers_peer(engine)
    ids = list(text_ids(engine.tokenizer, max(lengths)))

    def ours(count: int) -> float:
        state, started = engine.new_state(), time.perf_counter()
        for _ in engine.read(ids[:count], state, [count]):
            pass
        return count / (time.perf_counter() - started)

    def theirs(count: int) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            peer(torch.tensor(ids[:count])[None], use_cache=True, logits_to_keep=1)
        return count / (time.perf_counter() - started)

    ours(1024), theirs(512)
    for length in lengths:
        count = runs if length <= ONCE_ABOVE else 1
        pairs = [(ours(length), theirs(length)) for _ in range(count)]
        record(
            "reading",
            {
                "compare": "transformers bfloat16 sdpa",
                "length": length,
                "runs": count,
                "backend": engine.backend,
            },
            {
                "tokens_per_s": round(statistics.median(a for a, _ in pairs), 1),
                "peer_tokens_per_s": round(statistics.median(b for _, b in pairs), 1),
                "ratio": round(statistics.median(a / b for a, b in pairs), 3),
                "ratio_min": round(min(a / b for a, b in pairs), 3),
                "ratio_max": round(max(a / b for a, b in pairs), 3),
            },
            out,
        )


def lengths(engine: Engine, tokens: int, out: Path | None) -> None:
    """One reading of `tokens` tokens: speed between marks and resident memory at each."""
    process, state = psutil.Process(), engine.new_state()
    marks = [m for m in MARKS if m <= tokens]
    ends = range(200, tokens, 200)
    before, last_tokens, started = time.perf_counter(), 0, time.perf_counter()
    cpu = time.process_time()
    for progress in engine.read(text_ids(engine.tokenizer, tokens), state, ends):
        if marks and progress.tokens_read >= marks[0]:
            now = time.perf_counter()
            record(
                "reading",
                {"length": marks.pop(0), "backend": engine.backend, "recall_codes": True},
                {
                    "tokens": progress.tokens_read,
                    "tokens_per_s_since_last": round(
                        (progress.tokens_read - last_tokens) / (now - before), 1
                    ),
                    # Processor time is what a busy neighbour does not change.
                    "cpu_ms_per_token_since_last": round(
                        1000 * (time.process_time() - cpu) / (progress.tokens_read - last_tokens), 3
                    ),
                    "seconds": round(now - started, 1),
                    "rss_bytes": process.memory_info().rss,
                    "state_bytes": state.nbytes,
                },
                out,
            )
            before, last_tokens, cpu = now, progress.tokens_read, time.process_time()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument(
        "--peer", type=int, nargs="+", metavar="TOKENS", help="compare with transformers at these lengths"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=0, help="read this many tokens in one go")
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    engine = Engine.load(options.model)
    if options.peer:
        compare(engine, options.peer, options.runs, options.out)
    if options.tokens:
        lengths(engine, options.tokens, options.out)


if __name__ == "__main__":
    main()
