"""Deployments and their ports in Redis: every write is one script with its events (see lua/commit.lua)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from swiftletd.deploy.adapters.events import to_event
from swiftletd.deploy.domain.deployment import Change, Deployment
from swiftletd.deploy.ports import Page, PortTaken, Stale
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.idempotency import UNKEYED, Once, Repeated
from swiftletd.kernel.redis.keys import DEPLOY_EVENTS
from swiftletd.kernel.redis.marks import Marks
from swiftletd.kernel.redis.script import Script

PREFIX = "swiftlet:{deploy}:"
UNFINISHED = f"{PREFIX}unfinished"
PORTS = f"{PREFIX}ports"

NUMBERS_KEPT_S = 8 * 86_400  # longer than the gpu service remembers the entries of a deleted deployment

_COMMIT, _DELETE = (
    Script.load("swiftletd.deploy.adapters.lua", name, marked=True) for name in ("commit", "delete")
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Deployment).decode


class RedisDeploymentStore:
    """See ports.DeploymentStore."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis, self._clock, self.marks = redis, clock, Marks(redis, PREFIX)

    async def get(self, key: str) -> Deployment | None:
        blob: Any = await self._redis.hget(f"{PREFIX}deployment:{key}", "b")
        return _decode(blob) if blob else None

    async def first_attempt(self, key: str) -> int:
        number: Any = await self._redis.get(f"{PREFIX}next:{key}")
        return int(number or 1)

    async def commit(
        self, before: Deployment | None, change: Change, once: Once[Deployment] = UNKEYED
    ) -> None:
        it, now = change.deployment, self._clock.now()
        old = before.state if before else it.state
        keys = [
            f"{PREFIX}deployment:{it.id}",
            UNFINISHED,
            DEPLOY_EVENTS,
            self.marks.name(once),
            PORTS,
            f"{PREFIX}next:{it.id}",
            *(f"{PREFIX}deployments:{state}" for state in ("any", old, it.state)),
        ]
        script, args = (_DELETE, _deletion(before, it)) if it.gone else (_COMMIT, _version(before, it))
        args.append(once.mark(it))
        for happened in change.events:
            event = to_event(before.state if before else None, it, happened, now)
            args += [event.type, event.SerializeToString()]
        kept: bytes = await script(self._redis, keys, args)
        if kept == b"stale":
            raise Stale
        if kept == b"port":
            raise PortTaken
        if kept == b"repeated":
            raise Repeated(once.key)

    async def improve(self, once: Once[Deployment], answer: bytes) -> None:
        await self.marks.improve(once, answer)

    async def page(self, state: str, offset: int, size: int) -> Page:
        index = f"{PREFIX}deployments:{state or 'any'}"
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(index)
            pipe.zrevrange(index, offset, offset + size - 1)
            total, keys = await pipe.execute()
        return Page(tuple(await self._all(keys)), total)

    async def unfinished(self) -> Sequence[Deployment]:
        keys: Any = await self._redis.smembers(UNFINISHED)
        return await self._all(sorted(keys))

    async def _all(self, keys: Sequence[bytes]) -> list[Deployment]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(f"{PREFIX}deployment:{key.decode()}", "b")
            blobs = await pipe.execute()
        return [_decode(blob) for blob in blobs if blob]

    async def ports(self) -> frozenset[int]:
        taken: Any = await self._redis.hkeys(PORTS)
        return frozenset(int(port) for port in taken)


def _version(before: Deployment | None, it: Deployment) -> list[Any]:
    """See lua/commit.lua."""
    return [
        before.version if before else 0,
        it.version,
        it.state,
        _encode(it),
        int(it.created_at * 1e6),
        it.id,
        "0" if it.over else "1",
        "0" if it.doomed else "1",
        before.port if before else 0,
        it.port,
        0 if before else it.next_attempt,
    ]


def _deletion(before: Deployment | None, it: Deployment) -> list[Any]:
    """See lua/delete.lua."""
    return [before.version if before else 0, it.id, it.port, it.next_attempt, NUMBERS_KEPT_S]
