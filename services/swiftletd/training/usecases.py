"""What the training service does: load, decide, commit, then act.

An act (launching or stopping a runner) comes after the commit that calls for it, so recovery can always
tell from the stored state what is still to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import AlreadyExists, NotFound, WrongState
from swiftletd.training.domain import decide
from swiftletd.training.domain.failure import diagnose
from swiftletd.training.domain.job import (
    TERMINAL,
    Change,
    ExportState,
    Happened,
    Job,
    Lease,
    State,
    attempt_of_entry,
)
from swiftletd.training.ports import (
    Answer,
    AnyRoom,
    Filter,
    GpuAnswers,
    JobStore,
    LaunchFailed,
    Room,
    Runs,
    Stale,
)

log = structlog.get_logger()

Decision = Callable[[Job], Change | None]


class Training:
    """The use cases. `patience` is how long a create waits for the gpu service's first word, in seconds."""

    def __init__(
        self,
        store: JobStore,
        runs: Runs,
        answers: GpuAnswers,
        clock: Clock,
        *,
        patience: float = 2.0,
        room: Room | None = None,
    ) -> None:
        self.store, self.runs, self._room = store, runs, room or AnyRoom()
        self._answers, self._clock, self._patience = answers, clock, patience
        self._background: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------- what clients ask for

    async def get(self, job_id: str) -> Job:
        """The job. Raises NotFound."""
        job = await self.store.get(job_id)
        if job is None:
            raise NotFound("training job", job_id)
        return job

    async def create(self, job: Job, request_id: str, *, auto_start: bool) -> tuple[Job, Answer | None]:
        """Keep a new job and, if it is to start by itself, hear the gpu service's first word on it."""
        created = Change(job, (Happened(type="training.job.created", message="Created."),))
        if not auto_start:
            return await self._keep(created, request_id), None
        submitted = decide.submit(job)
        assert submitted
        both = Change(replace(submitted.job, version=1), (*created.events, *submitted.events))
        return await self._heard(job.entry(), lambda: self._keep(both, request_id))

    async def _keep(self, change: Change, request_id: str) -> Job:
        try:
            async with self._room.place(change.job):
                return await self.store.create(change, request_id)
        except Stale:
            raise AlreadyExists("training job", change.job.id) from None

    async def _heard(self, entry: str, act: Callable[[], Awaitable[Job]]) -> tuple[Job, Answer | None]:
        """Do it, and wait a moment for what the gpu service says about the entry."""
        async with self._answers.listen(entry) as answers:
            job = await act()
            if not job.submitted or job.entry() != entry:
                return job, None
            try:
                async with asyncio.timeout(self._patience):
                    return job, await anext(answers)
            except TimeoutError:
                return job, None

    async def start(self, job_id: str) -> tuple[Job, Answer | None]:
        """Submit a job that waits for it. Harmless before its end, WrongState after."""
        job = await self.get(job_id)
        if job.state in TERMINAL:
            text = f"The job is {job.state} and can't be started again. Create a new one with the same body."
            raise WrongState(job_id, job.state, "start", text)
        if job.submitted or job.state is State.RUNNING:
            return job, None
        return await self._heard(job.entry(), lambda: self.change(job_id, decide.submit))

    async def stop(self, job_id: str) -> Job:
        """Cancel a job; harmless on a cancelled one. Its processes are ended after this returns."""
        job = await self.change(job_id, lambda job: decide.cancel(job, self._clock.now()))
        if job.state is not State.CANCELLED:
            text = f"The job is {job.state}: there is nothing left to stop."
            raise WrongState(job_id, job.state, "stop", text)
        await self._stop_runs(job, "cancelled")
        return job

    async def export(self, job_id: str) -> Job:
        """Export a completed job once more."""
        before = await self.get(job_id)
        if before.state is not State.COMPLETED:
            text = f"The job is {before.state}; only a completed one can be exported."
            raise WrongState(job_id, before.state, "export", text)
        if before.export is ExportState.RUNNING:
            return before
        job = await self.change(job_id, decide.export_again)
        await self._launch_export(job)
        return job

    async def delete(self, job_id: str, request_id: str) -> None:
        """Forget a job and its logs; a running one is stopped first."""
        while True:
            job = await self.change(job_id, lambda job: decide.cancel(job, self._clock.now()))
            gone = Change(job, (Happened(type="training.job.deleted", message="Deleted."),))
            try:
                await self.store.delete(job, request_id, gone)
                break
            except Stale:
                continue
        await self._stop_runs(job, "cancelled")
        await self.runs.remove(job_id)  # what still runs is removed when its runner says that it is over

    async def delete_all(self) -> tuple[int, int]:
        """Delete every job: (gone, not gone). WrongState while one runs."""
        busy = [job.id for job in await self.store.unfinished() if job.state is State.RUNNING]
        if busy:
            text = (
                f"{len(busy)} jobs run ({', '.join(busy[:5])}). Stop them first, or delete jobs one by one."
            )
            raise WrongState(busy[0], "running", "delete all", text)
        return await self._delete_each()

    async def _delete_each(self) -> tuple[int, int]:
        gone = failed = 0
        while page := (await self.store.page(Filter(), failed, 100)).jobs:
            for job in page:
                try:
                    await self.delete(job.id, "")
                    gone += 1
                except NotFound:
                    gone += 1
                except OSError:
                    failed += 1
        return gone, failed

    # ---------------------------------------------------------------- what the gpu service says

    async def must_wait(self, job_id: str, entry: str, position: int, reason: str, wait: float) -> None:
        """An entry has to wait."""
        await self.hear(job_id, lambda job: decide.must_wait(job, entry, position, reason, wait))

    async def granted(self, job_id: str, entry: str, lease: Lease) -> None:
        """An entry has its GPUs: start the attempt."""
        job = await self.hear(job_id, lambda job: decide.granted(job, entry, lease, self._clock.now()))
        if job and (attempt := attempt_of_entry(job, entry)) and job.state is State.RUNNING:
            await self._launch(job, attempt.number)

    async def taken_out(self, job_id: str, entry: str) -> None:
        """An operator took an entry out of the queue."""
        await self.hear(job_id, lambda job: decide.taken_out(job, entry))

    async def lease_over(self, job_id: str, entry: str, state: str, reason: str) -> None:
        """A lease ended."""
        await self.hear(job_id, lambda job: decide.lease_over(job, entry, state, reason, self._clock.now()))

    # ---------------------------------------------------------------- what runners say

    async def process_started(self, job_id: str, entry: str, pid: int) -> None:
        """A process runs."""
        await self.hear(job_id, lambda job: decide.process_started(job, entry, pid))

    async def step_ended(self, job_id: str, entry: str, result: decide.StepResult) -> None:
        """A step ended; a failure is explained from the log."""
        fault = None if result.success else await self._explain(job_id, entry, result)
        exports = self.runs.exports(job_id, entry)
        now = self._clock.now()
        if result.step == "export":
            await self.hear(job_id, lambda job: decide.exported(job, entry, result, fault, now))
            return
        # The final row has the mean over all steps; what people mean is the loss at the end.
        last = (await self.runs.progress(job_id, entry)).get("loss")
        told = replace(result, final_loss=last or result.final_loss)
        await self.hear(job_id, lambda job: decide.trained(job, entry, told, fault, exports, now))

    async def run_over(self, job_id: str, entry: str) -> None:
        """A runner is gone, and all that it started."""
        job = await self.hear(job_id, lambda job: decide.run_over(job, entry, self._clock.now()))
        if job is None:
            await self.runs.remove(job_id)

    async def _explain(self, job_id: str, entry: str, result: decide.StepResult) -> decide.Fault:
        tail = await self.runs.log_tail(job_id, entry)
        signal = -result.exit_code if result.exit_code < 0 else None
        found = diagnose(tail, result.exit_code, signal)
        return decide.Fault(reason=found.reason, message=found.sentence)

    # ---------------------------------------------------------------- recovery

    async def recover(self) -> None:
        """Bring every unfinished job into line with what really runs. Safe to repeat at any time."""
        for job in await self.store.unfinished():
            for attempt in job.attempts:
                if not attempt.run_over:
                    await self._reconcile(job, attempt.number)
            if job.export is ExportState.RUNNING and job.exports > 1:
                await self._reconcile_export(job)
        for job_id in await self.runs.known():
            if await self.store.get(job_id) is None:
                await self.runs.remove(job_id)

    async def _reconcile(self, job: Job, number: int) -> None:
        entry = job.entry(number)
        report = await self.runs.report(job.id, entry)
        if not report.launched and job.state is State.RUNNING:
            await self._launch(job, number)
            return
        if job.state is State.CANCELLED and report.alive:
            await self.runs.stop(job.id, entry, "cancelled")
        for result in report.steps:
            await self.step_ended(job.id, entry, result)
        if not report.alive:
            await self.runs.bury(job.id, entry)
            await self.run_over(job.id, entry)

    async def _reconcile_export(self, job: Job) -> None:
        entry = job.export_entry()
        report = await self.runs.report(job.id, entry)
        if not report.launched:
            await self._launch_export(job)
        for result in report.steps:
            await self.step_ended(job.id, entry, result)
        if report.launched and not report.alive and not report.steps:
            await self.runs.bury(job.id, entry)
            lost = decide.StepResult(step="export", success=False, exit_code=-1)
            await self.step_ended(job.id, entry, lost)

    # ---------------------------------------------------------------- shared

    async def change(self, job_id: str, decision: Decision) -> Job:
        """Load, decide, commit, until no one else was faster. Raises NotFound."""
        while True:
            job = await self.get(job_id)
            change = decision(job)
            if change is None:
                return job
            try:
                await self.store.commit(job, change)
                return change.job
            except Stale:
                continue

    async def hear(self, job_id: str, decision: Decision) -> Job | None:
        """As `change`; None for a job that was deleted meanwhile."""
        try:
            return await self.change(job_id, decision)
        except NotFound:
            return None

    async def _launch(self, job: Job, number: int) -> None:
        attempt = next(a for a in job.attempts if a.number == number)
        try:
            await self.runs.launch_training(job, number, attempt.lease)
        except LaunchFailed as error:
            log.warning("launch_failed", job=job.id, attempt=number, error=str(error))
            fault = decide.Fault(reason=error.reason, message=str(error))
            now = self._clock.now()
            await self.hear(job.id, lambda job: decide.not_started(job, job.entry(number), fault, now))
            return
        fresh = await self.store.get(job.id)
        if fresh is None or fresh.state is State.CANCELLED:  # stopped while it was being launched
            await self.runs.stop(job.id, job.entry(number), "cancelled")

    async def _launch_export(self, job: Job) -> None:
        try:
            await self.runs.launch_export(job, job.export_entry())
        except LaunchFailed as error:
            fault = decide.Fault(reason=error.reason, message=str(error))
            lost = decide.StepResult(step="export", success=False, exit_code=-1)
            entry, now = job.export_entry(), self._clock.now()
            await self.hear(job.id, lambda job: decide.exported(job, entry, lost, fault, now))

    async def _stop_runs(self, job: Job, word: str) -> None:
        for attempt in job.attempts:
            if not attempt.run_over:
                await self.runs.stop(job.id, job.entry(attempt.number), word)
        if job.exports > 1 and job.export is ExportState.RUNNING:
            await self.runs.stop(job.id, job.export_entry(), word)
