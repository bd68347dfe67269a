"""The store of entries and leases on Redis. Every change is one script, see the files in lua/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from swiftletd.gpu.adapters import keys, records
from swiftletd.gpu.domain.score import Kept
from swiftletd.gpu.ports import Change, EndChange, GrantChange, Loaded, Notice, Outcome, Record, T
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.idempotency import UNKEYED, Once, Repeated
from swiftletd.kernel.redis.marks import Marks
from swiftletd.kernel.redis.script import Script

Encode = Callable[[Notice], bytes]
Call = tuple[Sequence[str], Sequence[Any]]

EVENTS_KEPT_S = 86_400
ENDED_KEPT_S = 7 * 86_400
PREDICTIONS_KEPT = 1000
LASTED_KEPT = 20
PARTS_KEPT = 100
CHUNK = 500


class RedisStore:
    """`encode` turns a notice into the bytes of its event."""

    def __init__(self, redis: Redis, clock: Clock, encode: Encode) -> None:
        self._redis, self._clock, self._encode = redis, clock, encode
        self.marks = Marks(redis, keys.PREFIX)

    async def load(self) -> Loaded:
        waiting: Any = await self._redis.zrange(keys.WAITING, 0, -1)
        queued = await self.fetch([id.decode() for id in waiting])
        fence, live = await self.live()
        used: Any = await self._redis.hgetall(keys.USED)
        parts: Any = await self._redis.lrange(keys.PARTS, 0, -1)
        return Loaded(
            records=[*(record for record in queued if record), *live],
            fence=fence,
            processing=await self.processing(),
            used={_day_and_project(field): float(value) for field, value in used.items()},
            kept=await self.kept(),
            parts=[float(part) for part in parts],
        )

    async def live(self) -> tuple[int, Sequence[Record]]:
        ids: Any = await self._redis.smembers(keys.LIVE)
        found = await self.fetch([id.decode() for id in ids])
        return int(await self._redis.get(keys.FENCE) or 0), [record for record in found if record]

    async def fetch(self, ids: Sequence[str]) -> list[Record | None]:
        found: list[Record | None] = []
        for start in range(0, len(ids), CHUNK):
            pipe = self._redis.pipeline(transaction=False)
            for id in ids[start : start + CHUNK]:
                pipe.hmget(keys.entry(id), records.FIELDS)
            found += [records.read(fields) for fields in await pipe.execute()]
        return found

    async def enqueue(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._run(ENQUEUE, [self._enqueue(change) for change in changes])

    async def update(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._run(UPDATE, [self._update(change) for change in changes])

    async def dequeue(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._run(DEQUEUE, [self._dequeue(change) for change in changes])

    async def grant(self, changes: Sequence[GrantChange]) -> list[Outcome]:
        return await self._run(GRANT, [self._grant(change) for change in changes])

    async def activate(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._run(ACTIVATE, [self._activate(change) for change in changes])

    async def end(self, changes: Sequence[EndChange]) -> list[Outcome]:
        return await self._run(END, [self._end(change) for change in changes])

    async def processing(self) -> bool:
        return await self._redis.get(keys.PROCESSOR) != b"stopped"

    async def set_processing(
        self, running: bool, notice: Notice, again: str, once: Once[str] = UNKEYED
    ) -> bool:
        names = [keys.PROCESSOR, keys.EVENTS, self.marks.name(once)]
        marks = [once.mark(notice.message), once.mark(again)]
        args = ["running" if running else "stopped", *marks, *self._event(notice)]
        outcome: Any = await PROCESSOR(self._redis, names, args)
        if outcome == b"repeated":
            raise Repeated(once.key)
        return bool(outcome == b"ok")

    async def device_changed(self, uuid: str, health: str, notice: Notice) -> bool:
        args = [uuid, health, *self._event(notice)]
        return bool(await DEVICE(self._redis, [keys.DEVICES, keys.EVENTS], args) == b"ok")

    async def kept(self) -> Sequence[Kept]:
        raw: Any = await self._redis.lrange(keys.KEPT, 0, -1)
        return [records.read_kept(one) for one in reversed(raw)]

    async def lasted(self, similarities: Iterable[str]) -> Mapping[str, Sequence[float]]:
        wanted = list(similarities)
        pipe = self._redis.pipeline(transaction=False)
        for similarity in wanted:
            pipe.lrange(keys.lasted(similarity), 0, -1)
        found: Any = await pipe.execute() if wanted else []
        return {name: [float(s) for s in row] for name, row in zip(wanted, found, strict=True)}

    async def claim(self, once: Once[T], result: T) -> None:
        await self.marks.claim(once, result)

    async def improve(self, once: Once[T], result: T) -> None:
        await self.marks.improve(once, once.answer(result))

    async def drop(self, once: Once[T]) -> None:
        await self.marks.drop(once)

    async def note(self, record: Record, once: Once[str], answer: str) -> bool:
        return await self.marks.note(once, answer, keys.entry(record.id), record.version)

    async def lead(self, owner: str, ttl: float) -> bool:
        return bool(await LEAD(self._redis, [keys.LEADER], [owner, int(ttl * 1000)]) == b"ok")

    async def resign(self, owner: str) -> None:
        await RESIGN(self._redis, [keys.LEADER], [owner])

    async def last_event(self) -> tuple[str, str]:
        """Id and type of the newest event."""
        newest: Any = await self._redis.xrevrange(keys.EVENTS, count=1)
        return (newest[0][0].decode(), newest[0][1][b"type"].decode()) if newest else ("0-0", "")

    async def _run(self, script: Script, calls: Sequence[Call]) -> list[Outcome]:
        """Runs a script many times on few round trips. Each run is atomic, all together are not."""
        outcomes: list[Outcome] = []
        for start in range(0, len(calls), CHUNK):
            outcomes += await self._run_chunk(script, calls[start : start + CHUNK])
        return outcomes

    async def _run_chunk(self, script: Script, calls: Sequence[Call]) -> list[Outcome]:
        replies = await self._replies(script, calls)
        if any(isinstance(reply, NoScriptError) for reply in replies):  # a fresh server; nothing ran
            await self._redis.script_load(script.text)
            replies = await self._replies(script, calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return [Outcome(reply.decode()) for reply in replies]

    async def _replies(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for names, args in calls:
            pipe.evalsha(script.sha, len(names), *names, *args)
        return list(await pipe.execute(raise_on_error=False))

    def _event(self, notice: Notice) -> tuple[str, bytes, int]:
        """Type and bytes of the event, and the id before which older ones are dropped."""
        return notice.type, self._encode(notice), int((self._clock.now() - EVENTS_KEPT_S) * 1000)

    def _enqueue(self, change: Change) -> Call:
        record = change.record
        joined = repr(record.entry.enqueued_at)
        args = [record.version - 1, record.source, records.body(record), joined, record.id]
        return [keys.entry(record.id), keys.WAITING, keys.EVENTS], [*args, *self._event(change.notice)]

    def _update(self, change: Change) -> Call:
        record = change.record
        args = [record.version - 1, records.body(record), records.prediction(record), int(record.told)]
        names = [keys.entry(record.id), keys.EVENTS, self.marks.name(change.once)]
        return names, [*args, change.once.mark(change.answer), *self._event(change.notice)]

    def _dequeue(self, change: Change) -> Call:
        record = change.record
        names = [keys.entry(record.id), keys.WAITING, keys.EVENTS, self.marks.name(change.once)]
        args = [record.version - 1, record.state.value, record.source, records.body(record), record.id]
        mark = change.once.mark(change.answer)
        return names, [*args, mark, *self._event(change.notice), ENDED_KEPT_S]

    def _grant(self, change: GrantChange) -> Call:
        record, lease = change.record, change.lease
        names = [keys.WAITING, keys.LIVE, keys.HELD, keys.FENCE, keys.PROCESSOR, keys.KEPT, keys.EVENTS]
        quota = [record.entry.project, _limit(change.quota.max_gpus), _limit(change.quota.max_jobs)]
        args: list[Any] = [record.version - 1, lease.token, records.claims(change.claims)]
        kept = records.kept(record, lease.granted_at)
        more = [records.lease(record), int(change.forced), kept, PREDICTIONS_KEPT, record.id]
        args += [*more, *self._event(change.notice), *quota]
        return [keys.entry(record.id), *names, keys.PROJECTS], args

    def _activate(self, change: Change) -> Call:
        record = change.record
        args = [record.version - 1, record.state.value, records.lease(record), record.revoking]
        return [keys.entry(record.id), keys.EVENTS], [*args, *self._event(change.notice)]

    def _end(self, change: EndChange) -> Call:
        record, lease = change.record, change.record.lease
        assert lease
        devices = msgspec.json.encode([share.device for share in lease.shares])
        used = f"{int(self._clock.now() // 86_400)}|{record.entry.project}" if change.gpu_seconds else ""
        ran = "" if change.lasted is None else change.lasted
        part = "" if change.part is None else change.part
        args: list[Any] = [record.version - 1, record.state.value, records.lease(record)]
        names = [keys.LIVE, keys.HELD, keys.EVENTS, keys.USED, keys.lasted(record.similarity)]
        books = [devices, record.id, used, change.gpu_seconds, ran, LASTED_KEPT]
        args += [*books, *self._event(change.notice), ENDED_KEPT_S, record.entry.project, part, PARTS_KEPT]
        return [keys.entry(record.id), *names, keys.PROJECTS, keys.PARTS], args


def _script(name: str, *, marked: bool = False) -> Script:
    return Script.load("swiftletd.gpu.adapters.lua", name, marked=marked)


def _limit(most: int | None) -> int:
    return -1 if most is None else most


def _day_and_project(field: bytes) -> tuple[str, int]:
    day, _, project = field.decode().partition("|")
    return project, int(day)


ENQUEUE = _script("enqueue")
UPDATE, DEQUEUE = _script("update", marked=True), _script("dequeue", marked=True)
GRANT, ACTIVATE, END = _script("grant"), _script("activate"), _script("end")
PROCESSOR, DEVICE = _script("processor", marked=True), _script("device")
LEAD, RESIGN = _script("lead"), _script("resign")
