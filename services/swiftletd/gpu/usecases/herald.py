"""Tells the owner of each new entry that it waits: where, why, and for how long."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import structlog

from swiftletd.gpu.domain.plan import Plan
from swiftletd.gpu.domain.predict import Prediction, behind_all
from swiftletd.gpu.domain.ranking import handicaps
from swiftletd.gpu.ports import Change, Record, Waits
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.loop import Signal
from swiftletd.gpu.usecases.oracle import FORETOLD, Foresight, Oracle

log = structlog.get_logger()

AT_ONCE = 500  # entries that are told between two looks into the future
NOWHERE = 0


class Herald:
    """Each entry is told once; its first prediction is kept, to be judged when it starts.

    One that comes in a burst is told at once, though the last look has not seen it: its owner waits for this
    word, and looking again for each one would take all the time there is. Behind all that were foreseen it
    starts after the work in front of it; among them it has no prediction.
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
            await self._books.commit(self._books.store.update, self._changes(foresight))

    def _changes(self, foresight: Foresight) -> list[Change]:
        now, changes = self._books.clock.now(), list[Change]()
        snapshot = self._board.snapshot(now)
        behind = handicaps(snapshot, now, self._board.policy)
        for id in islice(self._board.untold, AT_ONCE):
            record, made = self._board.records[id], foresight.predictions.get(id)
            position = self._board.queue.position(id, behind) or NOWHERE
            ahead = position - 1 - len(foresight.predictions)
            if made is None and foresight.predictions and 0 <= ahead < FORETOLD:
                made = behind_all(foresight.last, ahead, record.entry, snapshot, self._board.policy)
            changes.append(self._change(record, made, position, now))
        return changes

    def _change(self, before: Record, made: Prediction | None, position: int, now: float) -> Change:
        record = replace(before, version=before.version + 1, prediction=made, told=True)
        wait = max(0.0, made.p50 - now) if made and made.p50 is not None else None
        code, reason = why(self._board.plan, record.id)
        waits = Waits(position=position, code=code, reason=reason, wait_s=wait)
        return Change(record=record, notice=notices.waiting(record, waits, now))


def why(plan: Plan | None, id: str) -> tuple[str, str]:
    """Code and sentence of the reason for which an entry waits."""
    reason = plan.reasons.get(id) if plan else None
    if reason is None:
        return "BEHIND", "the next pass looks at it"
    return reason.code.name, reason.sentence()
