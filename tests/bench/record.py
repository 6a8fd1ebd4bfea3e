"""Results of the measurements here: one JSON line each in results/, as `python -m app bench` writes them."""

import json
from pathlib import Path
from typing import Any

from app.bench.record import append, result_line

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parents[2]


def record(
    bench: str, settings: dict[str, Any], values: dict[str, Any], out: Path | None = None
) -> dict[str, Any]:
    """Append a result to results/<bench>.jsonl (or `out`) and print it."""
    line = result_line(bench, settings, values)
    append(out or RESULTS / f"{bench}.jsonl", line)
    print(json.dumps(values, ensure_ascii=False, indent=1), flush=True)
    return line
