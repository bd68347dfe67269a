"""A consumer group's reader: every event is handled at least once, in the order of its stream.

Order of work: entries that this consumer read and never acknowledged, then new ones; every now and
then those that a dead consumer of the group left behind. Entries are acknowledged after their effect, those
of one read together. One that fails `max_failures` times goes to `<stream>:dead:<group>`, so that it can't
stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.backoff import Backoff
from swiftletd.kernel.bus.pace import OTHERS, PROMPT, Haste, Pace
from swiftletd.kernel.redis.client import UNREACHABLE
from swiftletd.kernel.redis.trouble import Trouble, trouble_of

log = structlog.get_logger()

RETRY_PAUSE = 0.2  # seconds before an event that failed is handled again

# False where nothing of it was for the service: what follows can wait a little longer.
Handler = Callable[[Event], Awaitable[bool | None]]
BatchHandler = Callable[[Sequence[Event]], Awaitable[bool | None]]
Lane = Callable[[Event], str]
Fields = dict[bytes, bytes]
Entry = tuple[bytes, Fields | None]

LANES_AT_ONCE = 16


@dataclass
class _Received:
    """An entry of the stream, decoded once."""

    key: bytes
    fields: Fields

    @cached_property
    def event(self) -> Event:
        """Raises ValueError."""
        return envelope.decode(self.fields)


class Consumer:
    """Reads one stream for one group and gives each event to the handler.

    `redis` is for commands, `reader` blocks. With `handle_batch` a whole read is handed over first, for
    services that can do many events in one go; if that fails its events are handled one by one. With `lane`
    only events of the same lane wait for each other: those of one read are handled lane beside lane. `haste`
    is how soon events must be read that come close behind others.
    """

    def __init__(
        self,
        redis: Redis,
        reader: Redis,
        *,
        stream: str,
        group: str,
        name: str,
        handle: Handler,
        handle_batch: BatchHandler | None = None,
        lane: Lane | None = None,
        max_failures: int = 5,
        claim_after: float = 30.0,
        batch: int = 256,
        haste: Haste = PROMPT,
    ) -> None:
        self._redis, self._reader, self._haste = redis, reader, haste
        self._stream, self._group, self._name = stream, group, name
        self._handle, self._handle_batch, self._lane = handle, handle_batch, lane
        self._max_failures, self._claim_after, self._batch = max_failures, claim_after, batch
        self._failed = self._concerned = False
        self._failures: dict[bytes, int] = {}

    async def run(self) -> None:
        """Read until cancelled; survives a Redis that is away, full, or not the first one any more."""
        backoff = Backoff()
        while True:
            try:
                await self.create_group()
                await self.catch_up()
                backoff.reset()
                await self._follow()
            except (*UNREACHABLE, RedisError) as error:
                trouble = trouble_of(error)
                log.warning("redis_trouble", trouble=trouble, stream=self._stream, error=str(error))
                if trouble is Trouble.REPLICA:  # its address may lead to the new one by now
                    await self._reconnect()
            await asyncio.sleep(backoff.delay())

    async def _reconnect(self) -> None:
        for client in (self._redis, self._reader):
            await client.connection_pool.disconnect(inuse_connections=False)

    async def create_group(self) -> None:
        """Make the group, from the first entry on, if it isn't there."""
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def catch_up(self) -> None:
        """Handle what was read before and not acknowledged, and all that has come since; then return."""
        while entries := await self._read("0", block=None):
            await self._process(entries)
            if self._failed:  # what failed for a moment must not use up its deliveries in one
                await asyncio.sleep(RETRY_PAUSE)
        while entries := await self._read(">", block=None):
            await self._process(entries)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        claim_at, pace = loop.time(), Pace(self._haste)
        while True:
            await pace.wait()
            if loop.time() >= claim_at:
                await self._claim()
                claim_at = loop.time() + self._claim_after / 2
            entries = await self._read(">", block=5000)
            read_at, self._concerned = loop.time(), False
            await self._process(entries)
            pace.took(len(entries), None if self._concerned else OTHERS, ago=loop.time() - read_at)
            if self._failed:
                await self._retry_own()

    async def _read(self, since: str, block: int | None) -> list[Entry]:
        got: Any = await self._reader.xreadgroup(
            self._group, self._name, {self._stream: since}, count=self._batch, block=block
        )
        return list(got.get(self._stream.encode(), ())) if got else []

    async def _process(self, entries: Sequence[Entry]) -> None:
        alive = [(key, fields) for key, fields in entries if fields]
        if gone := [key for key, fields in entries if not fields]:  # trimmed while it was pending
            await self._redis.xack(self._stream, self._group, *gone)
        if self._handle_batch and len(alive) > 1 and await self._process_batch(alive):
            return
        await self._process_lanes(alive)

    async def _process_lanes(self, entries: Sequence[tuple[bytes, Fields]]) -> None:
        lanes: dict[str, list[_Received]] = {}
        for key, fields in entries:
            received = _Received(key, fields)
            lanes.setdefault(self._lane_of(received), []).append(received)
        free, done = asyncio.Semaphore(LANES_AT_ONCE), list[bytes]()

        async def follow(lane: Sequence[_Received]) -> None:
            async with free:
                for received in lane:
                    if await self._process_one(received):
                        done.append(received.key)

        ends = await asyncio.gather(*map(follow, lanes.values()), return_exceptions=True)
        for end in ends:
            if end is not None:  # what was done is delivered again: that is harmless
                raise end
        if done:
            await self._redis.xack(self._stream, self._group, *done)

    def _lane_of(self, received: _Received) -> str:
        try:
            return self._lane(received.event) if self._lane else ""
        except Exception:  # noqa: BLE001 it fails again where that is counted
            return ""

    async def _process_batch(self, entries: Sequence[tuple[bytes, Fields]]) -> bool:
        assert self._handle_batch
        try:
            events = [envelope.decode(fields) for _, fields in entries]
            if await self._handle_batch(events) is not False:
                self._concerned = True
        except Exception as error:
            if trouble_of(error):
                raise
            log.exception("batch_failed", stream=self._stream, group=self._group)
            return False
        await self._redis.xack(self._stream, self._group, *(key for key, _ in entries))
        return True

    async def _process_one(self, received: _Received) -> bool:
        """True if it is to be acknowledged."""
        try:
            if await self._handle(received.event) is not False:  # not `|=`: lanes run beside each other
                self._concerned = True
        except Exception as error:
            if trouble_of(error):
                raise
            self._failed = True
            log.exception("event_failed", stream=self._stream, group=self._group, id=received.key.decode())
            await self._bury_if_hopeless(received.key, received.fields)
            return False
        self._failures.pop(received.key, None)
        return True

    async def _bury_if_hopeless(self, key: bytes, fields: Fields) -> None:
        """Failures are counted here: Redis counts deliveries, and a Redis in trouble needs many for one."""
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] < self._max_failures:
            return
        dead = f"{self._stream}:dead:{self._group}"
        await self._redis.xadd(dead, {**fields, b"id": key}, maxlen=10_000)  # type: ignore[dict-item]
        await self._redis.xack(self._stream, self._group, key)
        del self._failures[key]
        log.error("event_buried", stream=dead, id=key.decode())

    async def _retry_own(self) -> None:
        """Handle again what this consumer itself failed at."""
        pending: Any = await self._redis.xpending_range(
            self._stream, self._group, "-", "+", self._batch, consumername=self._name
        )
        self._failed = False
        if not pending:
            return
        await asyncio.sleep(RETRY_PAUSE)
        ids = [entry["message_id"] for entry in pending]
        claimed: Any = await self._redis.xclaim(self._stream, self._group, self._name, 0, ids)
        await self._process(claimed)

    async def _claim(self) -> None:
        cursor: Any = "0-0"
        while True:
            reply: Any = await self._redis.xautoclaim(
                self._stream,
                self._group,
                self._name,
                int(self._claim_after * 1000),
                cursor,
                count=self._batch,
            )
            await self._process(reply[1])
            cursor = reply[0]
            if cursor in (b"0-0", "0-0"):
                return
