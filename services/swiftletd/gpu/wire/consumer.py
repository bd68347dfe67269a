"""What the gpu service does about the events of the other services and of the runners."""

from __future__ import annotations

from collections.abc import Sequence

from swiftlet.event.v1.event_pb2 import Event
from swiftletd.gpu.usecases.intake import Intake
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.wire.events import submission
from swiftletd.kernel.clock import Clock

# An entry is submitted before it is withdrawn, its run begins before it ends, and no entry waits for another.
ORDER = ("work_submitted", "work_withdrawn", "run_started", "run_ended")


class Inbox:
    """Events that were read together are handled kind by kind, each kind in one go."""

    def __init__(self, intake: Intake, leases: Leases, scheduler: Scheduler, clock: Clock) -> None:
        self._intake, self._leases, self._scheduler, self._clock = intake, leases, scheduler, clock

    async def handle(self, event: Event) -> bool:
        """One event; whether it was for this service."""
        return await self.handle_batch([event])

    async def handle_batch(self, events: Sequence[Event]) -> bool:
        """Many events, any of which may come again; whether one of them was for this service."""
        kinds: dict[str, list[Event]] = {kind: [] for kind in ORDER}
        for event in events:
            kinds.get(event.WhichOneof("payload") or "", []).append(event)
        for kind, found in kinds.items():
            if found:
                await self._handle(kind, found)
        return any(kinds.values())

    async def _handle(self, kind: str, events: Sequence[Event]) -> None:
        match kind:
            case "work_submitted":
                await self._intake.submit([submission(event, self._clock.now()) for event in events])
                self._scheduler.wake()
            case "work_withdrawn":
                for event in events:
                    await self._intake.withdraw(event.work_withdrawn.entry, event.subject, event.version)
                self._scheduler.wake(freed=True)
            case "run_started":
                await self._leases.begun([event.run_started.run for event in events])
            case "run_ended":
                await self._leases.over({e.run_ended.run: e.run_ended.success for e in events})
                self._scheduler.wake(freed=True)
