"""One scheduling pass: a pure function from what is to what shall be granted, and why the rest waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.explain import Outcome, Reasons
from swiftletd.gpu.domain.horizon import Ending, endings_of, opening
from swiftletd.gpu.domain.ledger import Ledger
from swiftletd.gpu.domain.placement import NONE, place
from swiftletd.gpu.domain.plan import Grant, Plan, Reservation
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.quotas import Allowance
from swiftletd.gpu.domain.ranking import Rank, end_after, grounds, handicaps, longest_s
from swiftletd.gpu.domain.request import Shape
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import Group, WaitingQueue


def schedule(snapshot: Snapshot, queue: WaitingQueue, now: float, policy: Policy) -> Plan:
    """Who starts now, on which devices; what is kept for whom; and why everybody else waits.

    Nothing outside changes, but that `queue` wakes the entries whose earliest start has come.
    The reasons are read from the queue, so read them before the queue changes.
    """
    queue.wake(now)
    run = _Pass(snapshot, queue, now, policy)
    if snapshot.processing and not run.ledger.is_full:
        run.serve()
    return run.plan()


@dataclass(slots=True)
class _Line:
    """A group as it is served: the entries that are left, and how many were looked at in vain."""

    group: Group
    handicap: float
    rest: Iterator[Rank]
    misses: int = 0

    def head(self) -> tuple[float, float, str, _Line] | None:
        following = next(self.rest, None)
        if following is None:
            return None
        at, arrived, entry_id = following
        return at + self.handicap, arrived, entry_id, self


class _Pass:
    """The state of one pass over the queue. A shape that does not fit once is not tried again."""

    def __init__(self, snapshot: Snapshot, queue: WaitingQueue, now: float, policy: Policy) -> None:
        self.queue, self.now, self.policy = queue, now, policy
        self.ledger = Ledger(snapshot.devices, policy)
        for holding in snapshot.holdings:
            self.ledger.take(holding.lease.shares)
        self.allowance = Allowance(policy, snapshot.holdings)
        self.grants: list[Grant] = []
        self.reservations: list[Reservation] = []
        self._snapshot = snapshot
        self._started: list[Ending] = []
        self._failed: set[tuple[Shape, frozenset[str]]] = set()
        self._spoken_for: set[int] = set()

    def serve(self) -> None:
        """Goes through the queue in order, and skips what cannot be granted as early as it can."""
        heads = self._heads()
        while heads:
            *_, entry_id, line = heappop(heads)
            if self._futile(line):
                continue
            entry = self.queue.get(entry_id)
            line.misses += not self._try(entry)
            if self.reservations and not self.policy.backfill:
                return
            following = line.head() if line.misses < self.policy.backfill_depth else None
            if following is not None:
                heappush(heads, following)

    def plan(self) -> Plan:
        granted = frozenset(grant.entry_id for grant in self.grants)
        outcome = Outcome(
            snapshot=self._snapshot,
            now=self.now,
            policy=self.policy,
            ledger=self.ledger,
            allowance=self.allowance,
            reservations=tuple(self.reservations),
            endings=self.endings,
        )
        return Plan(tuple(self.grants), Reasons(self.queue, granted, outcome), outcome.reservations)

    def endings(self) -> list[Ending]:
        """All that holds devices, with what was granted in this pass, in the order of their ends."""
        held = endings_of(self._snapshot.holdings, self.now, self.policy)
        return sorted([*held, *self._started], key=lambda ending: ending.at)

    def _heads(self) -> list[tuple[float, float, str, _Line]]:
        behind = handicaps(self._snapshot, self.now, self.policy)
        groups = self.queue.groups()
        lines = [_Line(group, behind.get(group.key.project, 0.0), iter(group.order)) for group in groups]
        heads = [head for line in lines if (head := line.head()) is not None]
        heapify(heads)
        return heads

    def _futile(self, line: _Line) -> bool:
        """Whether nothing of the group can be granted in this pass, not even its shortest entry."""
        key = line.group.key
        if self.allowance.exceeded(key.project, key.shape.gpus) is not None:
            return True
        return (key.shape, self._kept_from(line.group.at_least_s)) in self._failed

    def _try(self, entry: Entry) -> bool:
        """Grants the entry if it fits into what is not kept for others; else sees that it gets its turn."""
        shape, kept = entry.request.shape, self._kept_from(longest_s(entry))
        if (shape, kept) in self._failed:
            return False
        shares = place(self.ledger, shape, kept)
        if shares is None:
            self._failed.add((shape, kept))
            self._reserve(entry)
            return False
        self.ledger.take(shares)
        self.allowance.take(entry.project, shape.gpus)
        self.grants.append(Grant(entry.id, shares))
        end, why = end_after(entry, self.now, self.policy), grounds(entry, self.policy)
        self._started.append(Ending(end, entry.job_id, shares, why))
        return True

    def _kept_from(self, length_s: float) -> frozenset[str]:
        """Devices that somebody else needs before a job of this length has ended."""
        end = self.now + length_s
        return NONE.union(*(kept.devices for kept in self.reservations if kept.start_at < end))

    def _reserve(self, entry: Entry) -> None:
        """Keeps devices for the entry, if it is the first to wait for its kind of devices."""
        kinds = {id(pool) for pool in self.ledger.matching(entry.request.shape)}
        if not kinds or kinds & self._spoken_for:
            return
        found = opening(self.ledger, self.endings(), entry.request.shape)
        if found is not None:
            self._spoken_for |= kinds
            self.reservations.append(Reservation(entry.id, found.at, found.devices, entry.job_id))
