from __future__ import annotations

import pytest

from contract.kernel.memory import MemoryStreams
from swiftletd.kernel.redis.client import connect


@pytest.fixture(params=["memory", "redis"])
async def streams(request):
    if request.param == "memory":
        yield MemoryStreams()
        return
    async with connect(request.getfixturevalue("redis_server").url) as redis:
        yield redis
        await redis.connection_pool.disconnect()
