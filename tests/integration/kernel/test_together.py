"""Commands of many callers in one round trip, against a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ResponseError

from support.redis import RedisServer
from swiftletd.kernel.redis.client import UNREACHABLE, Redis, connect
from swiftletd.kernel.redis.script import Script
from swiftletd.kernel.redis.together import MOST, Together


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect(redis_server.url) as client:
        yield client


async def test_each_caller_gets_its_own_answer(redis: Redis) -> None:
    together, number = Together(redis), 3 * MOST

    answers = await asyncio.gather(*(together.execute_command("INCR", "n") for _ in range(number)))
    echoed = await asyncio.gather(*(together.execute_command("ECHO", str(n)) for n in range(number)))

    assert sorted(answers) == list(range(1, number + 1))
    assert echoed == [str(n).encode() for n in range(number)]


async def test_what_is_asked_meanwhile_goes_together(redis: Redis) -> None:
    together = Together(redis)
    before = (await redis.info("stats"))["total_reads_processed"]

    await asyncio.gather(*(together.execute_command("INCR", "n") for _ in range(100)))

    assert (await redis.info("stats"))["total_reads_processed"] - before < 10


async def test_an_error_is_that_of_its_caller(redis: Redis) -> None:
    together = Together(redis)
    await redis.set("text", "no number")

    good, bad, also_good = await asyncio.gather(
        together.execute_command("INCR", "n"),
        together.execute_command("INCR", "text"),
        together.execute_command("INCR", "n"),
        return_exceptions=True,
    )

    assert (good, also_good) == (1, 2)
    assert isinstance(bad, ResponseError)


async def test_a_script_that_redis_does_not_know_is_sent(redis: Redis) -> None:
    together, script = Together(redis), Script("return {KEYS[1], ARGV[1]}")

    answers = await asyncio.gather(*(script(together, [f"k{n}"], [n]) for n in range(5)))

    assert answers == [[f"k{n}".encode(), str(n).encode()] for n in range(5)]


async def test_a_caller_that_leaves_takes_nobody_with_it(redis: Redis) -> None:
    together = Together(redis)
    leaving = asyncio.create_task(together.execute_command("INCR", "n"))
    staying = [asyncio.create_task(together.execute_command("INCR", "n")) for _ in range(5)]
    await asyncio.sleep(0)
    leaving.cancel()

    assert len(await asyncio.gather(*staying)) == 5
    assert await together.execute_command("PING") in (b"PONG", True)


async def test_a_redis_that_is_away_is_told_to_all_and_found_again(private_redis: RedisServer) -> None:
    async with connect(private_redis.url) as redis:
        together = Together(redis)
        await together.execute_command("PING")
        private_redis.kill()

        told = await asyncio.gather(
            *(together.execute_command("INCR", "n") for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(error, UNREACHABLE) for error in told)

        private_redis.start()
        assert await together.execute_command("INCR", "n") == 1
