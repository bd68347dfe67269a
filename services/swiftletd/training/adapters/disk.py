"""The file systems of this machine, and in Redis the sizes of what jobs have left on them."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from swiftlet.event.v1.event_pb2 import DiskLevel, Event
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.ids import rfc3339
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.kernel.redis.script import Script
from swiftletd.training.domain.disk import Level, Output, Volume

PREFIX = "swiftlet:{training}:"
SIZES, TOTAL, LEVELS = f"{PREFIX}outputs", f"{PREFIX}outputs:total", f"{PREFIX}disks"
SOME = 64  # directories that are looked at in one go
KNOWN_SECONDS = 1.0  # for which a file system's free space is not asked for again

_ACCOUNT, _LEVEL = (Script.load("swiftletd.training.adapters.lua", name) for name in ("account", "level"))


class LocalDisk:
    """See ports.Disk. A burst of creates asks a file system once in a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Volume]] = {}

    async def volume(self, path: str) -> Volume:
        now = self._clock.now()
        known = self._known.get(path)
        if known and 0 <= now - known[0] < KNOWN_SECONDS:
            return known[1]
        found = await asyncio.to_thread(_volume, Path(path))
        self._known = {key: it for key, it in self._known.items() if now - it[0] < KNOWN_SECONDS}
        self._known[path] = now, found
        return found

    async def size(self, path: str) -> int | None:
        return await asyncio.to_thread(_size, path)


def _volume(path: Path) -> Volume:
    place = next(place for place in (path, *path.parents) if os.path.exists(place))  # noqa: PTH110 (raises nothing)
    usage = shutil.disk_usage(place)
    return Volume(path=str(path), device=place.stat().st_dev, used=usage.used, free=usage.free)


def _size(path: str) -> int | None:
    """Blocks that are taken, so that a sparse file counts for what it is; links are not followed."""
    try:
        entries = list(os.scandir(path))
    except OSError:
        return None
    return sum(_size_of(entry) for entry in entries)


def _size_of(entry: os.DirEntry[str]) -> int:
    try:
        if entry.is_dir(follow_symlinks=False):
            return _size(entry.path) or 0
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0  # it went away meanwhile


class RedisOutputs:
    """See ports.Outputs. Paths are those of one machine, so it is named with them."""

    def __init__(self, redis: Redis, clock: Clock, machine: str = "") -> None:
        self._redis, self._clock = redis, clock
        self._machine = machine or platform.node()
        self._cursor = 0

    async def total(self) -> int:
        return int(await self._redis.get(TOTAL) or 0)

    async def put(self, path: str, size: int) -> None:
        await _ACCOUNT(self._redis, [SIZES, TOTAL], [path, size])

    async def largest(self, count: int) -> Sequence[Output]:
        found: Any = await self._redis.zrange(SIZES, 0, count - 1, desc=True, withscores=True)
        return [Output(path.decode(), int(size)) for path, size in found]

    async def some(self) -> Sequence[str]:
        found: Any
        self._cursor, found = await self._redis.zscan(SIZES, self._cursor, count=SOME)
        return [path.decode() for path, _ in found]

    async def high(self) -> frozenset[str]:
        words: Any = await self._redis.hgetall(LEVELS)
        names = (name.decode().partition(":") for name, word in words.items() if word == b"high")
        return frozenset(path for machine, _, path in names if machine == self._machine)

    async def tell(self, level: Level) -> bool:
        word, now = "high" if level.high else "ok", self._clock.now()
        subject = f"{self._machine}:{level.name}"
        event = Event(
            type=f"training.disk.{word}", subject=subject, time=rfc3339(now), message=level.sentence
        )
        event.disk_level.CopyFrom(
            DiskLevel(
                machine=self._machine,
                path=level.path,
                used_bytes=level.used,
                total_bytes=level.total,
                promised_bytes=level.promised,
                high=level.high,
            )
        )
        args = [subject, word, event.type, event.SerializeToString()]
        return bool(await _LEVEL(self._redis, [LEVELS, TRAINING_EVENTS], args))
