"""What the training service does when the gpu service or a runner says something."""

from __future__ import annotations

from swiftlet.event.v1.event_pb2 import Event, LeaseGranted, RunStepEnded
from swiftletd.training.domain.decide import StepResult
from swiftletd.training.domain.job import Lease
from swiftletd.training.usecases import Training

KIND = "training-"


def owner(entry: str) -> str:
    """The job of a run, "training-<job>-<attempt>" or "training-<job>-export.<n>"; "" for other kinds."""
    return entry.removeprefix(KIND).rpartition("-")[0] if entry.startswith(KIND) else ""


class Ears:
    """Handlers for the consumers; each is harmless when an event comes twice."""

    def __init__(self, training: Training) -> None:
        self._training = training

    async def from_gpu(self, event: Event) -> None:
        """An event of the gpu service."""
        match event.WhichOneof("payload"):
            case "lease_granted" if job := owner(event.lease_granted.entry):
                await self._training.granted(job, event.lease_granted.entry, to_lease(event.lease_granted))
            case "work_waiting" if job := owner(event.work_waiting.entry):
                word = event.work_waiting
                await self._training.must_wait(
                    job, word.entry, word.position, word.reason, word.estimated_wait
                )
            case "work_removed" if job := owner(event.work_removed.entry):
                await self._training.taken_out(job, event.work_removed.entry)
            case "lease_ended" if job := owner(event.lease_ended.entry):
                end = event.lease_ended
                if end.token:
                    await self._training.lease_over(job, end.entry, end.state)
                else:  # there never was one
                    await self._training.refused(job, end.entry, end.reason)

    async def from_runs(self, event: Event) -> None:
        """An event of a runner."""
        match event.WhichOneof("payload"):
            case "run_started" if job := owner(event.run_started.run):
                await self._training.process_started(job, event.run_started.run, event.run_started.child_pid)
            case "run_step_ended" if job := owner(event.run_step_ended.run):
                step = event.run_step_ended
                await self._training.step_ended(job, step.run, to_result(step))
            case "run_ended" if job := owner(event.run_ended.run):
                await self._training.run_over(job, event.run_ended.run)


def to_lease(granted: LeaseGranted) -> Lease:
    """The domain's words for a grant."""
    return Lease(
        token=granted.token,
        devices=tuple(granted.devices),
        visible_devices=granted.visible_devices,
        gpu_ids=granted.gpu_ids,
        machine=granted.machine,
    )


def to_result(step: RunStepEnded) -> StepResult:
    """The domain's words for the end of a step."""
    return StepResult(
        step=step.step,
        success=step.success,
        exit_code=step.exit_code,
        result_path=step.result_path,
        final_loss=step.final_loss,
        seconds=step.seconds,
        stopped=step.stopped,
    )
