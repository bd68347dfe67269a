"""A lone event is read at once; of a burst, many with each reading."""

from __future__ import annotations

import asyncio

PER_ENTRY_S = 0.0015  # so pauses grow from 670 entries a second on, and shrink below
LONGEST_S = 0.01  # far below what people notice


class Pace:
    """After a reading of many entries the next one waits: each costs 0.4 ms of CPU, however many it has."""

    def __init__(self, per_entry: float = PER_ENTRY_S, longest: float = LONGEST_S) -> None:
        self._per_entry, self._longest, self._next = per_entry, longest, 0.0

    def took(self, entries: int) -> None:
        """A reading has brought so many entries."""
        pause = min(entries * self._per_entry, self._longest)
        self._next = asyncio.get_running_loop().time() + pause

    async def wait(self) -> None:
        """Return when the next reading may begin. What is done with the entries meanwhile counts."""
        if (left := self._next - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
