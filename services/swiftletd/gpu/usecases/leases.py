"""What becomes of leases after they were granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swiftletd.gpu.domain.lease import Actor, LeaseState, advance
from swiftletd.gpu.ports import Change, EndChange, Heartbeats, Outcome, Record, State
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books

TRIES = 4


class Leases:
    """Every method is idempotent: a lease begins once and ends once."""

    def __init__(self, books: Books, heartbeats: Heartbeats) -> None:
        self._books, self._board, self._heartbeats = books, books.board, heartbeats

    async def begun(self, run: str) -> None:
        """The runner of a lease has begun."""
        for _ in range(TRIES):
            record = self._board.records.get(run)
            if not record or record.state is not State.GRANTED:
                return
            if await self._activate(record) is Outcome.OK:
                return

    async def over(self, run: str, *, completed: bool) -> None:
        """The runner of a lease has ended, and all its processes with it."""
        for _ in range(TRIES):
            record = self._board.records.get(run)
            if not record or not record.live:
                return
            if record.revoking:
                done = await self._end(record, LeaseState.REVOKED, Actor.OPERATOR, record.revoking)
            else:
                text = f"{record.entry.job_id} has ended."
                done = await self._end(record, LeaseState.RELEASED, Actor.RUNNER, text, completed=completed)
            if done:
                return

    async def release(self, record: Record, reason: str) -> bool:
        """Gives back a lease whose process never began. False if it changed meanwhile."""
        return await self._end(record, LeaseState.RELEASED, Actor.OWNER, reason)

    async def expire(self, record: Record) -> bool:
        """Ends a lease that nobody keeps alive. False if it changed meanwhile."""
        return await self._end(record, LeaseState.EXPIRED, Actor.REAPER, "No runner kept the lease alive.")

    async def revoke(self, record: Record, reason: str) -> None:
        """Asks the run of a lease to end; the lease ends with it, and its devices are free only then."""
        if record.revoking:
            return
        after = replace(record, version=record.version + 1, revoking=reason)
        change = Change(record=after, notice=notices.revoking(after, self._books.clock.now()))
        if await self._books.commit(self._books.store.activate, [change]) == [Outcome.OK]:
            await self._heartbeats.stop(record.id, "lease_revoked")

    async def _activate(self, record: Record) -> Outcome:
        now = self._books.clock.now()
        assert record.lease
        lease = advance(record.lease, LeaseState.ACTIVE, Actor.RUNNER, now)
        after = replace(record, state=State.ACTIVE, version=record.version + 1, lease=lease)
        change = Change(record=after, notice=notices.active(after, now))
        (outcome,) = await self._books.commit(self._books.store.activate, [change])
        return outcome

    async def _end(
        self, record: Record, to: LeaseState, by: Actor, reason: str, *, completed: bool = False
    ) -> bool:
        now = self._books.clock.now()
        assert record.lease
        lease = advance(record.lease, to, by, now)
        after = replace(record, state=State(to.value), version=record.version + 1, lease=lease)
        seconds = now - lease.granted_at
        change = EndChange(
            record=after,
            notice=notices.ended(after, reason, now),
            gpu_seconds=seconds * len(lease.shares),
            lasted=seconds if completed and record.similarity else None,
        )
        if await self._books.commit(self._books.store.end, [change]) != [Outcome.OK]:
            return False
        self._board.use(record.entry.project, now, change.gpu_seconds)
        if change.lasted is not None:
            self._remember(record.similarity, change.lasted)
        return True

    def _remember(self, similarity: str, lasted: float) -> None:
        known: Sequence[float] = self._board.lasted.get(similarity, ())
        self._board.lasted[similarity] = (lasted, *known)[:20]
