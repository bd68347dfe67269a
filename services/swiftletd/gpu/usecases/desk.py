"""What operators do with the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from swiftletd.gpu.domain.request import MAX_PRIORITY, MIN_PRIORITY
from swiftletd.gpu.ports import Change, Outcome, Record, State
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books
from swiftletd.kernel.errors import Conflict, NotFound, invalid
from swiftletd.kernel.idempotency import UNKEYED, Once, Repeated

TRIES = 4
Plan = Callable[[Record], Change | str]


class Desk:
    """Each operation is atomic, is an event, and does nothing more when its call comes again."""

    def __init__(self, books: Books, wake: Callable[[], None]) -> None:
        self._books, self._board, self._wake = books, books.board, wake

    async def remove(self, job_id: str, once: Once[str] = UNKEYED) -> str:
        """Takes a waiting job out of the queue."""

        def plan(before: Record) -> Change:
            after = replace(before, state=State.REMOVED, version=before.version + 1)
            notice = notices.removed(after, self._books.clock.now())
            return Change(record=after, notice=notice, once=once, answer=notice.message)

        return await self._operate(job_id, once, plan)

    async def move(self, job_id: str, priority: int, once: Once[str] = UNKEYED) -> str:
        """Changes the priority of a waiting job in place."""
        if not MIN_PRIORITY <= priority <= MAX_PRIORITY:
            raise invalid("priority", f"must be from {MIN_PRIORITY} to {MAX_PRIORITY}, got {priority}.")

        def plan(before: Record) -> Change | str:
            if before.entry.priority == priority:
                return f"{job_id} has priority {priority} already."
            text = f"{job_id} was moved from priority {before.entry.priority} to {priority}."
            after = replace(before, entry=replace(before.entry, priority=priority))
            return self._changed(after, "gpu.entry.moved", text, once)

        return await self._operate(job_id, once, plan)

    async def hold(self, job_id: str, once: Once[str] = UNKEYED) -> str:
        """Holds a waiting job back; it keeps its place."""
        return await self._set_held(job_id, once, held=True)

    async def release(self, job_id: str, once: Once[str] = UNKEYED) -> str:
        """Lets a held job go on waiting for its turn."""
        return await self._set_held(job_id, once, held=False)

    async def process(self, running: bool, once: Once[str] = UNKEYED) -> str:
        """Starts or stops all granting."""
        notice = notices.processor(running, self._books.clock.now())
        again = f"The queue {'runs' if running else 'is stopped'} already."
        changed = await self._books.store.set_processing(running, notice, again, once)
        self._board.processing = await self._books.store.processing()
        self._wake()
        return notice.message if changed else again

    async def _set_held(self, job_id: str, once: Once[str], *, held: bool) -> str:
        kind, said = ("gpu.entry.held", "is on hold") if held else ("gpu.entry.released", "was released")

        def plan(before: Record) -> Change | str:
            if before.entry.held is held:
                return f"{job_id} is on hold already." if held else f"{job_id} is not on hold."
            after = replace(before, entry=replace(before.entry, held=held))
            return self._changed(after, kind, f"{job_id} {said}.", once)

        return await self._operate(job_id, once, plan)

    def _changed(self, record: Record, kind: str, text: str, once: Once[str]) -> Change:
        after = replace(record, version=record.version + 1)
        notice = notices.about(after, kind, text, self._books.clock.now())
        return Change(record=after, notice=notice, once=once, answer=text)

    async def _operate(self, job_id: str, once: Once[str], plan: Plan) -> str:
        """Plans on what is known and commits; on what has changed meanwhile it plans again."""
        await self._books.settle()
        for _ in range(TRIES):
            record = waiting(self._books, job_id)
            change = plan(record)
            if isinstance(change, str):
                if await self._books.store.note(record, once, change):
                    return change
                await self._books.refresh([record.id])
                continue
            outcome = await self._commit(change)
            if outcome is Outcome.OK:
                self._wake()
                return change.answer
            if outcome is Outcome.REPEATED:
                raise Repeated(job_id)
        raise Conflict(job_id)

    async def _commit(self, change: Change) -> Outcome:
        store = self._books.store
        write = store.dequeue if change.record.state is State.REMOVED else store.update
        (outcome,) = await self._books.commit(write, [change])
        return outcome


def waiting(books: Books, job_id: str) -> Record:
    """The waiting entry of a job. Raises NotFound with what it does instead."""
    records = books.board.entries_of(job_id)
    found = next((record for record in records if record.state is State.WAITING), None)
    if found:
        return found
    runs = f"{job_id} is not in the queue: it has its GPUs."
    nowhere = f"{job_id} is not in the queue."
    raise NotFound("queue item", job_id, runs if records else nowhere)
