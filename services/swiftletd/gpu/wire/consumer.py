"""What the gpu service does about the events of the other services and of the runners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from swiftlet.event.v1.event_pb2 import Event
from swiftletd.gpu.usecases.intake import Intake
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.wire.events import submission
from swiftletd.kernel.clock import Clock


class Inbox:
    """Events are handled in their order; neighbours of one kind in one go."""

    def __init__(self, intake: Intake, leases: Leases, scheduler: Scheduler, clock: Clock) -> None:
        self._intake, self._leases, self._scheduler, self._clock = intake, leases, scheduler, clock

    async def handle(self, event: Event) -> None:
        """One event."""
        await self.handle_batch([event])

    async def handle_batch(self, events: Sequence[Event]) -> None:
        """Many events; any of them may come again."""
        for kind, group in groupby(events, key=lambda event: event.WhichOneof("payload")):
            await self._handle(kind, list(group))

    async def _handle(self, kind: str | None, events: Sequence[Event]) -> None:
        match kind:
            case "work_submitted":
                await self._intake.submit([submission(event, self._clock.now()) for event in events])
                self._scheduler.wake()
            case "work_withdrawn":
                for event in events:
                    await self._intake.withdraw(event.work_withdrawn.entry, event.subject, event.version)
                self._scheduler.wake(freed=True)
            case "run_started":
                for event in events:
                    await self._leases.begun(event.run_started.run)
            case "run_ended":
                await self._leases.over({e.run_ended.run: e.run_ended.success for e in events})
                self._scheduler.wake(freed=True)
