"""What is likely to come, worked out beside the event loop so that no grant waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from time import perf_counter

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.forecast import Start
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Effort, Prediction, likely_future, predict
from swiftletd.gpu.domain.ranking import handicaps
from swiftletd.gpu.domain.reason import Reason
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from swiftletd.gpu.usecases.board import Board
from swiftletd.kernel.clock import Clock

FORETOLD = 1000  # entries from the head of the queue that get a prediction
FRESH_S = 5.0
WORTH = 10  # how much longer than it took a look is worth showing


@dataclass(frozen=True)
class Foresight:
    """Predictions and reasons by entry, and where the first will likely run, as seen at the time `at`."""

    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    starts: Mapping[str, Start] = field(default_factory=dict)
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    at: float = 0.0

    @cached_property
    def last(self) -> Prediction:
        """Of the one that starts last of all whose start is known; of none where there is no such one."""
        known = (made for made in self.predictions.values() if made.p50 is not None)
        return max(known, key=lambda made: made.p50 or 0.0, default=Prediction(None, None))


class Oracle:
    """One look into the future at a time; who asks meanwhile gets the next one."""

    def __init__(self, board: Board, clock: Clock, effort: Effort | None = None) -> None:
        self._board, self._clock, self._effort = board, clock, effort or Effort()
        self._busy = asyncio.Lock()
        self._seen = Foresight()
        self._changed = True
        self._cost = 0.0

    def doubt(self) -> None:
        """The queue or the devices have changed."""
        self._changed = True

    async def recent(self) -> Foresight:
        """A look that no change has overtaken and that is at most FRESH_S old."""
        if self._changed or self._clock.now() - self._seen.at > FRESH_S:
            await self.look()
        return self._seen

    async def affordable(self) -> Foresight:
        """As `recent`, but a look that took long is shown for a while after a change.

        So many watchers of a busy queue take no more than a tenth of the time of the process.
        """
        if self._clock.now() - self._seen.at < WORTH * self._cost:
            return self._seen
        return await self.recent()

    async def look(self) -> Foresight:
        """A new look."""
        async with self._busy:
            self._changed = False
            now, policy = self._clock.now(), self._board.policy
            snapshot = self._board.snapshot(now)
            behind = handicaps(snapshot, now, policy)
            entries = list(islice(self._board.queue.in_order(behind), FORETOLD))
            entries += self._board.queue.sleeping(FORETOLD)
            began = perf_counter()
            self._seen = await asyncio.to_thread(foresee, snapshot, entries, now, policy, self._effort)
            self._cost = perf_counter() - began
        return self._seen


def foresee(
    snapshot: Snapshot, entries: list[Entry], now: float, policy: Policy, effort: Effort
) -> Foresight:
    """The likely future of these entries. Pure; takes up to half a second on 64 devices."""
    if not entries:
        return Foresight(at=now)
    predictions = predict(snapshot, WaitingQueue(policy, entries), now, policy, effort)
    starts = likely_future(snapshot, WaitingQueue(policy, entries), now, policy, effort.entries)
    waiting = schedule(snapshot, WaitingQueue(policy, entries), now, policy).reasons
    reasons = {entry.id: reason for entry in entries if (reason := waiting.get(entry.id))}
    return Foresight(predictions, starts, reasons, now)
