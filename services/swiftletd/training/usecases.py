"""What the training service does: load, decide, commit, then act.

An act (launching or stopping a runner) comes after the commit that calls for it, so recovery can always
tell from the stored state what is still to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import AlreadyExists, NotFound, WrongState
from swiftletd.kernel.idempotency import UNKEYED, Once
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
    changed,
)
from swiftletd.training.ports import (
    Answer,
    AnyRoom,
    EndedRuns,
    ForgetfulRuns,
    GpuAnswers,
    JobStore,
    LaunchFailed,
    Room,
    RunReport,
    Runs,
    Served,
    Stale,
)
from swiftletd.training.purge import Purge

log = structlog.get_logger()

Decision = Callable[[Job], Change | None]


def _start(job: Job) -> Change | None:
    if job.state in TERMINAL:
        text = f"The job is {job.state} and can't be started again. Create a new one with the same body."
        raise WrongState(job.id, job.state, "start", text)
    return decide.submit(job)


def _stop(job: Job, now: float) -> Change | None:
    if job.state in TERMINAL and job.state is not State.CANCELLED:
        text = f"The job is {job.state}: there is nothing left to stop."
        raise WrongState(job.id, job.state, "stop", text)
    return decide.cancel(job, now)


def _export(job: Job) -> Change | None:
    if job.state is not State.COMPLETED:
        text = f"The job is {job.state}; only a completed one can be exported."
        raise WrongState(job.id, job.state, "export", text)
    return decide.export_again(job)


class Training:
    """The use cases. `patience` is how long a create waits for the gpu service's first word, in seconds, and
    `retry_delay` how long a second attempt waits; each further one waits twice as long.
    """

    def __init__(
        self,
        store: JobStore,
        runs: Runs,
        answers: GpuAnswers,
        clock: Clock,
        *,
        patience: float = 2.0,
        retry_delay: float = 0.0,
        room: Room | None = None,
        logs: EndedRuns | None = None,
        served: Served | None = None,
    ) -> None:
        self.store, self.runs, self._room = store, runs, room or AnyRoom()
        self._logs, self._served = logs or ForgetfulRuns(), served
        self._answers, self._clock, self._patience = answers, clock, patience
        self._retry_delay = retry_delay
        self._purge = Purge(store, runs, clock, self._forget)
        self._launching = asyncio.Lock()  # a grant and the recovery may want the same launch

    # ---------------------------------------------------------------- what clients ask for

    async def get(self, job_id: str) -> Job:
        """The job. Raises NotFound."""
        job = await self.store.get(job_id)
        if job is None:
            raise NotFound("training job", job_id)
        return job

    async def named(self, job: Job) -> Job:
        """A new job whose id a client chose. Raises AlreadyExists."""
        if number := await self.store.first_attempt(job.id):
            return changed(job, next_attempt=number)
        raise AlreadyExists("training job", job.id)

    async def create(
        self, job: Job, once: Once[Job] = UNKEYED, *, auto_start: bool
    ) -> tuple[Job, Answer | None]:
        """Keep a new job and, if it is to start by itself, hear the gpu service's first word on it."""
        created = Change(job, (Happened(type="training.job.created", message="Created."),))
        if not auto_start:
            return await self._keep(created, once), None
        submitted = decide.submit(job)
        assert submitted
        both = Change(changed(submitted.job, version=1), (*created.events, *submitted.events))
        return await self._heard(job.entry(), lambda: self._keep(both, once))

    async def _keep(self, change: Change, once: Once[Job]) -> Job:
        try:
            async with self._room.place(change.job):
                await self.store.commit(None, change, once)
        except Stale:
            raise AlreadyExists("training job", change.job.id) from None
        return change.job

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

    async def start(self, job_id: str, once: Once[Job] = UNKEYED) -> tuple[Job, Answer | None]:
        """Submit a job that waits for it. Harmless before its end, WrongState after."""
        job = await self.get(job_id)
        if job.submitted or job.state is State.RUNNING:
            return await self.change(job_id, _start, once), None
        return await self._heard(job.entry(), lambda: self.change(job_id, _start, once))

    async def stop(self, job_id: str, once: Once[Job] = UNKEYED) -> Job:
        """Cancel a job; harmless on a cancelled one. Its processes are ended after this returns."""
        job = await self.change(job_id, lambda job: _stop(job, self._clock.now()), once)
        await self._stop_runs(job, "cancelled")
        return job

    async def export(self, job_id: str, once: Once[Job] = UNKEYED) -> Job:
        """Export a completed job once more; harmless while it exports."""
        before = await self.get(job_id)
        job = await self.change(job_id, _export, once)
        if job.exports > before.exports:
            await self._launch_export(job)
        return job

    async def delete(self, job_id: str, once: Once[Job] = UNKEYED) -> None:
        """Forget a job and its logs; a running one is stopped first."""
        job = await self._forget(job_id, once)
        if job.over:  # else its directories are removed when its runner says so, or by recovery
            await self.runs.remove(job_id)

    async def _forget(self, job_id: str, once: Once[Job] = UNKEYED) -> Job:
        """All of it but its directories."""
        while True:
            job = await self.change(job_id, lambda job: decide.cancel(job, self._clock.now()))
            gone = Change(job, (Happened(type="training.job.deleted", message="Deleted."),))
            try:
                await self.store.delete(job, gone, once)
                break
            except Stale:
                continue
        await self._stop_runs(job, "cancelled")
        self._room.leave(job_id)
        await self._logs.forget(job_id, job.runs())
        return job

    async def delete_all(self, once: Once[int] = UNKEYED) -> int:
        """Delete every job that there is now: how many. WrongState while one runs."""
        return await self._purge.begin(once)

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

    async def refused(self, job_id: str, entry: str, reason: str) -> None:
        """An entry can't be meant, and never came into the queue."""
        await self.hear(job_id, lambda job: decide.refused(job, entry, reason, self._clock.now()))

    async def lease_over(self, job_id: str, entry: str, state: str) -> None:
        """A lease ended though nobody gave it back: nothing seemed to live.

        Another attempt must not begin beside this one, so it is looked at again here. What lives after all is
        asked to end, and its runner says when it has.
        """
        job = await self.store.get(job_id)
        attempt = attempt_of_entry(job, entry) if job else None
        if state == "released" or attempt is None or attempt.run_over:
            return
        await self.runs.stop(job_id, entry, "lease_revoked")  # also for a runner that starts this moment
        await self._conclude(job_id, entry, await self.runs.report(job_id, entry))

    # ---------------------------------------------------------------- what runners say

    async def process_started(self, job_id: str, entry: str, pid: int) -> None:
        """A process runs."""
        await self.hear(job_id, lambda job: decide.process_started(job, entry, pid))

    async def step_ended(self, job_id: str, entry: str, result: decide.StepResult) -> None:
        """A step ended; a failure is explained from the log."""
        fault = None if result.success else await self._explain(job_id, entry, result)
        exports = self.runs.exports(job_id, entry)
        now, delay = self._clock.now(), self._retry_delay
        if result.step == "export":
            await self.hear(job_id, lambda job: decide.exported(job, entry, result, fault, now))
            return
        # The final row has the mean over all steps; what people mean is the loss at the end.
        last = (await self.runs.progress(job_id, entry)).get("loss")
        told = replace(result, final_loss=last or result.final_loss)
        await self.hear(job_id, lambda job: decide.trained(job, entry, told, fault, exports, now, delay))

    async def run_over(self, job_id: str, entry: str) -> None:
        """A runner is gone, and all that it started."""
        await self._logs.ended(job_id, entry)
        seen = await self.runs.progress(job_id, entry)
        reached = decide.Reached(int(seen.get("step") or 0), float(seen.get("loss") or 0.0))
        now, delay = self._clock.now(), self._retry_delay
        job = await self.hear(job_id, lambda job: decide.run_over(job, entry, now, reached, delay))
        if job is None:
            await self._logs.forget(job_id, [entry])
            await self.runs.remove(job_id)

    async def release_log(self, job_id: str, entry: str, sentence: str) -> bool:
        """Whether the log of a run may be removed; if so, the job says when and why."""
        job = await self.store.get(job_id)
        if job and (not job.over or (self._served and await self._served.serves(job))):
            return False
        fresh = await self.hear(job_id, lambda job: decide.log_removed(job, entry, sentence))
        return fresh is None or fresh.over

    async def _explain(self, job_id: str, entry: str, result: decide.StepResult) -> decide.Fault:
        tail = await self.runs.log_tail(job_id, entry)
        found = diagnose(tail, result.exit_code, -result.exit_code if result.exit_code < 0 else None)
        return decide.Fault(reason=found.reason, message=found.sentence)

    # ---------------------------------------------------------------- recovery

    async def recover(self) -> None:
        """Bring every unfinished job into line with what really runs. Safe to repeat at any time."""
        await self._purge.go_on()
        for job in await self.store.unfinished():
            for attempt in job.attempts:
                if not attempt.run_over:
                    await self._reconcile(job, attempt.number)
            if job.export is ExportState.RUNNING and job.exports > 1:
                await self._reconcile_export(job)
        await self._purge.tidy()

    async def _reconcile(self, job: Job, number: int) -> None:
        entry = job.entry(number)
        report = await self.runs.report(job.id, entry)
        if not report.launched and job.state is State.RUNNING:
            await self._launch(job, number)
            return
        if not report.launched and job.state is State.CANCELLED:
            # A fork server may still do it for a service that died: so the word to stop, then the last look.
            if not await self._runs_anyway(job.id, entry):
                await self.hear(job.id, lambda job: decide.never_began(job, entry))
            return
        if job.state is State.CANCELLED and report.alive:
            await self.runs.stop(job.id, entry, "cancelled")
        await self._conclude(job.id, entry, report)

    async def _conclude(self, job_id: str, entry: str, report: RunReport) -> None:
        """Take in what a run has left on the disk; nothing more can come of one without a runner."""
        for result in report.steps:
            await self.step_ended(job_id, entry, result)
        if not report.alive:
            await self.runs.bury(job_id, entry)
            await self.run_over(job_id, entry)

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

    async def change(self, job_id: str, decision: Decision, once: Once[Job] = UNKEYED) -> Job:
        """Load, decide, commit, until no one else was faster. Raises NotFound, Repeated."""
        while True:
            job = await self.get(job_id)
            change = decision(job)
            if change is None and not once.key:
                return job
            change = change or Change(job)  # kept for the mark: a repeat must find nothing to do either
            try:
                await self.store.commit(job, change, once)
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
        if number > 1 and attempt.resumed_from is None:  # decided once, whoever dies before the launch
            checkpoint = await self.runs.last_checkpoint(job, number)
            entry = job.entry(number)
            told = await self.hear(job.id, lambda job: decide.resumes(job, entry, checkpoint))
            job = told or job
        try:
            async with self._launching:
                await self.runs.launch_training(job, number, attempt.lease)
        except LaunchFailed as error:
            log.warning("launch_failed", job=job.id, attempt=number, error=str(error))
            await self._give_up(job.id, job.entry(number), error)
            return
        fresh = await self.store.get(job.id)
        if fresh is None or fresh.state is State.CANCELLED or fresh.is_over(number):  # stopped meanwhile
            await self.runs.stop(job.id, job.entry(number), "cancelled")

    async def _give_up(self, job_id: str, entry: str, error: LaunchFailed) -> None:
        if not await self._runs_anyway(job_id, entry):
            fault, now = decide.Fault(reason=error.reason, message=str(error)), self._clock.now()
            delay = self._retry_delay
            failed = partial(decide.not_started, entry=entry, fault=fault, now=now, retry_delay=delay)
            await self.hear(job_id, lambda job: failed(job) or decide.never_began(job, entry))

    async def _launch_export(self, job: Job) -> None:
        entry = job.export_entry()
        try:
            await self.runs.launch_export(job, entry)
        except LaunchFailed as error:
            now = self._clock.now()
            if not await self._runs_anyway(job.id, entry):
                fault = decide.Fault(reason=error.reason, message=str(error))
                lost = decide.StepResult(step="export", success=False, exit_code=-1)
                await self.hear(job.id, lambda job: decide.exported(job, entry, lost, fault, now))

    async def _runs_anyway(self, job_id: str, entry: str) -> bool:
        """Whether a run that seems not to have been launched was, by an earlier launch or in this moment.

        If not, it must not start later either: a launch can time out and go on.
        """
        if (await self.runs.report(job_id, entry)).launched:
            return True
        await self.runs.stop(job_id, entry, "cancelled")
        return (await self.runs.report(job_id, entry)).launched

    async def _stop_runs(self, job: Job, word: str) -> None:
        for attempt in job.attempts:
            if not attempt.run_over:
                await self.runs.stop(job.id, job.entry(attempt.number), word)
        if job.exports > 1 and job.export is ExportState.RUNNING:
            await self.runs.stop(job.id, job.export_entry(), word)
