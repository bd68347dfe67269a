"""What the world is told, in words."""

from __future__ import annotations

from swiftletd.gpu.domain.device import Device, Health
from swiftletd.gpu.ports import Body, Ended, Granted, Moved, Notice, Record, Removed, Waits

PROCESSOR = "processor"


def about(record: Record, kind: str, message: str, at: float, body: Body | None = None) -> Notice:
    """A notice of the version that the record has now."""
    return Notice(type=kind, subject=record.id, version=record.version, at=at, message=message, body=body)


def queued(record: Record, at: float) -> Notice:
    text = f"{record.entry.job_id} joined the queue with priority {record.entry.priority}."
    return about(record, "gpu.entry.queued", text, at)


def waiting(record: Record, waits: Waits, at: float) -> Notice:
    place = f" is number {waits.position} in the queue:" if waits.position else ""
    text = f"{record.entry.job_id}{place} {waits.reason}."
    return about(record, "gpu.entry.waiting", text, at, waits)


def withdrawn(record: Record, at: float) -> Notice:
    return about(record, "gpu.entry.withdrawn", f"{record.entry.job_id} wants no GPUs any more.", at)


def removed(record: Record, at: float) -> Notice:
    text = f"{record.entry.job_id} was taken out of the queue."
    return about(record, "gpu.entry.removed", text, at, Removed())


def granted(record: Record, given: Granted, at: float) -> Notice:
    text = f"{record.entry.job_id} got {describe(given)}."
    return about(record, "gpu.lease.granted", text, at, given)


def active(record: Record, at: float) -> Notice:
    body = Moved("granted", "active")
    return about(record, "gpu.lease.active", f"The process of {record.entry.job_id} has begun.", at, body)


def revoking(record: Record, at: float) -> Notice:
    text = f"{record.entry.job_id} is asked to end: {record.revoking}"
    return about(record, "gpu.lease.revoking", text, at)


def ended(record: Record, reason: str, at: float) -> Notice:
    assert record.lease
    body = Ended(token=record.lease.token, state=record.state.value, reason=reason)
    return about(record, f"gpu.lease.{record.state.value}", reason, at, body)


def refused(record: Record, reason: str, at: float) -> Notice:
    body = Ended(token=0, state="revoked", reason=reason)
    return about(record, "gpu.entry.refused", reason, at, body)


def processor(running: bool, at: float) -> Notice:
    word = "started" if running else "stopped"
    before, after = ("stopped", "running") if running else ("running", "stopped")
    text = f"The queue was {word}: GPUs are {'granted again' if running else 'no longer granted'}."
    body = Moved(before, after)
    return Notice(
        type=f"gpu.processor.{word}",
        subject=PROCESSOR,
        version=int(at * 1000),
        at=at,
        message=text,
        body=body,
    )


def device(of: Device, before: Health, at: float, problem: str) -> Notice:
    why = f": {problem}" if problem else ""
    return Notice(
        type=f"gpu.device.{of.health.value}",
        subject=of.uuid,
        version=int(at * 1000),
        at=at,
        message=f"{of.name} {of.index} on {of.machine} is {of.health.value}, it was {before.value}{why}.",
        body=Moved(before.value, of.health.value),
    )


def describe(given: Granted) -> str:
    if not given.gpu_ids or not given.visible_devices:
        return "the CPU"
    return f"GPU{'s' if ',' in given.gpu_ids else ''} {given.gpu_ids} of {given.machine}"
