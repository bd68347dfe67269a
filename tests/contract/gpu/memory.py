"""The store without Redis, for fast tests. The contract suite holds it to what the scripts do."""

from __future__ import annotations

from dataclasses import replace

from swiftletd.gpu.domain.score import Kept
from swiftletd.gpu.ports import LIVE, Loaded, Outcome, State
from swiftletd.kernel.idempotency import UNKEYED, Repeated


class MemoryStore:
    """`notices` is what would be in the outbox."""

    def __init__(self):
        self.records = {}
        self.notices = []
        self.held = {}
        self.fence = 0
        self.running = True
        self.marks = {}
        self.devices = {}
        self.scores = []
        self.used = {}
        self.lengths = {}
        self.parts = []
        self.leader = None

    async def load(self):
        waiting = [r for r in self.records.values() if r.state is State.WAITING]
        fence, live = await self.live()
        return Loaded(
            records=[*waiting, *live],
            fence=fence,
            processing=self.running,
            used=self.used,
            kept=self.scores,
            parts=self.parts,
        )

    async def live(self):
        return self.fence, [record for record in self.records.values() if record.live]

    async def fetch(self, ids):
        return [self.records.get(id) for id in ids]

    async def enqueue(self, changes):
        return [self._enqueue(change) for change in changes]

    async def update(self, changes):
        return [self._in_place(change, {State.WAITING}) for change in changes]

    async def dequeue(self, changes):
        return [self._in_place(change, {State.WAITING, None}) for change in changes]

    async def activate(self, changes):
        return [self._in_place(change, LIVE) for change in changes]

    async def grant(self, changes):
        return [self._grant(change) for change in changes]

    async def end(self, changes):
        return [self._end(change) for change in changes]

    async def processing(self):
        return self.running

    async def set_processing(self, running, notice, again, once=UNKEYED):
        self._check(once)
        changed, self.running = self.running is not running, running
        self.notices += [notice] * changed
        self._mark(once, notice.message if changed else again)
        return changed

    async def device_changed(self, uuid, health, notice):
        changed = self.devices.get(uuid, "healthy") != health
        self.devices[uuid] = health
        self.notices += [notice] * changed
        return changed

    async def kept(self):
        return self.scores

    async def lasted(self, similarities):
        return {name: self.lengths.get(name, []) for name in similarities}

    async def claim(self, once, result):
        self._check(once)
        self._mark(once, result)

    async def improve(self, once, result):
        self._mark(once, result)

    async def drop(self, once):
        self.marks.pop(once.key, None)

    async def note(self, record, once, answer):
        self._check(once)
        same = not once.key or self._known(record)[0] == record.version
        if same:
            self._mark(once, answer)
        return same

    def _check(self, once):
        if once.key in self.marks:
            raise Repeated(once.key)

    def _mark(self, once, result):
        if once.key:
            self.marks[once.key] = once.mark(result)

    async def lead(self, owner, ttl):
        self.leader = self.leader or owner
        return self.leader == owner

    async def resign(self, owner):
        self.leader = None if self.leader == owner else self.leader

    def _known(self, record):
        """The version before, and its state."""
        before = self.records.get(record.id)
        return (before.version, before.state) if before else (0, None)

    def _write(self, record, notice):
        self.records[record.id] = record
        self.notices.append(notice)
        return Outcome.OK

    def _enqueue(self, change):
        record, before = change.record, self.records.get(change.record.id)
        version, state = self._known(record)
        if version != record.version - 1:
            return Outcome.STALE
        if before and (state in {State.WAITING, *LIVE} or before.source >= record.source):
            return Outcome.REPEATED
        return self._write(record, change.notice)

    def _in_place(self, change, states):
        if change.once.key in self.marks:
            return Outcome.REPEATED
        version, state = self._known(change.record)
        if state not in states or version != change.record.version - 1:
            return Outcome.STALE
        self._mark(change.once, change.answer)
        return self._write(change.record, change.notice)

    def _grant(self, change):
        record, lease = change.record, change.lease
        if self._known(record) != (record.version - 1, State.WAITING):
            return Outcome.STALE
        if not (self.running or change.forced):
            return Outcome.STOPPED
        if lease.token <= self.fence or not all(self._has_room(claim) for claim in change.claims):
            return Outcome.TAKEN
        if not self._within_quota(record.entry.project, change):
            return Outcome.TAKEN
        for claim in change.claims:
            self.held.setdefault(claim.share.device, {})[record.id] = claim.share.memory_mib
        self.fence = lease.token
        made = record.prediction
        if made and made.p50 is not None and made.p90 is not None:
            self.scores.append(Kept(made.p50, made.p90, lease.granted_at))
        return self._write(record, change.notice)

    def _within_quota(self, project, change):
        leases = [r.lease for r in self.records.values() if r.live and r.entry.project == project]
        gpus = sum(len(lease.shares) for lease in leases) + len(change.claims)
        most_gpus, most_jobs = change.quota.max_gpus, change.quota.max_jobs
        return (most_gpus is None or gpus <= most_gpus) and (most_jobs is None or len(leases) < most_jobs)

    def _has_room(self, claim):
        tenants = self.held.get(claim.share.device, {})
        wanted = claim.share.memory_mib
        if wanted is None or None in tenants.values():
            return not tenants
        return len(tenants) < claim.max_shares and sum(tenants.values()) + wanted <= claim.room_mib

    def _end(self, change):
        record = change.record
        version, state = self._known(record)
        if state not in LIVE or version != record.version - 1:
            return Outcome.STALE
        for share in record.lease.shares:
            del self.held[share.device][record.id]
        if change.lasted is not None:
            self.lengths.setdefault(record.similarity, []).insert(0, change.lasted)
        if change.part is not None:
            self.parts = [change.part, *self.parts]
        return self._write(replace(record), change.notice)
