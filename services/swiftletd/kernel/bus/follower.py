"""One reader per process that tells many subscribers what is new on a few streams.

A connection for each watcher would cost a blocking read each; here one XREAD feeds bounded queues in the
process. A subscriber that lets its queue run full is ended, never silently starved.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from swiftletd.kernel.bus.backoff import Backoff
from swiftletd.kernel.bus.pace import PROMPT, Haste, Pace
from swiftletd.kernel.redis.client import UNREACHABLE
from swiftletd.kernel.redis.trouble import trouble_of

log = structlog.get_logger()

Fields = dict[bytes, bytes]
Parse = Callable[[Fields], tuple[str, Any]]


class Overflow(Exception):
    """The subscriber was too slow; its queue is full."""


@dataclass(frozen=True, slots=True)
class Item:
    """A new entry: where it came from, its id, and what `parse` made of it."""

    stream: str
    id: str
    value: Any


class Subscription:
    """A bounded queue of items."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(limit)
        self._full = False

    def put(self, item: Item) -> None:
        """Add an item, or mark the subscriber as too slow."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self._full = True

    async def get(self, timeout: float | None = None) -> Item | None:
        """The next item; None after `timeout` seconds without one. Raises Overflow."""
        if self._full:
            raise Overflow
        try:
            async with asyncio.timeout(timeout):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            item = await self.get()
            assert item
            yield item


class Wake:
    """Tells that something came, not what: for those who read it from where it is kept."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def put(self, item: Item) -> None:
        """Something came."""
        self._came.set()

    async def wait(self, timeout: float, ending: asyncio.Event) -> bool:
        """Wait until something came; False after `timeout` seconds, or when `ending` is set."""
        tasks = [asyncio.ensure_future(self._came.wait()), asyncio.ensure_future(ending.wait())]
        try:
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            return self._came.is_set()
        finally:
            for task in tasks:
                task.cancel()

    def clear(self) -> None:
        """Call this before reading, so that what comes while reading wakes again."""
        self._came.clear()


class Follower:
    """Reads streams from now on. `parse` gives the key that subscribers choose by, and the value."""

    def __init__(
        self, redis: Redis, reader: Redis, parse: Mapping[str, Parse], haste: Haste = PROMPT
    ) -> None:
        self._redis, self._reader, self._parse, self._haste = redis, reader, dict(parse), haste
        self._position: dict[str, str] = {}
        self._subscribers: dict[tuple[str, str], set[Subscription | Wake]] = defaultdict(set)
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until nothing that comes from now on is missed."""
        await self._ready.wait()

    @contextmanager
    def subscribe(self, stream: str, key: str = "", *, limit: int = 1024) -> Iterator[Subscription]:
        """Items of a stream with this key; all for the empty one."""
        subscription = Subscription(limit)
        with self._registered(subscription, [(stream, key)]):
            yield subscription

    @contextmanager
    def wake(self, *places: tuple[str, str]) -> Iterator[Wake]:
        """Be woken by items at any of these (stream, key) places."""
        wake = Wake()
        with self._registered(wake, places):
            yield wake

    @contextmanager
    def _registered(self, listener: Subscription | Wake, places: Iterable[tuple[str, str]]) -> Iterator[None]:
        for place in places:
            self._subscribers[place].add(listener)
        try:
            yield
        finally:
            for place in places:
                self._subscribers[place].discard(listener)
                if not self._subscribers[place]:
                    del self._subscribers[place]

    async def run(self) -> None:
        """Read until cancelled; goes on where it was after Redis was away."""
        backoff, pace = Backoff(), Pace(self._haste)
        while True:
            try:
                await self._find_ends()
                self._ready.set()
                while True:
                    pace.took(await self._read_once())
                    await pace.wait()
                    backoff.reset()
            except (*UNREACHABLE, RedisError) as error:
                streams = list(self._parse)
                log.warning("redis_trouble", trouble=trouble_of(error), streams=streams, error=str(error))
            await asyncio.sleep(backoff.delay())

    async def _find_ends(self) -> None:
        for stream in self._parse.keys() - self._position.keys():
            last: Any = await self._redis.xrevrange(stream, count=1)
            self._position[stream] = last[0][0].decode() if last else "0-0"

    async def _read_once(self) -> int:
        position: Any = dict(self._position)
        got: Any = await self._reader.xread(position, count=512, block=5000)
        count = 0
        for name, entries in (got or {}).items():
            stream, count = name.decode(), count + len(entries)
            for key, fields in entries:
                self._position[stream] = key.decode()
                self._deliver(stream, key.decode(), fields)
        return count

    def _deliver(self, stream: str, entry_id: str, fields: Fields) -> None:
        if not self._subscribers:
            return
        try:
            key, value = self._parse[stream](fields)
        except ValueError:
            log.exception("unreadable_entry", stream=stream, id=entry_id)
            return
        item = Item(stream, entry_id, value)
        for place in {(stream, key), (stream, "")}:
            for subscription in tuple(self._subscribers.get(place, ())):
                subscription.put(item)
