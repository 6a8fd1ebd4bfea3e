"""What the gauges cost: processor time of the sampling threads against that of reading, in one process.

python tests/bench/metering.py --model HOME/models/default [--tokens 40000]

The sensors are files laid out as the kernel's (a RAPL tree and a card's watts), read as often as real ones.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.live import Live
from app.services import Services
from app.settings import Options
from app.task import Task
from devices.hwmon import hwmon_meter
from devices.integral import SAMPLE_S
from devices.power import Meter
from devices.rapl import rapl_meters
from storage import jobs
from tests.bench.reading import text_ids
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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=40_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "home" / "models").mkdir(parents=True)
        shutil.copytree(options.model, folder / "home" / "models" / "default")
        services = Services(Options(home=folder / "home"), meter=sensors(folder))
        engine = services.engine
        ids = list(text_ids(engine, options.tokens))
        with services.database.session() as s:
            job = jobs.enqueue(s, "read", None, {})
            jobs.claim_job(s, job.id, "bench")
        for _ in engine.read(ids[:2048], engine.new_state()):
            pass
        with Task(services, job, "bench") as task, Live(services, task) as live:
            started, cpu = time.perf_counter(), time.process_time()
            for step in engine.read(ids, engine.new_state()):
                task.progress(step.tokens_read, options.tokens, "tokens")
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            spent = watching_s()
        record(
            "metering",
            {"tokens": options.tokens, "sample_s": SAMPLE_S, "sensors": "files", "backend": engine.backend},
            {
                "tokens_per_s": round(options.tokens / seconds, 1),
                "seconds": round(seconds, 1),
                "samples": len(live.series["seconds"]),
                "watching_cpu_s": round(spent, 3),
                "process_cpu_s": round(cpu, 2),
                "watching_share_of_cpu": round(spent / cpu, 5),
            },
        )
        services.close()


if __name__ == "__main__":
    main()
