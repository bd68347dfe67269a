"""The signs of life of runners, and the way to ask one to end, on Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from swiftletd.gpu.adapters import keys
from swiftletd.gpu.ports import Heartbeat

log = structlog.get_logger()

STOP_KEPT_S = 7 * 86_400


class _Beat(msgspec.Struct, frozen=True):
    """What a runner writes into its key; unknown fields are its own affair."""

    token: int = 0
    step: int | None = None
    total_steps: int | None = None
    seconds_per_step: float | None = None


_decode = msgspec.json.Decoder(_Beat).decode


class RedisHeartbeats:
    """Runners write a key that expires, see the run directory in docs/architecture.md."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, runs: Sequence[str]) -> list[Heartbeat | None]:
        if not runs:
            return []
        raw: Any = await self._redis.mget([keys.alive(run) for run in runs])
        return [None if text is None else _heartbeat(run, text) for run, text in zip(runs, raw, strict=True)]

    async def stop(self, run: str, why: str) -> None:
        await self._redis.set(keys.stop(run), why, ex=STOP_KEPT_S, nx=True)


def _heartbeat(run: str, text: bytes) -> Heartbeat:
    """It lives, even if it can't be understood."""
    try:
        beat = _decode(text)
    except msgspec.MsgspecError as error:
        log.warning("strange_heartbeat", run=run, error=str(error))
        return Heartbeat()
    return Heartbeat(
        token=beat.token,
        step=beat.step or 0,
        total_steps=beat.total_steps or 0,
        seconds_per_step=beat.seconds_per_step or 0.0,
    )
