"""What nobody tells us about: runners that fell silent, devices that changed, passes that were missed."""

from __future__ import annotations

import structlog

from swiftletd.gpu.ports import Heartbeats, Processes, Record
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.usecases.survey import Survey

log = structlog.get_logger()

PULSE_S = 5.0
SOON_S = 0.2
SILENT_S = 60.0


class Sweep:
    """Listens to heartbeats and looks at devices every few seconds, and makes a pass every `interval`."""

    def __init__(
        self,
        books: Books,
        leases: Leases,
        survey: Survey,
        scheduler: Scheduler,
        heartbeats: Heartbeats,
        processes: Processes,
        *,
        interval: float,
    ) -> None:
        self._books, self._board = books, books.board
        self._leases, self._survey, self._scheduler = leases, survey, scheduler
        self._heartbeats, self._processes = heartbeats, processes
        self._interval = interval
        self._silent: dict[str, float] = {}

    async def run(self) -> None:
        """Sweep until cancelled."""
        since_pass = 0.0
        while True:
            pause = SOON_S if self._survey.unsettled else PULSE_S
            await self._books.clock.sleep(pause)
            since_pass += pause
            try:
                await self.once(pause)
            except Exception:
                log.exception("sweep_failed")
            if since_pass >= self._interval:
                since_pass = 0.0
                self._scheduler.wake()

    async def once(self, elapsed: float) -> None:
        """One sweep, `elapsed` seconds after the one before."""
        await self._books.settle()
        if await self._survey.look():
            self._scheduler.wake()
        await self.listen(elapsed)

    async def listen(self, elapsed: float) -> None:
        """Hears the runners. Silence is counted in sweeps, so that a machine that slept counts nothing."""
        live = self._board.live()
        beats = await self._heartbeats.read([record.id for record in live])
        now = self._books.clock.now()
        silent: dict[str, float] = {}
        for record, beat in zip(live, beats, strict=True):
            if beat:
                self._board.heard(record.id, beat, now)
            else:
                silent[record.id] = self._silent.get(record.id, 0.0) + elapsed
        self._silent = silent
        await self._expire([record for record in live if silent.get(record.id, 0.0) >= SILENT_S])

    async def _expire(self, records: list[Record]) -> None:
        """Ends leases of which nothing lives.

        The stop mark comes first: a runner that starts this very moment sees it and leaves, or its
        heartbeat is seen by the next sweep, which is the one that ends the lease.
        """
        if not records:
            return
        running = await self._processes.of_runs()
        for record in records:
            silent_for = self._silent[record.id]
            if running.get(record.id):
                log.warning("runner_silent", run=record.id, pids=running[record.id], seconds=silent_for)
            elif silent_for < SILENT_S + PULSE_S:
                await self._heartbeats.stop(record.id, "lease_revoked")
            elif await self._leases.expire(record):
                log.warning("lease_expired", run=record.id)
                self._scheduler.wake(freed=True)
