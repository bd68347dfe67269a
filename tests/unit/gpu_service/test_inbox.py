"""What the service says of events: whether any of them was for it."""

from __future__ import annotations

import pytest

from swiftlet.event.v1.event_pb2 import Event, StateChanged, WorkRequest, WorkSubmitted
from swiftletd.gpu.wire.consumer import Inbox

CREATED = Event(type="training.job.created", subject="a", state_changed=StateChanged(to="pending"))
SUBMITTED = Event(
    type="training.job.submitted",
    subject="a",
    version=1,
    work_submitted=WorkSubmitted(
        entry="training-a-1", kind="training", owner="a", attempt=1, request=WorkRequest(gpus=1)
    ),
)


@pytest.mark.parametrize(
    ("events", "concerned"),
    [([CREATED], False), ([CREATED, CREATED], False), ([SUBMITTED], True), ([CREATED, SUBMITTED], True)],
)
async def test_events_for_others_are_told_as_such(one, events, concerned):
    inbox = Inbox(one.intake, one.leases, one.scheduler, one.clock)
    assert await inbox.handle_batch(events) is concerned
    assert await inbox.handle(events[-1]) is concerned
    assert one.line == (["a"] if concerned else [])
