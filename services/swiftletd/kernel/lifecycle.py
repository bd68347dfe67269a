"""How a service process begins and ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop

from swiftletd.kernel.bus.backoff import Backoff
from swiftletd.kernel.redis.trouble import trouble_of

log = structlog.get_logger()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a service on uvloop until it ends."""
    uvloop.run(main)


async def until_told_to_stop() -> None:
    """Return at SIGTERM or SIGINT. (KeyboardInterrupt would cut the loop in the middle of anything.)"""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
    log.info("stopping")


@asynccontextmanager
async def background(*tasks: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Tasks that live as long as the block; one that fails ends it."""
    async with asyncio.TaskGroup() as group:
        started = [group.create_task(task) for task in tasks]
        try:
            yield
        finally:
            for task in started:
                task.cancel()


async def persist(act: Callable[[], Awaitable[None]]) -> None:
    """Do it until it works: recovery has to wait for a Redis that isn't there yet, or is full."""
    backoff = Backoff()
    while True:
        try:
            return await act()
        except Exception as error:
            if not (trouble := trouble_of(error)):
                raise
            log.warning("redis_trouble", trouble=trouble, during="recovery", error=str(error))
            await asyncio.sleep(backoff.delay())


async def every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again, for ever; one failure doesn't end it."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await act()
        except Exception:
            log.exception("sweep_failed")
