"""A lone event is read at once; of a burst, many with each reading."""

from __future__ import annotations

import asyncio

CALM_S = 0.005  # far below what people notice; a reading and its acknowledgement take 0.4 ms of CPU


class Pace:
    """Begins of readings are at least `calm` seconds apart."""

    def __init__(self, calm: float = CALM_S) -> None:
        self._calm, self._next = calm, 0.0

    async def wait(self) -> None:
        """Return when the next reading may begin: at once, unless the last one has just been."""
        loop = asyncio.get_running_loop()
        if (left := self._next - loop.time()) > 0:
            await asyncio.sleep(left)
        self._next = loop.time() + self._calm
