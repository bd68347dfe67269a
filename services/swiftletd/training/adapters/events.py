"""What the training service tells the others: a job's changes as events of swiftlet.event.v1."""

from __future__ import annotations

from swiftlet.event.v1.event_pb2 import Event, StateChanged, WorkRequest, WorkSubmitted, WorkWithdrawn
from swiftletd.kernel.ids import rfc3339
from swiftletd.training.domain.job import Happened, Job, State, Submit, Withdraw


def to_event(before: State | None, job: Job, happened: Happened, now: float) -> Event:
    """One event for one line of history."""
    event = Event(
        type=happened.type,
        subject=job.id,
        version=job.version,
        time=rfc3339(now),
        message=happened.message,
    )
    match happened.effect:
        case Submit():
            event.work_submitted.CopyFrom(_submission(job))
        case Withdraw(entry):
            event.work_withdrawn.CopyFrom(WorkWithdrawn(entry=entry))
        case None:
            changed = StateChanged(to=job.state)
            setattr(changed, "from", before or "")  # a word of Python
            event.state_changed.CopyFrom(changed)
    return event


def _submission(job: Job) -> WorkSubmitted:
    need = job.resources
    request = WorkRequest(
        gpus=need.gpus,
        memory_mib=need.memory_mib,
        gpu_name=need.gpu_name,
        min_memory_mib=need.min_memory_mib,
        same_machine=need.same_machine,
        time_limit=job.time_limit,
        earliest_start=job.earliest_start,
        priority=job.priority,
        project=job.project,
        similarity=f"{job.method}:{job.trainer_type}:{job.model_path}",
    )
    return WorkSubmitted(
        entry=job.entry(), kind="training", owner=job.id, attempt=job.next_attempt, request=request
    )
