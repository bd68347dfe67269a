"""How long the logs of ended runs are kept: by age and by size, the oldest first.

An index in Redis has the runs that ended, by time, and the sum of their logs, so that no cost grows
with them. A run leaves the index last: whatever this is cut off in, the next sweep does it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis

from swiftletd.kernel.clock import Clock
from swiftletd.kernel.ids import rfc3339
from swiftletd.kernel.redis.script import Script
from swiftletd.kernel.settings import SuiteSettings

log = structlog.get_logger()

DAY, GIB, MIB = 86_400.0, 2**30, 2**20
BATCH, MOST = 100, 2000  # runs that are looked at in one go, and in one sweep

_INDEX = Script.load("swiftletd.kernel.redis.lua", "ended_runs")

Release = Callable[[str, str, str], Awaitable[bool]]
"""Owner, run, sentence: whether the log may go; if so, the owner has it written down."""


class Log(Protocol):
    """The log of a run."""

    def log_size(self) -> int:
        """Bytes."""
        ...

    def remove_log(self, sentence: str) -> bool:
        """Put the sentence in the place of all lines; False, and nothing, while a runner writes it."""
        ...


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept: so many days, so many bytes; 0 for any."""

    days: float = 0.0
    size: int = 0

    @classmethod
    def of(cls, settings: SuiteSettings) -> Keep:
        """From RETENTION_DAYS and RETENTION_GB."""
        return cls(settings.retention_days, int(settings.retention_gb * GIB))


class LogRetention:
    """Of one service, which `prefix` names. `log_of` finds the log of an owner's run."""

    def __init__(
        self, redis: Redis, clock: Clock, *, prefix: str, keep: Keep, log_of: Callable[[str, str], Log]
    ) -> None:
        self._redis, self._clock, self._keep, self._log_of = redis, clock, keep, log_of
        self._ended, self._sizes, self._total = (f"{prefix}logs{part}" for part in ("", ":sizes", ":total"))

    async def ended(self, owner: str, run: str) -> None:
        """A run has ended; harmless if that was said before."""
        size = await asyncio.to_thread(self._log_of(owner, run).log_size)
        await self._index(owner, run, self._clock.now(), size)

    async def forget(self, owner: str, runs: Iterable[str]) -> None:
        """Runs whose directories are gone, or are going."""
        for run in runs:
            await self._index(owner, run, "", 0)

    async def _index(self, owner: str, run: str, time: float | str, size: int) -> None:
        await _INDEX(self._redis, [self._ended, self._sizes, self._total], [f"{owner} {run}", time, size])

    async def sweep(self, release: Release) -> None:
        """Remove what is due, oldest first. Runs that may not be touched now are passed over."""
        if not (self._keep.days or self._keep.size):
            return
        total, kept = int(await self._redis.get(self._total) or 0), 0
        while kept < MOST:
            found: Any = await self._redis.zrange(self._ended, kept, kept + BATCH - 1, withscores=True)
            for member, ended_at in found:
                if not (why := self._why(ended_at, total)):
                    return
                removed = await self._remove(member.decode(), why, release)
                total, kept = (total - removed, kept) if removed is not None else (total, kept + 1)
            if not found:
                return

    def _why(self, ended_at: float, total: int) -> str:
        """Why the oldest log is due; empty if it isn't."""
        days, size = self._keep.days, self._keep.size
        if days and ended_at < self._clock.now() - days * DAY:
            return f"it ended more than {days:g} days ago (RETENTION_DAYS)"
        if size and total > size:
            return f"the logs of ended runs took more than {size / GIB:g} GiB (RETENTION_GB)"
        return ""

    async def _remove(self, member: str, why: str, release: Release) -> int | None:
        """Its bytes; None where it has to stay for now."""
        owner, _, run = member.partition(" ")
        size = int(await self._redis.hget(self._sizes, member) or 0)
        when = rfc3339(self._clock.now())
        sentence = f"The log of this run ({size / MIB:.1f} MiB) was removed at {when}: {why}."
        if not await release(owner, run, sentence):
            return None
        if not await asyncio.to_thread(self._log_of(owner, run).remove_log, sentence):
            return None
        await self.forget(owner, [run])
        log.info("log_removed", run=run, bytes=size, why=why)
        return size
