"""What becomes of leases after they were granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    async def begun(self, runs: Sequence[str]) -> None:
        """The runners of these leases have begun."""
        left = list(dict.fromkeys(runs))
        for _ in range(TRIES):
            idle = [record for record in await self._live(left) if record.state is State.GRANTED]
            outcomes = await self._activate(idle)
            pairs = zip(idle, outcomes, strict=True)
            left = [record.id for record, outcome in pairs if outcome is not Outcome.OK]
            if not left:
                return

    async def over(self, runs: Mapping[str, bool]) -> None:
        """Runners have ended, and all their processes with them; True for a run that succeeded."""
        left = list(runs)
        for _ in range(TRIES):
            ends = [self._over(record, completed=runs[record.id]) for record in await self._live(left)]
            outcomes = await self._commit_ends(ends)
            pairs = zip(ends, outcomes, strict=True)
            left = [end.record.id for end, outcome in pairs if outcome is not Outcome.OK]
            if not left:
                return

    async def _live(self, runs: Sequence[str]) -> list[Record]:
        """The live leases among these. One that seems not to be live is read again before it is believed.

        A runner can be faster than the reply to its grant, and the grant can be another scheduler's.
        """
        known = self._board.records
        await self._books.refresh(run for run in runs if run not in known or not known[run].live)
        return [known[run] for run in runs if run in known and known[run].live]

    def _over(self, record: Record, *, completed: bool) -> EndChange:
        if record.revoking:
            return self._ending(record, LeaseState.REVOKED, Actor.OPERATOR, record.revoking)
        reason = f"{record.entry.job_id} has ended."
        return self._ending(record, LeaseState.RELEASED, Actor.RUNNER, reason, completed=completed)

    async def release(self, record: Record, reason: str) -> bool:
        """Gives back a lease whose process never began. False if it changed meanwhile."""
        return await self._end(self._ending(record, LeaseState.RELEASED, Actor.OWNER, reason))

    async def expire(self, record: Record) -> bool:
        """Ends a lease that nobody keeps alive. False if it changed meanwhile."""
        reason = "No runner kept the lease alive."
        return await self._end(self._ending(record, LeaseState.EXPIRED, Actor.REAPER, reason))

    async def revoke(self, record: Record, reason: str) -> None:
        """Asks the run of a lease to end; the lease ends with it, and its devices are free only then."""
        if record.revoking:
            return
        after = replace(record, version=record.version + 1, revoking=reason)
        change = Change(record=after, notice=notices.revoking(after, self._books.clock.now()))
        if await self._books.commit(self._books.store.activate, [change]) == [Outcome.OK]:
            await self._heartbeats.stop(record.id, "lease_revoked")

    async def _activate(self, records: Sequence[Record]) -> list[Outcome]:
        now = self._books.clock.now()
        return await self._books.commit(self._books.store.activate, [_active(r, now) for r in records])

    def _ending(
        self, record: Record, to: LeaseState, by: Actor, reason: str, *, completed: bool = False
    ) -> EndChange:
        now = self._books.clock.now()
        assert record.lease
        lease = advance(record.lease, to, by, now)
        after = replace(record, state=State(to.value), version=record.version + 1, lease=lease)
        seconds = now - lease.granted_at
        return EndChange(
            record=after,
            notice=notices.ended(after, reason, now),
            gpu_seconds=seconds * len(lease.shares),
            lasted=seconds if completed and record.similarity else None,
            part=_part(record, seconds) if completed else None,
        )

    async def _end(self, change: EndChange) -> bool:
        return await self._commit_ends([change]) == [Outcome.OK]

    async def _commit_ends(self, ends: Sequence[EndChange]) -> list[Outcome]:
        outcomes = await self._books.commit(self._books.store.end, ends)
        now = self._books.clock.now()
        for end, outcome in zip(ends, outcomes, strict=True):
            if outcome is Outcome.OK:
                self._board.use(end.record.entry.project, now, end.gpu_seconds)
                self._board.learn(end.record.similarity, end.lasted, end.part)
        return outcomes


def _part(record: Record, seconds: float) -> float | None:
    """The part of its time limit that a job took; None for one without."""
    limit = record.entry.request.time_limit_s
    return min(1.0, seconds / limit) if limit else None


def _active(record: Record, now: float) -> Change:
    assert record.lease
    lease = advance(record.lease, LeaseState.ACTIVE, Actor.RUNNER, now)
    after = replace(record, state=State.ACTIVE, version=record.version + 1, lease=lease)
    return Change(record=after, notice=notices.active(after, now))
