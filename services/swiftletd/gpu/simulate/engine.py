"""The clock of a rehearsal: jobs come and end, and after each the scheduler makes a pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.durations import Estimate, Source
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease, LeaseState
from swiftletd.gpu.domain.plan import Grant
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Holding, Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from swiftletd.gpu.simulate.trace import Job

GIB_80 = 80 * 1024
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Run:
    """A job as it went: started and ended in seconds of the trace, on these devices."""

    job: Job
    started_s: float
    ended_s: float
    devices: tuple[str, ...]


def cluster(gpus: int, per_machine: int) -> tuple[Device, ...]:
    """Machines of equal GPUs, all on one NVLink island, two NUMA nodes each."""
    return tuple(_gpu(number // per_machine, number % per_machine, per_machine) for number in range(gpus))


def _gpu(machine: int, index: int, per_machine: int) -> Device:
    return Device(
        uuid=f"m{machine:03}-g{index}",
        index=index,
        machine=f"m{machine:03}",
        name="GPU",
        memory_mib=GIB_80,
        island="0",
        numa=str(index * 2 // per_machine),
    )


def rehearse(
    jobs: Sequence[Job],
    devices: tuple[Device, ...],
    policy: Policy,
    *,
    same_machine: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Run]:
    """How the jobs would have gone, in the order of their ends. Jobs that can never fit are left out."""
    rehearsal = _Rehearsal(devices, policy, same_machine)
    coming = list(reversed(jobs))
    while coming or rehearsal.running:
        rehearsal.advance(coming)
        progress(len(rehearsal.runs), len(jobs))
    return rehearsal.runs


class _Rehearsal:
    def __init__(self, devices: tuple[Device, ...], policy: Policy, same_machine: bool) -> None:
        self.devices, self.policy, self.same_machine = devices, policy, same_machine
        self.queue = WaitingQueue(policy)
        self.running: list[tuple[float, str]] = []
        self.runs: list[Run] = []
        self._jobs: dict[str, Job] = {}
        self._holdings: dict[str, Holding] = {}
        self._requests: dict[int, Request] = {}

    def advance(self, coming: list[Job]) -> None:
        """Goes on to the next moment at which something happens, and makes one pass there."""
        ends = self.running[0][0] if self.running else float("inf")
        comes = coming[-1].submit_s if coming else float("inf")
        now = min(ends, comes)
        while self.running and self.running[0][0] <= now:
            self._end(heappop(self.running))
        while coming and coming[-1].submit_s <= now:
            self._enqueue(coming.pop())
        snapshot = Snapshot(devices=self.devices, holdings=tuple(self._holdings.values()))
        for grant in schedule(snapshot, self.queue, now, self.policy).grants:
            self._start(grant, now)

    def _enqueue(self, job: Job) -> None:
        request = self._requests.setdefault(job.gpus, Request(gpus=job.gpus, same_machine=self.same_machine))
        guess = Estimate(job.guess_s, job.guess_s, Source.HISTORY)
        self._jobs[job.id] = job
        self.queue.add(
            Entry(
                id=job.id,
                job_id=job.id,
                enqueued_at=job.submit_s,
                request=request,
                priority=job.priority,
                estimate=guess,
            )
        )

    def _start(self, grant: Grant, now: float) -> None:
        self.queue.remove(grant.entry_id)
        job = self._jobs[grant.entry_id]
        lease = Lease(
            id=job.id,
            entry_id=job.id,
            shares=grant.shares,
            token=0,
            granted_at=now,
            expires_at=now,
            state=LeaseState.ACTIVE,
        )
        guess = now + job.guess_s
        self._holdings[job.id] = Holding(lease=lease, job_id=job.id, ends_p50=guess, ends_p90=guess)
        heappush(self.running, (now + job.duration_s, job.id))

    def _end(self, ending: tuple[float, str]) -> None:
        at, job_id = ending
        lease = self._holdings.pop(job_id).lease
        devices = tuple(share.device for share in lease.shares)
        self.runs.append(Run(self._jobs.pop(job_id), lease.granted_at, at, devices))
