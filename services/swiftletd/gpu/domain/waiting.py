"""The waiting entries, kept in order and indexed by shape from one pass to the next.

Entries of one group ask for the same, so a group that does not fit is skipped as a whole, however
many wait in it. That is what makes a pass over a long queue cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from math import ceil, inf, log2

from sortedcontainers import SortedList

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.ranking import Rank, longest_s, rank
from swiftletd.gpu.domain.request import Shape


@dataclass(frozen=True, slots=True)
class GroupKey:
    """`octave`: entries of the group run for at most 2**octave seconds, and more than half of that."""

    shape: Shape
    project: str
    octave: float


@dataclass(slots=True)
class Group:
    key: GroupKey
    order: SortedList[Rank] = field(default_factory=SortedList)

    @property
    def at_most_s(self) -> float:
        return float(2.0**self.key.octave)

    @property
    def at_least_s(self) -> float:
        return float(2.0 ** (self.key.octave - 1))


class QueueError(LookupError):
    """An entry that is not in the queue, or is there already."""


class WaitingQueue:
    """All entries that wait. Adding, removing and moving one costs O(log n).

    The order follows from `policy`: after a change of the ordering, build a new queue.
    """

    def __init__(self, policy: Policy, entries: Iterable[Entry] = ()) -> None:
        self.policy = policy
        self._by_project = bool(policy.quotas or policy.default_quota or policy.fair_share)
        self._entries: dict[str, Entry] = {}
        self._groups: dict[GroupKey, Group] = {}
        self._asleep: SortedList[tuple[float, str]] = SortedList()
        self._dozing: set[str] = set()
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def get(self, entry_id: str) -> Entry:
        """Raises QueueError where the entry does not wait."""
        try:
            return self._entries[entry_id]
        except KeyError:
            raise QueueError(f"{entry_id} is not in the queue") from None

    def add(self, entry: Entry) -> None:
        """Raises QueueError where the entry waits already."""
        if entry.id in self._entries:
            raise QueueError(f"{entry.id} is in the queue already")
        self._entries[entry.id] = entry
        if entry.request.earliest_start > 0 and not entry.held:
            self._asleep.add((entry.request.earliest_start, entry.id))
            self._dozing.add(entry.id)
        elif not entry.held:
            self._line_up(entry)

    def remove(self, entry_id: str) -> Entry:
        """The entry, out of the queue. Raises QueueError where it does not wait."""
        entry = self.get(entry_id)
        del self._entries[entry_id]
        if entry_id in self._dozing:
            self._dozing.remove(entry_id)
            self._asleep.remove((entry.request.earliest_start, entry_id))
        elif not entry.held:
            self._leave(entry)
        return entry

    def replace(self, entry: Entry) -> None:
        """Puts the entry in the place of the one with its id: moved, held, released, re-estimated."""
        self.remove(entry.id)
        self.add(entry)

    def wake(self, now: float) -> None:
        """Lines up the entries whose earliest start has come; each only once."""
        while self._asleep and self._asleep[0][0] <= now:
            _, entry_id = self._asleep.pop(0)
            self._dozing.remove(entry_id)
            self._line_up(self._entries[entry_id])

    def next_wake(self) -> float | None:
        """When the next entry reaches its earliest start, so that a pass is due then."""
        return self._asleep[0][0] if self._asleep else None

    def sleeping(self, most: int) -> list[Entry]:
        """Those whose earliest start has not come, the soonest first."""
        return [self._entries[entry_id] for _, entry_id in self._asleep.islice(0, most)]

    def groups(self) -> Iterable[Group]:
        return self._groups.values()

    def in_order(self, handicaps: Mapping[str, float] | None = None) -> Iterator[Entry]:
        """The entries that may run, in the order in which they are served."""
        lines = [_shifted(group, handicaps or {}) for group in self._groups.values()]
        return (self._entries[entry_id] for _, _, entry_id in merge(*lines))

    def position(self, entry_id: str, handicaps: Mapping[str, float] | None = None) -> int | None:
        """1 for the entry that is served first; None for one that is held or waits for its time."""
        entry = self.get(entry_id)
        if entry.held or entry_id in self._dozing:
            return None
        shift = handicaps or {}
        mine = rank(entry, self.policy)
        at = mine[0] + shift.get(entry.project, 0.0)
        return 1 + sum(
            group.order.bisect_left((at - shift.get(group.key.project, 0.0), mine[1], mine[2]))
            for group in self._groups.values()
        )

    def _line_up(self, entry: Entry) -> None:
        key = self._key(entry)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
        group.order.add(rank(entry, self.policy))

    def _leave(self, entry: Entry) -> None:
        group = self._groups[self._key(entry)]
        group.order.remove(rank(entry, self.policy))
        if not group.order:
            del self._groups[group.key]

    def _key(self, entry: Entry) -> GroupKey:
        longest = longest_s(entry)
        octave = inf if longest == inf else ceil(log2(max(longest, 1.0)))
        return GroupKey(entry.request.shape, entry.project if self._by_project else "", octave)


def _shifted(group: Group, handicaps: Mapping[str, float]) -> Iterator[Rank]:
    shift = handicaps.get(group.key.project, 0.0)
    return ((at + shift, arrived, entry_id) for at, arrived, entry_id in group.order)
