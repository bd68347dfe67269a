"""The gpu service, from its settings to its end."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AsyncExitStack

from redis.asyncio import Redis

from swiftlet.gpu.v1 import gpu_service_pb2_grpc as rpc
from swiftletd.gpu.adapters import keys
from swiftletd.gpu.adapters.heartbeats import RedisHeartbeats
from swiftletd.gpu.adapters.inventory import NvmlInventory
from swiftletd.gpu.adapters.inventory_file import FileInventory, InventoryError
from swiftletd.gpu.adapters.nvml import Driver
from swiftletd.gpu.adapters.processes import MarkedProcesses
from swiftletd.gpu.adapters.store import RedisStore
from swiftletd.gpu.domain.policy import FairShare, Ordering, Policy, Quota
from swiftletd.gpu.ports import Inventory
from swiftletd.gpu.settings import GpuSettings
from swiftletd.gpu.usecases.answers import Answers
from swiftletd.gpu.usecases.board import Board
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.desk import Desk
from swiftletd.gpu.usecases.grants import Grants
from swiftletd.gpu.usecases.hearsay import Hearsay, Rumour
from swiftletd.gpu.usecases.herald import Herald
from swiftletd.gpu.usecases.intake import Intake
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.oracle import Oracle
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.usecases.survey import Survey
from swiftletd.gpu.usecases.sweep import Sweep
from swiftletd.gpu.wire import events
from swiftletd.gpu.wire.consumer import Inbox
from swiftletd.gpu.wire.servicer import GpuServicer
from swiftletd.gpu.wire.watch import Watches
from swiftletd.kernel import lifecycle, logs
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer
from swiftletd.kernel.bus.follower import Fields, Follower, Overflow
from swiftletd.kernel.bus.pace import RELAXED
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect, connect_blocking
from swiftletd.kernel.rpc.server import Server, running
from swiftletd.kernel.settings import load

SERVICE = "swiftlet.gpu.v1.GpuService"
GROUP = "gpu"
INBOXES = ("swiftlet:{training}:events", "swiftlet:{deploy}:events", keys.RUNS_EVENTS)
MIB_PER_GB = 1024
EVERY_PROJECT = "*"
HEARD_AT_ONCE = 100_000


def main() -> None:
    """Entry point of `python -m swiftletd gpu`."""
    settings = load(GpuSettings)
    logs.configure("gpu", settings.log_level)
    lifecycle.run(serve(settings))


async def serve(settings: GpuSettings) -> None:
    """Recover, then serve until told to stop."""
    clock, url = SystemClock(), settings.redis()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(url))
        follower_reader = await stack.enter_async_context(connect_blocking(url))
        readers = [await stack.enter_async_context(connect_blocking(url)) for _ in INBOXES]

        store, heartbeats = RedisStore(redis, clock, events.encode), RedisHeartbeats(redis)
        processes = MarkedProcesses(str(settings.swiftlet_home.absolute()))
        books = Books(store, Board(policy(settings)), clock)
        leases = Leases(books, heartbeats)
        survey = Survey(books, leases, _inventory(settings, processes), processes)
        oracle = Oracle(books.board, clock)
        herald = Herald(books, oracle)
        scheduler = Scheduler(books, Grants(books), survey, herald, oracle, owner=_owner(settings))
        interval = settings.queue_check_interval
        sweep = Sweep(books, leases, survey, scheduler, heartbeats, processes, interval=interval)
        inbox = Inbox(Intake(books, leases), leases, scheduler, clock)

        server = Server("gpu", settings, store.marks)
        follower = Follower(redis, follower_reader, {keys.EVENTS: _rumour}, RELAXED)
        servicer = GpuServicer(
            Answers(books, oracle, survey),
            Desk(books, scheduler.wake),
            scheduler,
            books.board,
            Watches(follower, keys.EVENTS, store.last_event, server.gate.closing),
            clock,
            check_interval=interval,
        )
        await stack.enter_async_context(
            running(server, lambda s: rpc.add_GpuServiceServicer_to_server(servicer, s), [SERVICE])
        )
        hearsay = Hearsay(books, scheduler.wake)
        heard = lifecycle.background(follower.run(), _listen(follower, hearsay))
        await stack.enter_async_context(heard)
        await follower.ready()  # before the books are read: what another process changes meanwhile is heard
        await lifecycle.persist(books.open)
        await lifecycle.persist(survey.begin)
        sources = zip(INBOXES, readers, strict=True)
        consumers = [_consumer(redis, reader, stream, inbox) for stream, reader in sources]
        work = [hearsay.run(), herald.run(), sweep.run(), scheduler.run(), scheduler.lead()]
        await stack.enter_async_context(lifecycle.background(*work, *(c.run() for c in consumers)))
        await server.serve()
        await lifecycle.until_told_to_stop()


def policy(settings: GpuSettings) -> Policy:
    """The rules of scheduling, from the settings."""
    quotas = {name: Quota(**quota.model_dump()) for name, quota in settings.gpu_quotas.items()}
    half_life = settings.gpu_fair_share_half_life
    return Policy(
        ordering=Ordering(settings.gpu_ordering),
        age_step_s=settings.gpu_age_step,
        spread=False,  # a runner starts its job on the machine that it is on
        backfill=settings.gpu_backfill,
        stranger_fraction=settings.gpu_memory_threshold,
        stranger_free_mib=int(settings.gpu_memory_free_threshold_gb * MIB_PER_GB),
        default_quota=quotas.pop(EVERY_PROJECT, None),
        quotas=quotas,
        fair_share=FairShare(half_life_s=half_life) if settings.gpu_fair_share else None,
    )


def _consumer(redis: Redis, reader: Redis, stream: str, inbox: Inbox) -> Consumer:
    # Stable over restarts of the same replica, so that it finds its own unacknowledged events.
    name = os.environ.get("HOSTNAME", "local")
    return Consumer(
        redis,
        reader,
        stream=stream,
        group=GROUP,
        name=name,
        handle=inbox.handle,
        handle_batch=inbox.handle_batch,
    )


def _inventory(settings: GpuSettings, processes: MarkedProcesses) -> Inventory:
    """The file where one is named, else the driver of this machine."""
    if settings.gpu_inventory is None:
        return NvmlInventory(Driver(processes.describe))
    try:
        return FileInventory(settings.gpu_inventory)
    except InventoryError as error:
        sys.exit(str(error))


def _owner(settings: GpuSettings) -> str:
    """Stable over restarts, so that a killed scheduler's successor needn't wait for its lock to run out."""
    return f"{platform.node()} {settings.listen('gpu')}"


def _rumour(fields: Fields) -> tuple[str, Rumour]:
    event = envelope.decode(fields)
    return "", Rumour(event.type, event.subject, event.version)


async def _listen(follower: Follower, hearsay: Hearsay) -> None:
    """Hands on what the follower reads of our own stream."""
    while True:
        with follower.subscribe(keys.EVENTS, limit=HEARD_AT_ONCE) as subscription:
            try:
                async for item in subscription:
                    hearsay.hear(item.value)
            except Overflow:
                hearsay.miss()
