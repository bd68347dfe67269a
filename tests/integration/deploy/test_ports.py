"""Which port a deployment gets, with a real Redis and real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest
from redis.asyncio import Redis

from support.redis import RedisServer
from swiftletd.deploy.adapters.prober import HttpProber
from swiftletd.deploy.adapters.store import RedisDeploymentStore
from swiftletd.deploy.domain.deployment import Deployment, Lease, State
from swiftletd.deploy.ports import RunReport
from swiftletd.deploy.usecases import Deploying
from swiftletd.kernel.clock import SystemClock

# Below those that the kernel gives to outgoing connections, so that none is taken by chance.
PORTS = range(20101, 20151)
LEASE = Lease(token=1, devices=("GPU-a",), visible_devices="0", gpu_ids="0")


class Quiet:
    """Stands in for what has nothing to do with ports: models, routes, the gpu service, most of the servers.

    `launched` are those whose servers were launched, `announced` is where a server says that it serves.
    """

    def __init__(self) -> None:
        self.launched: list[Deployment] = []
        self.stopped: list[str] = []
        self.announced = 0

    async def launch(self, it: Deployment) -> None:
        self.launched.append(it)

    async def report(self, entry: str) -> RunReport:
        begun = any(it.attempt and it.entry(it.attempt.number) == entry for it in self.launched)
        return RunReport(alive=begun, launched=begun)

    async def known(self) -> dict[str, list[str]]:
        return {}

    async def announced_port(self, entry: str) -> int:
        return self.announced

    async def stop(self, entry: str, word: str = "cancelled") -> None:
        self.stopped.append(entry)

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
def quiet() -> Quiet:
    return Quiet()


@pytest.fixture
async def deploying(redis_server: RedisServer, quiet: Quiet) -> AsyncIterator[Deploying]:
    clock = SystemClock()
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
            start_timeout=60,
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


@asynccontextmanager
async def taken(*ports: int) -> AsyncIterator[None]:
    """A stranger listens at each of the ports."""
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


async def test_it_moves_to_another_port_if_a_stranger_took_its_own_while_it_waited(
    deploying: Deploying, quiet: Quiet
) -> None:
    await create(deploying, "a")
    waiting, _ = await deploying.start("a")
    async with taken(waiting.port):
        await deploying.granted("a", waiting.entry(), LEASE)
    (launched,) = quiet.launched
    kept = await deploying.get("a")
    assert kept == launched
    assert (kept.state, kept.attempt and kept.attempt.port) == (State.PENDING, kept.port)
    assert kept.port != waiting.port
    assert await deploying.store.ports() == {kept.port}


async def test_a_server_that_was_launched_before_keeps_its_port_though_that_is_busy(
    deploying: Deploying, quiet: Quiet
) -> None:
    await create(deploying, "a")
    waiting, _ = await deploying.start("a")
    await deploying.granted("a", waiting.entry(), LEASE)
    async with taken(waiting.port):  # by its own model server
        await deploying.granted("a", waiting.entry(), LEASE)
        await deploying.recover()
    assert (await deploying.get("a")).port == waiting.port


async def test_it_fails_at_once_if_no_port_is_left_for_its_launch(deploying: Deploying, quiet: Quiet) -> None:
    await create(deploying, "a")
    waiting, _ = await deploying.start("a")
    async with taken(*PORTS):
        await deploying.granted("a", waiting.entry(), LEASE)
    failed = await deploying.get("a")
    assert (failed.state, failed.failure_reason, failed.over) == (State.FAILED, "PORT_TAKEN", True)
    assert failed.error_message == (
        f"Port {waiting.port} was taken by another program while the deployment waited. "
        "No port from 20101 to 20150 is free. Stop a deployment, or widen DEPLOY_PORTS."
    )
    assert quiet.launched == []


async def test_it_fails_at_once_if_its_server_found_the_port_taken(
    deploying: Deploying, quiet: Quiet
) -> None:
    await create(deploying, "a")
    waiting, _ = await deploying.start("a")
    await deploying.granted("a", waiting.entry(), LEASE)
    async with taken(waiting.port):
        quiet.announced = waiting.port
        await deploying.probe()
        assert (await deploying.get("a")).state is State.PENDING
        quiet.announced = waiting.port + 1
        await deploying.probe()
    failed = await deploying.get("a")
    assert (failed.state, failed.failure_reason) == (State.FAILED, "PORT_TAKEN")
    assert f"Port {waiting.port} was taken" in failed.error_message
    assert quiet.stopped == [waiting.entry()]
