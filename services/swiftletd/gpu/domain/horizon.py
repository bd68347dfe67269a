"""When held devices come free, and so when an entry that does not fit now will."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from swiftletd.gpu.domain.durations import Grounds, Source
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.lease import Share
from swiftletd.gpu.domain.ledger import Ledger
from swiftletd.gpu.domain.placement import NONE, candidates, fits, place
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.request import Shape
from swiftletd.gpu.domain.snapshot import Holding

OVERRUN = 0.1
OVERRUN_MIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Ending:
    """A job whose devices come free at `at`, infinite where it has no end; `grounds` for that time."""

    at: float
    job_id: str
    shares: tuple[Share, ...]
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """The first time at which a shape fits, on which devices, and who has to end for it."""

    at: float
    devices: frozenset[str]
    endings: tuple[Ending, ...]


def expected_end(holding: Holding, now: float, policy: Policy) -> float:
    """When a job that runs will likely end. One that is overdue gets a tenth of its age more."""
    return founded_end(holding, now, policy)[0]


def founded_end(holding: Holding, now: float, policy: Policy) -> tuple[float, Grounds | None]:
    """`expected_end` with its grounds; a job without an end has none."""
    granted = holding.lease.granted_at
    if holding.ends_p50 is None and holding.kind is EntryKind.DEPLOY:
        return inf, None
    if holding.ends_p50 is None and granted + policy.assumed_s > now:
        return granted + policy.assumed_s, Grounds(Source.ASSUMED)
    for end in (holding.ends_p50, holding.ends_p90):
        if end is not None and end > now:
            return end, holding.grounds
    return now + max(OVERRUN_MIN_S, OVERRUN * (now - granted)), Grounds(Source.OVERDUE)


class Rewind:
    """A ledger moved forward in time and back: `to(k)` is the state after the first k endings."""

    def __init__(self, ledger: Ledger, endings: Sequence[Ending]) -> None:
        self._ledger = ledger
        self._endings = endings
        self._done = 0

    def to(self, count: int) -> None:
        for ending in self._endings[self._done : count]:
            self._ledger.give_back(ending.shares)
        for ending in self._endings[count : self._done]:
            self._ledger.take(ending.shares)
        self._done = count


def endings_of(holdings: Iterable[Holding], now: float, policy: Policy) -> list[Ending]:
    """When each of them is expected to end."""
    ends = ((holding, *founded_end(holding, now, policy)) for holding in holdings)
    return [Ending(end, holding.job_id, holding.lease.shares, why) for holding, end, why in ends]


def opening(
    ledger: Ledger, endings: Sequence[Ending], shape: Shape, avoid: frozenset[str] = NONE
) -> Opening | None:
    """The first time at which the shape fits if the jobs end as expected, or None if it never does.

    `endings` are in the order of time. The ledger is moved forward to look, and back again.
    """
    free_now = {slot.device.uuid for slot in candidates(ledger, shape, avoid)}
    finite = [ending for ending in endings if ending.at < inf]
    rewind = Rewind(ledger, finite)

    def fits_after(count: int) -> bool:
        rewind.to(count)
        return fits(ledger, shape, avoid)

    try:
        count = bisect_left(range(len(finite) + 1), True, key=fits_after)
        if count > len(finite):
            return None
        at = finite[count - 1].at if count else -inf
        count += sum(ending.at == at for ending in finite[count:])
        rewind.to(count)
        devices = _latest(ledger, shape, avoid, free_now)
    finally:
        rewind.to(0)
    needed = [end for end in finite[:count] if any(share.device in devices for share in end.shares)]
    return Opening(at, devices, tuple(needed))


def _latest(ledger: Ledger, shape: Shape, avoid: frozenset[str], free_now: set[str]) -> frozenset[str]:
    """Where the shape goes; of equal devices those still held, so that others can use the free ones."""
    shares = place(ledger, shape, avoid) or ()
    if shape.shared:
        return frozenset(share.device for share in shares)
    machine = ledger.slots[shares[0].device].device.machine
    equal = [slot.device for slot in candidates(ledger, shape, avoid)]
    if shape.same_machine:
        equal = [device for device in equal if device.machine == machine]
    equal.sort(key=lambda device: (device.uuid in free_now, device.machine, device.index))
    return frozenset(device.uuid for device in equal[: shape.gpus])
