"""A real worker reads a large archive: speed of every 64k tokens, memory, what checkpoints cost, total time.

    python tests/bench/worker.py --home HOME [--data DATA] [--tokens 4300000]

HOME holds the prepared model and keeps the archive, for tests/bench/recall.py and second_question.py. DATA is
a folder of passages and questions; without it the text is made up.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

from app.services import Services
from app.settings import Options
from storage import Job, archives, jobs, metrics
from tests.bench.archive import write_archive
from tests.bench.data_archive import write_documents
from tests.bench.record import ROOT, record

STRETCH = 65_536
TOKENS_A_DOCUMENT = 2250
NAME = "worker bench"
FOLDER = "worker-bench"


def command(home: Path, *words: str) -> subprocess.Popen[bytes]:
    """A command of the product, started."""
    return subprocess.Popen([sys.executable, "-m", "app", "--home", str(home), *words], cwd=ROOT)


def reading(services: Services) -> Job | None:
    """The job that reads the archive, if there is one yet: of several, the one that read most."""
    with services.database.session() as s:
        archive = next((a for a in archives.list_archives(s) if a.name == NAME), None)
        if archive is None:
            return None
        reads = [j for j in jobs.list_jobs(s, archive_id=archive.id) if j.kind == "read"]
        return max(reads, key=lambda job: (job.result or {}).get("read_now", job.done), default=None)


def watch(services: Services, worker: psutil.Process, adding: subprocess.Popen[bytes]) -> tuple[Job, int]:
    """Follow the read job to its end; the job, and the most memory the worker took."""
    peak, shown, began_at = 0, 0.0, time.monotonic()
    while True:
        time.sleep(0.5)
        peak = max(peak, worker.memory_info().rss)
        job = reading(services)
        if job is None or job.status in ("queued", "running"):
            if job is None and adding.poll() not in (None, 0):
                raise SystemExit("the documents could not be added")
            if job is not None and job.done - shown >= STRETCH:
                shown = job.done
                print(f"{shown:,.0f} tokens, {time.monotonic() - began_at:.0f} s", flush=True)
            continue
        return job, peak


def stretches(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Speed of every 65,536 tokens or little more, from what the reader measured between its checkpoints."""
    found, tokens, seconds = [], 0, 0.0
    for row in rows:
        tokens, seconds = tokens + row["tokens"], seconds + row["seconds"]
        if tokens >= STRETCH:
            found.append({"tokens": row["context_tokens"], "tokens_per_s": round(tokens / seconds, 1)})
            tokens, seconds = 0, 0.0
    return found


def summary(job: Job, rows: list[dict[str, Any]], peak: int) -> dict[str, Any]:
    """What the whole reading cost, and how flat its speed was from the first stretch on."""
    assert job.started_at is not None
    assert job.finished_at is not None
    result, speeds = job.result or {}, stretches(rows)
    seconds = (job.finished_at - job.started_at).total_seconds()
    spent = result.get("checkpoint_s", 0.0)
    values = {"status": job.status, "tokens": int(job.done), "seconds": round(seconds, 1)}
    values |= {"tokens_per_s": round(job.done / seconds, 1), "documents": result.get("documents")}
    values |= {"checkpoints": result.get("checkpoints"), "checkpoint_s": round(spent, 2)}
    values |= {"checkpoint_share": round(spent / seconds, 4), "peak_rss_bytes": peak}
    later = [row["tokens_per_s"] for row in speeds[1:]]
    if later:
        middle = statistics.median(later)
        values["slowest_over_median"] = round(min(later) / middle, 3)
        values["fastest_over_median"] = round(max(later) / middle, 3)
    return values | {"state_bytes": rows[-1]["state_bytes"] if rows else None, "stretches": speeds}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--data", type=Path, help="folder of passages and questions")
    parser.add_argument("--tokens", type=int, default=4_300_000)
    parser.add_argument("--out", type=Path, help="results file instead of the committed one")
    options = parser.parse_args()
    folder = options.home / FOLDER
    if options.data:
        write_documents(options.data, folder, options.tokens)
    else:
        write_archive(folder, -(-options.tokens // TOKENS_A_DOCUMENT), 1800, 0)
    services = Services(Options(home=options.home))
    if reading(services) is not None:
        raise SystemExit(f"{options.home} holds an archive that was read already: name another home folder")
    worker = command(options.home, "worker")
    adding = command(options.home, "ingest", NAME, str(folder))
    try:
        job, peak = watch(services, psutil.Process(worker.pid), adding)
        adding.wait(60)
    finally:
        for process in (adding, worker):
            process.terminate()
            process.wait(30)
    with services.database.session() as s:
        rows = [m.values for m in metrics.list_metrics(s, "read", job.archive_id, limit=100_000)][::-1]
    settings = {"tokens": options.tokens, "text": "data" if options.data else "made up"}
    record("worker", settings, summary(job, rows, peak), options.out)


if __name__ == "__main__":
    main()
