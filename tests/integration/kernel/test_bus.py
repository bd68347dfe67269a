"""The bus over a real Redis: consumers that die, events that fail, followers that lose the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from support.redis import RedisServer
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer, Handler
from swiftletd.kernel.bus.follower import Fields, Follower, Overflow
from swiftletd.kernel.redis.client import Redis, connect_blocking
from swiftletd.kernel.redis.script import Script

STREAM, GROUP = "events", "group"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect_blocking(redis_server.url) as client:
        yield client


async def send(redis: Redis, *subjects: str) -> None:
    for subject in subjects:
        await redis.xadd(STREAM, envelope.encode(Event(type="t", subject=subject)))


def consumer(redis: Redis, handle: Handler, name: str = "one", **more: Any) -> Consumer:
    return Consumer(redis, redis, stream=STREAM, group=GROUP, name=name, handle=handle, **more)


async def pending(redis: Redis) -> int:
    found = await redis.xpending(STREAM, GROUP)
    return int(found["pending"])


async def test_an_event_whose_effect_came_before_a_crash_is_delivered_again_in_order(redis: Redis) -> None:
    done: list[str] = []

    async def crash_after_effect(event: Event) -> None:
        done.append(event.subject)
        raise ConnectionError  # between effect and acknowledgement

    async def work(event: Event) -> None:
        done.append(event.subject)

    await send(redis, "a", "b")
    first = consumer(redis, crash_after_effect)
    await first.create_group()
    with suppress(ConnectionError):
        await first.catch_up()
    await send(redis, "c")
    await consumer(redis, work).catch_up()
    assert done == ["a", "a", "b", "c"]
    assert await pending(redis) == 0


async def test_events_of_one_lane_keep_their_order_and_those_of_others_do_not_wait(redis: Redis) -> None:
    released, done = asyncio.Event(), list[str]()

    async def work(event: Event) -> None:
        if event.subject == "slow-1":
            await released.wait()
        done.append(event.subject)
        if event.subject == "quick-2":
            released.set()

    await send(redis, "slow-1", "slow-2", "quick-1", "quick-2")
    one = consumer(redis, work, lane=lambda event: event.subject.partition("-")[0])
    await one.create_group()
    async with asyncio.timeout(10):
        await one.catch_up()

    assert done == ["quick-1", "quick-2", "slow-1", "slow-2"]
    assert await pending(redis) == 0


async def test_what_fails_in_one_lane_is_delivered_again_and_the_rest_is_not(redis: Redis) -> None:
    done: list[str] = []

    async def work(event: Event) -> None:
        done.append(event.subject)
        if event.subject == "bad" and done.count("bad") == 1:
            raise ValueError

    await send(redis, "a", "bad", "b")
    one = consumer(redis, work, lane=lambda event: event.subject)
    await one.create_group()
    await one.catch_up()
    assert (sorted(done), await pending(redis)) == (["a", "b", "bad"], 1)
    await consumer(redis, work).catch_up()

    assert (done[3:], await pending(redis)) == (["bad"], 0)


async def test_an_event_that_always_fails_is_buried_after_five_times_and_stops_no_other(redis: Redis) -> None:
    tried: list[str] = []

    async def fail_at_bad(event: Event) -> None:
        tried.append(event.subject)
        if event.subject == "bad":
            raise ValueError

    await send(redis, "bad", "good")
    it = consumer(redis, fail_at_bad)
    await it.create_group()
    for _ in range(6):
        await it.catch_up()
    assert (tried.count("bad"), tried.count("good")) == (5, 1)
    ((_, fields),) = await redis.xrange(f"{STREAM}:dead:{GROUP}")
    assert envelope.decode(fields).subject == "bad"
    assert await pending(redis) == 0


async def test_a_living_consumer_takes_over_what_a_dead_one_left(redis: Redis) -> None:
    seen, came = list[str](), asyncio.Event()

    async def work(event: Event) -> None:
        seen.append(event.subject)
        came.set()

    await send(redis, "left")
    it = consumer(redis, work)
    await it.create_group()
    await redis.xreadgroup(GROUP, "dead", {STREAM: ">"})
    ((entry, _),) = await redis.xrange(STREAM)
    await redis.xclaim(STREAM, GROUP, "dead", 0, [entry], idle=60_000)  # as if it died a minute ago

    task = asyncio.create_task(it.run())
    async with asyncio.timeout(20):
        await came.wait()
    await _ended(task)
    assert seen == ["left"]


async def test_entries_that_were_trimmed_while_pending_are_forgotten(redis: Redis) -> None:
    async def never(event: Event) -> None:
        raise AssertionError

    await send(redis, "gone")
    it = consumer(redis, never)
    await it.create_group()
    await redis.xreadgroup(GROUP, "one", {STREAM: ">"})
    await redis.xtrim(STREAM, maxlen=0)
    await it.catch_up()
    assert await pending(redis) == 0


def parse(fields: Fields) -> tuple[str, str]:
    return envelope.decode(fields).subject, envelope.decode(fields).subject


async def test_a_follower_has_no_gap_after_it_lost_its_connection(
    redis: Redis, redis_server: RedisServer
) -> None:
    async with connect_blocking(redis_server.url) as reader:
        follower = Follower(redis, reader, {STREAM: parse})
        task = asyncio.create_task(follower.run())
        await follower.ready()
        with follower.subscribe(STREAM) as subscription:
            await send(redis, "before")
            seen = [await subscription.get(10)]
            await redis.client_kill_filter(_type="normal", skipme=True)
            await send(redis, "while", "after")
            seen += [await subscription.get(10), await subscription.get(10)]
        assert [item and item.value for item in seen] == ["before", "while", "after"]
        await _ended(task)


async def test_a_subscriber_that_is_too_slow_is_told_and_only_that_one(
    redis: Redis, redis_server: RedisServer
) -> None:
    async with connect_blocking(redis_server.url) as reader:
        follower = Follower(redis, reader, {STREAM: parse})
        task = asyncio.create_task(follower.run())
        await follower.ready()
        with follower.subscribe(STREAM, limit=1) as slow, follower.subscribe(STREAM, "b") as other:
            await send(redis, "a", "b")
            item = await other.get(10)
            assert item
            assert item.value == "b"
            with pytest.raises(Overflow):
                await slow.get(10)
        await _ended(task)


async def test_a_script_runs_on_a_server_that_never_saw_it_and_after_it_forgot(redis: Redis) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert await script(redis, ["n"], [2]) == 2
    await redis.script_flush()
    assert await script(redis, ["n"], [3]) == 5
    assert await script(redis, ["n"], [1]) == 6


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
