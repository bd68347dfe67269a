"""The streams of the GPUs and of the queue: the present first, then again after each change.

A message always has the whole state, so nothing can be missed, and many changes at once make one message.
The resume token is the last event that the message has seen.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from swiftlet.gpu.v1.gpu_service_pb2 import WatchGpusResponse, WatchQueueResponse
from swiftletd.kernel.bus.follower import Follower, Wake
from swiftletd.kernel.errors import NotReady, ResumeTokenExpired, WatcherTooSlow

CHECKPOINT_S = 15.0
CALM_S = 0.05  # changes that come so soon after each other make one message
SLOW_S = 10.0  # how long a watcher may take for one message
_TOKEN = re.compile(r"(\d{1,20})-(\d{1,20})\Z")

M = TypeVar("M", WatchGpusResponse, WatchQueueResponse)
Last = Callable[[], Awaitable[tuple[str, str]]]


class Watches:
    """`last` tells id and type of the newest event of `stream`; `closing` ends all streams."""

    def __init__(self, follower: Follower, stream: str, last: Last, closing: asyncio.Event) -> None:
        self._follower, self._stream, self._last, self._closing = follower, stream, last, closing

    async def watch(
        self, present: Callable[[], Awaitable[M]], empty: type[M], token: str, *, look: float = CHECKPOINT_S
    ) -> AsyncIterator[M]:
        """The present and every change of it. After `look` seconds without an event it looks all the same."""
        seen, before, quiet = _parse(token), None, 0.0
        with self._follower.wake((self._stream, "")) as wake:
            while True:
                wake.clear()
                id, event = await self._last()
                message = await present()
                content = message.SerializeToString(deterministic=True)
                changed = content != before if before is not None else not token or _parse(id) > seen
                if changed:
                    message.resume_token, message.event = id, event
                    yield message
                elif before is None or quiet >= CHECKPOINT_S:
                    yield empty(resume_token=id, checkpoint=True)
                before = content
                waited = await self._pause(wake, look, id)
                quiet = waited if changed else quiet % CHECKPOINT_S + waited

    async def _pause(self, wake: Wake, look: float, token: str) -> float:
        """Waits for a change; the seconds that it waited."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if await wake.wait(look, self._closing):
            await asyncio.sleep(CALM_S)
        if self._closing.is_set():
            text = "The gpu service is stopping. Watch again with the last resume token."
            raise NotReady("gpu", text, {"resume_token": token})
        return loop.time() - began


async def promptly(messages: AsyncIterator[M]) -> AsyncIterator[M]:
    """The same messages for a watcher that takes each within SLOW_S seconds; another one is ended."""
    loop = asyncio.get_running_loop()
    async for message in messages:
        sent_at = loop.time()
        yield message
        if loop.time() - sent_at > SLOW_S:
            raise WatcherTooSlow(message.resume_token)


def _parse(token: str) -> tuple[int, int]:
    """Where in the stream a token is. Raises ResumeTokenExpired for one that is not ours."""
    if not token:
        return 0, 0
    found = _TOKEN.match(token)
    if not found:
        raise ResumeTokenExpired(token)
    return int(found[1]), int(found[2])
