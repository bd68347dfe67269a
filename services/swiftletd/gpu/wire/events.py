"""Our notices as events of the contract, and the events of others as what we do about them."""

from __future__ import annotations

from swiftlet.event.v1.event_pb2 import Event, WorkSubmitted
from swiftletd.gpu.domain.entry import Entry, EntryKind
from swiftletd.gpu.domain.request import Request, RequestError
from swiftletd.gpu.ports import Ended, Granted, Moved, Notice, Removed, Waits
from swiftletd.gpu.usecases.intake import Submission
from swiftletd.kernel.ids import parse_rfc3339, rfc3339


def encode(notice: Notice) -> bytes:
    """The serialized event of a notice."""
    return to_event(notice).SerializeToString()


def to_event(notice: Notice) -> Event:
    event = Event(
        type=notice.type,
        subject=notice.subject,
        version=notice.version,
        time=rfc3339(notice.at),
        message=notice.message,
    )
    _add_payload(event, notice)
    return event


def _add_payload(event: Event, notice: Notice) -> None:
    match notice.body:
        case Waits() as waits:
            payload = event.work_waiting
            payload.entry, payload.position = notice.subject, waits.position
            payload.code, payload.reason = waits.code, waits.reason
            payload.estimated_wait = -1.0 if waits.wait_s is None else waits.wait_s
        case Granted() as granted:
            event.lease_granted.entry, event.lease_granted.token = notice.subject, granted.token
            event.lease_granted.devices.extend(granted.devices)
            event.lease_granted.visible_devices = granted.visible_devices
            event.lease_granted.gpu_ids, event.lease_granted.machine = granted.gpu_ids, granted.machine
        case Ended() as ended:
            event.lease_ended.entry, event.lease_ended.token = notice.subject, ended.token
            event.lease_ended.state, event.lease_ended.reason = ended.state, ended.reason
        case Removed():
            event.work_removed.entry = notice.subject
        case Moved() as moved:
            setattr(event.state_changed, "from", moved.before)  # a keyword of Python
            event.state_changed.to = moved.after


def submission(event: Event, now: float) -> Submission:
    """What a `work_submitted` asks for. One that can't be meant says why in `refusal`."""
    asked = event.work_submitted
    try:
        request, kind, priority = _request(asked), EntryKind(asked.kind), asked.request.priority
        Entry(id=asked.entry, job_id=asked.owner, enqueued_at=now, request=request, priority=priority)
    except (RequestError, ValueError) as error:
        return Submission(
            entry=asked.entry,
            job_id=asked.owner,
            kind=EntryKind.TRAINING,
            source=event.version,
            at=now,
            refusal=f"The request can't be served: {error}.",
        )
    return Submission(
        entry=asked.entry,
        job_id=asked.owner,
        kind=kind,
        attempt=asked.attempt,
        source=event.version,
        at=_time(event, now),
        request=request,
        priority=priority,
        project=asked.request.project,
        similarity=asked.request.similarity,
    )


def _request(asked: WorkSubmitted) -> Request:
    wanted = asked.request
    return Request(
        gpus=wanted.gpus,
        memory_mib=wanted.memory_mib or None,
        gpu_name=wanted.gpu_name,
        min_memory_mib=wanted.min_memory_mib,
        same_machine=wanted.same_machine,
        shared=wanted.memory_mib > 0,
        time_limit_s=wanted.time_limit or None,
        earliest_start=wanted.earliest_start,
    )


def _time(event: Event, now: float) -> float:
    """When the job was submitted; the clock of its service can't put it into the future."""
    try:
        return min(now, parse_rfc3339(event.time))
    except ValueError:
        return now
