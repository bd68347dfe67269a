"""The training service, from its settings to its end."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import grpc.aio

from swiftlet.event.v1.event_pb2 import Event
from swiftlet.training.v1 import training_service_pb2_grpc as rpc
from swiftletd.kernel import lifecycle, logs
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer, Handler
from swiftletd.kernel.bus.follower import Fields, Follower
from swiftletd.kernel.bus.retention import trimming
from swiftletd.kernel.clock import Clock, SystemClock
from swiftletd.kernel.log_retention import Keep, LogRetention
from swiftletd.kernel.redis.client import Redis, connect, connect_blocking
from swiftletd.kernel.redis.keys import GPU_EVENTS, RUN_EVENTS, RUN_TAIL, TRAINING_EVENTS
from swiftletd.kernel.rpc.server import Server, running
from swiftletd.kernel.settings import load
from swiftletd.training.adapters.answers import EventAnswers, by_entry
from swiftletd.training.adapters.disk import LocalDisk, RedisOutputs
from swiftletd.training.adapters.disk_metrics import DiskMetrics
from swiftletd.training.adapters.machines import GpuMachines
from swiftletd.training.adapters.preflight import LocalPreflight
from swiftletd.training.adapters.runs import Launching, LocalRuns
from swiftletd.training.adapters.served import DeployedModels
from swiftletd.training.adapters.store import PREFIX, RedisJobStore
from swiftletd.training.adapters.swift_schema import SwiftSchema
from swiftletd.training.domain.disk import GIB, Limits
from swiftletd.training.settings import TrainingSettings
from swiftletd.training.storage import Storage
from swiftletd.training.usecases import Training
from swiftletd.training.wire.consumer import Ears, owner
from swiftletd.training.wire.health import HealthCheck
from swiftletd.training.wire.servicer import TrainingServicer
from swiftletd.training.wire.watch import Watches

SERVICE = "swiftlet.training.v1.TrainingService"
GROUP = "training"
FORGET_SECONDS = 600.0  # between two times of dropping old events
TAIL_DAYS = 1 / 24  # for which the live tail of logs is kept: it only wakes those who watch


def main() -> None:
    """Entry point of `python -m swiftletd training`."""
    settings = load(TrainingSettings)
    logs.configure("training", settings.log_level)
    lifecycle.run(serve(settings))


async def serve(settings: TrainingSettings) -> None:
    """Recover, then serve until told to stop."""
    clock, url = SystemClock(), settings.redis()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(url))
        readers = [await stack.enter_async_context(connect_blocking(url)) for _ in range(3)]
        channels = {
            name: await stack.enter_async_context(grpc.aio.insecure_channel(settings.address(service)))
            for name, service in (("gpu_manager", "gpu"), ("deploy", "deploy"))
        }
        parse = {GPU_EVENTS: by_entry, TRAINING_EVENTS: _by_subject, RUN_TAIL: _by_owner}
        follower = Follower(redis, readers[0], parse)
        schema = SwiftSchema(settings.trainer_python, settings.swiftlet_home / "run" / "swift-schema")
        store, runs = RedisJobStore(redis, clock), LocalRuns(_launching(settings), schema)
        storage = _storage(settings, store, redis, clock)
        logs = LogRetention(redis, clock, prefix=PREFIX, keep=Keep.of(settings), log_of=runs.log_of)
        training = Training(
            store,
            runs,
            EventAnswers(follower),
            clock,
            patience=settings.answer_seconds,
            retry_delay=settings.retry_delay_seconds,
            room=storage,
            logs=logs,
            served=DeployedModels(channels["deploy"]),
        )
        server = Server("training", settings, store.marks)
        servicer = TrainingServicer(
            training,
            LocalPreflight(settings, schema, GpuMachines(channels["gpu_manager"])),
            Watches(training, follower, server.gate.closing),
            HealthCheck(redis, channels, channels["gpu_manager"], clock, storage),
            clock,
            settings.default_training_timeout,
        )
        ears = Ears(training)
        consumers = [
            _consumer(redis, readers[1], GPU_EVENTS, ears.from_gpu),
            _consumer(redis, readers[2], RUN_EVENTS, ears.from_runs),
        ]
        await stack.enter_async_context(
            running(server, lambda s: rpc.add_TrainingServiceServicer_to_server(servicer, s), [SERVICE])
        )
        await stack.enter_async_context(lifecycle.background(follower.run()))
        await lifecycle.persist(training.recover)
        await lifecycle.persist(storage.measure)
        upkeep = [
            lifecycle.every(settings.recover_seconds, training.recover),
            lifecycle.every(settings.disk_check_seconds, storage.measure),
            lifecycle.every(settings.retention_check_seconds, lambda: logs.sweep(training.release_log)),
            *_trimmings(settings, redis, clock),
        ]
        await stack.enter_async_context(lifecycle.background(*(c.run() for c in consumers), *upkeep))
        await follower.ready()
        await server.serve()
        await lifecycle.until_told_to_stop()


def _launching(settings: TrainingSettings) -> Launching:
    return Launching(
        runs=settings.runs(),
        trainer_python=settings.trainer_python,
        redis_url=settings.redis(),
        grace_seconds=settings.stop_grace_seconds,
    )


def _trimmings(settings: TrainingSettings, redis: Redis, clock: Clock) -> Iterator[Coroutine[Any, Any, None]]:
    """What drops old events, and lines of logs that no watcher waits for any more."""
    events = (TRAINING_EVENTS, RUN_EVENTS)
    for streams, days in ((events, settings.event_retention_days), ((RUN_TAIL,), TAIL_DAYS)):
        yield lifecycle.every(FORGET_SECONDS, trimming(redis, clock, streams, days))


def _storage(settings: TrainingSettings, store: RedisJobStore, redis: Redis, clock: Clock) -> Storage:
    limits = Limits(
        outputs=int(settings.disk_limit_gb * GIB),
        refuse=settings.disk_refuse,
        reserve=int(settings.disk_reserve_gb * GIB),
        high_water=settings.disk_high_water,
    )
    watched = [str(path.absolute()) for path in (settings.swiftlet_home, *settings.roots())]
    outputs = RedisOutputs(redis, clock)
    storage = Storage(store, LocalDisk(clock), outputs, clock, limits=limits, watched=watched)
    DiskMetrics(storage).register()
    return storage


def _name() -> str:
    """Stable over restarts of the same replica, so that it finds its own unacknowledged events."""
    return os.environ.get("HOSTNAME", "local")


def _consumer(redis: Redis, reader: Redis, stream: str, handle: Handler) -> Consumer:
    return Consumer(redis, reader, stream=stream, group=GROUP, name=_name(), handle=handle, lane=_job_of)


def _job_of(event: Event) -> str:
    """Events of different jobs need not wait for each other: starting a runner takes a moment."""
    return owner(event.subject)


def _by_subject(fields: Fields) -> tuple[str, None]:
    return envelope.decode(fields).subject, None


def _by_owner(fields: Fields) -> tuple[str, None]:
    return owner(fields[b"run"].decode()), None
