"""What other processes of this service changed, heard of as events and read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.loop import Signal
from swiftletd.gpu.usecases.notices import PROCESSOR

log = structlog.get_logger()

SETTLE_S = 0.05  # our own changes are on the board by then


@dataclass(frozen=True, slots=True)
class Rumour:
    """An event of this service: what it is about, and the version after it."""

    kind: str
    subject: str
    version: int


class Hearsay:
    """With one process of the service nothing heard is news, and nothing is read."""

    def __init__(self, books: Books, wake: Callable[[], None]) -> None:
        self._books, self._board, self._wake = books, books.board, wake
        self._heard: dict[str, int] = {}
        self._processor = False
        self._missed = False
        self._signal = Signal()

    def hear(self, rumour: Rumour) -> None:
        """Something happened, here or elsewhere."""
        if rumour.subject == PROCESSOR:
            self._processor = True
        elif not rumour.kind.startswith("gpu.device."):
            self._heard[rumour.subject] = max(rumour.version, self._heard.get(rumour.subject, 0))
        self._signal.set()

    def miss(self) -> None:
        """Too much happened to hear it all."""
        self._missed = True
        self._signal.set()

    async def run(self) -> None:
        """Read again until cancelled."""
        async for _ in self._signal:
            await self._books.clock.sleep(SETTLE_S)
            try:
                if await self.check():
                    self._wake()
            except Exception:
                log.exception("hearsay_failed")
                self.miss()
                await self._books.clock.sleep(1.0)

    async def check(self) -> bool:
        """Reads what is newer than what is known; True if there was any of it."""
        heard, self._heard = self._heard, {}
        missed, self._missed = self._missed, False
        if missed:
            await self._books.reload()
            return True
        changed = await self._check_processor()
        news = [id for id, version in heard.items() if version > self._board.version(id)]
        await self._books.refresh(news)
        return changed or bool(news)

    async def _check_processor(self) -> bool:
        if not self._processor:
            return False
        self._processor = False
        before, self._board.processing = self._board.processing, await self._books.store.processing()
        return before != self._board.processing
