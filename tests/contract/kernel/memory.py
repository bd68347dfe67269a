"""Redis streams without Redis: as much of them as the consumers and followers of the kernel use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from redis.exceptions import ResponseError


@dataclass(slots=True)
class Pending:
    """An entry that was delivered and not acknowledged."""

    consumer: str
    since: float
    deliveries: int = 1


@dataclass(slots=True)
class Group:
    """Where a group stands: the number of the last entry that it was given, and what is pending."""

    last: int = 0
    pending: dict[int, Pending] = field(default_factory=dict)


class MemoryStreams:
    """The commands of redis.asyncio by their names. The id of an entry is its number, from 1-0 on."""

    def __init__(self):
        self.streams = {}
        self.groups = {}
        self._waiting = {}

    def add(self, stream, fields):
        """XADD at once, for those who change a state in the same moment."""
        entries = self.streams.setdefault(stream, [])
        entries.append({_bytes(name): _bytes(value) for name, value in fields.items()})
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
        return _id(len(entries))

    async def xadd(self, stream, fields, maxlen=None):
        return self.add(stream, fields)

    async def xgroup_create(self, stream, group, id, mkstream):
        if (stream, group) in self.groups:
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        self.streams.setdefault(stream, [])
        self.groups[stream, group] = Group(int(id))

    async def xreadgroup(self, group, consumer, streams, count, block):
        ((stream, since),) = streams.items()
        if since == ">":
            await self._until(lambda: len(self._entries(stream)) > self._group(stream, group).last, block)
        at = self._group(stream, group)
        if since == ">":
            numbers = range(at.last + 1, min(at.last + count, len(self.streams[stream])) + 1)
            at.last += len(numbers)
            at.pending.update((number, Pending(consumer, _now())) for number in numbers)
        else:
            numbers = [n for n, p in sorted(at.pending.items()) if p.consumer == consumer][:count]
            self._deliver(at, numbers, consumer)
        return {stream.encode(): self._read(stream, numbers)} if numbers or since != ">" else {}

    async def xack(self, stream, group, *ids):
        at = self._group(stream, group)
        return sum(at.pending.pop(_number(id), None) is not None for id in ids)

    async def xpending_range(self, stream, group, start, end, count, consumername=None):
        first, last = (0 if start == "-" else _number(start)), (1 << 60 if end == "+" else _number(end))
        found = sorted(self._group(stream, group).pending.items())
        return [
            {"message_id": _id(n), "consumer": p.consumer.encode(), "times_delivered": p.deliveries}
            for n, p in found
            if first <= n <= last and consumername in (None, p.consumer)
        ][:count]

    async def xclaim(self, stream, group, consumer, min_idle_time, ids):
        at = self._group(stream, group)
        numbers = [n for n in map(_number, ids) if n in at.pending and _idle(at.pending[n], min_idle_time)]
        self._deliver(at, numbers, consumer)
        return self._read(stream, numbers)

    async def xautoclaim(self, stream, group, consumer, min_idle_time, start_id, count):
        at = self._group(stream, group)
        numbers = [n for n, p in sorted(at.pending.items()) if _idle(p, min_idle_time)][:count]
        self._deliver(at, numbers, consumer)
        return [b"0-0", self._read(stream, numbers), []]

    async def xread(self, positions, count, block):
        after = {stream: _number(id) for stream, id in positions.items()}
        await self._until(lambda: any(len(self._entries(s)) > n for s, n in after.items()), block)
        found = {}
        for stream, number in after.items():
            if numbers := range(number + 1, len(self._entries(stream)) + 1)[:count]:
                found[stream.encode()] = self._read(stream, numbers)
        return found

    async def xrevrange(self, stream, count):
        newest = len(self._entries(stream))
        return self._read(stream, range(newest, 0, -1)[:count])

    def _entries(self, stream):
        return self.streams.get(stream, ())

    def _group(self, stream, group):
        if (stream, group) not in self.groups:
            raise ResponseError(f"NOGROUP No such key '{stream}' or consumer group '{group}'")
        return self.groups[stream, group]

    def _read(self, stream, numbers):
        return [(_id(number), self.streams[stream][number - 1]) for number in numbers]

    def _deliver(self, at, numbers, consumer):
        for number in numbers:
            before = at.pending[number]
            at.pending[number] = Pending(consumer, _now(), before.deliveries + 1)

    async def _until(self, condition, block):
        """Waits until it holds, for at most `block` milliseconds; not at all for None."""
        until = _now() + (block or 0) / 1000
        while not condition() and _now() < until:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[waiter] = None
            try:
                async with asyncio.timeout_at(until):
                    await waiter
            except TimeoutError:
                return
            finally:
                self._waiting.pop(waiter, None)


def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def _id(number):
    return b"%d-0" % number


def _number(id):
    text = id.decode() if isinstance(id, bytes) else id
    return int(text.partition("-")[0])


def _now():
    return asyncio.get_running_loop().time()


def _idle(pending, milliseconds):
    return _now() - pending.since >= milliseconds / 1000
