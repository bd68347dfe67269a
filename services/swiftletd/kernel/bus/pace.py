"""A lone event is read at once; of a burst, many with each reading."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Haste:
    """The pause after a reading, in seconds: so much for each entry that it brought, up to the longest."""

    per_entry: float
    longest: float


PROMPT = Haste(0.0015, 0.01)
"""For what people and GPUs wait for: pauses grow from 670 entries a second on, and shrink below."""
OTHERS = Haste(0.003, 0.02)
"""After a reading in which nothing was for the service; so pauses grow from 330 entries a second on."""
RELAXED = Haste(0.01, 0.05)
"""For what is mostly about others, or may be late by what nobody notices."""


class Pace:
    """After a reading of many entries the next one waits: each costs 0.4 ms of CPU, however many it has."""

    def __init__(self, haste: Haste = PROMPT) -> None:
        self._haste, self._next = haste, 0.0

    def took(self, entries: int, haste: Haste | None = None, *, ago: float = 0.0) -> None:
        """A reading has brought so many entries, so many seconds ago."""
        chosen = haste or self._haste
        pause = min(entries * chosen.per_entry, chosen.longest)
        self._next = asyncio.get_running_loop().time() - ago + pause

    async def wait(self) -> None:
        """Return when the next reading may begin. What is done with the entries meanwhile counts."""
        if (left := self._next - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
