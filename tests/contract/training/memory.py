"""The store of jobs without Redis. The contract suite holds it to what the scripts do."""

from __future__ import annotations

from contract.kernel.marks import MemoryMarks
from swiftletd.kernel.idempotency import UNKEYED
from swiftletd.training.adapters.events import to_event
from swiftletd.training.domain.job import State
from swiftletd.training.ports import HistoryItem, Page, Place, Stale


class MemoryJobStore:
    """See ports.JobStore. `tell` takes each event that would be in the outbox."""

    def __init__(self, clock, tell=lambda event: None):
        self._clock, self._tell = clock, tell
        self.jobs, self.marks = {}, MemoryMarks()
        self._history, self._purging, self._next = {}, 0, {}

    async def get(self, job_id):
        return self.jobs.get(job_id)

    async def first_attempt(self, job_id):
        return 0 if job_id in self.jobs else self._next.get(job_id, 1)

    async def commit(self, before, change, once=UNKEYED):
        job, state = change.job, before.state if before else None
        self.marks.check(once)
        self._expect(job.id, before.version if before else 0)
        if before is None and job.next_attempt < self._next.get(job.id, 1):
            raise Stale
        self.jobs[job.id] = job
        for happened in change.events:
            line = HistoryItem(id="", time=self._clock.now(), happened=happened, state=job.state)
            self._history.setdefault(job.id, []).append(line)
            self._tell(to_event(state, job, happened, self._clock.now()))
        self.marks.keep(once, job)

    async def delete(self, job, change, once=UNKEYED):
        self.marks.check(once)
        self._expect(job.id, job.version)
        del self.jobs[job.id]
        self._next[job.id] = job.next_attempt
        self._history.pop(job.id, None)
        self._tell(to_event(job.state, job, change.events[0], self._clock.now()))
        self.marks.keep(once, job)

    async def improve(self, once, answer):
        self.marks.improve(once, answer)

    async def purge(self, until, once=UNKEYED):
        self.marks.check(once)
        if any(job.state is State.RUNNING for job in self.jobs.values()):
            raise Stale
        total = sum(Place.of(job).microsecond <= until for job in self.jobs.values())
        self._purging = max(self._purging, until)
        self.marks.keep(once, total)
        return total

    async def purging(self):
        return self._purging

    async def purged(self, until):
        self._purging = 0 if self._purging == until else self._purging

    async def page(self, wanted, offset, size, *, after=None):
        found = [job for job in self.jobs.values() if _fits(job, wanted)]
        rest = [job for job in found if after is None or _place(job) < _key(after)]
        rest.sort(key=_place, reverse=True)
        return Page(tuple(rest[offset : offset + size]), len(found))

    async def history(self, job_id, limit):
        items = self._items(job_id)
        return items[-limit:], len(items)

    async def history_after(self, job_id, after, limit):
        return [item for item in self._items(job_id) if int(item.id) > int(after or 0)][:limit]

    async def unfinished(self):
        return [job for _, job in sorted(self.jobs.items()) if not job.settled]

    async def open_jobs(self, known):
        jobs, waits = await self.unfinished(), (State.PENDING, State.QUEUED)
        changed = [job for job in jobs if job.id not in known or job.state not in waits]
        return frozenset(job.id for job in jobs), changed

    def _items(self, job_id):
        lines = enumerate(self._history.get(job_id, ()), start=1)
        return [HistoryItem(id=str(n), time=x.time, happened=x.happened, state=x.state) for n, x in lines]

    def _expect(self, job_id, version):
        known = self.jobs.get(job_id)
        if (known.version if known else 0) != version:
            raise Stale


def _key(place):
    return place.microsecond, place.job_id.encode()


def _place(job):
    return _key(Place.of(job))


def _fits(job, wanted):
    exact = (
        (wanted.task_type, job.task_type),
        (wanted.trainer_type, job.trainer_type),
    )
    created, text = Place.of(job).microsecond, f"{job.id} {job.model_path}".lower()
    return (
        (not wanted.state or wanted.state in job.listed_as)
        and all(not word or word == value for word, value in exact)
        and (not wanted.created_after or created >= int(wanted.created_after * 1e6))
        and (not wanted.created_before or created < int(wanted.created_before * 1e6))
        and wanted.search.lower() in text
    )
