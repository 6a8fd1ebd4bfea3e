"""What the measurements of tests/bench make of their inputs, where a mistake would look like a result."""

from __future__ import annotations

import json
import lzma
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine import Engine
from engine.answering import AnswerResult, AnswerStats
from engine.convert.data import EVAL_SETS
from engine.convert.trials import Trial
from tests.bench import llama_cpp, ttft
from tests.bench.data_archive import write_documents
from tests.bench.flat import compare
from tests.bench.paired import difference, scores
from tests.bench.read_archive import overlap
from tests.bench.worker import STRETCH, stretches, summary
from tests.tiny import tiny_model_dir


def _row(tokens: int, context: int, seconds: float) -> dict:
    return {"tokens": tokens, "context_tokens": context, "seconds": seconds, "state_bytes": 7}


def test_stretches_hold_64k_tokens_at_least() -> None:
    rows = [_row(40_000, 40_000, 20.0), _row(40_000, 80_000, 20.0), _row(70_000, 150_000, 70.0)]
    assert stretches(rows) == [
        {"tokens": 80_000, "tokens_per_s": 2000.0},
        {"tokens": 150_000, "tokens_per_s": 1000.0},
    ]


def test_a_reading_is_summed_up_with_the_share_of_its_checkpoints() -> None:
    began = datetime.now(UTC)
    job = SimpleNamespace(
        status="done", done=3 * STRETCH, started_at=began, finished_at=began + timedelta(seconds=200),
        result={"checkpoints": 4, "checkpoint_s": 3.0, "documents": 2},
    )  # fmt: skip
    rows = [_row(STRETCH, (i + 1) * STRETCH, 10.0 * i + 50) for i in range(4)]
    found = summary(job, rows, 5)  # type: ignore[arg-type]
    assert found["checkpoint_share"] == 0.015
    assert found["tokens_per_s"] == round(3 * STRETCH / 200, 1)
    assert found["slowest_over_median"] == pytest.approx(70 / 80, abs=1e-3)
    assert found["fastest_over_median"] == pytest.approx(70 / 60, abs=1e-3), (
        "the first stretch does not count"
    )


def test_times_to_a_length_come_from_the_longest_run_of_a_worker(tmp_path: Path) -> None:
    run = {"tokens": 2_200_000, "date": "2026-01-01"}
    run["stretches"] = [
        {"tokens": 1_000_000, "tokens_per_s": 1000.0},
        {"tokens": 2_200_000, "tokens_per_s": 500.0},
    ]
    path = tmp_path / "worker.jsonl"
    short = {"tokens": 100_000, "date": "2026-02-01", "stretches": [{"tokens": 100_000, "tokens_per_s": 1.0}]}
    path.write_text("\n".join(map(json.dumps, (run, short, {"tokens": 9_000_000}))), "utf-8")
    times = ttft.newest_run(path)
    assert list(times) == [65_536, 262_144, 1_048_576, 2_097_152]
    assert times[262_144] == pytest.approx(262.144)
    assert times[1_048_576] == pytest.approx(1000 + 48_576 / 500)
    assert ttft.newest_run(tmp_path / "none") == {}


def test_speeds_behind_several_contexts_are_told_as_shares_of_the_shortest(tmp_path: Path) -> None:
    engine = Engine.load(tiny_model_dir(tmp_path))
    states = {}
    for count in (900, 300):
        states[count] = engine.new_state()
        for _ in engine.read([7] * count, states[count]):
            pass
    rows = compare(engine, states, [5] * 450, 2)
    assert [row["context"] for row in rows] == [300, 900]
    assert rows[0]["share_of_shortest"] == 1.0
    assert all(row["tokens_per_s"] > 0 for row in rows)
    assert [state.tokens_read for state in states.values()] == [900, 300], "read on from copies"


def test_two_variants_are_compared_question_by_question() -> None:
    def trial(gold: int | None) -> Trial:
        return Trial("Who?", ("six months",) if gold is not None else (), (), gold)

    def said(text: str) -> AnswerResult:
        return AnswerResult(text, "supported", 1.0, (), AnswerStats())

    trials = [trial(0), trial(None), trial(1)]
    one = scores(trials, [said("six months [1]"), said("x"), said("six months [1]")])
    other = scores(trials, [said("six months [1]"), said("y"), said("six years [1]")])
    assert (one, other) == ([1.0, 1.0], [1.0, 0.5])
    assert difference(other, one) == {"f1_difference": -0.25, "standard_error": 0.25}


def test_documents_hold_the_asked_passages_and_their_index(tmp_path: Path) -> None:
    def packed(name: str, rows: list[dict]) -> None:
        with lzma.open(tmp_path / f"{name}.jsonl.xz", "wt") as file:
            file.write("\n".join(map(json.dumps, rows)))

    abstract = {"split": "test", "question": "Is it?", "contexts": ["word " * 100], "long_answer": "It is."}
    packed("eval_pubmedqa", [abstract | {"id": f"pubmedqa-{i}"} for i in range(4)])
    for name in set(EVAL_SETS) - {"pubmedqa"}:
        rows = [
            {"cid": f"{name}-{i}", "title": f"Title {i // 2}", "doc": "d", "text": "word " * 100}
            for i in range(4)
        ]
        packed(f"eval_{name}", [row | {"rec": "passage"} for row in rows])
    packed("contexts", [{"cid": f"c{i}", "title": f"t{i}", "text": f"filling {i} " * 50} for i in range(300)])
    count = write_documents(tmp_path, tmp_path / "home" / "texts", 12_000)
    held = json.loads((tmp_path / "home" / "passages.json").read_text("utf-8"))
    paths = list((tmp_path / "home" / "texts").iterdir())
    assert len(paths) == count
    assert {f"{name}-{i}" for name in EVAL_SETS for i in range(4)} <= set(held)
    assert set(held.values()) == {path.name for path in paths}
    assert 0.7 < sum(len(path.read_text("utf-8")) for path in paths) / (3.65 * 12_000) < 1.3
    assert write_documents(tmp_path, tmp_path / "home" / "texts", 5) == count, "a folder that is there stays"


def test_a_passage_counts_where_a_good_part_of_it_is_the_right_one() -> None:
    gold = " ".join(f"The {n}th sentence says that value {n} holds." for n in range(20))
    assert overlap(gold.replace(" ", "\n")[100:500], gold)
    assert overlap("before " * 10 + gold, gold)
    assert not overlap("Quite another passage of some length that shares no run of letters with it.", gold)


def test_llama_cpp_is_asked_in_turn_and_its_fastest_format_at_every_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "llama-bench"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "speed = 200.0 if 'fast' in sys.argv[2] else 100.0\n"
        "print(json.dumps([{'build_commit': 'abc', 'model_type': 'q', 'cpu_info': 'c', 'avg_ts': speed}]))\n"
    )
    program.chmod(0o755)
    model, out = tiny_model_dir(tmp_path / "model"), tmp_path / "found.jsonl"
    words = ["--model", str(model), "--bench", str(program), "--gguf", "slow.gguf", "fast.gguf"]
    words += ["--lengths", "16", "32", "--runs", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["llama_cpp.py", *words])
    monkeypatch.setattr(llama_cpp, "NEW_TOKENS", 2)
    llama_cpp.main()
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    seen = [
        (line["settings"]["what"], line["settings"].get("length"), line["settings"]["gguf"]) for line in lines
    ]
    assert seen == [
        ("reading", 16, "slow"), ("reading", 16, "fast"), ("reading", 32, "fast"),
        ("writing", None, "slow"), ("writing", None, "fast"),
    ]  # fmt: skip
    assert lines[2]["peer_tokens_per_s"] == 200.0
    assert lines[2]["ratio"] == pytest.approx(lines[2]["tokens_per_s"] / 200, rel=0.3)
