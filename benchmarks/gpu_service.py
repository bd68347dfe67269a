"""How fast the gpu service is: a real process, a real Redis, 12 GPUs from a file.

    python benchmarks/gpu_service.py [--jobs 5000]

This program plays the training service and the runners: it submits jobs, and ends each one as soon as it has
its GPU. All times are as a reader of the event stream sees them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.redis import RedisServer  # noqa: E402
from swiftlet.event.v1.event_pb2 import Event  # noqa: E402
from swiftletd.gpu.adapters import keys  # noqa: E402
from swiftletd.kernel.redis.client import connect, connect_blocking  # noqa: E402

GPUS = 12
TRAINING = "swiftlet:{training}:events"
COMMAND = [sys.executable, "-P", "-c", "from swiftletd.gpu.main import main; main()"]


class Bench:
    """Events of the service as they come, with the time at which this program saw them."""

    def __init__(self, url):
        self.redis, self.reader = connect(url), connect_blocking(url)
        self.position, self.versions = "$", 0

    async def submit(self, names):
        """All at once; the seconds that Redis took."""
        began = time.perf_counter()
        for start in range(0, len(names), 200):
            pipe = self.redis.pipeline(transaction=False)
            for name in names[start : start + 200]:
                self.versions += 1
                event = Event(type="training.job.queued", subject=name, version=self.versions)
                asked = event.work_submitted
                asked.entry, asked.kind, asked.owner, asked.attempt = (
                    f"training-{name}-1",
                    "training",
                    name,
                    1,
                )
                asked.request.gpus = 1
                pipe.xadd(TRAINING, {"type": event.type, "e": event.SerializeToString()})
            await pipe.execute()
        return time.perf_counter() - began

    async def end(self, entries):
        pipe = self.redis.pipeline(transaction=False)
        for entry in entries:
            said = {"type": "run_ended", "subject": entry, "runEnded": {"run": entry, "success": True}}
            pipe.xadd(keys.RUNS_EVENTS, {"type": "run_ended", "j": json.dumps(said)})
        await pipe.execute()

    async def read(self):
        """The next events, by type: [(type, entry)]."""
        got = await self.reader.xread({keys.EVENTS: self.position}, count=1000, block=5000)
        found = []
        for entries in (got or {}).values():
            for id, fields in entries:
                self.position = id.decode()
                found.append((fields[b"type"].decode(), Event.FromString(fields[b"e"]).subject))
        return found

    async def begin(self):
        newest = await self.redis.xrevrange(keys.EVENTS, count=1)
        self.position = newest[0][0].decode() if newest else "0-0"

    async def close(self):
        await self.redis.aclose(close_connection_pool=True)
        await self.reader.aclose(close_connection_pool=True)


async def submissions(bench, count):
    """Until every job has its GPU or has been told its place, reason and estimate."""
    await bench.begin()
    names = [f"s{bench.versions + n}" for n in range(count)]
    began, answered, granted = time.perf_counter(), set(), []
    sending = asyncio.create_task(bench.submit(names))
    while len(answered) < count:
        for kind, entry in await bench.read():
            if kind in {"gpu.lease.granted", "gpu.entry.waiting"}:
                answered.add(entry)
            if kind == "gpu.lease.granted":
                granted.append(entry)
    await sending
    seconds = time.perf_counter() - began
    rate = f"{count / seconds:,.0f}/s"
    print(f"{count} submissions, each answered with GPU or place, reason and estimate: {rate}")
    return granted


async def drain(bench, running, left):
    """Every job ends the moment it has its GPU."""
    began, total = time.perf_counter(), left
    await bench.end(running)
    while left:
        granted = [entry for kind, entry in await bench.read() if kind == "gpu.lease.granted"]
        left -= len(granted)
        await bench.end(granted)
    seconds = time.perf_counter() - began
    print(f"drain of {total} jobs on {GPUS} GPUs: {seconds:.2f} s, {total / seconds:,.0f} grants/s")


async def one_at_a_time(bench, waiting, rounds):
    """From the event that a run has ended to the event that the next job has its GPU."""
    await bench.submit([f"o{n}" for n in range(rounds + waiting)])
    running = []
    while len(running) < GPUS:
        running += [entry for kind, entry in await bench.read() if kind == "gpu.lease.granted"]
    await asyncio.sleep(2.0)
    await bench.begin()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await bench.end([running.pop(0)])
        granted = []
        while not granted:
            granted = [entry for kind, entry in await bench.read() if kind == "gpu.lease.granted"]
        took.append((time.perf_counter() - began) * 1000)
        running += granted
    took.sort()
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    print(f"freed device to next grant, {waiting}+ waiting: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


async def measure(url, jobs, process):
    bench = Bench(url)
    for _ in range(100):
        if await bench.redis.exists("swiftlet:{gpu}:leader"):
            break
        await asyncio.sleep(0.1)
    await drain(bench, await submissions(bench, 1000), 1000 - GPUS)
    running = await submissions(bench, jobs)
    print(f"memory with {jobs} waiting: {psutil.Process(process.pid).memory_info().rss / 2**20:.0f} MiB")
    await drain(bench, running, jobs - GPUS)
    await asyncio.sleep(1.0)
    await one_at_a_time(bench, 500, 300)
    await bench.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swiftlet-bench-") as home:
        redis = RedisServer(Path(home))
        redis.start()
        inventory = Path(home) / "inventory.json"
        gpus = [{"name": "NVIDIA H100", "memory_mib": 81559, "count": GPUS}]
        inventory.write_text(json.dumps({"machines": [{"name": "node", "gpus": gpus}]}))
        environment = {
            **os.environ,
            "SWIFTLET_HOME": home,
            "REDIS_URL": redis.url,
            "GPU_INVENTORY": str(inventory),
        }
        service = subprocess.Popen(COMMAND, env=environment, cwd=home, stdout=subprocess.DEVNULL)
        try:
            asyncio.run(measure(redis.url, options.jobs, service))
        finally:
            service.terminate()
            service.wait(20)
            redis.close()


if __name__ == "__main__":
    main()
