"""The store and its mirror, kept alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from swiftletd.gpu.ports import Loaded, Outcome, Record, Store
from swiftletd.gpu.usecases.board import Board
from swiftletd.kernel.clock import Clock


class Committed(Protocol):
    """Any change of a record."""

    @property
    def record(self) -> Record: ...


C = TypeVar("C", bound=Committed)


class Books:
    """Commits to the store, mirrors what worked, and reads again what turned out to be different."""

    def __init__(self, store: Store, board: Board, clock: Clock) -> None:
        self.store, self.board, self.clock = store, board, clock
        self._doubtful: set[str] = set()

    async def open(self) -> None:
        """Fills the mirror at the start."""
        await self._load()

    async def reload(self) -> None:
        """Reads everything again."""
        loaded = await self._load()
        await self.refresh(self.board.records.keys() - {record.id for record in loaded.records})

    async def _load(self) -> Loaded:
        """The lengths of similar jobs come first, so that estimates are as good as before a restart."""
        loaded = await self.store.load()
        named = {record.similarity for record in loaded.records if record.similarity}
        self.board.lasted.update(await self.store.lasted(sorted(named)))
        self.board.fill(loaded)
        return loaded

    async def commit(
        self, write: Callable[[Sequence[C]], Awaitable[list[Outcome]]], changes: Sequence[C]
    ) -> list[Outcome]:
        """Writes the changes in one go. After an error of the store nobody knows which of them happened."""
        if not changes:
            return []
        try:
            outcomes = await write(changes)
        except BaseException:
            self._doubtful.update(change.record.id for change in changes)
            raise
        for change, outcome in zip(changes, outcomes, strict=True):
            if outcome is Outcome.OK:
                self.board.apply(change.record)
        stale = {Outcome.STALE, Outcome.REPEATED}
        await self.refresh(c.record.id for c, o in zip(changes, outcomes, strict=True) if o in stale)
        if Outcome.TAKEN in outcomes:
            await self.refresh_live()
        return outcomes

    async def refresh(self, ids: Iterable[str]) -> None:
        """Reads entries again."""
        wanted = list(dict.fromkeys(ids))
        for id, record in zip(wanted, await self.store.fetch(wanted), strict=True):
            if record:
                self.board.apply(record)
            else:
                self.board.drop(id)

    async def refresh_live(self) -> None:
        """Reads all leases and the fence again: another scheduler was here."""
        fence, records = await self.store.live()
        self.board.fence = max(self.board.fence, fence)
        for record in records:
            self.board.apply(record)
        gone = {record.id for record in self.board.live()} - {record.id for record in records}
        await self.refresh(gone)

    async def settle(self) -> None:
        """Reads again what an error of the store left open."""
        if self._doubtful:
            doubtful, self._doubtful = self._doubtful, set()
            try:
                await self.refresh(doubtful)
                await self.refresh_live()
            except BaseException:
                self._doubtful |= doubtful
                raise
