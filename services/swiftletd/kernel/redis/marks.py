"""Marks of calls that had their effect, for seven days (see kernel/idempotency.py and lua/mark.lua)."""

from __future__ import annotations

from typing import Any, TypeVar

from redis.asyncio import Redis

from swiftletd.kernel.idempotency import Once, Repeated
from swiftletd.kernel.redis.script import Script

T = TypeVar("T")

TTL = 7 * 24 * 3600  # seconds, as in mark.lua
_NOTE = Script.load("swiftletd.kernel.redis.lua", "note", marked=True)


class Marks:
    """The marks of one service, under its own prefix."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, f"{prefix}request:"

    def name(self, once: Once[Any]) -> str:
        """The Redis key of a call's mark."""
        return f"{self._prefix}{once.key}"

    async def get(self, key: str) -> bytes | None:
        """The mark of a client's id."""
        mark: Any = await self._redis.get(f"{self._prefix}{key}")
        return None if mark is None else bytes(mark)

    async def claim(self, once: Once[T], result: T) -> None:
        """Mark a call whose effect is more than one script, before it. Raises Repeated."""
        if once.key and not await self._redis.set(self.name(once), once.mark(result), ex=TTL, nx=True):
            raise Repeated(once.key)

    async def note(self, once: Once[T], result: T, subject: str, version: int) -> bool:
        """Mark a call that changed nothing; False if the hash `subject` has another version now.

        Raises Repeated.
        """
        if not once.key:
            return True
        outcome = await _NOTE(self._redis, [self.name(once), subject], [once.mark(result), version])
        if outcome == b"repeated":
            raise Repeated(once.key)
        return bool(outcome == b"ok")

    async def improve(self, once: Once[Any], answer: bytes) -> None:
        """Let repeats have an answer that was known only after the effect."""
        if once.key:
            await self._redis.set(self.name(once), once.call + answer, keepttl=True, xx=True)

    async def drop(self, once: Once[Any]) -> None:
        """Take a claim back: there was no effect."""
        if once.key:
            await self._redis.delete(self.name(once))
