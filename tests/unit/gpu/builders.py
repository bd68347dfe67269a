"""Short names for the nouns that the stories below are about."""

from __future__ import annotations

from itertools import count

from swiftletd.gpu.domain.device import Device, DeviceKind, Health, Occupant
from swiftletd.gpu.domain.durations import Estimate, Source
from swiftletd.gpu.domain.entry import Entry, EntryKind
from swiftletd.gpu.domain.lease import Lease, LeaseState, Share
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Holding, Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue

GIB = 1024
NOW = 1_000_000.0
PRIORITY_FIFO = Policy()
_numbers = count()


def gpu(machine="m0", index=0, *, name="H100", gib=80, **more):
    return Device(
        uuid=more.pop("uuid", f"{machine}/{index}"),
        index=index,
        machine=machine,
        name=name,
        memory_mib=gib * GIB,
        **more,
    )


def machine(at="m0", gpus=8, **more):
    return tuple(gpu(at, index, **more) for index in range(gpus))


def stranger(gib, **more):
    return Occupant(pid=4711, name="python", user="x", memory_mib=int(gib * GIB), **more)


def exactly(seconds):
    return Estimate(seconds, seconds, Source.HISTORY)


def entry(entry_id=None, *, takes=None, at=NOW, priority=0, kind=EntryKind.TRAINING, project="", **request):
    name = entry_id or f"e{next(_numbers)}"
    return Entry(
        id=name,
        job_id=f"job-{name}",
        enqueued_at=at,
        priority=priority,
        kind=kind,
        project=project,
        held=request.pop("held", False),
        request=Request(**request),
        estimate=None if takes is None else exactly(takes),
    )


def holding(
    job_id, devices, *, ends_in=None, since=NOW, mib=None, kind=EntryKind.TRAINING, project="", **more
):
    """A job on the devices (uuids), that ends so many seconds after NOW."""
    lease = Lease(
        id=f"lease-{job_id}",
        entry_id=f"entry-{job_id}",
        shares=tuple(Share(uuid, mib) for uuid in devices),
        token=1,
        granted_at=since,
        expires_at=NOW + 30,
        state=LeaseState.ACTIVE,
    )
    end = None if ends_in is None else NOW + ends_in
    ends = {"ends_p50": end, "ends_p90": end, **more}
    return Holding(lease=lease, job_id=job_id, kind=kind, project=project, **ends)


def plan(devices, entries, *, holdings=(), policy=PRIORITY_FIFO, now=NOW, **snapshot):
    """One pass over these entries."""
    seen = Snapshot(devices=tuple(devices), holdings=tuple(holdings), **snapshot)
    return schedule(seen, WaitingQueue(policy, entries), now, policy)


def granted(made):
    return [grant.entry_id for grant in made.grants]


def devices_of(made, entry_id):
    return [share.device for grant in made.grants if grant.entry_id == entry_id for share in grant.shares]


__all__ = ["DeviceKind", "Health"]
