"""What the owners of jobs want: to be queued, or to be no longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from swiftletd.gpu.domain.durations import from_history
from swiftletd.gpu.domain.entry import Entry, EntryKind
from swiftletd.gpu.domain.request import Request
from swiftletd.gpu.ports import Change, Outcome, Record, State
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.leases import Leases

TICK = 1e-6  # keeps entries of the same moment in the order in which they came
KEEPS_PLACE = frozenset({State.REVOKED, State.EXPIRED})
TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job or deployment that wants devices. `source` is the version of the job that asks.

    With a `refusal` the request can't be meant, and its owner is told so; `request` says nothing then.
    """

    entry: str
    job_id: str
    kind: EntryKind
    source: int
    at: float
    attempt: int = 1
    request: Request = field(default_factory=Request)
    priority: int = 0
    project: str = ""
    similarity: str = ""
    refusal: str = ""


class Intake:
    """Idempotent: the same submission twice queues one entry."""

    def __init__(self, books: Books, leases: Leases) -> None:
        self._books, self._board, self._leases = books, books.board, leases
        self._latest = 0.0

    async def submit(self, submissions: Sequence[Submission]) -> None:
        """Queues what isn't queued and hasn't been, all in one go."""
        await self._books.settle()
        await self._learn_lengths(submissions)
        places = await self._old_places(submissions)
        joined = {s.entry: places.get(s.entry) or self._next_place(s.at) for s in submissions}
        left = list(submissions)
        for _ in range(TRIES):
            left = await self._put([s for s in left if s.entry not in self._board.records], joined)
        if left:
            raise RuntimeError(f"{len(left)} entries changed again and again, {left[0].entry} first")

    async def withdraw(self, entry: str, job_id: str, source: int) -> None:
        """Takes a waiting entry out of the queue, or back the lease of one that has not begun.

        One that has begun is ended by its owner through its runner, and its lease ends with that.
        """
        await self._books.settle()
        for _ in range(TRIES):
            if await self._withdraw(entry, job_id, source):
                return
        raise RuntimeError(f"{entry} changed again and again")

    async def _put(self, submissions: Sequence[Submission], joined: Mapping[str, float]) -> list[Submission]:
        """Queues them; those whose entry was at another version than thought are left for the next try."""
        good = [s for s in submissions if not s.refusal]
        bad = [s for s in submissions if s.refusal]
        store = self._books.store
        outcomes = await self._books.commit(store.enqueue, [self._queue(s, joined[s.entry]) for s in good])
        outcomes += await self._books.commit(store.dequeue, [self._refuse(s) for s in bad])
        both = zip([*good, *bad], outcomes, strict=True)
        return [s for s, outcome in both if outcome is Outcome.STALE and not s.refusal]

    async def _withdraw(self, entry: str, job_id: str, source: int) -> bool:
        record = self._board.records.get(entry)
        if record is None:
            (record,) = await self._books.store.fetch([entry])
        if record and record.state is State.GRANTED:
            return await self._leases.release(record, f"{job_id} was withdrawn before it began.")
        if record and record.state is not State.WAITING:
            return True
        before = record or Record(entry=_unseen(entry, job_id), state=State.WAITING, version=0)
        after = replace(before, state=State.WITHDRAWN, version=before.version + 1, source=source)
        change = Change(record=after, notice=notices.withdrawn(after, self._books.clock.now()))
        return await self._books.commit(self._books.store.dequeue, [change]) == [Outcome.OK]

    def _queue(self, s: Submission, joined: float) -> Change:
        entry = Entry(
            id=s.entry,
            job_id=s.job_id,
            enqueued_at=joined,
            request=s.request if self._board.policy.spread else replace(s.request, same_machine=True),
            kind=s.kind,
            attempt=s.attempt,
            priority=s.priority,
            project=s.project,
            estimate=from_history(self._board.lasted.get(s.similarity, ())),
        )
        version = self._board.version(s.entry) + 1
        record = Record(
            entry=entry, state=State.WAITING, version=version, source=s.source, similarity=s.similarity
        )
        return Change(record=record, notice=notices.queued(record, self._books.clock.now()))

    def _refuse(self, s: Submission) -> Change:
        version = self._board.version(s.entry) + 1
        entry = _unseen(s.entry, s.job_id)
        record = Record(entry=entry, state=State.REMOVED, version=version, source=s.source)
        return Change(record=record, notice=notices.refused(record, s.refusal, self._books.clock.now()))

    def _next_place(self, at: float) -> float:
        self._latest = max(self._latest + TICK, at)
        return self._latest

    async def _learn_lengths(self, submissions: Sequence[Submission]) -> None:
        named = {s.similarity for s in submissions if s.similarity}
        unknown = named - self._board.lasted.keys()
        self._board.lasted.update(await self._books.store.lasted(sorted(unknown)))

    async def _old_places(self, submissions: Sequence[Submission]) -> dict[str, float]:
        """When the attempt before joined, for those that lost their devices by no fault of their own."""
        again = {_previous(s): s.entry for s in submissions if s.attempt > 1}
        found = await self._books.store.fetch(list(again))
        old = [record for record in found if record and record.state in KEEPS_PLACE]
        return {again[record.id]: record.entry.enqueued_at for record in old}


def _previous(s: Submission) -> str:
    return f"{s.kind.value}-{s.job_id}-{s.attempt - 1}"


def _unseen(entry: str, job_id: str) -> Entry:
    return Entry(id=entry, job_id=job_id, enqueued_at=0.0, request=Request())
