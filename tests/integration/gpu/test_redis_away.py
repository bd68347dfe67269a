"""A Redis that is away keeps runners from being heard. No lease expires for that, however long it lasts."""

from __future__ import annotations

import redis as sync_redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from support.redis import RedisServer
from swiftletd.gpu.adapters.heartbeats import RedisHeartbeats
from swiftletd.gpu.usecases.sweep import PULSE_S, SILENT_S, Sweep
from unit.gpu_service.service import Service, State, gpu

RUNS = ("training-a-1", "training-b-1")
LONG = 10 * SILENT_S


async def listening(redis: Redis) -> Service:
    """A service with two leases, which hears runners on a real Redis; its clock is ours."""
    service = await Service(gpu(0), gpu(1)).open()
    service.sweep = Sweep(
        service.books,
        service.leases,
        service.survey,
        service.scheduler,
        RedisHeartbeats(redis),
        service.processes,
        interval=30,
    )
    await service.submit("a", "b")
    await service.step()
    assert service.running == ["a", "b"]
    return service


def connected(server: RedisServer) -> Redis:
    return Redis.from_url(server.url, socket_timeout=0.05, retry=Retry(NoBackoff(), 0), protocol=2)


async def pass_time(service: Service, seconds: float) -> int:
    """Sweep for so long; how many sweeps failed, as they do in the loop of the service."""
    failed = 0
    for _ in range(round(seconds / PULSE_S)):
        service.clock.at += PULSE_S
        try:
            await service.sweep.once(PULSE_S)
        except sync_redis.RedisError:
            failed += 1
    return failed


def beat(server: RedisServer) -> None:
    with server.client() as client:
        for run in RUNS:
            client.set(f"swiftlet:{{runs}}:alive:{run}", "{}", ex=30)


def forget(server: RedisServer) -> None:
    """What the time does to heartbeats while Redis is away."""
    with server.client() as client:
        client.delete(*(f"swiftlet:{{runs}}:alive:{run}" for run in RUNS))


async def test_a_redis_that_was_away_for_long_ends_no_lease(private_redis: RedisServer) -> None:
    async with connected(private_redis) as redis:
        service = await listening(redis)
        beat(private_redis)
        assert await pass_time(service, SILENT_S) == 0
        private_redis.stop()
        assert await pass_time(service, LONG) == LONG / PULSE_S
        private_redis.start()
        forget(private_redis)
        # The runners find it again within seconds, and have as long as ever to be heard.
        assert await pass_time(service, SILENT_S - PULSE_S) == 0
        assert [service.state(job) for job in "ab"] == [State.GRANTED, State.GRANTED]
        beat(private_redis)
        await pass_time(service, LONG)
        assert service.running == ["a", "b"]


async def test_a_redis_that_is_frozen_ends_no_lease(private_redis: RedisServer) -> None:
    async with connected(private_redis) as redis:
        service = await listening(redis)
        private_redis.pause()
        assert await pass_time(service, 3 * SILENT_S) == 3 * SILENT_S / PULSE_S
        private_redis.resume()
        beat(private_redis)
        await pass_time(service, LONG)
        assert service.running == ["a", "b"]


async def test_silence_before_redis_went_away_is_not_forgotten(private_redis: RedisServer) -> None:
    async with connected(private_redis) as redis:
        service = await listening(redis)
        await pass_time(service, SILENT_S / 2)
        private_redis.stop()
        await pass_time(service, LONG)
        private_redis.start()
        await pass_time(service, SILENT_S / 2 + 2 * PULSE_S)
        assert [service.state(job) for job in "ab"] == [State.EXPIRED, State.EXPIRED]
