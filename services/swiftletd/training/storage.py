"""Room for what jobs write: measured now and then, kept for those that wait, refused when there is none.

Everything known here can be learned again from the jobs and the disk. Jobs that are over cost nothing: their
size is put into the books once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import InvalidArgument, Violation
from swiftletd.training.domain import decide, disk
from swiftletd.training.domain.command import job_output_dir
from swiftletd.training.domain.disk import Books, Level, Limits, Share, Volume
from swiftletd.training.domain.job import Job
from swiftletd.training.ports import Disk, OpenJobs, Outputs, Stale

log = structlog.get_logger()

FRESH_SECONDS = 1.0
"""A measurement so young is not repeated for the sake of one that is refused."""
LOOKED_AT = 20
"""Largest results that are measured again before somebody is refused: they may have been removed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How full the disks are, and what the results of all jobs take, were last seen to take."""

    levels: tuple[Level, ...] = ()
    outputs: int = 0
    promised: int = 0
    limit: int = 0


class Storage:
    """See ports.Room. `watched` are paths whose file systems are looked at even if no job writes there."""

    def __init__(
        self,
        store: OpenJobs,
        machine: Disk,
        outputs: Outputs,
        clock: Clock,
        *,
        limits: Limits,
        watched: Iterable[str] = (),
    ) -> None:
        self._store, self._disk, self._outputs, self._clock = store, machine, outputs, clock
        self._limits, self._watched = limits, tuple(watched)
        self._books, self._levels = Books(), tuple[Level, ...]()
        self._placing: set[str] = set()  # jobs that may not be in the store yet
        self._paths: dict[int, str] = {}  # one on each device that jobs write to
        self._since: set[str] = set()  # jobs that came during the measurement
        self._measuring = asyncio.Lock()
        self._measured_at = 0.0

    def standing(self) -> Standing:
        """What the last measurement found."""
        books = self._books
        return Standing(self._levels, books.written, books.promised(), self._limits.outputs)

    # ---------------------------------------------------------------- one more job

    @asynccontextmanager
    async def place(self, job: Job) -> AsyncIterator[None]:
        if job.id in self._books.shares:  # somebody else's: it is going to be refused for its id
            yield
            return
        await self._admit(job)
        try:
            yield
        except BaseException:
            self._books.drop(job.id)
            raise
        finally:
            self._placing.discard(job.id)

    def leave(self, job_id: str) -> None:
        self._books.drop(job_id)

    async def _admit(self, job: Job) -> None:
        if not await self._fault(job):
            return
        await self._look_again()
        if fault := await self._fault(job):
            text = fault.message + disk.remedy(await self._outputs.largest(disk.MOST_NAMED), job.params)
            raise InvalidArgument([replace(fault, message=text)])

    async def _fault(self, job: Job) -> Violation | None:
        """Why it doesn't fit; if it does, its room is taken in the same moment."""
        volume = await self._disk.volume(job.output_dir)
        if fault := disk.room_fault(job.disk_needed, volume, self._books, self._limits):
            return fault
        self._books.add(job.id, Share(device=volume.device, needed=job.disk_needed))
        self._placing.add(job.id)
        self._since.add(job.id)
        return None

    async def _look_again(self) -> None:
        """Nobody is refused for what isn't there any more."""
        if self._clock.now() - self._measured_at < FRESH_SECONDS:
            return
        for output in await self._outputs.largest(LOOKED_AT):
            await self._recount(output.path)
        await self.measure()

    # ---------------------------------------------------------------- now and then

    async def measure(self) -> None:
        """Bring the books into line with the jobs and the disk, and warn of what is nearly full."""
        async with self._measuring:
            held, self._since = set(self._placing), set()
            ids, jobs = await self._store.open_jobs(self._books.shares)
            for job in jobs:
                await self._look_at(job)
            for key in self._books.shares.keys() - ids - held - self._since:
                self._books.drop(key)
            await self._tidy()
            self._books.kept = await self._outputs.total()
            self._measured_at = self._clock.now()
            await self._warn(await self._volumes())

    async def _look_at(self, job: Job) -> None:
        """What a job takes that is new, runs or has ended."""
        if job.over:
            await self._settle(job)
            self._books.drop(job.id)
            return
        volume = await self._disk.volume(job.output_dir)
        self._paths.setdefault(volume.device, job.output_dir)
        written = sum([await self._disk.size(path) or 0 for path in _directories(job)])
        self._books.add(job.id, Share(device=volume.device, needed=job.disk_needed, written=written))

    async def _tidy(self) -> None:
        """Some of the results at a time: those that somebody removed count no more."""
        for path in await self._outputs.some():
            if await self._disk.size(path) is None:
                await self._outputs.put(path, 0)

    async def _volumes(self) -> list[Volume]:
        """The file systems that are watched, and those that jobs write to, each once."""
        self._paths = {device: path for device, path in self._paths.items() if self._books.uses(device)}
        found = [await self._disk.volume(path) for path in (*self._watched, *self._paths.values())]
        return list({volume.device: volume for volume in reversed(found)}.values())

    async def _settle(self, job: Job) -> None:
        """The books come first: if this ends in between, it is done again with the same result."""
        sizes = [await self._recount(path) for path in _directories(job)]
        change = decide.settle(job, sum(sizes))
        if change:
            try:
                await self._store.commit(job, change)
            except Stale:
                return  # it was deleted, or exports again: what it left is seen next time

    async def _recount(self, path: str) -> int:
        size = await self._disk.size(path) or 0
        await self._outputs.put(path, size)
        return size

    async def _warn(self, volumes: Sequence[Volume]) -> None:
        high = await self._outputs.high()
        self._levels = disk.levels(volumes, self._books, self._limits, high)
        for level in self._levels:
            if level.high != (level.name in high) and await self._outputs.tell(level):
                log.warning("disk_high" if level.high else "disk_ok", path=level.name, text=level.sentence)


def _directories(job: Job) -> list[str]:
    """Where its attempts write, or wrote."""
    return [job_output_dir(job.output_dir, job.id, attempt.number) for attempt in job.attempts]
