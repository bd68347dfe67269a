from __future__ import annotations

import pytest

from contract.gpu.making import FakeClock
from contract.gpu.memory import MemoryStore
from swiftletd.gpu.adapters import keys
from swiftletd.gpu.adapters.store import RedisStore
from swiftletd.gpu.wire.events import encode
from swiftletd.kernel.redis.client import connect


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    server = request.getfixturevalue("redis_server")
    redis = connect(server.url)
    yield RedisStore(redis, FakeClock(), encode)
    await redis.aclose(close_connection_pool=True)


@pytest.fixture
def told(store):
    """How many events are in the outbox."""

    async def count():
        if isinstance(store, MemoryStore):
            return len(store.notices)
        return await store._redis.xlen(keys.EVENTS)

    return count


@pytest.fixture
def mark(store):
    """The mark of a call, by the client's id for it."""

    async def read(key):
        return store.marks.get(key) if isinstance(store, MemoryStore) else await store.marks.get(key)

    return read
