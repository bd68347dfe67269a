"""What happens to a deployment when a client, the gpu service, a runner or the prober says something.

Each function gives a Change, or None where the word came late or twice and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from swiftletd.deploy.domain.deployment import (
    RESTING,
    Attempt,
    Change,
    Deployment,
    Happened,
    Lease,
    State,
    Submit,
    Withdraw,
    edit,
    move,
)

_IDLE = {"submitted": False, "queue_position": 0, "wait_reason": "", "estimated_wait": -1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a model server is gone: a code of the catalogue and a sentence."""

    reason: str
    message: str


def create(it: Deployment) -> Change:
    """A new one, which waits for its start."""
    return Change(it, (Happened(type="deploy.job.created", message="Created."),))


def create_and_submit(it: Deployment) -> Change:
    """A new one that starts by itself."""
    submitted = submit(it)
    assert submitted
    both = (*create(it).events, *submitted.events)
    return Change(replace(submitted.deployment, version=it.version), both)


def submit(it: Deployment, *, port: int = 0, priority: int | None = None) -> Change | None:
    """Ask for GPUs, also again after an end; with another port or priority if given."""
    if it.submitted or it.alive:
        return None
    changes = {
        "submitted": True,
        "port": port or it.port,
        "priority": it.priority if priority is None else priority,
        "error_message": "",
        "failure_reason": "",
        "completed_at": 0.0,
    }
    again = move(it, State.PENDING, **changes) if it.state in RESTING else edit(it, **changes)
    event = Happened(type="deploy.job.submitted", message="Waits for its GPUs.", effect=Submit())
    return Change(again, (event,))


def must_wait(it: Deployment, entry: str, position: int, reason: str, wait: float) -> Change | None:
    """The gpu service put it in the queue."""
    if it.state is not State.PENDING or not it.submitted or entry != it.entry():
        return None
    details = {"queue_position": position, "wait_reason": reason, "estimated_wait": wait}
    event = Happened(type="deploy.job.queued", message=f"Queued at position {position}: {reason}")
    return Change(move(it, State.QUEUED, **details), (event,))


def granted(it: Deployment, entry: str, lease: Lease, now: float) -> Change | None:
    """The gpu service gave it GPUs: its model server is to be started."""
    if it.state not in (State.PENDING, State.QUEUED) or not it.submitted or entry != it.entry():
        return None
    attempt = Attempt(number=it.next_attempt, lease=lease, port=it.port, started_at=now)
    changes = {**_IDLE, "attempt": attempt, "next_attempt": it.next_attempt + 1, "started_at": now}
    starting = move(it, State.PENDING, **changes) if it.state is State.QUEUED else edit(it, **changes)
    text = f"The model server starts at port {it.port}."
    return Change(starting, (Happened(type="deploy.job.starting", message=text),))


def move_port(it: Deployment, entry: str, port: int) -> Change | None:
    """Somebody took its port before its model server was launched: it gets another one."""
    if not it.is_current(entry) or it.state in RESTING or it.attempt is None:
        return None
    moved = edit(it, port=port, attempt=replace(it.attempt, port=port))
    text = f"Port {it.port} was taken by another program; the model server starts at port {port}."
    return Change(moved, (Happened(type="deploy.job.port_changed", message=text),))


def refused(it: Deployment, entry: str, reason: str, now: float) -> Change | None:
    """The gpu service can't serve such a request, now or ever."""
    if not it.submitted or entry != it.entry():
        return None
    changes = {**_IDLE, "next_attempt": it.next_attempt + 1, "completed_at": now}
    fault = {"error_message": reason, "failure_reason": "IMPOSSIBLE_REQUEST"}
    event = Happened(type="deploy.job.failed", message=reason)
    return Change(move(it, State.FAILED, **changes, **fault), (event,))


def process_started(it: Deployment, entry: str, pid: int) -> Change | None:
    """The runner started the model server."""
    if not it.is_current(entry) or it.process_id == pid or it.state in RESTING:
        return None
    return Change(
        edit(it, process_id=pid),
        (Happened(type="deploy.job.process_started", message=f"Process {pid} runs."),),
    )


def answered(it: Deployment, entry: str, now: float) -> Change | None:
    """The model server answered under its own name."""
    if not it.is_current(entry) or it.state is not State.PENDING:
        return None
    text = f"Serves {it.served_model_name} at port {it.port}."
    event = Happened(type="deploy.job.running", message=text)
    return Change(move(it, State.RUNNING, last_seen_at=now), (event,))


def ended(it: Deployment, entry: str, fault: Fault | None, now: float) -> Change | None:
    """The model server ended; `fault` is None where that was no error."""
    if not it.is_current(entry) or it.state in RESTING:
        return None
    if fault is None:
        done = move(it, State.COMPLETED, completed_at=now, process_id=0)
        return Change(done, (Happened(type="deploy.job.completed", message="The model server ended."),))
    details = {
        "completed_at": now,
        "process_id": 0,
        "error_message": fault.message,
        "failure_reason": fault.reason,
    }
    return Change(
        move(it, State.FAILED, **details), (Happened(type="deploy.job.failed", message=fault.message),)
    )


def run_over(it: Deployment, entry: str, now: float) -> Change | None:
    """The runner is gone and nothing of the model server lives; its port is free."""
    if not it.is_current(entry) or it.attempt is None:
        return None
    fault = Fault(reason="LOST", message="The model server and its runner ended without a word.")
    change = ended(it, entry, fault, now) or Change(it)
    final = replace(change.deployment, version=it.version + 1, attempt=replace(it.attempt, over=True))
    events = change.events or (Happened(type="deploy.job.run_over", message="All its processes have ended."),)
    return Change(final, events)


def not_started(it: Deployment, entry: str, fault: Fault, now: float) -> Change | None:
    """The runner could not be started: the GPUs go back."""
    change = ended(it, entry, fault, now)
    if change is None or it.attempt is None:
        return None
    final = replace(change.deployment, attempt=replace(it.attempt, over=True))
    return Change(final, (*change.events, _gives_back(entry)))


def never_began(it: Deployment, entry: str) -> Change | None:
    """It was stopped before its attempt had a runner, and will have none: the GPUs go back."""
    if not it.is_current(entry) or it.state not in RESTING or it.attempt is None:
        return None
    return Change(edit(it, attempt=replace(it.attempt, over=True)), (_gives_back(entry),))


def _gives_back(entry: str) -> Happened:
    return Happened(type="deploy.job.withdrawn", message="Its GPUs go back.", effect=Withdraw(entry))


def cancel(it: Deployment, now: float) -> Change | None:
    """A person stops it. A model server that lives is ended after this, by its runner."""
    if it.state in RESTING:
        return None
    stopped = move(it, State.CANCELLED, **_IDLE, completed_at=now, process_id=0)
    if it.submitted:  # the entry's name must not come again
        stopped = replace(stopped, next_attempt=it.next_attempt + 1)
    effect = Withdraw(it.entry()) if it.submitted else None
    return Change(
        stopped, (Happened(type="deploy.job.cancelled", message="Stopped by a person.", effect=effect),)
    )


def delete(it: Deployment, now: float) -> Change:
    """A person wants it forgotten. What lives is ended first, as by a stop."""
    stopped = cancel(it, now) or Change(edit(it))
    told = Happened(type="deploy.job.deleted", message="Deleted.")
    return Change(replace(stopped.deployment, doomed=True), (*stopped.events, told))


def take_out(it: Deployment, *, tell: bool) -> Change | None:
    """Out of the queue, to wait for a start; `tell` the gpu service where it wasn't the one who said so."""
    if not it.submitted:
        return None
    changes = {**_IDLE, "next_attempt": it.next_attempt + 1}
    idle = edit(it, **changes) if it.state is State.PENDING else move(it, State.PENDING, **changes)
    effect = Withdraw(it.entry()) if tell else None
    text = "Taken out of the queue; /start puts it back."
    return Change(idle, (Happened(type="deploy.job.unqueued", message=text, effect=effect),))
