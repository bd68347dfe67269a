"""What the deploy service tells the others: a deployment's changes as events of swiftlet.event.v1."""

from __future__ import annotations

from swiftlet.event.v1.event_pb2 import Event, StateChanged, WorkRequest, WorkSubmitted, WorkWithdrawn
from swiftletd.deploy.domain.deployment import Deployment, Happened, State, Submit, Withdraw
from swiftletd.kernel.ids import rfc3339


def to_event(before: State | None, it: Deployment, happened: Happened, now: float) -> Event:
    """One event."""
    event = Event(
        type=happened.type, subject=it.id, version=it.version, time=rfc3339(now), message=happened.message
    )
    match happened.effect:
        case Submit():
            event.work_submitted.CopyFrom(_submission(it))
        case Withdraw(entry):
            event.work_withdrawn.CopyFrom(WorkWithdrawn(entry=entry))
        case None:
            changed = StateChanged(to=it.state)
            setattr(changed, "from", before or "")  # a word of Python
            event.state_changed.CopyFrom(changed)
    return event


def _submission(it: Deployment) -> WorkSubmitted:
    request = WorkRequest(
        gpus=it.resources.gpus,
        memory_mib=it.resources.gpu_memory_mib,
        same_machine=True,
        priority=it.priority,
        similarity=f"serve:{it.served_path}",
    )
    return WorkSubmitted(
        entry=it.entry(), kind="deploy", owner=it.id, attempt=it.next_attempt, request=request
    )
