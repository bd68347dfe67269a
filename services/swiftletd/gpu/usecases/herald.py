"""Tells the owner of each new entry that it waits: where, why, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from swiftletd.gpu.domain.plan import Plan
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.ranking import handicaps
from swiftletd.gpu.ports import Change, Record, Waits
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.loop import Signal
from swiftletd.gpu.usecases.oracle import Oracle

log = structlog.get_logger()

AT_ONCE = 500  # entries that are told between two looks into the future
NOWHERE = 0


class Herald:
    """Each entry is told once; its first prediction is kept, to be judged when it starts.

    One that comes in a burst is told at once, without a prediction if the last look has not seen it: its
    owner waits for this word, and looking again for each one would take all the time there is.
    """

    def __init__(self, books: Books, oracle: Oracle) -> None:
        self._books, self._board, self._oracle = books, books.board, oracle
        self.signal = Signal()

    async def run(self) -> None:
        """Tell until cancelled."""
        async for _ in self.signal:
            try:
                await self.tell()
            except Exception:
                log.exception("telling_failed")
                await self._books.clock.sleep(1.0)
                self.signal.set()

    async def tell(self) -> None:
        """Tells all entries that have been through a pass and were not told yet."""
        while self._board.untold:
            foresight = await self._oracle.affordable()
            ids = list(self._board.untold)[:AT_ONCE]
            changes = self._changes(ids, foresight.predictions)
            await self._books.commit(self._books.store.update, changes)

    def _changes(self, ids: list[str], predictions: Mapping[str, Prediction]) -> list[Change]:
        now = self._books.clock.now()
        behind = handicaps(self._board.snapshot(now), now, self._board.policy)
        return [self._change(self._board.records[id], predictions.get(id), behind, now) for id in ids]

    def _change(
        self, before: Record, made: Prediction | None, behind: Mapping[str, float], now: float
    ) -> Change:
        record = replace(before, version=before.version + 1, prediction=made, told=True)
        wait = max(0.0, made.p50 - now) if made and made.p50 is not None else None
        code, reason = why(self._board.plan, record.id)
        position = self._board.queue.position(record.id, behind) or NOWHERE
        waits = Waits(position=position, code=code, reason=reason, wait_s=wait)
        return Change(record=record, notice=notices.waiting(record, waits, now))


def why(plan: Plan | None, id: str) -> tuple[str, str]:
    """Code and sentence of the reason for which an entry waits."""
    reason = plan.reasons.get(id) if plan else None
    if reason is None:
        return "BEHIND", "the next pass looks at it"
    return reason.code.name, reason.sentence()
