"""A flag that many raise and one lowers: a burst of reasons to work makes one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable


class Signal:
    """Iterating over it waits until it is raised, and lowers it before each round."""

    def __init__(self) -> None:
        self._raised = asyncio.Event()

    def set(self) -> None:
        """There is something to do."""
        self._raised.set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is raised and lowers it; False if `timeout` seconds passed before."""
        try:
            async with asyncio.timeout(timeout):
                await self._raised.wait()
        except TimeoutError:
            return False
        self._raised.clear()
        return True

    async def __aiter__(self) -> AsyncIterator[None]:
        while True:
            await self.wait()
            yield


Wake = Callable[[], None]
