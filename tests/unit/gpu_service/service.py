"""The gpu service without Redis, driver and network: the real use cases on doubles of what is outside."""

from __future__ import annotations

from contract.gpu.making import FakeClock
from contract.gpu.memory import MemoryStore
from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Effort
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.ports import Heartbeat, Reading, State
from swiftletd.gpu.usecases.answers import Answers
from swiftletd.gpu.usecases.board import Board
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.desk import Desk
from swiftletd.gpu.usecases.grants import Grants
from swiftletd.gpu.usecases.hearsay import Hearsay, Rumour
from swiftletd.gpu.usecases.herald import Herald
from swiftletd.gpu.usecases.intake import Intake, Submission
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.oracle import Oracle
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.usecases.survey import Survey
from swiftletd.gpu.usecases.sweep import Sweep

MIB = 81_559


def gpu(index=0, machine="node", **more):
    known = {"uuid": f"GPU-{index}", "name": "NVIDIA H100", "memory_mib": MIB, **more}
    return Device(index=index, machine=machine, **known)


class FixedInventory:
    def __init__(self, *devices):
        self.reading = Reading(devices=devices)

    async def read(self, max_age=1.0):
        return self.reading


class FakeHeartbeats:
    def __init__(self):
        self.beats, self.stopped = {}, {}

    async def read(self, runs):
        return [self.beats.get(run) for run in runs]

    async def stop(self, run, why):
        self.stopped[run] = why


class FakeProcesses:
    def __init__(self):
        self.running, self.ended = {}, []

    async def of_runs(self):
        return self.running

    async def end(self, run, since, until):
        self.ended.append(run)
        return 1


class Service:
    """One process of the service. Several can share a store."""

    def __init__(self, *devices, store=None, policy=None, clock=None):
        self.clock, self.store = clock or FakeClock(), store or MemoryStore()
        self.board = Board(policy or Policy())
        self.books = Books(self.store, self.board, self.clock)
        self.heartbeats, self.processes = FakeHeartbeats(), FakeProcesses()
        self.inventory = FixedInventory(*devices)
        self.leases = Leases(self.books, self.heartbeats)
        self.survey = Survey(self.books, self.leases, self.inventory, self.processes)
        self.oracle = Oracle(self.board, self.clock, Effort(entries=8, futures=3))
        self.herald = Herald(self.books, self.oracle)
        self.grants = Grants(self.books)
        self.scheduler = Scheduler(
            self.books, self.grants, self.survey, self.herald, self.oracle, owner=f"{id(self)}"
        )
        self.intake = Intake(self.books, self.leases)
        self.desk = Desk(self.books, self.scheduler.wake)
        self.answers = Answers(self.books, self.oracle, self.survey)
        self.hearsay = Hearsay(self.books, self.scheduler.wake)
        self.sweep = Sweep(
            self.books,
            self.leases,
            self.survey,
            self.scheduler,
            self.heartbeats,
            self.processes,
            interval=30,
        )

    async def open(self):
        await self.books.open()
        await self.survey.begin()
        return self

    async def submit(self, *jobs, version=1, attempt=1, priority=0, similarity="", **request):
        wanted = [
            Submission(
                entry=f"training-{job}-{attempt}",
                job_id=job,
                kind=EntryKind.TRAINING,
                source=version,
                at=self.clock.now(),
                attempt=attempt,
                request=Request(**request),
                priority=priority,
                similarity=similarity,
            )
            for job in jobs
        ]
        await self.intake.submit(wanted)

    async def step(self):
        """What a wake does: a pass, and the news for those who wait."""
        passed = await self.scheduler.make_pass()
        await self.herald.tell()
        return passed

    async def finish(self, job, attempt=1, completed=True):
        await self.leases.over({f"training-{job}-{attempt}": completed})

    def beat(self, job, attempt=1, **progress):
        self.heartbeats.beats[f"training-{job}-{attempt}"] = Heartbeat(**progress)

    @property
    def running(self):
        return [record.entry.job_id for record in self.board.live()]

    @property
    def line(self):
        return [record.entry.job_id for record in self.board.waiting_in_order()]

    def told(self, kind):
        return [notice for notice in self.store.notices if notice.type == kind]

    def state(self, job, attempt=1):
        return self.store.records[f"training-{job}-{attempt}"].state

    async def catch_up(self):
        """Hears of everything that is in the outbox."""
        for notice in self.store.notices:
            self.hearsay.hear(Rumour(notice.type, notice.subject, notice.version))
        await self.hearsay.check()


__all__ = ["MIB", "FakeClock", "Service", "State", "gpu"]
