"""The gpu service's first word on an entry, heard on its event stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swiftlet.event.v1.event_pb2 import Event
from swiftletd.deploy.ports import Answer
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.follower import Fields, Follower, Subscription
from swiftletd.kernel.redis.keys import GPU_EVENTS


def by_entry(fields: Fields) -> tuple[str, Event]:
    """Key and value of a gpu event, for the follower."""
    event = envelope.decode(fields)
    kind = event.WhichOneof("payload")
    return (getattr(event, kind).entry if kind and hasattr(getattr(event, kind), "entry") else ""), event


class EventAnswers:
    """See ports.GpuAnswers."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    @asynccontextmanager
    async def listen(self, entry: str) -> AsyncIterator[AsyncIterator[Answer]]:
        with self._follower.subscribe(GPU_EVENTS, entry, limit=16) as subscription:
            yield _answers(subscription)


async def _answers(subscription: Subscription) -> AsyncIterator[Answer]:
    async for item in subscription:
        event: Event = item.value
        match event.WhichOneof("payload"):
            case "lease_granted":
                yield Answer(granted=True)
            case "work_waiting":
                waiting = event.work_waiting
                yield Answer(
                    granted=False,
                    position=waiting.position,
                    reason=waiting.reason,
                    wait=waiting.estimated_wait,
                )
