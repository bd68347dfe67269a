"""A real Redis that takes no writes: full, without a disk, or not the first one any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from support.redis import RedisServer
from support.waiting import eventually
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel import lifecycle
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer
from swiftletd.kernel.errors import ServiceError
from swiftletd.kernel.redis.client import Redis, RedisError, connect, connect_blocking
from swiftletd.kernel.redis.script import Script
from swiftletd.kernel.redis.trouble import Trouble, trouble_of
from swiftletd.kernel.rpc.interceptors.errors import to_service_error

STREAM, GROUP, DONE = "events", "group", "done"


class Ailing:
    """A server that falls ill and gets well again as the test says."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def make(self, trouble: Trouble) -> None:
        with self.server.client() as client:
            match trouble:
                case Trouble.MEMORY:
                    client.config_set("maxmemory", 1)
                case Trouble.REPLICA:
                    client.replicaof("127.0.0.1", 1)
                case Trouble.DISK:
                    (self.server.directory / "dump.rdb").mkdir()  # where the file should go
                    client.config_set("save", "3600 1000000")
                    client.bgsave()
                    _until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")

    def heal(self, trouble: Trouble) -> None:
        with self.server.client() as client:
            match trouble:
                case Trouble.MEMORY:
                    client.config_set("maxmemory", 0)
                case Trouble.REPLICA:
                    client.execute_command("REPLICAOF", "NO", "ONE")
                case Trouble.DISK:
                    client.config_set("save", "")

    def refusals(self) -> int:
        """How many commands were refused so far."""
        with self.server.client() as client:
            counts = client.info("errorstats").values()
            return sum(row["count"] for row in counts)

    def nothing_is_left(self) -> bool:
        with self.server.client() as client:
            return client.llen(DONE) == 3 and not client.xpending(STREAM, GROUP)["pending"]


def _until(condition: Callable[[], bool]) -> None:
    eventually(condition, "it never came to that")


@pytest.fixture
def ailing(private_redis: RedisServer) -> Ailing:
    return Ailing(private_redis)


@pytest.fixture
async def redis(private_redis: RedisServer) -> AsyncIterator[Redis]:
    async with connect(private_redis.url) as client:
        yield client
        await client.connection_pool.disconnect()


TROUBLES = (Trouble.MEMORY, Trouble.DISK, Trouble.REPLICA)
REASONS = {
    Trouble.MEMORY: ("STORE_FULL", "maxmemory"),
    Trouble.DISK: ("STORE_FULL", "free some space"),
    Trouble.REPLICA: ("DEPENDENCY_UNAVAILABLE", "another one takes over"),
}


def told(error: Exception) -> ServiceError:
    return to_service_error(error, "r-1")


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_write_is_refused_with_what_to_do_and_when_to_come_back(
    ailing: Ailing, redis: Redis, trouble: Trouble
) -> None:
    script = Script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('XADD', KEYS[2], '*', 'a', 'b')")
    await redis.set("kept", "1")
    ailing.make(trouble)
    for write in (lambda: redis.set("a", "b"), lambda: script(redis, ["a", "s"], ["b"])):
        with pytest.raises(RedisError) as caught:
            await write()
        assert trouble_of(caught.value) is trouble
        error = told(caught.value)
        reason, remedy = REASONS[trouble]
        assert (error.code, error.reason) == ("UNAVAILABLE", reason)
        assert remedy in error.message
        assert error.retry_after
    assert await redis.get("kept") == b"1"
    ailing.heal(trouble)
    assert await redis.keys("*") == [b"kept"]
    assert await script(redis, ["a", "s"], ["b"])


async def test_a_pipeline_that_is_refused_is_known_as_such(ailing: Ailing, redis: Redis) -> None:
    ailing.make(Trouble.MEMORY)
    async with redis.pipeline(transaction=False) as pipe:
        pipe.get("a")
        pipe.set("a", "b")
        with pytest.raises(RedisError) as caught:
            await pipe.execute()
    assert trouble_of(caught.value) is Trouble.MEMORY


async def test_a_script_is_done_as_a_whole_or_not_at_all_by_a_redis_that_is_full(
    ailing: Ailing, redis: Redis
) -> None:
    """Every script of the services begins with a write; what may be refused is refused at the first one."""
    await redis.set("old", "1")
    ailing.make(Trouble.MEMORY)
    adds = Script("redis.call('SET', KEYS[1], 'x') redis.call('DEL', KEYS[2])")
    frees = Script("redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[3])")

    with pytest.raises(RedisError):
        await adds(redis, ["new", "old"])
    assert sorted(await redis.keys("*")) == [b"old"]
    await frees(redis, ["new", "old", "n"])
    assert sorted(await redis.keys("*")) == [b"n", b"new"]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_consumer_holds_back_and_does_each_event_once_when_it_may_write_again(
    ailing: Ailing, redis: Redis, trouble: Trouble
) -> None:
    async def work(event: Event) -> None:
        await redis.rpush(DONE, event.subject)  # type: ignore[misc]

    async with connect_blocking(ailing.server.url) as reader:
        it = Consumer(redis, reader, stream=STREAM, group=GROUP, name="one", handle=work)
        await it.create_group()
        for subject in ("a", "b", "c"):
            await redis.xadd(STREAM, envelope.encode(Event(type="t", subject=subject)))
        ailing.make(trouble)
        task = asyncio.create_task(it.run())
        await asyncio.to_thread(_until, lambda: ailing.refusals() > 6)  # more often than an event may fail
        ailing.heal(trouble)
        await asyncio.to_thread(_until, ailing.nothing_is_left)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert await redis.lrange(DONE, 0, -1) == [b"a", b"b", b"c"]  # type: ignore[misc]
    assert not await redis.exists(f"{STREAM}:dead:{GROUP}")


async def test_recovery_waits_for_room(ailing: Ailing, redis: Redis) -> None:
    async def recover() -> None:
        await redis.set("recovered", "1")

    ailing.make(Trouble.MEMORY)
    task = asyncio.create_task(lifecycle.persist(recover))
    await asyncio.sleep(0.3)
    assert not task.done()
    ailing.heal(Trouble.MEMORY)
    async with asyncio.timeout(10):
        await task
    assert await redis.get("recovered") == b"1"
