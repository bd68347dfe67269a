"""A lone event is read at once; of a burst, many with each reading."""

from __future__ import annotations

import asyncio

CALM_S = 0.005  # a reading and its acknowledgement take 0.4 ms of CPU
LONGEST_S = 0.02  # while a burst goes on; still below what people notice


class Pace:
    """Begins of readings are at least `calm` seconds apart, up to `longest` while a burst goes on."""

    def __init__(self, calm: float = CALM_S, longest: float = LONGEST_S) -> None:
        self._first, self._longest = calm, longest
        self._calm, self._next = calm, 0.0

    async def wait(self) -> None:
        """Return when the next reading may begin: at once, unless the last one has just been."""
        loop = asyncio.get_running_loop()
        if (left := self._next - loop.time()) > 0:
            await asyncio.sleep(left)
            self._calm = min(self._calm * 2, self._longest)
        else:
            self._calm = self._first
        self._next = loop.time() + self._calm
