"""One scheduling pass over a long queue: how long it takes, and how that grows.

    python benchmarks/scheduler.py [--waiting 1000 10000 100000 1000000] [--gpus 64 1024]

The cluster is full. `full` is a pass with nothing to grant; `one` a pass after one job ended;
`gap` one in which devices are free that only a job short enough may use; `reason` and `position`
are what one entry's answer costs; `move` a change of priority. Medians, in milliseconds of CPU time.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from random import Random
from statistics import median

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.durations import Estimate, Source
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease, Share
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Holding, Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from swiftletd.gpu.simulate.engine import cluster

NOW = 1.7e9
GIB = 1024
REQUESTS = [
    *(Request(gpus=gpus, gpu_name=name) for gpus in (1, 2, 4, 8) for name in ("", "GPU")),
    *(Request(gpus=1, shared=True, memory_mib=gib * GIB) for gib in (8, 16, 24, 40)),
    Request(gpus=16, same_machine=False),
]
HEADER = ("gpus", "waiting", "build s", "MiB", "full", "one", "gap", "reason", "position", "move")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--gpus", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print(" ".join(f"{name:>9}" for name in HEADER))
    queues: dict[int, tuple[WaitingQueue, float]] = {}
    for waiting in asked.waiting:
        queues[waiting] = built(waiting)
        for gpus in asked.gpus:
            print(row(gpus, *queues[waiting], asked.rounds), flush=True)
        del queues[waiting]
    grows(asked.waiting)
    return 0


RECORD: dict[tuple[int, int], float] = {}


def built(waiting: int) -> tuple[WaitingQueue, float]:
    random = Random(1)
    entries = [made(number, random) for number in range(waiting)]
    began = time.perf_counter()
    queue = WaitingQueue(Policy(), entries)
    return queue, time.perf_counter() - began


def made(number: int, random: Random) -> Entry:
    length = random.lognormvariate(9, 2)
    known = Estimate(length, 1.5 * length, Source.HISTORY) if random.random() < 0.8 else None
    name = f"job-{number:07}"
    return Entry(
        id=name,
        job_id=name,
        enqueued_at=NOW - 1e5 + number * 0.1,
        priority=random.choice((0, 0, 0, 1, 5, 10)),
        request=random.choice(REQUESTS),
        estimate=known,
    )


def row(gpus: int, queue: WaitingQueue, build_s: float, rounds: int) -> str:
    devices = cluster(gpus, 8)
    holdings = [held(device, number) for number, device in enumerate(devices)]
    full = snapshot(devices, holdings)
    one = snapshot(devices, holdings[1:])
    gap = snapshot(devices, [replace(job, ends_p50=NOW + 60, ends_p90=NOW + 60) for job in holdings[7:]])
    policy = Policy()
    some = next(queue.in_order())
    passing = timed(lambda: schedule(full, queue, NOW, policy), rounds)
    RECORD[gpus, len(queue)] = after_an_end = timed(lambda: schedule(one, queue, NOW, policy), rounds)
    figures = (
        passing,
        after_an_end,
        timed(lambda: schedule(gap, queue, NOW, policy), rounds),
        timed(lambda: schedule(full, queue, NOW, policy).reasons[some.id].sentence(), rounds) - passing,
        timed(lambda: queue.position(some.id), rounds),
        timed(lambda: queue.replace(replace(some, priority=3)), rounds),
    )
    queue.replace(some)
    left = (f"{gpus:>9}", f"{len(queue):>9}", f"{build_s:>9.2f}", f"{memory_mib():>9.0f}")
    return " ".join([*left, *(f"{max(0.0, figure):>9.3f}" for figure in figures)])


def held(device: Device, number: int) -> Holding:
    lease = Lease(
        id=f"l{number}",
        entry_id=f"x{number}",
        shares=(Share(device.uuid),),
        token=number,
        granted_at=NOW - 100,
        expires_at=NOW + 30,
    )
    end = NOW + 600 + 37 * number
    return Holding(lease=lease, job_id=f"x{number}", ends_p50=end, ends_p90=end)


def snapshot(devices: Sequence[Device], holdings: Sequence[Holding]) -> Snapshot:
    return Snapshot(devices=tuple(devices), holdings=tuple(holdings))


def timed(work: Callable[[], object], rounds: int) -> float:
    """The median of the rounds, in milliseconds of this thread: what else the machine does counts little."""
    took = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return 1e3 * median(took)


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def grows(sizes: Sequence[int]) -> None:
    """How a pass grew over the queue, beside n log n."""
    small, large = min(sizes), max(sizes)
    if small == large:
        return
    bound = large * log(large) / (small * log(small))
    for gpus in sorted({gpus for gpus, _ in RECORD}):
        ratio = RECORD[gpus, large] / RECORD[gpus, small]
        more = f"{gpus} GPUs: a pass over {large / small:.0f} x as many took {ratio:.1f} x"
        print(f"{more} as long; n log n would be {bound:.0f} x")


if __name__ == "__main__":
    sys.exit(main())
