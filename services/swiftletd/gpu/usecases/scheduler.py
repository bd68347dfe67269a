"""When passes are made: after everything that could let a job start, and never by polling."""

from __future__ import annotations

from contextlib import suppress

import structlog

from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.grants import Grants, Passed
from swiftletd.gpu.usecases.herald import Herald
from swiftletd.gpu.usecases.loop import Signal
from swiftletd.gpu.usecases.oracle import Oracle
from swiftletd.gpu.usecases.survey import Survey
from swiftletd.kernel.idempotency import UNKEYED, Once

log = structlog.get_logger()

LEAD_TTL_S = 10.0
LEAD_RENEW_S = 3.0
RETRY_S = 0.5
LOST_RACE_S = 0.02


class Scheduler:
    """Several processes may run one each; the one that holds the lock makes the passes.

    `wake` asks for a pass. Whatever comes while a pass runs is served by the next one, so a burst of
    submissions makes few passes.
    """

    def __init__(
        self, books: Books, grants: Grants, survey: Survey, herald: Herald, oracle: Oracle, *, owner: str
    ) -> None:
        self._books, self._grants, self._survey = books, grants, survey
        self._herald, self._oracle, self._owner = herald, oracle, owner
        self._signal = Signal()
        self._freed = False
        self.leading = False

    def wake(self, *, freed: bool = False) -> None:
        """Asks for a pass; `freed` if devices came free, which must be seen to be empty first."""
        self._freed = self._freed or freed
        self._signal.set()

    async def run(self) -> None:
        """Make passes until cancelled."""
        while True:
            await self._signal.wait(self._until_next_start())
            if not self.leading:
                continue
            try:
                passed = await self.make_pass()
            except Exception:
                log.exception("pass_failed")
                await self._books.clock.sleep(RETRY_S)
                self._signal.set()
                continue
            if passed.failed:  # somebody was faster; what they did is known now or in a moment
                await self._books.clock.sleep(LOST_RACE_S)
                self._signal.set()

    async def make_pass(self, *, forced: bool = False) -> Passed:
        """One pass, on devices that are known to be as empty as they look."""
        freed, self._freed = self._freed, False
        if freed:
            await self._survey.look(max_age=0.0)
        passed = await self._grants.make(forced=forced)
        self._oracle.doubt()
        self._herald.signal.set()
        return passed

    async def pass_now(self, once: Once[Passed] = UNKEYED) -> Passed:
        """The pass that an operator asks for, also while the processor is stopped.

        It is marked before, because it is many scripts: a repeat after a kill makes no second one.
        """
        store = self._books.store
        await store.claim(once, Passed(0, unknown=True))
        try:
            passed = await self.make_pass(forced=True)
        except Exception:
            with suppress(Exception):
                await store.drop(once)
            raise
        await store.improve(once, passed)
        return passed

    async def lead(self) -> None:
        """Hold the lock for as long as it can be had; gives it back when cancelled."""
        try:
            while True:
                await self._renew()
                await self._books.clock.sleep(LEAD_RENEW_S)
        finally:
            self.leading = False
            await self._resign()

    async def _resign(self) -> None:
        """A lock that can't be given back runs out by itself."""
        try:
            await self._books.store.resign(self._owner)
        except Exception:
            log.exception("not_resigned")

    async def _renew(self) -> None:
        before = self.leading
        try:
            self.leading = await self._books.store.lead(self._owner, LEAD_TTL_S)
        except Exception:
            log.exception("lead_lost")
            self.leading = False
        if self.leading and not before:
            log.info("leading", owner=self._owner)
            self.wake(freed=True)

    def _until_next_start(self) -> float | None:
        """None for one that doesn't lead: only a pass wakes an entry, so its start would be due for ever."""
        wake_at = self._books.board.queue.next_wake() if self.leading else None
        return None if wake_at is None else max(0.0, wake_at - self._books.clock.now())
