"""A real worker reads an archive of a million tokens: speed and resident memory along the way.

python tests/bench/worker.py --home HOME [--tokens 1000000]
"""

import argparse
import itertools
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.services import Services
from app.settings import Options
from storage import Job, archives, jobs
from tests.bench.archive import write_archive
from tests.bench.record import ROOT, record

MARKS = (65_536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152, 4_194_304)
TOKENS_A_DOCUMENT = 2250
NAME = "worker bench"


def command(home: Path, *words: str) -> subprocess.Popen[bytes]:
    """A command of the product, started."""
    return subprocess.Popen([sys.executable, "-m", "app", "--home", str(home), *words], cwd=ROOT)


def reading(services: Services) -> Job | None:
    """The read job of the archive, if there is one yet."""
    with services.database.session() as s:
        archive = next((a for a in archives.list_archives(s) if a.name == NAME), None)
        if archive is None:
            return None
        return next((j for j in jobs.list_jobs(s, archive_id=archive.id) if j.kind == "read"), None)


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def watch(services: Services, worker: psutil.Process, tokens: int) -> dict[str, Any]:
    """Follow the read job to its end; speeds between marks and memory at them."""
    marks = [m for m in MARKS if m < tokens] + [tokens]
    rows: list[dict[str, Any]] = []
    peak, last_tokens, last_time, last_cpu = 0, 0.0, 0.0, 0.0
    for _ in itertools.count():
        time.sleep(0.5)
        peak = max(peak, worker.memory_info().rss)
        job = reading(services)
        if job is None or not job.done:
            last_time, last_cpu = time.monotonic(), cpu_seconds(worker)
            continue
        now = time.monotonic()
        if marks and (job.done >= marks[0] or job.status == "done"):
            speed = (job.done - last_tokens) / (now - last_time)
            row = {"tokens": int(job.done), "tokens_per_s_since_last": round(speed, 1)}
            # Processor time is what a busy neighbour does not change.
            row["cpu_ms_per_token"] = round(
                1000 * (cpu_seconds(worker) - last_cpu) / (job.done - last_tokens), 3
            )
            rows.append(row | {"rss_bytes": worker.memory_info().rss})
            print(rows[-1], flush=True)
            last_tokens, last_time, last_cpu = job.done, now, cpu_seconds(worker)
            marks = [m for m in marks if m > job.done]
        if job.status != "running" and job.status != "queued":
            return {"status": job.status, "marks": rows, "peak_rss_bytes": peak}
    raise AssertionError("unreachable")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--tokens", type=int, default=1_000_000)
    options = parser.parse_args()
    folder = options.home / "worker-bench"
    write_archive(folder, -(-options.tokens // TOKENS_A_DOCUMENT), 1800, 0)
    worker = command(options.home, "worker")
    adding = command(options.home, "ingest", NAME, str(folder))
    try:
        found = watch(Services(Options(home=options.home)), psutil.Process(worker.pid), options.tokens)
        adding.wait(60)
    finally:
        for process in (adding, worker):
            process.terminate()
            process.wait(30)
    record("worker", {"tokens": options.tokens}, found)


if __name__ == "__main__":
    main()
