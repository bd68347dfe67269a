"""The store of deployments without Redis. The contract suite holds it to what the script does."""

from __future__ import annotations

from contract.kernel.marks import MemoryMarks
from swiftletd.deploy.adapters.events import to_event
from swiftletd.deploy.ports import Page, PortTaken, Stale
from swiftletd.kernel.idempotency import UNKEYED


class MemoryDeploymentStore:
    """See ports.DeploymentStore. `tell` takes each event that would be in the outbox."""

    def __init__(self, clock, tell=lambda event: None):
        self._clock, self._tell = clock, tell
        self.deployments, self.marks = {}, MemoryMarks()
        self.owners, self._next = {}, {}

    async def get(self, key):
        return self.deployments.get(key)

    async def first_attempt(self, key):
        return self._next.get(key, 1)

    async def commit(self, before, change, once=UNKEYED):
        self.marks.check(once)
        it, known = change.deployment, self.deployments.get(change.deployment.id)
        if (known.version if known else 0) != (before.version if before else 0):
            raise Stale
        if before is None and it.next_attempt < self._next.get(it.id, 1):
            raise Stale
        if not it.over and self.owners.get(it.port, it.id) != it.id:
            raise PortTaken
        self.owners = {port: owner for port, owner in self.owners.items() if owner != it.id}
        if not it.over:
            self.owners[it.port] = it.id
        if it.gone:
            del self.deployments[it.id]
            self._next[it.id] = it.next_attempt
        else:
            self.deployments[it.id] = it
        for happened in change.events:
            self._tell(to_event(before.state if before else None, it, happened, self._clock.now()))
        self.marks.keep(once, it)

    async def improve(self, once, answer):
        self.marks.improve(once, answer)

    async def page(self, state, offset, size):
        listed = [it for it in self.deployments.values() if not it.doomed]
        found = [it for it in listed if not state or it.state == state]
        found.sort(key=lambda it: (it.created_at, it.id), reverse=True)
        return Page(tuple(found[offset : offset + size]), len(found))

    async def unfinished(self):
        return [it for _, it in sorted(self.deployments.items()) if not it.over]

    async def ports(self):
        return frozenset(self.owners)
