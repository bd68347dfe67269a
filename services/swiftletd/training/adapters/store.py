"""Training jobs in Redis: every write is one Lua script with its events (see lua/commit.lua for the keys)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.kernel.redis.script import Script
from swiftletd.training.adapters.events import to_event
from swiftletd.training.domain.job import Change, Happened, Job, State
from swiftletd.training.ports import Filter, HistoryItem, Page, Place, Stale

PREFIX = "swiftlet:{training}:"
UNFINISHED = f"{PREFIX}unfinished"
REQUEST_TTL = 7 * 24 * 3600  # seconds that a request id is remembered
MOST_SEARCHED = 20_000  # jobs that a text search looks at, newest first

_COMMIT, _DELETE, _PAGE = (
    Script.load("swiftletd.training.adapters.lua", name) for name in ("commit", "delete", "page")
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


class _Line(msgspec.Struct):
    """A line of history as it is stored."""

    time: float
    type: str
    message: str
    state: State


_decode_line = msgspec.json.Decoder(_Line).decode


class RedisJobStore:
    """See ports.JobStore."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis, self._clock = redis, clock

    async def get(self, job_id: str) -> Job | None:
        blob: Any = await self._redis.hget(_job_key(job_id), "b")
        return _decode(blob) if blob else None

    async def create(self, change: Change, request_id: str) -> Job:
        kept: bytes = await self._commit(None, change, request_id)
        if not kept:
            raise Stale
        if kept.decode() == change.job.id:
            return change.job
        first = await self.get(kept.decode())
        if first is None:
            raise Stale  # the first request's job was deleted meanwhile
        return first

    async def commit(self, before: Job, change: Change) -> None:
        if not await self._commit(before, change, ""):
            raise Stale

    async def _commit(self, before: Job | None, change: Change, request_id: str) -> Any:
        job, now = change.job, self._clock.now()
        leave, join = _moves(before, job)
        keys = [*_keys(job.id, request_id), *leave, *join]
        args: list[Any] = [
            before.version if before else 0,
            job.version,
            job.state,
            f"{job.id} {job.model_path}".lower(),
            _encode(job),
            Place.of(job).microsecond,
            job.id,
            "0" if job.settled else "1",
            REQUEST_TTL if request_id else 0,
            len(leave),
            len(change.events),
        ]
        for happened in change.events:
            event = to_event(before.state if before else None, job, happened, now)
            line = _Line(now, happened.type, happened.message, job.state)
            args += [_encode(line), event.type, event.SerializeToString()]
        return await _COMMIT(self._redis, keys, args)

    async def delete(self, job: Job, request_id: str, change: Change) -> None:
        event = to_event(job.state, job, change.events[0], self._clock.now())
        keys = [*_keys(job.id, request_id), *_indexes(job, ("any", job.state))]
        args = [job.version, job.id, REQUEST_TTL if request_id else 0, event.type, event.SerializeToString()]
        if not await _DELETE(self._redis, keys, args):
            raise Stale

    async def page(self, wanted: Filter, offset: int, size: int, *, after: Place | None = None) -> Page:
        index = f"{PREFIX}jobs:{wanted.state or 'any'}:{_kind(wanted)}"
        oldest = int(wanted.created_after * 1e6) if wanted.created_after else "-inf"
        newest = f"({int(wanted.created_before * 1e6)}" if wanted.created_before else "+inf"
        begin, last = (after.microsecond, after.job_id) if after else (newest, "")
        args = [oldest, newest, offset, size, wanted.search.lower(), MOST_SEARCHED, begin, last]
        total, *blobs = await _PAGE(self._redis, [index, f"{PREFIX}job:"], args)
        return Page(tuple(_decode(blob) for blob in blobs if blob), total)

    async def answered(self, request_id: str) -> str:
        kept: Any = await self._redis.get(f"{PREFIX}request:{request_id}") if request_id else None
        return kept.decode() if kept else ""

    async def remember(self, request_id: str, job_id: str) -> None:
        if request_id:
            await self._redis.set(f"{PREFIX}request:{request_id}", job_id, ex=REQUEST_TTL)

    async def history(self, job_id: str, limit: int) -> tuple[Sequence[HistoryItem], int]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xrevrange(f"{PREFIX}history:{job_id}", count=limit)
            pipe.xlen(f"{PREFIX}history:{job_id}")
            entries, total = await pipe.execute()
        return _items(reversed(entries)), total

    async def history_after(self, job_id: str, after: str, limit: int) -> Sequence[HistoryItem]:
        key = f"{PREFIX}history:{job_id}"
        entries: Any = await self._redis.xrange(key, min=f"({after}" if after else "-", count=limit)
        return _items(entries)

    async def unfinished(self) -> Sequence[Job]:
        ids: Any = await self._redis.smembers(UNFINISHED)
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in sorted(ids):
                pipe.hget(_job_key(job_id.decode()), "b")
            blobs = await pipe.execute()
        return [_decode(blob) for blob in blobs if blob]


def _job_key(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def _keys(job_id: str, request_id: str) -> list[str]:
    request = f"{PREFIX}request:{request_id or '-'}"
    return [_job_key(job_id), UNFINISHED, f"{PREFIX}history:{job_id}", TRAINING_EVENTS, request]


def _moves(before: Job | None, job: Job) -> tuple[list[str], list[str]]:
    """Indexes that the job leaves and joins."""
    if before is None:
        return [], _indexes(job, ("any", job.state))
    if before.state == job.state:
        return [], []
    return _indexes(before, (before.state,)), _indexes(job, (job.state,))


def _indexes(job: Job, states: Iterable[str]) -> list[str]:
    types = ("any", f"trainer-{job.trainer_type}", f"task-{job.task_type}")
    return [f"{PREFIX}jobs:{state}:{kind}" for state in states for kind in types]


def _kind(wanted: Filter) -> str:
    """The narrowest index by type; a task type implies its trainer type."""
    if wanted.task_type:
        return f"task-{wanted.task_type}"
    return f"trainer-{wanted.trainer_type}" if wanted.trainer_type else "any"


def _items(entries: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[HistoryItem]:
    items = []
    for entry_id, fields in entries:
        line = _decode_line(fields[b"h"])
        happened = Happened(type=line.type, message=line.message)
        items.append(HistoryItem(id=entry_id.decode(), time=line.time, happened=happened, state=line.state))
    return items
