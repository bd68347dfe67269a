"""Short words for the things that tests of the gpu service are made of."""

from __future__ import annotations

from dataclasses import replace

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease, LeaseState, Share
from swiftletd.gpu.domain.policy import Quota
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.ports import Change, Claim, EndChange, GrantChange, Notice, Record, State

ROOM = 80_000


class FakeClock:
    """Time that the test moves. Sleeping moves it too."""

    def __init__(self, now=1_000_000.0):
        self.at = now

    def now(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds


def notice(record, kind="gpu.test"):
    return Notice(type=kind, subject=record.id, version=record.version, at=1.0, message="It happened.")


def waiting(id="training-a-1", *, version=1, source=1, project="", **request):
    job = id.split("-")[1]
    entry = Entry(id=id, job_id=job, enqueued_at=10.0, request=Request(**request), project=project)
    return Record(entry=entry, state=State.WAITING, version=version, source=source, similarity="m/lora")


def next_of(record, **changes):
    return replace(record, version=record.version + 1, **changes)


def change(record, **more):
    return Change(record=record, notice=notice(record), **more)


def grant(record, token, *shares, forced=False, room=ROOM, most=8, **quota):
    lease = Lease(
        id=record.id, entry_id=record.id, shares=shares, token=token, granted_at=20.0, expires_at=80.0
    )
    after = next_of(record, state=State.GRANTED, lease=lease)
    claims = tuple(Claim(share, room, most) for share in shares)
    return GrantChange(record=after, notice=notice(after), claims=claims, forced=forced, quota=Quota(**quota))


def end(record, state=State.RELEASED, **more):
    lease = replace(record.lease, state=LeaseState(state.value), ended_at=30.0)
    after = next_of(record, state=state, lease=lease)
    return EndChange(record=after, notice=notice(after), **more)


def whole(device="GPU-0"):
    return Share(device)


def part(mib, device="GPU-0"):
    return Share(device, mib)


def predicted(record, p50, p90):
    return replace(record, prediction=Prediction(p50, p90), told=True)
