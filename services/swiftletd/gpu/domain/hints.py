"""What would help a waiting entry: the scheduler run again with one thing of its request changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from swiftletd.gpu.domain.device import MIB_PER_GIB
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.ledger import Ledger
from swiftletd.gpu.domain.placement import candidates
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Effort, Prediction, starts
from swiftletd.gpu.domain.ranking import handicaps
from swiftletd.gpu.domain.reason import span
from swiftletd.gpu.domain.request import MAX_PRIORITY, Request
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue

WORTH_S = 60.0
WORTH_PART = 0.1
HINT_EFFORT = Effort(entries=32, futures=5)


class Change(Enum):
    """What is changed; the value says to what."""

    GPUS = "gpus"
    GPU_NAME = "gpu_name"
    MACHINES = "machines"
    SHARED = "shared"
    PRIORITY = "priority"


SAYS = {
    Change.GPUS: "with {0} instead of {1}",
    Change.GPU_NAME: "on {0} instead of {1}",
    Change.MACHINES: "on several machines instead of one",
    Change.SHARED: "on a shared GPU, with {0} of it,",
    Change.PRIORITY: "with priority {0} instead of {1}",
}


@dataclass(frozen=True, slots=True)
class Hint:
    """With `change` to `value` the entry starts at `start` instead of `instead_of` (p50 and p90)."""

    change: Change
    value: str
    was: str
    start: Prediction
    instead_of: Prediction

    def sentence(self, now: float) -> str:
        what = SAYS[self.change].format(self._in_words(), self.was)
        when = max(0.0, (self.start.p50 or now) - now)
        return f"{what} it starts " + ("at once" if when < 1 else f"in about {span(when)}")

    def _in_words(self) -> str:
        if self.change is Change.GPUS:
            return "1 GPU" if self.value == "1" else f"{self.value} GPUs"
        if self.change is Change.SHARED:
            return f"{int(self.value) / MIB_PER_GIB:.3g} GiB"
        return self.value


def hints(
    snapshot: Snapshot,
    queue: WaitingQueue,
    entry_id: str,
    now: float,
    policy: Policy,
    effort: Effort = HINT_EFFORT,
) -> list[Hint]:
    """Changes that let the entry start clearly sooner, the best first.

    Each costs one small prediction. Raises QueueError where the entry does not wait.
    """
    entry = queue.get(entry_id)
    queue.wake(now)
    near = list(islice(queue.in_order(handicaps(snapshot, now, policy)), effort.entries))
    others = [other for other in near if other.id != entry_id]

    def when(variant: Entry) -> Prediction:
        return starts(snapshot, [*others, variant], now, policy, effort)[entry_id]

    as_is = when(entry)
    tried = ((change, variant, when(variant)) for change, variant in variants(entry, snapshot, policy))
    found = [_hint(change, entry, variant, start, as_is) for change, variant, start in tried]
    useful = [hint for hint in found if _worth(hint.start, as_is, now)]
    return sorted(_no_more_than_needed(useful, now), key=lambda hint: hint.start.p50 or now)


def variants(entry: Entry, snapshot: Snapshot, policy: Policy) -> Iterator[tuple[Change, Entry]]:
    """The entry with one thing changed, each in turn."""
    request = entry.request
    fewer = request.gpus // 2
    while fewer >= 1:
        yield Change.GPUS, _with_gpus(entry, fewer)
        fewer //= 2
    for name in _other_names(entry, snapshot):
        yield Change.GPU_NAME, replace(entry, request=replace(request, gpu_name=name))
    if policy.spread and request.same_machine and request.gpus > 1:
        yield Change.MACHINES, replace(entry, request=replace(request, same_machine=False))
    if not request.shared and (part := _part(request, snapshot, policy)):
        yield Change.SHARED, replace(entry, request=replace(request, shared=True, memory_mib=part))
    if entry.priority < MAX_PRIORITY:
        yield Change.PRIORITY, replace(entry, priority=MAX_PRIORITY)


def _part(request: Request, snapshot: Snapshot, policy: Policy) -> int:
    """MiB for a share of a GPU: what was asked for, else the most that is free beside other shares."""
    asked = request.memory_mib or request.min_memory_mib
    if asked:
        return asked
    ledger = Ledger(snapshot.devices, policy)
    for holding in snapshot.holdings:
        ledger.take(holding.lease.shares)
    beside = (
        slot for slot in candidates(ledger, replace(request, shared=True, memory_mib=1).shape) if slot.tenants
    )
    return max((slot.free_mib for slot in beside), default=0)


def _with_gpus(entry: Entry, gpus: int) -> Entry:
    """The same work on fewer GPUs takes longer in proportion."""
    known, factor = entry.estimate, entry.request.gpus / gpus
    longer = known and replace(known, p50_s=known.p50_s * factor, p90_s=known.p90_s * factor)
    return replace(entry, request=replace(entry.request, gpus=gpus), estimate=longer)


def _other_names(entry: Entry, snapshot: Snapshot) -> list[str]:
    wanted = entry.request.shape.gpu_name
    if not wanted:
        return []
    names = dict.fromkeys(device.name for device in snapshot.devices)
    return [name for name in names if wanted not in name.casefold()]


def _hint(change: Change, entry: Entry, variant: Entry, start: Prediction, as_is: Prediction) -> Hint:
    value, was = _values(change, entry, variant)
    return Hint(change, value, was, start, as_is)


def _values(change: Change, entry: Entry, variant: Entry) -> tuple[str, str]:
    old, new = entry.request, variant.request
    told = {
        Change.GPUS: (new.gpus, old.gpus),
        Change.GPU_NAME: (new.gpu_name, old.gpu_name),
        Change.MACHINES: ("several", "one"),
        Change.SHARED: (new.memory_mib, "whole"),
        Change.PRIORITY: (variant.priority, entry.priority),
    }
    value, was = told[change]
    return str(value), str(was)


def _no_more_than_needed(found: list[Hint], now: float) -> list[Hint]:
    """Without the hints at still fewer GPUs that do not let it start sooner either."""
    kept: list[Hint] = []
    for hint in found:
        same = (one for one in kept if one.change is hint.change)
        if all(_worth(hint.start, milder.start, now) for milder in same):
            kept.append(hint)
    return kept


def _worth(start: Prediction, as_is: Prediction, now: float) -> bool:
    if start.p50 is None:
        return False
    if as_is.p50 is None:
        return True
    gained = as_is.p50 - start.p50
    sounds_better = span(start.p50 - now) != span(as_is.p50 - now)
    return sounds_better and gained >= max(WORTH_S, WORTH_PART * (as_is.p50 - now))
