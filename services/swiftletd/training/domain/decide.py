"""What happens to a job when a client, the gpu service or a runner says something.

Each function gives a Change, or None where the word came late or twice and changes nothing: that is
what makes the consumers idempotent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from swiftletd.training.domain.failure import RETRY, Retry
from swiftletd.training.domain.job import (
    TERMINAL,
    Attempt,
    AttemptState,
    Change,
    ExportState,
    Happened,
    Job,
    Lease,
    State,
    Submit,
    Withdraw,
    attempt_of_entry,
    changed,
    edit,
    move,
    with_attempt,
)
from swiftletd.training.domain.less_memory import Relief, relief

RETRYABLE = frozenset(str(reason) for reason, worth in RETRY.items() if worth is Retry.AGAIN)
CHANGEABLE = frozenset(str(reason) for reason, worth in RETRY.items() if worth is Retry.WITH_CHANGE)
LONGEST_RETRY_DELAY = 300.0  # seconds
STOP_REASONS = {
    "time_limit": ("TIME_LIMIT", "The job ran into its time limit. Raise time_limit, or train fewer steps."),
    "lease_revoked": ("LEASE_REVOKED", "The GPUs were taken back while the job ran."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a runner says about a step that ended. Seconds; exit code negative for a signal."""

    step: str
    success: bool
    exit_code: int = 0
    result_path: str = ""
    final_loss: float = 0.0
    seconds: float = 0.0
    stopped: str = ""


NO_RESULT = StepResult(step="train", success=False, exit_code=-1)
"""A training step whose end nobody told."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an attempt came."""

    step: int = 0
    loss: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an attempt failed: a code of the catalogue and a sentence with cause and remedy."""

    reason: str
    message: str


def submit(job: Job) -> Change | None:
    """Ask for GPUs, if nobody did yet."""
    if job.submitted or job.state is not State.PENDING:
        return None
    event = Happened(type="training.job.submitted", message="Waits for its GPUs.", effect=Submit())
    return Change(edit(job, submitted=True), (event,))


def must_wait(job: Job, entry: str, position: int, reason: str, wait: float) -> Change | None:
    """The gpu service put it in the queue."""
    if job.state is not State.PENDING or not job.submitted or entry != job.entry():
        return None
    details = {"queue_position": position, "wait_reason": reason, "estimated_wait": wait}
    event = Happened(type="training.job.queued", message=f"Queued at position {position}: {reason}")
    return Change(move(job, State.QUEUED, **details), (event,))


def granted(job: Job, entry: str, lease: Lease, now: float) -> Change | None:
    """The gpu service gave it GPUs: from here on the attempt exists, whether its process does or not."""
    if job.state not in (State.PENDING, State.QUEUED) or not job.submitted or entry != job.entry():
        return None
    attempt = Attempt(number=job.next_attempt, lease=lease, started_at=now)
    running = move(
        job,
        State.RUNNING,
        attempts=(*job.attempts, attempt),
        next_attempt=job.next_attempt + 1,
        submitted=False,
        queue_position=0,
        wait_reason="",
        estimated_wait=-1.0,
        started_at=job.started_at or now,
        error_message="",
        failure_reason="",
    )
    where = f"GPU {lease.gpu_ids}" if lease.visible_devices else ", ".join(lease.devices)
    return Change(
        running,
        (Happened(type="training.job.started", message=f"Attempt {attempt.number} starts on {where}."),),
    )


def resumes(job: Job, entry: str, checkpoint: str) -> Change | None:
    """Another attempt goes on from a checkpoint, or starts over and says so; before it is launched."""
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.resumed_from is not None or attempt.state is not AttemptState.RUNNING:
        return None
    happened = Happened(
        type="training.job.started_over",
        message=f"Attempt {attempt.number} starts over: no earlier one left a whole checkpoint.",
    )
    if checkpoint:
        text = f"Attempt {attempt.number} goes on from {checkpoint}."
        happened = Happened(type="training.job.resumed", message=text)
    attempts = with_attempt(job, replace(attempt, resumed_from=checkpoint))
    return Change(edit(job, attempts=attempts), (happened,))


def process_started(job: Job, entry: str, pid: int) -> Change | None:
    """The runner started the process."""
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.state is not AttemptState.RUNNING or job.process_id == pid:
        return None
    event = Happened(type="training.job.process_started", message=f"Process {pid} runs.")
    return Change(edit(job, process_id=pid), (event,))


def trained(
    job: Job,
    entry: str,
    result: StepResult,
    fault: Fault | None,
    exports: bool,
    now: float,
    retry_delay: float = 0.0,
) -> Change | None:
    """The training step ended. `exports` says whether an export step follows."""
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.state is not AttemptState.RUNNING or job.state is not State.RUNNING:
        return None
    if not result.success:
        return _ended_badly(job, attempt, result, _fault(result, fault), now, retry_delay)
    ended = replace(attempt, state=AttemptState.COMPLETED, ended_at=now, exit_code=result.exit_code)
    done = move(
        job,
        State.COMPLETED,
        attempts=with_attempt(job, ended),
        process_id=0,
        completed_at=now,
        final_loss=result.final_loss,
        training_time=job.training_time + result.seconds,
        checkpoint_path=result.result_path,
        **_export_begun(result.result_path, exports, now),
    )
    text = f"Trained in {result.seconds:.0f} s, loss {result.final_loss:.4g}."
    return Change(done, (Happened(type="training.job.completed", message=text),))


def _export_begun(checkpoint: str, exports: bool, now: float) -> dict[str, object]:
    if exports:
        return {"export": ExportState.RUNNING, "exports": 1}
    # Nothing to merge: the checkpoint is a whole model already, or its adapters can't be merged.
    return {"export": ExportState.DONE, "export_path": checkpoint, "export_time": now}


def _fault(result: StepResult, found: Fault | None) -> Fault:
    if result.stopped in STOP_REASONS:
        reason, message = STOP_REASONS[result.stopped]
        return Fault(reason=reason, message=message)
    return found or Fault(
        reason="PROCESS_FAILED", message=f"The process ended with exit code {result.exit_code}."
    )


def _ended_badly(
    job: Job, attempt: Attempt, result: StepResult, fault: Fault, now: float, retry_delay: float
) -> Change:
    lost = fault.reason == "LOST"
    ended = replace(
        attempt,
        state=AttemptState.LOST if lost else AttemptState.FAILED,
        reason=fault.message,
        ended_at=now,
        exit_code=result.exit_code,
    )
    common = {
        "attempts": with_attempt(job, ended),
        "process_id": 0,
        "training_time": job.training_time + result.seconds,
        "error_message": fault.message,
        "failure_reason": fault.reason,
        "checkpoint_path": result.result_path or job.checkpoint_path,
    }
    if retry := _retry(job, fault):
        wait = 0.0 if retry.words else _wait(job, retry_delay)
        start = now + wait if wait else job.earliest_start
        again = move(job, State.PENDING, **common, submitted=True, params=retry.params, earliest_start=start)
        how = (f" in {wait:g} s" if wait else "") + (f", with {retry.words}" if retry.words else "")
        text = f"Attempt {attempt.number} ended ({fault.message}) Attempt {job.next_attempt} follows{how}."
        return Change(again, (Happened(type="training.job.retried", message=text, effect=Submit()),))
    failed = move(job, State.FAILED, **common, completed_at=now)
    return Change(failed, (Happened(type="training.job.failed", message=fault.message),))


def _wait(job: Job, retry_delay: float) -> float:
    """Seconds until another attempt with nothing changed: what ended the last one may last, ever longer."""
    return min(retry_delay * 2.0 ** (len(job.attempts) - 1), LONGEST_RETRY_DELAY)


def _retry(job: Job, fault: Fault) -> Relief | None:
    """With which parameters to try again; None if that is of no use, or was done often enough."""
    if len(job.attempts) > job.max_retries:
        return None
    if fault.reason in CHANGEABLE:
        return relief(job.params)
    return Relief(job.params, "") if fault.reason in RETRYABLE else None


def exported(job: Job, entry: str, result: StepResult, fault: Fault | None, now: float) -> Change | None:
    """The export step of a run ended."""
    if job.export is not ExportState.RUNNING or not _is_export(job, entry):
        return None
    if result.success:
        done = edit(
            job, export=ExportState.DONE, export_path=result.result_path, export_time=now, export_error=""
        )
        return Change(
            done, (Happened(type="training.job.exported", message=f"Exported to {result.result_path}."),)
        )
    message = _fault(result, fault).message
    failed = edit(job, export=ExportState.FAILED, export_error=message)
    return Change(failed, (Happened(type="training.job.export_failed", message=message),))


def _is_export(job: Job, entry: str) -> bool:
    """Whether it is this run that exports now, and not one before it."""
    if job.exports > 1:
        return entry == job.export_entry()
    attempt = attempt_of_entry(job, entry)
    return attempt is not None and attempt.state is AttemptState.COMPLETED


def run_over(
    job: Job, entry: str, now: float, reached: Reached = Reached(), retry_delay: float = 0.0
) -> Change | None:
    """The runner has ended and nothing of its processes lives. It came as far as `reached`.

    What no step has told by now isn't going to be told: an attempt that still counts as running was lost.
    """
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.run_over:
        return None
    change = Change(job)
    if attempt.state is AttemptState.RUNNING and job.state is State.RUNNING:
        fault = Fault(reason="LOST", message="The process and its runner ended without a word.")
        change = _ended_badly(job, attempt, NO_RESULT, fault, now, retry_delay)
    over = attempt_of_entry(change.job, entry)
    assert over
    ended = replace(over, run_over=True, step=reached.step, loss=reached.loss)
    final = changed(change.job, version=job.version + 1, attempts=with_attempt(change.job, ended))
    if final.export is ExportState.RUNNING and _is_export(final, entry):
        final = changed(
            final,
            export=ExportState.FAILED,
            export_error="The export was cut off. Export again with /export.",
        )
    events = change.events or (
        Happened(type="training.job.run_over", message="All its processes have ended."),
    )
    return Change(final, events)


def not_started(job: Job, entry: str, fault: Fault, now: float, retry_delay: float = 0.0) -> Change | None:
    """The runner could not be started: the lease goes back, the job fails or tries again."""
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.state is not AttemptState.RUNNING or job.state is not State.RUNNING:
        return None
    change = _ended_badly(job, attempt, NO_RESULT, fault, now, retry_delay)
    over = attempt_of_entry(change.job, entry)
    assert over
    final = changed(change.job, attempts=with_attempt(change.job, replace(over, run_over=True)))
    return Change(final, (*change.events, _gives_back(entry)))


def never_began(job: Job, entry: str) -> Change | None:
    """The job was stopped before its attempt had a runner, and it will have none: the lease goes back."""
    attempt = attempt_of_entry(job, entry)
    if attempt is None or attempt.run_over or job.state is not State.CANCELLED:
        return None
    over = replace(attempt, run_over=True)
    return Change(edit(job, attempts=with_attempt(job, over)), (_gives_back(entry),))


def _gives_back(entry: str) -> Happened:
    return Happened(type="training.job.withdrawn", message="Its GPUs go back.", effect=Withdraw(entry))


def cancel(job: Job, now: float) -> Change | None:
    """A person stops it. What runs is ended after this, by its runner."""
    if job.state in TERMINAL:
        return None
    ended = tuple(
        replace(a, state=AttemptState.CANCELLED, ended_at=now, reason="Stopped by a person.")
        if a.state is AttemptState.RUNNING
        else a
        for a in job.attempts
    )
    changes = {"attempts": ended, "completed_at": now, "queue_position": 0, "process_id": 0}
    stopped = move(job, State.CANCELLED, **changes, submitted=False, wait_reason="", estimated_wait=-1.0)
    effect = Withdraw(job.entry()) if job.submitted else None
    if job.submitted:  # the entry's name must not come again
        stopped = changed(stopped, next_attempt=job.next_attempt + 1)
    return Change(
        stopped, (Happened(type="training.job.cancelled", message="Stopped by a person.", effect=effect),)
    )


def taken_out(job: Job, entry: str) -> Change | None:
    """An operator took it out of the queue: it waits for /start."""
    if not job.submitted or entry != job.entry() or job.state not in (State.PENDING, State.QUEUED):
        return None
    details = {"submitted": False, "queue_position": 0, "wait_reason": "", "estimated_wait": -1.0}
    event = Happened(type="training.job.unqueued", message="Taken out of the queue; /start puts it back.")
    idle = edit(job, **details) if job.state is State.PENDING else move(job, State.PENDING, **details)
    # The entry's name must not come again: a late copy of its submission would put it back.
    return Change(changed(idle, next_attempt=job.next_attempt + 1), (event,))


def refused(job: Job, entry: str, reason: str, now: float) -> Change | None:
    """The gpu service can't serve such a request, now or ever."""
    if not job.submitted or entry != job.entry() or job.state not in (State.PENDING, State.QUEUED):
        return None
    fault = {"error_message": reason, "failure_reason": "IMPOSSIBLE_REQUEST", "completed_at": now}
    failed = move(job, State.FAILED, submitted=False, queue_position=0, wait_reason="", **fault)
    return Change(failed, (Happened(type="training.job.failed", message=reason),))


def export_again(job: Job) -> Change | None:
    """A person wants the export once more."""
    if job.state is not State.COMPLETED or job.export is ExportState.RUNNING:
        return None
    event = Happened(type="training.job.exporting", message="Exports again.")
    number = max(job.exports, 1) + 1  # the first is the training run's own, even if that had nothing to merge
    again = edit(job, export=ExportState.RUNNING, exports=number, export_error="", settled=False)
    return Change(again, (event,))


def log_removed(job: Job, entry: str, sentence: str) -> Change | None:
    """The log of a run of a job that is over was kept for long enough."""
    attempt = attempt_of_entry(job, entry)
    if not job.over or (attempt and attempt.log_removed):
        return None
    attempts = with_attempt(job, replace(attempt, log_removed=sentence)) if attempt else job.attempts
    event = Happened(type="training.job.log_removed", message=sentence)
    return Change(edit(job, attempts=attempts), (event,)) if attempt else None


def settle(job: Job, output_bytes: int) -> Change | None:
    """What a job that is over has left on the disk was counted: nothing more will happen to it."""
    if not job.over or job.settled:
        return None
    return Change(edit(job, output_bytes=output_bytes, settled=True))
