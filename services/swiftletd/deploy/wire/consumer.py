"""What the deploy service does when the gpu service or a runner says something."""

from __future__ import annotations

from swiftlet.event.v1.event_pb2 import Event, LeaseGranted
from swiftletd.deploy.domain.deployment import Lease
from swiftletd.deploy.usecases import Deploying

KIND = "deploy-"


def owner(entry: str) -> str:
    """The deployment of a run, "deploy-<id>-<attempt>"; "" for other kinds."""
    return entry.removeprefix(KIND).rpartition("-")[0] if entry.startswith(KIND) else ""


class Ears:
    """Handlers for the consumers; each is harmless when an event comes twice."""

    def __init__(self, deploying: Deploying) -> None:
        self._deploying = deploying

    async def from_gpu(self, event: Event) -> None:
        """An event of the gpu service."""
        match event.WhichOneof("payload"):
            case "lease_granted" if key := owner(event.lease_granted.entry):
                await self._deploying.granted(key, event.lease_granted.entry, to_lease(event.lease_granted))
            case "work_waiting" if key := owner(event.work_waiting.entry):
                word = event.work_waiting
                await self._deploying.must_wait(
                    key, word.entry, word.position, word.reason, word.estimated_wait
                )
            case "work_removed" if key := owner(event.work_removed.entry):
                await self._deploying.taken_out(key, event.work_removed.entry)
            case "lease_ended" if key := owner(event.lease_ended.entry):
                end = event.lease_ended
                if end.token:
                    await self._deploying.lease_over(key, end.entry, end.state)
                else:  # there never was one
                    await self._deploying.refused(key, end.entry, end.reason)

    async def from_runs(self, event: Event) -> None:
        """An event of a runner."""
        match event.WhichOneof("payload"):
            case "run_started" if key := owner(event.run_started.run):
                started = event.run_started
                await self._deploying.process_started(key, started.run, started.child_pid)
            case "run_step_ended" if key := owner(event.run_step_ended.run):
                step = event.run_step_ended
                await self._deploying.server_ended(key, step.run, step.exit_code, step.stopped)
            case "run_ended" if key := owner(event.run_ended.run):
                await self._deploying.run_over(key, event.run_ended.run)


def to_lease(granted: LeaseGranted) -> Lease:
    """The domain's words for a grant."""
    return Lease(
        token=granted.token,
        devices=tuple(granted.devices),
        visible_devices=granted.visible_devices,
        gpu_ids=granted.gpu_ids,
    )
