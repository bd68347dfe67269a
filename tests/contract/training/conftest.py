from __future__ import annotations

import pytest

from contract.training.memory import MemoryJobStore
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.training.adapters.store import RedisJobStore


@pytest.fixture
def outbox():
    """The events that a store in memory has told."""
    return []


@pytest.fixture(params=["memory", "redis"])
async def store(request, outbox):
    if request.param == "memory":
        yield MemoryJobStore(SystemClock(), outbox.append)
        return
    async with connect(request.getfixturevalue("redis_server").url) as redis:
        yield RedisJobStore(redis, SystemClock())
        await redis.connection_pool.disconnect()


@pytest.fixture
def told(store, outbox):
    """How many events are in the outbox."""

    async def count():
        if isinstance(store, MemoryJobStore):
            return len(outbox)
        return await store._redis.xlen(TRAINING_EVENTS)

    return count


@pytest.fixture
def mark(store):
    """The mark of a call, by the client's id for it."""
    return store.marks.get
