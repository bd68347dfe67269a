"""Deleting all jobs: first the jobs, then what they left on the disk, which takes ten times as long.

A mark says up to which moment all jobs go, so recovery goes on where a kill cut it off. The call is answered
when the last of them is gone. Their directories follow behind the answer; what a kill leaves of them belongs
to no job, and recovery removes that too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import NotFound, WrongState
from swiftletd.kernel.idempotency import Once
from swiftletd.training.domain.job import Job, State
from swiftletd.training.ports import Filter, JobStore, Place, Runs, Stale

log = structlog.get_logger()

TOGETHER = 100
"""Jobs that are deleted at the same time, so that their commands share round trips."""


class Purge:
    """`forget` deletes one job, all but its directories."""

    def __init__(
        self, store: JobStore, runs: Runs, clock: Clock, forget: Callable[[str], Awaitable[Job]]
    ) -> None:
        self._store, self._runs, self._clock, self._forget = store, runs, clock, forget
        self._tidying: set[asyncio.Task[None]] = set()

    async def begin(self, once: Once[int]) -> int:
        """Delete every job that there is now: how many. Raises WrongState while one runs, and Repeated."""
        until = int(self._clock.now() * 1e6)
        while True:
            await self._check_idle()
            try:
                total = await self._store.purge(until, once)
                break
            except Stale:
                continue
        await self._delete(until)
        task = asyncio.create_task(self._tidy_behind())
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)
        return total

    async def go_on(self) -> None:
        """Delete the jobs that were left when a kill came in between."""
        if until := await self._store.purging():
            await self._delete(until)

    async def tidy(self) -> None:
        """Remove the directories of jobs that are gone."""
        for job_id in await self._runs.known():
            if await self._store.get(job_id) is None:
                await self._runs.remove(job_id)

    async def _check_idle(self) -> None:
        running = await self._store.page(Filter(state=State.RUNNING), 0, 5)
        if running.jobs:
            names = ", ".join(job.id for job in running.jobs)
            text = f"{running.total} jobs run ({names}). Stop them first, or delete jobs one by one."
            raise WrongState(running.jobs[0].id, "running", "delete all", text)

    async def _delete(self, until: int) -> None:
        """All that was created up to a microsecond."""
        while page := (await self._store.page(Filter(), 0, TOGETHER, after=Place(until, ""))).jobs:
            # Not a TaskGroup: what fails here is to be told as itself, and not as a group of errors.
            outcomes = await asyncio.gather(*(self._forget(job.id) for job in page), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, NotFound):
                    raise outcome
        await self._store.purged(until)

    async def _tidy_behind(self) -> None:
        try:
            await self.tidy()
        except Exception:
            log.exception("directories_left")  # until the next recovery
