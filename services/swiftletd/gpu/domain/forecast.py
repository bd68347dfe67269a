"""One possible future: the scheduler itself, run forward over the entries that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from math import inf

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease, Share
from swiftletd.gpu.domain.plan import Grant
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.ranking import end_after, grounds, longest_s
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Holding, Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue


@dataclass(frozen=True, slots=True)
class Start:
    """An entry that starts, and on what."""

    at: float
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """How long each job really takes in this future: until when it runs, and for how many seconds."""

    until: Callable[[Holding], float]
    length: Callable[[Entry], float]


def forecast(
    snapshot: Snapshot, entries: Iterable[Entry], now: float, policy: Policy, fate: Fate
) -> dict[str, Start]:
    """When and where each entry starts; those that never do, because nobody leaves, are not in it.

    The scheduler is told the estimates only, as in life; `fate` decides when jobs end. The future
    knows neither newcomers nor strangers who leave.
    """
    world = _World(snapshot, entries, policy, fate)
    at = now
    while at < inf:
        world.settle(at)
        at = world.next_event()
    return world.starts


class _World:
    def __init__(self, snapshot: Snapshot, entries: Iterable[Entry], policy: Policy, fate: Fate) -> None:
        self.starts: dict[str, Start] = {}
        self._snapshot, self._policy, self._fate = snapshot, policy, fate
        self._queue = WaitingQueue(policy, entries)
        self._holdings = {holding.lease.id: holding for holding in snapshot.holdings}
        self._ends = [(fate.until(holding), holding.lease.id) for holding in snapshot.holdings]
        heapify(self._ends)

    def next_event(self) -> float:
        """When the next job ends or the next entry reaches its time; infinite when all is said."""
        if not len(self._queue):
            return inf
        wake = self._queue.next_wake()
        return min(self._ends[0][0] if self._ends else inf, inf if wake is None else wake)

    def settle(self, now: float) -> None:
        """Ends what ends by now, and makes one pass."""
        while self._ends and self._ends[0][0] <= now:
            del self._holdings[heappop(self._ends)[1]]
        snapshot = replace(self._snapshot, holdings=tuple(self._holdings.values()))
        for grant in schedule(snapshot, self._queue, now, self._policy).grants:
            self._start(grant, now)

    def _start(self, grant: Grant, now: float) -> None:
        entry = self._queue.remove(grant.entry_id)
        self.starts[entry.id] = Start(now, grant.shares)
        self._holdings[entry.id] = begun(entry, grant, now, self._policy)
        heappush(self._ends, (now + self._fate.length(entry), entry.id))


def begun(entry: Entry, grant: Grant, now: float, policy: Policy) -> Holding:
    """The entry as a holding, from the moment of its grant and with the ends that are expected."""
    lease = Lease(
        id=entry.id, entry_id=entry.id, shares=grant.shares, token=0, granted_at=now, expires_at=inf
    )
    likely, latest = end_after(entry, now, policy), now + longest_s(entry)
    return Holding(
        lease=lease,
        job_id=entry.job_id,
        kind=entry.kind,
        project=entry.project,
        ends_p50=likely if likely < inf else None,
        ends_p90=latest if latest < inf else None,
        grounds=grounds(entry, policy),
    )
