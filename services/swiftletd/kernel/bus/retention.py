"""How long the event streams remember: by age, so that a consumer or watcher may be away for that long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from swiftletd.kernel.clock import Clock

DAY = 86_400.0  # seconds


def trimming(
    redis: Redis, clock: Clock, streams: Sequence[str], days: float
) -> Callable[[], Awaitable[None]]:
    """What drops entries older than so many days, to be done now and then."""

    async def trim() -> None:
        oldest = int((clock.now() - days * DAY) * 1000)
        for stream in streams:
            await redis.xtrim(stream, minid=str(oldest), approximate=True)

    return trim
