"""Which port a deployment gets, with a real Redis and real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from redis.asyncio import Redis

from support.redis import RedisServer
from swiftletd.deploy.adapters.prober import HttpProber
from swiftletd.deploy.adapters.store import RedisDeploymentStore
from swiftletd.deploy.domain.deployment import Deployment, State
from swiftletd.deploy.usecases import Deploying
from swiftletd.kernel.clock import SystemClock

# Below those that the kernel gives to outgoing connections, so that none is taken by chance.
PORTS = range(20101, 20151)


class Quiet:
    """Stands in for what has nothing to do with ports: models, model servers, routes, the gpu service."""

    async def resolve(self, model_path: str) -> str:
        return model_path

    async def publish(self, ports: dict[str, int]) -> None:
        pass

    @asynccontextmanager
    async def listen(self, entry: str) -> AsyncIterator[AsyncIterator[None]]:
        async def nothing() -> AsyncIterator[None]:
            if entry:
                raise TimeoutError
            yield

        yield nothing()


@pytest.fixture
async def deploying(redis_server: RedisServer) -> AsyncIterator[Deploying]:
    quiet, clock = Quiet(), SystemClock()
    async with Redis.from_url(redis_server.url, protocol=2) as redis, httpx.AsyncClient() as http:
        yield Deploying(
            RedisDeploymentStore(redis, clock),
            quiet,  # type: ignore[arg-type]
            HttpProber(http),
            quiet,
            quiet,
            quiet,  # type: ignore[arg-type]
            clock,
            ports=PORTS,
            patience=1,
            start_timeout=1,
        )


async def create(deploying: Deploying, key: str) -> Deployment:
    new = Deployment(
        id=key, model_path="/m", served_path="", served_model_name=key, deploy_type="llm", created_at=1.0
    )
    created, _ = await deploying.create(new)
    return created


async def stopped(deploying: Deploying, key: str) -> Deployment:
    await create(deploying, key)
    await deploying.start(key)
    return await deploying.stop(key)


async def test_a_deployment_that_starts_again_has_its_port_again(deploying: Deploying) -> None:
    created = await create(deploying, "a")
    first, _ = await deploying.start("a")
    before = await deploying.stop("a")
    assert (first.port, before.port, before.state) == (created.port, created.port, State.CANCELLED)
    again, _ = await deploying.start("a")
    assert (again.state, again.port) == (State.PENDING, before.port)


async def test_it_gets_another_port_if_a_deployment_has_its_own_by_now(deploying: Deploying) -> None:
    before = await stopped(deploying, "a")
    other = await create(deploying, "b")
    assert other.port == before.port
    again, _ = await deploying.start("a")
    assert again.submitted
    assert again.port != other.port


async def test_it_gets_another_port_if_a_stranger_has_its_own_by_now(deploying: Deploying) -> None:
    before = await stopped(deploying, "a")
    with socket.create_server(("127.0.0.1", before.port)):
        again, _ = await deploying.start("a")
    assert again.submitted
    assert again.port != before.port
