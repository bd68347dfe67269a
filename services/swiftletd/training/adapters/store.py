"""Training jobs in Redis: every write is one Lua script with its events (see lua/commit.lua for the keys)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.idempotency import UNKEYED, Once, Repeated
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.kernel.redis.marks import Marks
from swiftletd.kernel.redis.script import Script
from swiftletd.kernel.redis.together import Together
from swiftletd.training.adapters.events import to_event
from swiftletd.training.domain.job import Change, Happened, Job, State
from swiftletd.training.ports import Filter, HistoryItem, Page, Place, Stale

PREFIX = "swiftlet:{training}:"
UNFINISHED = f"{PREFIX}unfinished"
_ALL = f"{PREFIX}jobs:any:any"
PURGE = f"{PREFIX}purge"
CHUNK = 500  # jobs that are loaded in one go
NUMBERS_KEPT_S = 8 * 86_400  # longer than the gpu service remembers the entries of a deleted job
MOST_SEARCHED = 20_000  # jobs that a text search looks at, newest first

LUA = "swiftletd.training.adapters.lua"
_COMMIT, _DELETE, _PURGE = (Script.load(LUA, name, marked=True) for name in ("commit", "delete", "purge"))
_PAGE, _PURGED = Script.load(LUA, "page"), Script.load(LUA, "purged")
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
        self._redis, self._clock, self.marks = redis, clock, Marks(redis, PREFIX)
        self._together = Together(redis)

    async def get(self, job_id: str) -> Job | None:
        blob: Any = await self._together.execute_command("HGET", _job_key(job_id), "b")
        return _decode(blob) if blob else None

    async def first_attempt(self, job_id: str) -> int:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.exists(_job_key(job_id))
            pipe.get(_next_key(job_id))
            exists, number = await pipe.execute()
        return 0 if exists else int(number or 1)

    async def commit(self, before: Job | None, change: Change, once: Once[Job] = UNKEYED) -> None:
        job, now = change.job, self._clock.now()
        leave, join = _moves(before, job)
        keys = [*self._keys(job.id, once), *leave, *join]
        args: list[Any] = [
            before.version if before else 0,
            job.version,
            job.state,
            f"{job.id} {job.model_path}".lower(),
            _encode(job),
            Place.of(job).microsecond,
            job.id,
            "0" if job.settled else "1",
            once.mark(job),
            len(leave),
            0 if before else job.next_attempt,
            len(change.events),
        ]
        for happened in change.events:
            event = to_event(before.state if before else None, job, happened, now)
            line = _Line(now, happened.type, happened.message, job.state)
            args += [_encode(line), event.type, event.SerializeToString()]
        _check(await _COMMIT(self._together, keys, args), once)

    async def delete(self, job: Job, change: Change, once: Once[Job] = UNKEYED) -> None:
        event = to_event(job.state, job, change.events[0], self._clock.now())
        keys = [*self._keys(job.id, once), *_indexes(job, ("any", *job.listed_as))]
        args = [job.version, job.id, once.mark(job), job.next_attempt, NUMBERS_KEPT_S]
        args += [event.type, event.SerializeToString()]
        _check(await _DELETE(self._together, keys, args), once)

    async def improve(self, once: Once[Job], answer: bytes) -> None:
        await self.marks.improve(once, answer)

    async def purge(self, until: int, once: Once[int] = UNKEYED) -> int:
        total: int = await self._redis.zcount(_ALL, "-inf", until)
        keys = [self.marks.name(once), f"{PREFIX}jobs:{State.RUNNING}:any", _ALL, PURGE]
        _check(await _PURGE(self._redis, keys, [once.mark(total), until, total]), once)
        return total

    async def purging(self) -> int:
        until: Any = await self._redis.get(PURGE)
        return int(until or 0)

    async def purged(self, until: int) -> None:
        await _PURGED(self._redis, [PURGE], [until])

    async def page(self, wanted: Filter, offset: int, size: int, *, after: Place | None = None) -> Page:
        index = f"{PREFIX}jobs:{wanted.state or 'any'}:{_kind(wanted)}"
        oldest = int(wanted.created_after * 1e6) if wanted.created_after else "-inf"
        newest = f"({int(wanted.created_before * 1e6)}" if wanted.created_before else "+inf"
        begin, last = (after.microsecond, after.job_id) if after else (newest, "")
        args = [oldest, newest, offset, size, wanted.search.lower(), MOST_SEARCHED, begin, last]
        total, *blobs = await _PAGE(self._together, [index, f"{PREFIX}job:"], args)
        return Page(tuple(_decode(blob) for blob in blobs if blob), total)

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
        return await self._load(sorted(job_id.decode() for job_id in ids))

    async def open_jobs(self, known: Container[str]) -> tuple[frozenset[str], Sequence[Job]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.smembers(UNFINISHED)
            for state in (State.PENDING, State.QUEUED):
                pipe.zrange(f"{PREFIX}jobs:{state}:any", 0, -1)
            unfinished, pending, queued = await pipe.execute()
        waiting = {*pending, *queued}
        ids = frozenset(job_id.decode() for job_id in unfinished)
        unknown = (job_id for job_id in unfinished if job_id not in waiting or job_id.decode() not in known)
        return ids, await self._load(sorted(job_id.decode() for job_id in unknown))

    async def _load(self, ids: Sequence[str]) -> list[Job]:
        """In parts, so that others have their turn in between."""
        jobs: list[Job] = []
        for begin in range(0, len(ids), CHUNK):
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids[begin : begin + CHUNK]:
                    pipe.hget(_job_key(job_id), "b")
                jobs += [_decode(blob) for blob in await pipe.execute() if blob]
        return jobs

    def _keys(self, job_id: str, once: Once[Job]) -> list[str]:
        history = f"{PREFIX}history:{job_id}"
        marks = self.marks.name(once)
        return [_job_key(job_id), UNFINISHED, history, TRAINING_EVENTS, marks, _next_key(job_id)]


def _job_key(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def _next_key(job_id: str) -> str:
    return f"{PREFIX}next:{job_id}"


def _check(outcome: bytes, once: Once[Any]) -> None:
    if outcome == b"repeated":
        raise Repeated(once.key)
    if outcome == b"stale":
        raise Stale


def _moves(before: Job | None, job: Job) -> tuple[list[str], list[str]]:
    """Indexes that the job leaves and joins."""
    if before is None:
        return [], _indexes(job, ("any", *job.listed_as))
    was, now = before.listed_as, job.listed_as
    left, joined = (word for word in was if word not in now), (word for word in now if word not in was)
    return _indexes(before, left), _indexes(job, joined)


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
