"""How a service process begins and ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvloop

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
