"""The deploy service, from its settings to its end."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import grpc.aio
import httpx

from swiftlet.deploy.v1 import deploy_service_pb2_grpc as rpc
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.deploy.adapters.answers import EventAnswers, by_entry
from swiftletd.deploy.adapters.gateway import GatewayRoutes
from swiftletd.deploy.adapters.models import LocalModels
from swiftletd.deploy.adapters.prober import HttpProber
from swiftletd.deploy.adapters.servers import Launching, LocalServers
from swiftletd.deploy.adapters.store import PREFIX, RedisDeploymentStore
from swiftletd.deploy.settings import DeploySettings
from swiftletd.deploy.usecases import Deploying
from swiftletd.deploy.wire.consumer import Ears, owner
from swiftletd.deploy.wire.queue import Queue
from swiftletd.deploy.wire.servicer import DeployServicer
from swiftletd.deploy.wire.watch import Watches
from swiftletd.kernel import lifecycle, logs
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer
from swiftletd.kernel.bus.follower import Fields, Follower
from swiftletd.kernel.bus.pace import RELAXED
from swiftletd.kernel.bus.retention import trimming
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.log_retention import Keep, LogRetention
from swiftletd.kernel.redis.client import connect, connect_blocking
from swiftletd.kernel.redis.keys import DEPLOY_EVENTS, GPU_EVENTS, RUN_EVENTS, RUN_TAIL
from swiftletd.kernel.rpc.server import Server, running
from swiftletd.kernel.settings import load

SERVICE = "swiftlet.deploy.v1.DeployService"
GROUP = "deploy"
FORGET_SECONDS = 600.0  # between two times of dropping old events


def main() -> None:
    """Entry point of `python -m swiftletd deploy`."""
    settings = load(DeploySettings)
    logs.configure("deploy", settings.log_level)
    lifecycle.run(serve(settings))


async def serve(settings: DeploySettings) -> None:
    """Recover, then serve until told to stop."""
    clock, url = SystemClock(), settings.redis()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(url))
        readers = [await stack.enter_async_context(connect_blocking(url)) for _ in range(3)]
        gpu, training = [
            await stack.enter_async_context(grpc.aio.insecure_channel(settings.address(name)))
            for name in ("gpu", "training")
        ]
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        follower = Follower(
            redis,
            readers[0],
            {GPU_EVENTS: by_entry, DEPLOY_EVENTS: _by_subject, RUN_TAIL: _by_owner},
            RELAXED,
        )
        store, servers = RedisDeploymentStore(redis, clock), LocalServers(_launching(settings))
        logs = LogRetention(redis, clock, prefix=PREFIX, keep=Keep.of(settings), log_of=servers.log_of)
        deploying = Deploying(
            store,
            servers,
            HttpProber(http),
            LocalModels(training, settings.work_dir),
            GatewayRoutes(settings.routes_file()),
            EventAnswers(follower),
            clock,
            ports=settings.ports(),
            patience=settings.answer_seconds,
            start_timeout=settings.deploy_start_timeout,
            logs=logs,
        )
        server = Server("deploy", settings, store.marks)
        watches = Watches(deploying, follower, server.gate.closing)
        servicer = DeployServicer(deploying, Queue(gpu, deploying.store), watches, clock)
        ears = Ears(deploying)
        consumers = [
            Consumer(redis, reader, stream=stream, group=GROUP, name=_name(), handle=handle, haste=RELAXED)
            for reader, stream, handle in (
                (readers[1], GPU_EVENTS, ears.from_gpu),
                (readers[2], RUN_EVENTS, ears.from_runs),
            )
        ]
        await stack.enter_async_context(
            running(server, lambda s: rpc.add_DeployServiceServicer_to_server(servicer, s), [SERVICE])
        )
        await stack.enter_async_context(lifecycle.background(follower.run()))
        await lifecycle.persist(deploying.recover)
        forget = trimming(redis, clock, (DEPLOY_EVENTS,), settings.event_retention_days)
        upkeep = [
            lifecycle.every(settings.deploy_probe_seconds, deploying.probe),
            lifecycle.every(settings.recover_seconds, deploying.recover),
            lifecycle.every(settings.retention_check_seconds, lambda: logs.sweep(deploying.release_log)),
            lifecycle.every(FORGET_SECONDS, forget),
        ]
        await stack.enter_async_context(lifecycle.background(*(c.run() for c in consumers), *upkeep))
        await follower.ready()
        await server.serve()
        await lifecycle.until_told_to_stop()


def _launching(settings: DeploySettings) -> Launching:
    return Launching(
        runs=settings.runs(),
        trainer_python=settings.trainer_python,
        redis_url=settings.redis(),
        grace_seconds=settings.stop_grace_seconds,
    )


def _name() -> str:
    """Stable over restarts of the same replica, so that it finds its own unacknowledged events."""
    return os.environ.get("HOSTNAME", "local")


def _by_subject(fields: Fields) -> tuple[str, Event]:
    event = envelope.decode(fields)
    return event.subject, event


def _by_owner(fields: Fields) -> tuple[str, None]:
    return owner(fields[b"run"].decode()), None
