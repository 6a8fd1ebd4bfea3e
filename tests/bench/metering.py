"""What the gauges cost: the same text read with and without them in turn, A B A B, in one process.

python tests/bench/metering.py --model HOME/models/default [--tokens 16384] [--pairs 9]

Two figures: processor time of the sampling threads, which a busy neighbour does not change, and how much
slower reading is with them, by the median of pairs. The limit is 0.5 % of the speed.
The sensors are files laid out as the kernel's (a RAPL tree and a card's watts), read as often as real ones.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.bench.text import text_ids
from app.live import SAMPLE_S as GAUGE_S
from app.live import Live
from app.services import Services
from app.settings import Options
from app.task import Task
from devices.hwmon import hwmon_meter
from devices.integral import SAMPLE_S
from devices.power import Meter
from devices.rapl import rapl_meters
from engine import Engine
from storage import Job, jobs
from tests.bench.record import record

WATCHING = ("power", "gauges")


def sensors(folder: Path) -> Meter:
    """A package with its memory by RAPL, and a card's watts."""
    for number, name in (("0", "package-0"), ("0:0", "dram")):
        zone = folder / f"intel-rapl:{number}"
        zone.mkdir()
        for file, text in {"name": name, "energy_uj": "1", "max_energy_range_uj": "262143328850"}.items():
            (zone / file).write_text(text)
    card = folder / "hwmon0"
    card.mkdir()
    (card / "name").write_text("amdgpu")
    (card / "power1_average").write_text("41000000")
    shown = hwmon_meter(("amdgpu",), 0, folder)
    assert shown is not None
    return Meter((*rapl_meters(folder)[0], shown))


def watching_s() -> float:
    """Processor seconds of the sampling threads that live now."""
    ids = {thread.native_id for thread in threading.enumerate() if thread.name.startswith(WATCHING)}
    times = (item for item in psutil.Process().threads() if item.id in ids)
    return sum(item.user_time + item.system_time for item in times)


def read(engine: Engine, ids: list[int]) -> float:
    """Seconds to read them."""
    state, started = engine.new_state(), time.perf_counter()
    for _ in engine.read(ids, state):
        pass
    return time.perf_counter() - started


def watched(services: Services, job: Job, ids: list[int]) -> dict[str, float]:
    """The same with gauges and sensors at work: seconds, and processor seconds of both."""
    with Task(services, job, "bench") as task, Live(services, task) as live:
        cpu = time.process_time()
        seconds = read(services.engine, ids)
        cpu, spent = time.process_time() - cpu, watching_s()
        task.progress(len(ids), len(ids), "tokens")
    return {"seconds": seconds, "cpu": cpu, "spent": spent, "samples": len(live.series["seconds"])}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=16_384)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--out", type=Path, help="results file (default: results/metering.jsonl)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "home" / "models").mkdir(parents=True)
        shutil.copytree(options.model, folder / "home" / "models" / "default")
        services = Services(Options(home=folder / "home"), meter=sensors(folder))
        engine = services.engine
        ids = list(text_ids(services.tokenizer, options.tokens))
        with services.database.session() as s:
            job = jobs.enqueue(s, "read", None, {})
            jobs.claim_job(s, job.id, "bench")
        read(engine, ids[:4096])
        plain, gauged = [], []
        for _ in range(options.pairs):
            plain.append(read(engine, ids))
            gauged.append(watched(services, job, ids))
        slower = [b["seconds"] / a - 1 for a, b in zip(plain, gauged, strict=True)]
        spent, cpu = (sum(run[name] for run in gauged) for name in ("spent", "cpu"))
        quartiles = statistics.quantiles(slower, n=4) if len(slower) > 1 else slower * 3
        settings = {"tokens": options.tokens, "pairs": options.pairs, "sensors": "files"}
        record(
            "metering",
            settings | {"sample_s": SAMPLE_S, "gauge_s": GAUGE_S, "backend": engine.backend},
            {
                "tokens_per_s": round(options.tokens / statistics.median(plain), 1),
                "tokens_per_s_watched": round(
                    options.tokens / statistics.median(run["seconds"] for run in gauged), 1
                ),
                "slower_median": round(statistics.median(slower), 5),
                "slower_quartiles": [round(quartiles[0], 5), round(quartiles[2], 5)],
                "watching_share_of_cpu": round(spent / cpu, 5),
                "watching_cpu_ms_per_s": round(1000 * spent / sum(run["seconds"] for run in gauged), 3),
                "samples": sum(run["samples"] for run in gauged),
            },
            options.out,
        )
        services.close()


if __name__ == "__main__":
    main()
