from __future__ import annotations

import pytest

from contract.deploy.memory import MemoryDeploymentStore
from swiftletd.deploy.adapters.store import RedisDeploymentStore
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    if request.param == "memory":
        yield MemoryDeploymentStore(SystemClock())
        return
    async with connect(request.getfixturevalue("redis_server").url) as redis:
        yield RedisDeploymentStore(redis, SystemClock())
        await redis.connection_pool.disconnect()


@pytest.fixture
def mark(store):
    """The mark of a call, by the client's id for it."""
    return store.marks.get
